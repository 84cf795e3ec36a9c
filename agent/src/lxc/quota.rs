//! The CPU quota of a container holds from its start on, and not in it: liblxc sets a container up within the
//! container's own cgroup, and one with a hundredth of a core would take a second for what costs ten milliseconds.

use super::container::Container;
use crate::fault::AgentFault;
use crate::limits::Word;

/// Configuration items that are the quota, in the words of the kernel's two versions, and the cgroup's file.
const QUOTA: [(&str, &str); 2] = [
    ("lxc.cgroup.cpu.cfs_quota_us", "cpu.cfs_quota_us"),
    ("lxc.cgroup2.cpu.max", "cpu.max"),
];

/// Lets the start go on without it. The container's file, saved before, has it still.
pub(super) fn put_off(
    container: &Container,
    config: &[(String, String)],
) -> Result<(), AgentFault> {
    for (key, _) in config.iter().filter(|(key, _)| file_of(key).is_some()) {
        container.unset(key)?;
    }
    Ok(())
}

/// What was put off, to be set once the first process is there.
pub(super) fn late(config: &[(String, String)]) -> Vec<Word> {
    let word = |(key, value): &(String, String)| {
        file_of(key).map(|file| Word {
            file: file.to_owned(),
            value: value.clone(),
        })
    };
    config.iter().filter_map(word).collect()
}

fn file_of(key: &str) -> Option<&'static str> {
    let found = QUOTA.iter().find(|(item, _)| *item == key)?;
    Some(found.1)
}
