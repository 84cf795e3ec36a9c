//! Containers that run, known by their first process: the kernel says in one read whether it is there, where liblxc
//! reads the container's file and asks its monitor.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Mutex, PoisonError};

use docklet_control::id::VnodeId;

use crate::fault::AgentFault;

/// A container's first process, told from any other that may get its number later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FirstProcess {
    pid: i32,
    /// Its parent: liblxc's monitor. Without it nobody notices the container's end.
    monitor: i32,
    /// When it began, in ticks since boot.
    began: u64,
}

impl FirstProcess {
    /// The process of this number; none if it has ended.
    fn of(pid: i32) -> Option<Self> {
        Self::parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// From `proc_pid_stat(5)`: fields 3, 4 and 22. The second one, the program's name, may contain anything.
    fn parse(pid: i32, stat: &str) -> Option<Self> {
        let (_, fields) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        if matches!(*fields.first()?, "Z" | "X") {
            return None;
        }
        Some(Self {
            pid,
            monitor: fields.get(1)?.parse().ok()?,
            began: fields.get(19)?.parse().ok()?,
        })
    }
}

/// The monitor of a container whose first process has this number; none if that has ended.
pub(crate) fn monitor_of(pid: i32) -> Option<i32> {
    FirstProcess::of(pid).map(|first| first.monitor)
}

/// Containers that were found running.
#[derive(Debug, Default)]
pub(crate) struct Alive(Mutex<BTreeMap<VnodeId, FirstProcess>>);

impl Alive {
    /// Whether a container runs. `ask` answers its first process as liblxc knows it, and is asked if what was found
    /// last is there no more as it was.
    pub(crate) fn runs(
        &self,
        id: VnodeId,
        ask: impl FnOnce() -> Result<Option<i32>, AgentFault>,
    ) -> Result<bool, AgentFault> {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lock().get(&id).copied();
        if known.is_some_and(|known| FirstProcess::of(known.pid) == Some(known)) {
            return Ok(true);
        }
        let found = ask()?;
        self.learn(id, found);
        Ok(found.is_some())
    }

    /// Somebody was told by liblxc that this is its first process.
    pub(crate) fn learn(&self, id: VnodeId, found: Option<i32>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match found.and_then(FirstProcess::of) {
            Some(first) => known.insert(id, first),
            None => known.remove(&id),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str =
        "812 (a) b (c) S 811 812 812 0 -1 4194560 96 0 0 0 0 0 0 0 20 0 1 0 77031 1007616 1";

    #[test]
    fn a_process_is_told_from_its_successor() {
        let first = FirstProcess::parse(812, STAT).expect("it runs");
        assert_eq!((first.monitor, first.began), (811, 77_031));
        let orphan = STAT.replace(" S 811 ", " S 1 ");
        assert_ne!(FirstProcess::parse(812, &orphan), Some(first));
        let later = STAT.replace("77031", "99000");
        assert_ne!(FirstProcess::parse(812, &later), Some(first));
        assert_eq!(FirstProcess::parse(812, &STAT.replace(" S ", " Z ")), None);
        assert_eq!(FirstProcess::parse(812, ""), None);
    }

    #[test]
    fn liblxc_is_asked_again_only_when_the_process_changed() {
        let alive = Alive::default();
        let id = VnodeId(1);
        let own = i32::try_from(std::process::id()).expect("a pid");
        assert!(alive.runs(id, || Ok(Some(own))).expect("asked"));
        assert!(alive.runs(id, || panic!("asked again")).expect("known"));
        let mut ended = std::process::Command::new("true").spawn().expect("runs");
        let pid = i32::try_from(ended.id()).expect("a pid");
        assert!(alive.runs(VnodeId(2), || Ok(Some(pid))).expect("asked"));
        ended.wait().expect("it ends");
        assert!(!alive.runs(VnodeId(2), || Ok(None)).expect("asked again"));
    }
}
