//! A certificate that somebody else issued, in two files of this machine that change when it is renewed.

use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::GivenFiles;
use super::fit::{Certified, Unfit};

/// No chain of certificates is as large.
const BYTES_MAX: u64 = 256 << 10;
/// Everybody else's part of a file's mode.
const OTHERS: u32 = 0o007;

/// What tells that a file is another than it was.
type Stamp = [Option<(u64, u64, i64, i64, u64)>; 2];

/// Looks after the files.
pub(super) struct Given {
    files: GivenFiles,
    names: Vec<String>,
    /// Of what was judged last.
    judged: Stamp,
    /// Of what was seen last: somebody may be about to write the other file.
    seen: Stamp,
}

/// What a look at the files came to.
pub(super) enum Look {
    /// Nothing that was not judged already.
    Same,
    Fit(Box<Certified>),
    Unfit(Unfit),
}

impl Given {
    pub(super) fn new(files: GivenFiles, names: Vec<String>) -> Self {
        Self {
            files,
            names,
            judged: Stamp::default(),
            seen: Stamp::default(),
        }
    }

    /// What there is at the start.
    pub(super) fn first(&mut self) -> Result<Certified, Unfit> {
        let stamp = self.stamp();
        (self.judged, self.seen) = (stamp, stamp);
        read(&self.files, &self.names)
    }

    /// Judges what has changed and changes no more. Two files are never written at once, so what is unfit at the first
    /// look is judged at the second.
    pub(super) fn look(&mut self, now_ms: u64) -> Look {
        let stamp = self.stamp();
        let settled = stamp == self.seen;
        self.seen = stamp;
        if stamp == self.judged {
            return Look::Same;
        }
        let read = read(&self.files, &self.names);
        let fit = read.and_then(|read| read.check_dates(now_ms).map(|()| read));
        match fit {
            Err(_) if !settled => Look::Same,
            Ok(fit) if self.stamp() == stamp => {
                self.judged = stamp;
                Look::Fit(Box::new(fit))
            }
            Ok(_) => Look::Same,
            Err(unfit) => {
                self.judged = stamp;
                Look::Unfit(unfit)
            }
        }
    }

    fn stamp(&self) -> Stamp {
        [&self.files.certificate, &self.files.key].map(|path| {
            let told = std::fs::metadata(path).ok()?;
            Some((
                told.dev(),
                told.ino(),
                told.mtime(),
                told.mtime_nsec(),
                told.ctime().unsigned_abs() ^ told.ctime_nsec().unsigned_abs(),
            ))
        })
    }
}

/// Reads both files, and checks all but the dates.
pub(super) fn read(files: &GivenFiles, names: &[String]) -> Result<Certified, Unfit> {
    let (certificate, _) = content(&files.certificate)?;
    let (key, told) = content(&files.key)?;
    let key_path = files.key.display().to_string();
    if told.mode() & OTHERS != 0 {
        return Err(Unfit::OpenKey { path: key_path });
    }
    let path = files.certificate.display().to_string();
    let certified = Certified::of_pem(&path, &certificate, &key_path, &key)?;
    certified.check_names(names)?;
    Ok(certified)
}

fn content(path: &Path) -> Result<(Vec<u8>, Metadata), Unfit> {
    let read = || {
        let file = File::open(path)?;
        let told = file.metadata()?;
        if !told.is_file() {
            return Err(std::io::Error::other("it is no file"));
        }
        let mut bytes = Vec::new();
        file.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
        Ok((bytes, told))
    };
    let (bytes, told) = read().map_err(|error: std::io::Error| Unfit::Unreadable {
        path: path.display().to_string(),
        cause: error.to_string(),
    })?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(Unfit::TooLarge {
            path: path.display().to_string(),
            most: BYTES_MAX,
        });
    }
    Ok((bytes, told))
}
