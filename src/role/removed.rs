//! What becomes of a master's directory when the master was removed from its cluster: it keeps a mark that says so and
//! loses its keys, so that nothing of it ever speaks for the cluster again.

use std::path::Path;

use anyhow::Context as _;
use docklet_link::Credentials;
use docklet_link::credentials::write_private;

use crate::exit::{Class, Failure};

/// Its being there means that the master was removed.
const MARK: &str = "removed";

/// Marks the directory and deletes its keys; answers what there is to say.
pub fn leave(dir: &Path, master: u64) -> anyhow::Result<Failure> {
    write_private(&dir.join(MARK), format!("{master}\n").as_bytes())?;
    Credentials::forget_keys(dir).context("delete the keys of a removed master")?;
    Ok(sentence(dir, &master.to_string()))
}

/// Refuses a directory whose master was removed.
pub fn refuse(dir: &Path) -> anyhow::Result<()> {
    match std::fs::read_to_string(dir.join(MARK)) {
        Ok(master) => Err(sentence(dir, master.trim()).into()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("read {MARK} in {}", dir.display())),
    }
}

/// Cause, scope, next step.
fn sentence(dir: &Path, master: &str) -> Failure {
    Failure::new(
        Class::Removed,
        format!(
            "master {master} was removed from its cluster: its id is refused for ever, its keys are deleted, and the \
             cluster goes on without it. To let this machine be a master again, delete {} and use `docklet master join` \
             with a new token",
            dir.display()
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::{leave, refuse};
    use crate::exit::{Class, Failure};

    #[test]
    fn a_removed_masters_directory_has_no_keys_and_starts_no_more() {
        let dir = tempfile::TempDir::new().expect("a directory");
        for name in ["own.key", "ca.key", "own.pem"] {
            std::fs::write(dir.path().join(name), "x").expect("written");
        }
        refuse(dir.path()).expect("it was not removed yet");
        let said = leave(dir.path(), 17).expect("left");
        assert_eq!(said.class, Class::Removed);
        let left: Vec<_> = std::fs::read_dir(dir.path())
            .expect("listed")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        assert_eq!(left.len(), 2, "certificate and mark are left: {left:?}");
        let refused = refuse(dir.path()).expect_err("refused");
        let refused = refused.downcast_ref::<Failure>().expect("a failure");
        assert_eq!(refused.class, Class::Removed);
        assert!(
            refused.message.contains("master 17 was removed"),
            "{refused}"
        );
        // Twice does no harm.
        leave(dir.path(), 17).expect("left again");
    }
}
