//! The rules for system calls of all vnodes, for liblxc to read from a file.

use std::fs;
use std::path::Path;

use crate::fault::AgentFault;

/// The rules, and why each is there.
const RULES: &str = include_str!("../../conf/vnode.seccomp");

/// Writes them, if they are not there or are those of another version of this program. Who starts a container at the
/// same moment reads the old ones or the new ones.
pub(crate) fn write(path: &Path) -> Result<(), AgentFault> {
    let rules = plain();
    if fs::read_to_string(path).is_ok_and(|present| present == rules) {
        return Ok(());
    }
    Ok(docklet_link::credentials::write_private(
        path,
        rules.as_bytes(),
    )?)
}

/// Without remarks: liblxc's reader does not take them in the first two lines.
fn plain() -> String {
    let lines = RULES
        .lines()
        .map(|line| line.split('#').next().unwrap_or("").trim_end());
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn liblxc_gets_the_rules_without_remarks() {
        let rules = plain();
        assert!(rules.starts_with("2\ndenylist\n"));
        assert!(!rules.contains('#') && !rules.contains("\n\n"));
        for call in [
            "kexec_load",
            "open_by_handle_at",
            "init_module",
            "bpf",
            "keyctl",
            "io_uring_setup",
        ] {
            assert!(rules.lines().any(|line| line.starts_with(call)), "{call}");
        }
    }
}
