//! The newest entry that commands of this person know of, kept beside the context: the next command sees what the last one
//! did, whichever master answers it.

use std::path::{Path, PathBuf};

use docklet_control::id::LogIndex;

/// Where the index is, for a context at this path.
#[derive(Debug)]
pub struct Seen(PathBuf);

impl Seen {
    pub fn beside(context: &Path) -> Self {
        Self(context.with_extension("seen"))
    }

    /// The index; 0 if nothing is remembered.
    pub fn load(&self) -> LogIndex {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        LogIndex(text.trim().parse().unwrap_or_default())
    }

    /// Remembers an index that is newer than what is remembered. What cannot be written is forgotten: then a command may be
    /// answered by a master that lags behind, as one is without a context.
    pub fn store(&self, index: LogIndex) {
        if index > self.load() {
            let staged = self
                .0
                .with_extension(format!("seen-{}", std::process::id()));
            let written = std::fs::write(&staged, format!("{index}\n"));
            let _ = written.and_then(|()| std::fs::rename(&staged, &self.0));
        }
    }

    /// Forgets it: another cluster counts its own.
    pub fn forget(&self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_is_remembered_until_it_is_forgotten() {
        let dir = tempfile::tempdir().expect("a directory");
        let seen = Seen::beside(&dir.path().join("context.toml"));
        assert_eq!(seen.load(), LogIndex(0));
        seen.store(LogIndex(7));
        seen.store(LogIndex(5));
        assert_eq!(seen.load(), LogIndex(7));
        std::fs::write(dir.path().join("context.seen"), "seven").expect("written");
        assert_eq!(seen.load(), LogIndex(0));
        seen.store(LogIndex(5));
        seen.forget();
        assert_eq!(seen.load(), LogIndex(0));
        let files = std::fs::read_dir(dir.path()).expect("the directory");
        assert_eq!(files.count(), 0);
    }
}
