//! Swaps a directory and a link to somewhere else, again and again, while files are reached from outside.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

/// Swaps what is at `d` and `l` in this directory so many times, for each of the targets in turn.
pub fn race(dir: &str, times: u64, targets: &[String]) -> std::io::Result<()> {
    let (dir, link) = (Path::new(dir).join("d"), Path::new(dir).join("l"));
    let mut made = 0;
    for target in targets.iter().cycle() {
        if link.symlink_metadata().is_ok() {
            fs::remove_file(&link)?;
        }
        symlink(target, &link)?;
        for _ in 0..100 {
            renameat2(
                AT_FDCWD,
                &dir,
                AT_FDCWD,
                &link,
                RenameFlags::RENAME_EXCHANGE,
            )?;
            made += 1;
        }
        if made >= times {
            break;
        }
    }
    Ok(())
}
