//! Debian's static busybox as an image.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::command;

/// The image, with some more files: the same bytes each time.
pub fn image(files: &[(String, u32, Vec<u8>)]) -> Vec<u8> {
    const PROGRAM: &str = "/bin/busybox";
    let program = fs::read(PROGRAM).expect("/bin/busybox: apt-get install busybox-static");
    let applets = command(PROGRAM, &["--list"]);
    let mut archive = tar::Builder::new(Vec::new());
    for dir in [
        "bin", "sbin", "etc", "proc", "sys", "dev", "tmp", "run", "root",
    ] {
        let header = header(tar::EntryType::Directory, 0o755, 0);
        append(&mut archive, header, dir, &[]);
    }
    let executable = header(tar::EntryType::Regular, 0o755, program.len() as u64);
    append(&mut archive, executable, "bin/busybox", &program);
    for applet in applets.lines().filter(|applet| *applet != "busybox") {
        link(&mut archive, &format!("bin/{applet}"), "busybox");
    }
    link(&mut archive, "sbin/init", "../bin/busybox");
    for (path, text) in [
        ("etc/inittab", "::sysinit:/bin/true\n"),
        (
            "etc/passwd",
            "root:x:0:0::/root:/bin/sh\nother:x:1:1::/:/bin/sh\n",
        ),
        ("etc/group", "root:x:0:\nother:x:1:\n"),
    ] {
        if files.iter().any(|(given, ..)| given == path) {
            continue;
        }
        let file = header(tar::EntryType::Regular, 0o644, text.len() as u64);
        append(&mut archive, file, path, text.as_bytes());
    }
    let mut made = BTreeSet::from(["bin", "sbin", "etc", "run", "root"].map(PathBuf::from));
    for (path, mode, bytes) in files {
        let above = Path::new(path).ancestors().skip(1);
        let mut above: Vec<&Path> = above.filter(|dir| *dir != Path::new("")).collect();
        above.reverse();
        for dir in above {
            if made.insert(dir.to_owned()) {
                let header = header(tar::EntryType::Directory, 0o755, 0);
                append(&mut archive, header, &dir.to_string_lossy(), &[]);
            }
        }
        let header = header(tar::EntryType::Regular, *mode, bytes.len() as u64);
        append(&mut archive, header, path, bytes);
    }
    let tar = archive.into_inner().expect("an archive");
    zstd::stream::encode_all(tar.as_slice(), 1).expect("compressed")
}

fn header(kind: tar::EntryType, mode: u32, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

fn append(archive: &mut tar::Builder<Vec<u8>>, mut header: tar::Header, path: &str, bytes: &[u8]) {
    archive
        .append_data(&mut header, path, bytes)
        .expect("an entry");
}

fn link(archive: &mut tar::Builder<Vec<u8>>, path: &str, target: &str) {
    let mut header = header(tar::EntryType::Symlink, 0o777, 0);
    archive
        .append_link(&mut header, path, target)
        .expect("a link");
}
