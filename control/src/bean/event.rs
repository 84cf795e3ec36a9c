//! What happened to beans, since version 3. All that changes a balance is here: the sum of it is the balance.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::event::VclusterRef;
use crate::id::{Epoch, LogIndex, UserId, VnodeId};
use crate::model::{
    BeanRequest, BeanSettings, Cost, LineOf, MicroBeans, PurseOf, Tally, Used, User,
};

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BeanEvent {
    /// It is used so from now on.
    Set {
        settings: BeanSettings,
    },
    /// A purse is there, with so much in it.
    Opened {
        of: PurseOf,
        beans: MicroBeans,
        number: LogIndex,
        told: BTreeSet<UserId>,
    },
    /// A purse is gone, and what was in it.
    Closed {
        of: PurseOf,
        beans: MicroBeans,
        number: LogIndex,
        told: BTreeSet<UserId>,
    },
    Charged {
        charge: Charge,
    },
    Granted {
        grant: Grant,
        told: BTreeSet<UserId>,
    },
    /// A balance has fallen to a threshold.
    RanLow {
        of: PurseOf,
        balance: MicroBeans,
        threshold: u64,
        told: BTreeSet<UserId>,
    },
    Requested {
        request: BeanRequest,
        told: BTreeSet<UserId>,
    },
    /// With its verdict.
    Decided {
        request: BeanRequest,
        told: BTreeSet<UserId>,
    },
    /// What a placement had used before anything of it is charged.
    TallyBegun {
        about: TallyRef,
        used: Used,
    },
    /// Its worker told less than before: nothing is charged for that until it is more again.
    TallyBehind {
        about: TallyRef,
    },
    /// Its worker has told the last of it.
    TallyEnded {
        about: TallyRef,
    },
    /// It was stopped since its owner has no beans.
    Stopped {
        about: VclusterRef,
        balance: MicroBeans,
    },
    /// Who asked for beans does so no longer.
    Withdrawn {
        request: BeanRequest,
        told: BTreeSet<UserId>,
    },
    TakenBack {
        taken: Taken,
        told: BTreeSet<UserId>,
    },
}

/// Which placement, and who pays for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TallyRef {
    pub vnode: VnodeId,
    pub epoch: Epoch,
    pub owner: UserId,
}

impl From<&Tally> for TallyRef {
    fn from(tally: &Tally) -> Self {
        Self {
            vnode: tally.vnode,
            epoch: tally.epoch,
            owner: tally.owner,
        }
    }
}

/// Which charge: the entry, and which of those of that entry. No two have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ChargeId {
    pub index: LogIndex,
    pub place: u32,
}

/// One charge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    pub id: ChargeId,
    pub about: TallyRef,
    /// As `lab/host-0`.
    pub label: String,
    pub line: LineOf,
    /// What was used since the charge before.
    pub used: Used,
    pub cost: Cost,
    /// What the hour of running that has not ended has cost so far.
    pub hour: MicroBeans,
}

/// One grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The entry.
    pub number: LogIndex,
    pub to: PurseOf,
    /// Of nowhere if none.
    pub from: Option<PurseOf>,
    pub beans: u64,
    pub by: UserId,
    pub reason: String,
}

/// Beans that were taken out of a purse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// The entry.
    pub number: LogIndex,
    pub of: PurseOf,
    pub beans: u64,
    pub by: UserId,
    pub reason: String,
}

impl BeanEvent {
    /// Whether `asker` may be told of it.
    #[must_use]
    pub fn is_for(&self, asker: &User) -> bool {
        let theirs = match self {
            Self::Set { .. } => true,
            Self::Opened { told, .. }
            | Self::Closed { told, .. }
            | Self::Granted { told, .. }
            | Self::RanLow { told, .. }
            | Self::Requested { told, .. }
            | Self::Decided { told, .. }
            | Self::Withdrawn { told, .. }
            | Self::TakenBack { told, .. } => told.contains(&asker.id),
            Self::Charged { charge } => charge.about.owner == asker.id,
            Self::TallyBegun { about, .. }
            | Self::TallyBehind { about }
            | Self::TallyEnded { about } => about.owner == asker.id,
            Self::Stopped { about, .. } => about.owner == asker.id,
        };
        theirs || asker.is_admin()
    }
}
