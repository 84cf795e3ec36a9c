//! Hostile archives change nothing outside of their root, and what is refused leaves nothing behind; by way of a blob
//! whose digest is known, and by way of an upload of any kind.

mod corpus;
mod make;
mod oci;

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use corpus::{Trick, corpus};
use docklet_agent::archive::Limits;
use docklet_agent::archive::import::Imported;
use docklet_agent::images::ImageStore;
use docklet_control::id::Digest;
use make::{blob, digest, dir, entry, file, header, link, pax, tar, zeros, zstd};
use tar::EntryType;
use tempfile::TempDir;

/// A store, and beside it what must stay as it is.
struct Place {
    dir: TempDir,
    store: ImageStore,
    before: Vec<(String, Vec<u8>)>,
}

impl Place {
    fn new() -> Self {
        Self::within(Limits::default())
    }

    fn within(limits: Limits) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("docklet-archives-")
            .tempdir_in("/var/tmp")
            .expect("a directory");
        let outside = dir.path().join("outside");
        fs::create_dir(&outside).expect("made");
        fs::write(outside.join("victim"), b"whole").expect("written");
        let store = ImageStore::open_within(dir.path().join("images"), limits);
        Self {
            before: tree(&outside),
            store: store.expect("a store"),
            dir,
        }
    }

    fn outside(&self) -> PathBuf {
        self.dir.path().join("outside")
    }

    /// The outside is as it was, modes included, and nothing half done is left.
    fn check(&self, what: &str) {
        assert_eq!(tree(&self.outside()), self.before, "{what}");
        for entry in fs::read_dir(self.dir.path().join("images")).expect("listed") {
            let name = entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned();
            assert!(name.parse::<Digest>().is_ok(), "{what} left {name}");
        }
    }
}

fn receive(place: &Place, bytes: &[u8]) -> Result<Digest, String> {
    receive_as(place, digest(bytes), bytes)
}

fn receive_as(place: &Place, digest: Digest, bytes: &[u8]) -> Result<Digest, String> {
    let mut receiving = place
        .store
        .receive(digest, 64 << 20)
        .map_err(|fault| fault.full_text())?;
    receiving.write(bytes).map_err(|fault| fault.full_text())?;
    receiving.finish().map_err(|fault| fault.full_text())?;
    Ok(digest)
}

fn import(place: &Place, bytes: &[u8]) -> Result<Imported, String> {
    let mut importing = place
        .store
        .import(64 << 20, None)
        .map_err(|fault| fault.full_text())?;
    importing.write(bytes).map_err(|fault| fault.full_text())?;
    importing.finish().map_err(|fault| fault.full_text())
}

/// Every path below a directory: its mode, owner and size, and what is in files and links.
fn tree(dir: &Path) -> Vec<(String, Vec<u8>)> {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::MetadataExt;
    let mut found = Vec::new();
    let mut waiting = vec![dir.to_owned()];
    while let Some(at) = waiting.pop() {
        let metadata = at.symlink_metadata().expect("metadata");
        let kind = metadata.file_type();
        let content = if kind.is_dir() {
            for entry in fs::read_dir(&at).expect("a directory") {
                waiting.push(entry.expect("an entry").path());
            }
            Vec::new()
        } else if kind.is_symlink() {
            fs::read_link(&at)
                .expect("a link")
                .as_os_str()
                .as_bytes()
                .to_vec()
        } else {
            fs::read(&at).expect("a file")
        };
        let below = at.strip_prefix(dir).expect("below").display();
        let (mode, uid, gid) = (metadata.mode(), metadata.uid(), metadata.gid());
        let links = if kind.is_dir() { 0 } else { metadata.nlink() };
        found.push((format!("{below} {mode:o} {uid}:{gid} {links}"), content));
    }
    found.sort();
    found
}

