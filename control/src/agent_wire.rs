//! Messages between an agent and the master that it dialled.

use serde::{Deserialize, Serialize};

use crate::assignment::Assignment;
use crate::id::{Digest, DrillId, LogIndex, WorkerId};
use crate::idle::command::IdleReport;
use crate::model::{VnodeFence, WorkerFacts, WorkerFault};
use crate::report::{MoveReport, Reading, ResizeReport, SaveReport, SnapshotReport, VnodeReport};

/// An agent sends a heartbeat this often: one more than what was answered may be heard, and its worker is to be down in time
/// after that.
pub const HEARTBEAT_MS: u64 = 500;
/// An agent gives up a master that says nothing for so long: another is to hear of its worker before that counts as lost.
pub const MASTER_SILENCE_MS_MAX: u64 = 2_500;

/// From the agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromAgent {
    /// First message: who it is, what it has and how far it has followed.
    Hello {
        worker: WorkerId,
        facts: WorkerFacts,
        /// Index of the assignment that it has on disk; 0 for none.
        assignment: LogIndex,
        /// Digests of images that it holds.
        images: Vec<Digest>,
    },
    /// It is there, and hears: sent twice a second, but not before the last one was answered.
    Heartbeat,
    /// Transitions. Answered by [`ToAgent::Recorded`] with the same number once a quorum has them.
    Report {
        number: u64,
        reports: Vec<VnodeReport>,
    },
    /// An image was verified, or lost.
    Image { digest: Digest, held: bool },
    /// What became of making an image of a vnode.
    Save(SaveReport),
    /// What the worker is and has is no longer as it said.
    Facts(WorkerFacts),
    /// What became of snapshots of vnodes, and of restoring them.
    Snapshots(Vec<SnapshotReport>),
    /// What became of new limits of vnodes.
    Resizes(Vec<ResizeReport>),
    /// What became of moves of vnodes.
    Moves(Vec<MoveReport>),
    /// Whether the worker can take processes along when a vnode moves.
    Checkpointing(Result<String, String>),
    /// A heartbeat that asks for the lease. `anew` if that is over: what the worker was assigned may have begun elsewhere
    /// meanwhile. Only to masters whose assignment speaks of a lease.
    Renew { number: u64, anew: bool },
    /// Vnodes that the worker ends by itself from now on when its lease is over.
    Fences(Vec<VnodeFence>),
    /// First message of a connection that only asks, again and again, whether a worker that looks lost for a drill may go on.
    DrillPulse { drill: DrillId },
    /// What the worker did to itself for a drill.
    DrillDone { drill: DrillId, fault: WorkerFault },
    /// What vnodes have used since their placements began. Only to masters whose assignment asks for it.
    Readings(Vec<Reading>),
    /// Vnodes that do nothing, these and no others. Only to masters whose assignment asks for it.
    Idle(Vec<IdleReport>),
    /// Wants the next certificate, for the key of this signing request: the name in it is of no matter. Answered by
    /// [`ToAgent::Certificate`], or with the reason why there is none.
    Certify { csr_pem: String },
}

/// To the agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToAgent {
    /// What to make true. Sent first, and whenever it changes.
    Assignment(Box<Assignment>),
    /// This master has applied less than the agent has seen already: try another.
    Behind { applied: LogIndex },
    /// The numbered report is part of the state, or was refused as stale.
    Recorded { number: u64 },
    /// The master has heard the heartbeat and the leader too.
    Alive,
    /// The master's last word: it cannot keep up with this agent, or the agent with it. Come back and begin anew.
    Resync { reason: String },
    /// The lease that the numbered heartbeat asked for is granted, and lasts from when that was sent. If it asked anew, what
    /// the worker is assigned was sent before this.
    Lease { number: u64 },
    /// Why the drill that was asked about must end; none if it may go on.
    DrillPulse { stop: Option<String> },
    /// The certificate that was asked for, as PEM; or why there is none.
    Certificate(Result<String, String>),
}

/// What came of a connection to a port of a vnode, as one byte of the data port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    Yes,
    /// Nothing listens there.
    Closed,
    /// Something is there that does not answer.
    Silent,
    /// The vnode is not there by that placement, or does not run.
    Absent,
    /// The vnode has as many connections as it may have.
    Busy,
}

impl Reached {
    const ALL: [Self; 5] = [
        Self::Yes,
        Self::Closed,
        Self::Silent,
        Self::Absent,
        Self::Busy,
    ];

    /// As it is sent.
    #[must_use]
    pub fn byte(self) -> u8 {
        match self {
            Self::Yes => 0,
            Self::Closed => 1,
            Self::Silent => 2,
            Self::Absent => 3,
            Self::Busy => 4,
        }
    }

    /// What that byte says.
    #[must_use]
    pub fn of_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.byte() == byte)
    }
}
