//! Entries, and a log and state that are written to as Raft does.

use std::io;
use std::sync::Arc;

use docklet_control::command::{ENTRY_VERSION, InitCluster};
use docklet_control::id::{LogIndex, MasterId, RequestId, UnixMs, UserId};
use docklet_control::model::{ClusterId, ClusterVersion, Role};
use docklet_control::{Actor, Command, Entry, State, apply};
use futures_util::stream;
use openraft::EntryPayload;
use openraft::entry::RaftEntry;
use openraft::storage::{RaftLogStorage, RaftLogStorageExt, RaftStateMachine};
use openraft::testing::common::log_id;
use openraft::{RaftLogReader, RaftSnapshotBuilder};

use crate::disk::{Disk, MemoryDisk};
use crate::fault::RaftFault;
use crate::store::log::LogStore;
use crate::store::machine::{Machine, MachineView};
use crate::store::rows::HistoryLimits;
use crate::types::{LogEntry, LogId, Proposal, Types, Vote};

/// Short segments, so that a test goes through many.
pub const SMALL_SEGMENT: usize = 1_024;

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

/// The id of the entry at `index`, of the term in which `leader` leads.
pub fn id(term: u64, index: u64) -> LogId {
    log_id::<Types>(term, 1, index)
}

fn command(index: u64) -> Command {
    if index > 1 {
        return Command::CreateUser {
            name: format!("user-{index}"),
            role: Role::User,
            password_hash: "x".repeat(usize::try_from(index % 97).expect("small")),
        };
    }
    Command::InitCluster(InitCluster {
        cluster: ClusterId([7; 16]),
        cluster_name: "lab".to_owned(),
        cluster_net: "10.64.0.0/10".parse().expect("a network"),
        user_prefix: 22,
        cpu_overcommit_percent: 100,
        memory_overcommit_percent: 100,
        worker_timeout_ms: 5_000,
        admin_name: "admin".to_owned(),
        admin_password_hash: "x".to_owned(),
        master: MasterId(1),
        master_name: "m1".to_owned(),
        cluster_addr: "192.0.2.1:1".to_owned(),
        public_addr: "192.0.2.1:2".to_owned(),
    })
}

/// The entry at `index`: the first makes a cluster, the others a user each.
pub fn entry(term: u64, index: u64) -> LogEntry {
    let actor = if index > 1 {
        Actor::User(UserId(1))
    } else {
        Actor::Door(MasterId(1))
    };
    normal(term, index, actor, command(index))
}

/// An entry of the first term that asks for something else.
pub fn entry_of(index: u64, actor: Actor, command: Command) -> LogEntry {
    normal(1, index, actor, command)
}

fn normal(term: u64, index: u64, actor: Actor, command: Command) -> LogEntry {
    let entry = Entry {
        version: ENTRY_VERSION,
        request: RequestId(u128::from(index)),
        at: UnixMs(index * 1_000),
        actor,
        command,
    };
    let proposal = Proposal(Arc::new(entry));
    LogEntry::new(id(term, index), EntryPayload::Normal(proposal))
}

/// The state after one more entry.
pub fn after(state: &State, term: u64, index: u64) -> State {
    let EntryPayload::Normal(proposal) = entry(term, index).payload else {
        unreachable!("only normal entries are made here")
    };
    apply(state.clone(), LogIndex(index), &proposal.0).state
}

/// A log and a state on one disk.
pub struct Store {
    pub log: LogStore,
    pub machine: Machine,
    pub view: MachineView,
}

impl Store {
    pub fn open(disk: &MemoryDisk) -> Result<Self, RaftFault> {
        Self::open_on(Arc::new(disk.clone()), HistoryLimits::default())
    }

    pub fn open_on(disk: Arc<dyn Disk>, limits: HistoryLimits) -> Result<Self, RaftFault> {
        let (machine, view) = Machine::open(disk.as_ref(), limits, ClusterVersion::CURRENT)?;
        let log = LogStore::open(disk, SMALL_SEGMENT)?;
        Ok(Self { log, machine, view })
    }

    pub async fn append(
        &mut self,
        term: u64,
        indices: impl Iterator<Item = u64>,
    ) -> io::Result<()> {
        let entries: Vec<LogEntry> = indices.map(|index| entry(term, index)).collect();
        self.log
            .blocking_append(entries)
            .await
            .map_err(io::Error::other)
    }

    /// Applies entries that are in the log.
    pub async fn apply(&mut self, from: u64, upto: u64) -> io::Result<()> {
        let entries = self.log.try_get_log_entries(from..=upto).await?;
        let items = entries.into_iter().map(|entry| Ok((entry, None)));
        self.machine.apply(stream::iter(items)).await
    }

    /// Makes the state durable, and drops the log up to there.
    pub async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        self.machine
            .get_snapshot_builder()
            .await
            .build_snapshot()
            .await?;
        self.log.purge(upto).await
    }

    pub async fn vote(&mut self, term: u64) -> io::Result<()> {
        self.log.save_vote(&Vote::new(term, 1)).await
    }

    pub fn applied(&self) -> LogIndex {
        self.view.frozen().index
    }
}