#[test]
fn hostile_archives_change_nothing_outside_and_leave_nothing() {
    let place = Place::new();
    let out = place.outside().display().to_string();
    for Trick {
        name,
        tar,
        blob,
        upload,
    } in corpus(&out)
    {
        for bytes in [zstd(&tar), tar.clone()] {
            match (receive(&place, &bytes), blob) {
                (Err(found), Some(cause)) => {
                    assert!(found.contains(cause), "{name}: {found}");
                    assert!(!place.store.holds(digest(&bytes)), "{name}");
                }
                (found, wanted) => panic!("{name}: {found:?} instead of {wanted:?}"),
            }
            place.check(name);
            match (import(&place, &bytes), upload) {
                (Err(found), Some(cause)) => assert!(found.contains(cause), "{name}: {found}"),
                (Ok(_), None) => {}
                (found, wanted) => panic!("{name}: {found:?} instead of {wanted:?}"),
            }
            place.check(name);
        }
    }
}

#[test]
fn a_sound_archive_is_unpacked_and_named_by_its_digest() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let bytes = blob(|archive| {
        file(archive, "etc/motd", b"hello");
        link(archive, "motd", EntryType::Symlink, "etc/motd");
        for (name, kind) in [
            ("null", EntryType::Char),
            ("sda", EntryType::Block),
            ("pipe", EntryType::Fifo),
        ] {
            link(archive, name, kind, "");
        }
        let mut su = header("bin/su", EntryType::Regular, 0);
        su.set_mode(0o4755);
        pax(
            archive,
            &[
                (
                    "SCHILY.xattr.security.capability",
                    "\u{1}\u{0}\u{0}\u{2}all",
                ),
                ("SCHILY.xattr.user.x", "y"),
            ],
        );
        entry(archive, su, std::io::empty());
    });
    let digest = receive(&place, &bytes).expect("sound");
    let root = place.store.rootfs(digest);
    assert_eq!(fs::read(root.join("etc/motd")).expect("unpacked"), b"hello");
    for name in ["null", "sda", "pipe"] {
        assert!(!root.join(name).exists(), "devices are left out: {name}");
    }
    let su = root.join("bin/su");
    assert_eq!(
        fs::metadata(&su).expect("there").permissions().mode() & 0o7777,
        0o4755
    );
    assert_eq!(attributes(&su), "", "no attribute comes in");
    // That setuid file is this machine's root's: nobody else may come near it.
    let store = fs::metadata(place.dir.path().join("images")).expect("there");
    assert_eq!(store.permissions().mode() & 0o7777, 0o700);
    assert_eq!(place.store.list().expect("listed"), [digest]);
}

/// Names of a file's extended attributes.
fn attributes(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let path = std::ffi::CString::new(path.as_os_str().as_bytes()).expect("a path");
    let mut names = [0_u8; 256];
    // SAFETY: the path is a C string, and the buffer is as long as said.
    let length =
        unsafe { nix::libc::llistxattr(path.as_ptr(), names.as_mut_ptr().cast(), names.len()) };
    let length = usize::try_from(length).expect("attributes can be listed");
    String::from_utf8_lossy(&names[..length]).into_owned()
}

/// Enough to go over what is free of any ratio.
const ZEROS: u64 = 400 << 20;

