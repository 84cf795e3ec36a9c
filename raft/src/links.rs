//! All connections of this master to the others: a few to each, by what they carry, so that none waits behind
//! another. They are kept open: at a change of leader nobody has to dial first.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use docklet_link::identity::Identity;

use crate::line::Line;
use crate::master::Master;
use crate::types::MasterAddress;
use crate::world::Dial;

/// Lines that broke are dialled again this often.
const REDIAL_EVERY: Duration = Duration::from_millis(250);

/// The lines to one master.
pub struct Lines {
    addr: String,
    /// Heartbeats.
    pub beats: Line,
    /// Entries of the log.
    pub entries: Line,
    /// Votes and transfers of leadership.
    pub votes: Line,
    /// What is forwarded to the leader, and questions.
    pub calls: Line,
    /// Snapshots; dialled when one is due.
    pub snapshots: Line,
}

impl Lines {
    fn new(dial: &Arc<dyn Dial>, own: Identity, id: u64, addr: &str) -> Self {
        let line = || Line::to(dial.clone(), own, id, addr.to_owned());
        Self {
            addr: addr.to_owned(),
            beats: line(),
            entries: line(),
            votes: line(),
            calls: line(),
            snapshots: line(),
        }
    }

    fn warm(&self) {
        for line in [&self.beats, &self.entries, &self.votes, &self.calls] {
            line.warm();
        }
    }
}

/// The lines to all masters. Clones are the same ones.
#[derive(Clone)]
pub struct Links {
    dial: Arc<dyn Dial>,
    own: Identity,
    lines: Arc<Mutex<BTreeMap<u64, Arc<Lines>>>>,
}

impl Links {
    /// Without any line yet.
    pub fn new(dial: Arc<dyn Dial>, own: Identity) -> Self {
        Self {
            dial,
            own,
            lines: Arc::default(),
        }
    }

    /// What dials with this master's certificate.
    pub fn dial(&self) -> &Arc<dyn Dial> {
        &self.dial
    }

    /// The lines to a master that is at this address.
    pub fn to(&self, id: u64, address: &MasterAddress) -> Arc<Lines> {
        let mut all = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || Arc::new(Lines::new(&self.dial, self.own, id, &address.0));
        let lines = all.entry(id).or_insert_with(fresh);
        if lines.addr != address.0 {
            *lines = fresh();
        }
        lines.clone()
    }

    /// Keeps lines to these masters open, and forgets those to all others.
    fn keep(&self, members: &BTreeMap<u64, MasterAddress>) {
        for (id, address) in members {
            self.to(*id, address).warm();
        }
        let mut all = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|id, _| members.contains_key(id));
    }
}

/// Keeps lines to the other members open, until aborted.
pub async fn keep_open(master: Master) {
    let mut reach = BTreeMap::new();
    loop {
        let members = master.other_members();
        let links = &master.inner.links;
        links.keep(&members);
        tokio::time::sleep(REDIAL_EVERY).await;
        let up = members
            .iter()
            .map(|(id, address)| (*id, links.to(*id, address).beats.is_up()));
        tell_changes(&mut reach, up.collect());
    }
}

/// One line in the log for each master that went or came, not one for each heartbeat that it missed.
fn tell_changes(before: &mut BTreeMap<u64, bool>, now: BTreeMap<u64, bool>) {
    for (master, up) in &now {
        match (before.get(master), up) {
            (Some(true), false) => tracing::warn!(master, "another master does not answer"),
            (Some(false), true) => tracing::info!(master, "another master answers again"),
            (None, _) | (Some(true), true) | (Some(false), false) => {}
        }
    }
    *before = now;
}
