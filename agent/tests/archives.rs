//! Hostile archives change nothing outside of their root, and what is refused leaves nothing behind.

use std::fs;
use std::path::Path;

use docklet_agent::images::ImageStore;
use docklet_control::id::Digest;
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};
use tempfile::TempDir;

type Archive = Builder<Vec<u8>>;

/// Writes a name into a header as it is: the library would refuse to write what attackers write.
fn header(name: &str, kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

fn file(archive: &mut Archive, name: &str, content: &[u8]) {
    let mut header = header(name, EntryType::Regular, content.len() as u64);
    header.set_cksum();
    archive.append(&header, content).expect("a file");
}

fn link(archive: &mut Archive, name: &str, kind: EntryType, target: &str) {
    let mut header = header(name, kind, 0);
    header.as_mut_bytes()[157..157 + target.len()].copy_from_slice(target.as_bytes());
    header.set_cksum();
    archive.append(&header, std::io::empty()).expect("a link");
}

fn blob(fill: impl FnOnce(&mut Archive)) -> Vec<u8> {
    let mut archive = Builder::new(Vec::new());
    fill(&mut archive);
    let tar = archive.into_inner().expect("an archive");
    zstd::stream::encode_all(tar.as_slice(), 1).expect("compressed")
}

fn digest(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

fn receive(store: &ImageStore, digest: Digest, bytes: &[u8]) -> Result<(), String> {
    let mut receiving = store
        .receive(digest, 1 << 20)
        .map_err(|fault| fault.full_text())?;
    receiving.write(bytes).map_err(|fault| fault.full_text())?;
    receiving.finish().map_err(|fault| fault.full_text())
}

/// Every path below a directory, with the content of files.
fn tree(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut waiting = vec![dir.to_owned()];
    while let Some(dir) = waiting.pop() {
        for entry in fs::read_dir(dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            let kind = path.symlink_metadata().expect("metadata").file_type();
            if kind.is_dir() {
                waiting.push(path.clone());
            }
            let content = if kind.is_file() {
                fs::read(&path).expect("a file")
            } else {
                Vec::new()
            };
            found.push((path.display().to_string(), content));
        }
    }
    found.sort();
    found
}

#[test]
fn a_sound_archive_is_unpacked_and_named_by_its_digest() {
    let dir = TempDir::new().expect("a directory");
    let store = ImageStore::open(dir.path().join("images")).expect("a store");
    let bytes = blob(|archive| {
        file(archive, "etc/motd", b"hello");
        link(archive, "motd", EntryType::Symlink, "etc/motd");
        link(archive, "null", EntryType::Char, "");
    });
    receive(&store, digest(&bytes), &bytes).expect("sound");
    let root = store.rootfs(digest(&bytes));
    assert_eq!(fs::read(root.join("etc/motd")).expect("unpacked"), b"hello");
    assert!(!root.join("null").exists(), "devices are left out");
    assert_eq!(store.list().expect("listed"), [digest(&bytes)]);
}

#[test]
fn hostile_archives_change_nothing_outside_and_leave_nothing() {
    let dir = TempDir::new().expect("a directory");
    let outside = dir.path().join("outside");
    fs::create_dir(&outside).expect("made");
    fs::write(outside.join("victim"), b"whole").expect("written");
    let store = ImageStore::open(dir.path().join("images")).expect("a store");
    let out = outside.display().to_string();
    let corpus: Vec<(&str, Vec<u8>)> = vec![
        (
            "dot dot",
            blob(|a| file(a, "../../../outside/victim", b"x")),
        ),
        (
            "absolute",
            blob(|a| file(a, &format!("{out}/victim"), b"x")),
        ),
        (
            "write through a symlink",
            blob(|a| {
                link(a, "way", EntryType::Symlink, &out);
                file(a, "way/victim", b"x");
            }),
        ),
        (
            "symlink, then a directory of that name",
            blob(|a| {
                link(a, "way", EntryType::Symlink, &out);
                let mut dir = header("way", EntryType::Directory, 0);
                dir.set_mode(0o777);
                dir.set_cksum();
                a.append(&dir, std::io::empty()).expect("a directory");
                file(a, "way/victim", b"x");
            }),
        ),
        (
            "hard link to the outside, then write",
            blob(|a| {
                link(a, "hard", EntryType::Link, &format!("{out}/victim"));
                file(a, "hard", b"x");
            }),
        ),
        ("truncated", {
            let whole = blob(|a| file(a, "big", &[1; 100_000]));
            whole[..whole.len() / 2].to_vec()
        }),
        ("no archive at all", b"not zstd".to_vec()),
    ];
    let before = tree(&outside);
    for (name, bytes) in corpus {
        // Whether it is refused or made harmless, the outside stays as it is.
        let result = receive(&store, digest(&bytes), &bytes);
        assert_eq!(tree(&outside), before, "{name}");
        if result.is_err() {
            assert!(!store.holds(digest(&bytes)), "{name}");
        }
    }
    for entry in fs::read_dir(dir.path().join("images")).expect("listed") {
        let name = entry.expect("an entry").file_name();
        assert!(
            !name.to_string_lossy().contains("staging"),
            "nothing half done is left"
        );
    }
}

#[test]
fn a_blob_with_another_digest_or_more_bytes_than_said_is_refused() {
    let dir = TempDir::new().expect("a directory");
    let store = ImageStore::open(dir.path().join("images")).expect("a store");
    let bytes = blob(|archive| file(archive, "a", b"a"));
    let wrong = receive(&store, Digest([1; 32]), &bytes).expect_err("another digest");
    assert!(wrong.contains("another digest"), "{wrong}");
    let long = vec![0; (1 << 20) + 1];
    let long = receive(&store, digest(&long), &long).expect_err("too long");
    assert!(long.contains("longer"), "{long}");
    assert_eq!(tree(&dir.path().join("images")), []);
}