#[test]
fn bombs_are_refused_within_time_memory_and_disk() {
    let begun = Instant::now();
    let place = Place::new();
    let mut ratio = Vec::new();
    zeros(ZEROS, &mut ratio);
    assert!(ratio.len() < 1 << 20, "{ZEROS} bytes in {}", ratio.len());
    // First as content of a file, then as a name.
    let wrapped = |kind: EntryType, bytes: u64| {
        let mut header = header("bomb", kind, bytes);
        header.set_cksum();
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).expect("an encoder");
        std::io::Write::write_all(&mut encoder, header.as_bytes()).expect("written");
        let mut content = std::io::repeat(0).take(bytes.min(ZEROS));
        std::io::copy(&mut content, &mut encoder).expect("written");
        encoder.finish().expect("compressed")
    };
    for (what, bytes, cause) in [
        ("no archive, only zeros", ratio, None),
        (
            "a file of zeros",
            wrapped(EntryType::Regular, ZEROS),
            Some("become more than"),
        ),
        (
            "a name of zeros",
            wrapped(EntryType::GNULongName, ZEROS),
            Some("names and attributes"),
        ),
        (
            "records of zeros",
            wrapped(EntryType::XHeader, ZEROS),
            Some("names and attributes"),
        ),
        (
            "an endless file",
            wrapped(EntryType::Regular, u64::MAX >> 1),
            // Whichever limit comes first: of what it becomes, or of what it says it has.
            Some(" more than "),
        ),
    ] {
        for result in [receive(&place, &bytes).err(), import(&place, &bytes).err()] {
            // Zeros alone are the end of an archive: nothing is in it.
            if let Some(cause) = cause {
                assert!(
                    result.as_ref().is_some_and(|r| r.contains(cause)),
                    "{what}: {result:?}"
                );
            }
            if what.starts_with("no archive") {
                continue;
            }
            place.check(what);
        }
    }
    assert!(
        begun.elapsed() < Duration::from_secs(120),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn no_more_entries_bytes_or_names_than_the_limits_say_are_taken() {
    let limits = Limits {
        entries_max: 1_000,
        bytes_max: 4 << 20,
        names_bytes_max: 100_000,
        ..Limits::default()
    };
    let place = Place::within(limits);
    let files = |count: usize, name: usize| {
        blob(|a| {
            for number in 0..count {
                pax(a, &[("path", &format!("{number:0name$}"))]);
                file(a, "x", b"");
            }
        })
    };
    // An entry with a record counts as two.
    receive(&place, &files(499, 9)).expect("within");
    for (what, bytes, cause) in [
        ("entries", files(501, 9), "more than 1000 entries"),
        ("names", files(450, 250), "names take more"),
        (
            "bytes",
            blob(|a| file(a, "a", &vec![7; 5 << 20])),
            "4194304 bytes",
        ),
    ] {
        for result in [receive(&place, &bytes).err(), import(&place, &bytes).err()] {
            assert!(
                result.as_ref().is_some_and(|r| r.contains(cause)),
                "{what}: {result:?}"
            );
            place.check(what);
        }
    }
}

#[test]
fn whatever_is_cut_off_or_flipped_nothing_panics_and_nothing_outside_changes() {
    let place = Place::new();
    let whole = tar(|a| {
        dir(a, "a", 0o755);
        pax(a, &[("path", "a/long"), ("mtime", "1.5")]);
        file(a, "x", &[1; 700]);
        link(a, "b", EntryType::Link, "a/long");
        link(a, "c", EntryType::Symlink, "../../outside/victim");
    });
    for length in (0..whole.len()).step_by(97) {
        let _ = receive(&place, &whole[..length]);
        let _ = import(&place, &whole[..length]);
        place.check(&format!("{length} bytes"));
    }
    for at in (0..whole.len()).step_by(53) {
        let mut flipped = whole.clone();
        flipped[at] ^= 0xff;
        let _ = receive(&place, &flipped);
        let _ = import(&place, &flipped);
        place.check(&format!("byte {at}"));
    }
    let truncated = zstd(&whole);
    let refused = receive(&place, &truncated[..truncated.len() / 2]).expect_err("cut off");
    assert!(refused.contains("damaged"), "{refused}");
    for nothing in [
        &b"not an archive at all: --use-compress-program=sh"[..],
        b"",
        b"\xfd7zXZ\0",
        b"\x1f\x8b",
        b"PK\x03\x04",
    ] {
        assert!(import(&place, nothing).is_err());
        place.check("no archive");
    }
}

/// Another program's archives of one directory, in all its formats, come to that directory; so none of what it packs is
/// read otherwise here.
#[test]
fn what_gnu_tar_packs_is_unpacked_alike() {
    let place = Place::new();
    let fixture = place.dir.path().join("fixture");
    let long = "n".repeat(120);
    fs::create_dir_all(fixture.join("deep").join(&long).join(&long)).expect("made");
    fs::write(fixture.join("deep").join(&long).join("file"), [5; 3_000]).expect("written");
    fs::write(fixture.join("plain"), b"plain").expect("written");
    fs::hard_link(fixture.join("plain"), fixture.join("same")).expect("linked");
    std::os::unix::fs::symlink(&long, fixture.join("soft")).expect("linked");
    fs::write(fixture.join("ünïcode"), b"").expect("written");
    std::os::unix::fs::chown(fixture.join("plain"), Some(33), Some(1_000)).expect("given");
    let mut digests = Vec::new();
    for format in ["gnu", "pax", "posix", "oldgnu"] {
        let packed = Command::new("tar")
            .args(["--numeric-owner", &format!("--format={format}"), "-C"])
            .arg(&fixture)
            .args(["-cf", "-", "."])
            .output()
            .expect("GNU tar");
        assert!(packed.status.success(), "{packed:?}");
        let received = receive(&place, &zstd(&packed.stdout)).expect(format);
        assert_eq!(
            tree(&place.store.rootfs(received)),
            tree(&fixture),
            "{format}"
        );
        let imported = import(&place, &packed.stdout).expect(format).packed.digest;
        assert_eq!(
            tree(&place.store.rootfs(imported)),
            tree(&fixture),
            "{format}"
        );
        digests.push(imported);
    }
    digests.dedup();
    assert_eq!(digests.len(), 1, "packed anew they are one image");
}

#[test]
fn an_upload_may_be_compressed_in_any_usual_way() {
    let place = Place::new();
    let plain = tar(|a| file(a, "sbin/init", b"init"));
    let wanted = import(&place, &plain).expect("plain");
    assert_eq!(wanted.spec.expect("it has an init").init, ["/sbin/init"]);
    for program in ["gzip", "xz", "zstd"] {
        let from = place.dir.path().join("upload");
        fs::write(&from, &plain).expect("written");
        let output = Command::new(program)
            .arg("-c")
            .stdin(fs::File::open(&from).expect("there"))
            .output();
        let Ok(output) = output else { continue };
        let imported = import(&place, &output.stdout).expect(program);
        assert_eq!(imported.packed, wanted.packed, "{program}");
    }
}

#[test]
fn a_blob_with_another_digest_or_more_bytes_than_said_is_refused() {
    let place = Place::new();
    let bytes = blob(|archive| file(archive, "a", b"a"));
    let wrong = receive_as(&place, Digest([1; 32]), &bytes).expect_err("another digest");
    assert!(wrong.contains("another digest"), "{wrong}");
    place.check("another digest");
    let mut receiving = place.store.receive(digest(&bytes), 10).expect("begun");
    let long = receiving.write(&bytes).expect_err("too long").full_text();
    assert!(long.contains("longer"), "{long}");
    drop(receiving);
    place.check("too long");
    // Whoever names what is here must have its bytes all the same.
    receive(&place, &bytes).expect("sound");
    let other = blob(|archive| file(archive, "b", b"b"));
    let guessed = receive_as(&place, digest(&bytes), &other).expect_err("only the name of it");
    assert!(guessed.contains("another digest"), "{guessed}");
    receive(&place, &bytes).expect("again");
    assert!(place.store.holds(digest(&bytes)));
}

#[test]
fn a_fetch_goes_on_where_it_was_left_also_in_the_next_process() {
    let place = Place::new();
    let bytes = blob(|archive| file(archive, "a", &[9; 100_000]));
    let (digest, length) = (digest(&bytes), bytes.len() as u64);
    let resume = |store: &ImageStore| store.resume(digest, length).expect("begun");
    let mut receiving = resume(&place.store);
    receiving.write(&bytes[..30]).expect("written");
    drop(receiving);
    let store = ImageStore::open(place.dir.path().join("images")).expect("the next process");
    assert_eq!(store.begun().expect("listed"), [digest]);
    assert!(!store.holds(digest));
    let mut receiving = resume(&store);
    assert_eq!(receiving.received(), 30);
    receiving.write(&bytes[30..]).expect("written");
    receiving.finish().expect("whole");
    assert!(store.holds(digest));
    assert_eq!(store.begun().expect("listed"), []);
    place.check("fetched");
    store.remove(digest).expect("removed");
    assert!(!store.holds(digest));
    place.check("removed");
    // What was sent wrongly is not gone on with.
    let mut receiving = resume(&store);
    receiving.write(&vec![0; bytes.len()]).expect("written");
    receiving.finish().expect_err("another digest");
    assert_eq!(store.begun().expect("listed"), []);
}
