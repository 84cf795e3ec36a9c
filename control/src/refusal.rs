//! Refusals: what the asker can mend. Each has a stable code and a sentence with cause, scope and next step.

use serde::{Deserialize, Serialize};

use crate::account::refusal::AccountRefusal;
use crate::bean::refusal::BeanRefusal;
use crate::certificate::refusal::CertificateRefusal;
use crate::drill::refusal::DrillRefusal;
use crate::identity::refusal::IdentityRefusal;
use crate::limit::refusal::LimitRefusal;
use crate::moves::refusal::MoveRefusal;
use crate::notice::refusal::NoticeRefusal;
use crate::quota::refusal::QuotaRefusal;
use crate::rebalance::refusal::RebalanceRefusal;
use crate::snapshot::refusal::SnapshotRefusal;

/// Why a request was refused. Nothing of it took effect.
#[derive(
    Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    #[error(
        "{kind} name \"{given}\" is not allowed: use 1 to 40 of a-z, 0-9 and -, starting with a letter and not ending with -"
    )]
    NameInvalid { kind: String, given: String },
    #[error(
        "{} named \"{name}\" exists already: choose another name or delete that one first",
        with_article(.kind)
    )]
    NameTaken { kind: String, name: String },
    #[error("there is no {kind} \"{name}\" that you can see: list them and check the spelling")]
    NotFound { kind: String, name: String },
    #[error("{what} of {given} {unit} is out of range: give a value from {least} to {most} {unit}")]
    OutOfRange {
        what: String,
        given: u64,
        least: u64,
        most: u64,
        unit: String,
    },
    #[error("{what} is {given} bytes long: at most {most} bytes are accepted")]
    TooLong { what: String, given: u64, most: u64 },
    #[error("{what} is not valid: {cause}")]
    Malformed { what: String, cause: String },
    #[error("you may not {action}: this needs {needed}; ask an admin")]
    NotPermitted { action: String, needed: String },
    #[error("you are not logged in, or your session ended: log in again")]
    NotLoggedIn,
    #[error("user name and password do not match: check both and try again")]
    CredentialsWrong,
    #[error(
        "this join token is unknown, used up, expired or for another role: have an admin make a new one with `docklet token create`"
    )]
    JoinTokenWorthless,
    #[error("vcluster \"{name}\" is being deleted: wait until it is gone, then create it anew")]
    BeingDeleted { name: String },
    #[error(
        "image \"{name}\" is held by no worker yet: build or upload it again and wait until a worker has it"
    )]
    ImageNotHeld { name: String },
    #[error(
        "no free {what} is left in {scope}: delete what is not needed, or ask an admin to enlarge it"
    )]
    Exhausted { what: String, scope: String },
    #[error(
        "the cluster exists already: `docklet master init` is for a new one, use `docklet master join` here"
    )]
    ClusterExists,
    #[error("the cluster is not initialised: run `docklet master init` first")]
    ClusterMissing,
    #[error(
        "a master named \"{name}\" is a member already, with id {id}: choose another name; or, if that machine was wiped, run `docklet master replace {name}` and join with its token"
    )]
    MasterNameHeld { name: String, id: u64 },
    #[error(
        "master \"{name}\" is the only one and holds all that the cluster knows: let another join first, or stop it and delete its directory to end the cluster"
    )]
    LastMaster { name: String },
    #[error(
        "{action} would put the quorum at risk: {cause}. Nothing was changed: bring the missing masters back, or replace or remove those first; only if they never come back repeat it with --force"
    )]
    QuorumAtRisk { action: String, cause: String },
    #[error(
        "master \"{name}\" cannot lead now: {cause}. Nothing was changed: choose another, or wait until `docklet master list` shows it as a voter without lag"
    )]
    CannotLead { name: String, cause: String },
    #[error(
        "master {new} has joined already to take the place of \"{name}\": wait until it has caught up, or remove it first"
    )]
    MasterReplacedAlready { name: String, new: u64 },
    #[error(transparent)]
    Drill(#[from] DrillRefusal),
    #[error(
        "this request was first made so long ago that it is not known any more whether it took effect: look at what is there, and ask anew if it did not"
    )]
    RequestTooOld,
    #[error(
        "vnode \"{vnode}\" is {phase}, not running: start it, or see with `docklet vc show` what it waits for"
    )]
    VnodeNotRunning { vnode: String, phase: String },
    #[error(
        "{action} is not for a running cluster: stop the masters, then use `docklet restore` for a new cluster from a backup, or `docklet master recover` where the other masters are lost"
    )]
    OnlyOffline { action: String },
    #[error(
        "{action} needs cluster version {needs}, and this cluster has {has}: it rises by itself as soon as every master runs a Docklet that knows it; `docklet master list` says which does not"
    )]
    VersionTooLow {
        action: String,
        needs: u16,
        has: u16,
    },
    #[error(
        "this Docklet knows cluster versions up to {knows}, and the cluster has {agreed}: this master can take no part in it, and nothing was changed; install a Docklet as new as the other masters run, and start it again"
    )]
    ProgramTooOld { knows: u16, agreed: u16 },
    #[error(
        "the cluster's version cannot rise to {to}: it is not known to {by}, and nothing was changed: upgrade or remove those first, then it rises by itself"
    )]
    VersionHeldBack { to: u16, by: String },
    #[error(
        "public port {public} leads somewhere already: choose another, or leave it out and take one that is free"
    )]
    PortTaken { public: String },
    #[error("image \"{name}\" is in use by {by}: delete those vclusters first")]
    ImageInUse { name: String, by: String },
    #[error(
        "disks of vcluster \"{name}\" hold {has_mib} MiB, and {given_mib} MiB is less: a disk only grows, as what is written may be anywhere on it; make another vcluster and copy what is needed"
    )]
    DiskShrinks {
        name: String,
        has_mib: u64,
        given_mib: u64,
    },
    #[error(
        "worker \"{worker}\" has no room for it: {wanted} {unit} of {what} are wanted there and {free} {unit} can be promised; nothing was changed. Ask for less, or delete what is not needed there"
    )]
    NoRoom {
        worker: String,
        what: String,
        wanted: u64,
        free: u64,
        unit: String,
    },
    #[error(transparent)]
    Snapshot(#[from] SnapshotRefusal),
    #[error(transparent)]
    Limit(#[from] LimitRefusal),
    #[error(
        "your images take {} of the {} that you may have, and there is no room for {} more: nothing was changed. Delete images that are not needed, with `docklet image delete NAME`, or old versions of one, with `--version`; the largest are: {largest}. Or ask an admin for more", size(*used), size(*limit), size(*wanted)
    )]
    ImagesTooLarge {
        used: u64,
        wanted: u64,
        limit: u64,
        largest: String,
    },
    #[error(
        "this version is what \"{name}\" means now: go back to another one first with `docklet image rollback`, or delete the image with all its versions"
    )]
    VersionCurrent { name: String },
    #[error(transparent)]
    Move(#[from] MoveRefusal),
    #[error(transparent)]
    Rebalance(#[from] RebalanceRefusal),
    #[error(transparent)]
    Quota(#[from] QuotaRefusal),
    #[error(
        "user \"{name}\" is the only admin, and without one nobody could give that role again: make somebody else an admin first, with `docklet user role NAME admin`"
    )]
    LastAdmin { name: String },
    #[error(transparent)]
    Account(#[from] AccountRefusal),
    #[error(transparent)]
    Notice(#[from] NoticeRefusal),
    #[error(transparent)]
    Bean(#[from] BeanRefusal),
    #[error(
        "this link leads to no shared terminal, or its time is over: check that it is whole, or ask whoever gave it to you for another"
    )]
    LinkWorthless,
    #[error(transparent)]
    Identity(#[from] IdentityRefusal),
    #[error(transparent)]
    Certificate(#[from] CertificateRefusal),
}

/// A noun as it is said for one of its kind: "an image", but "a user".
fn with_article(noun: &str) -> String {
    let vowel = noun.starts_with(['a', 'e', 'i', 'o', 'A', 'E', 'I', 'O']);
    format!("{} {noun}", if vowel { "an" } else { "a" })
}

/// Bytes as people read them.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let unit = UNITS.iter().find(|(_, shift)| bytes >> shift > 0);
    match unit {
        // Tenths, without a number that is not whole.
        Some((unit, shift)) => {
            let tenths = (u128::from(bytes) * 10) >> shift;
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        }
        None if bytes == 1 => "1 byte".to_owned(),
        None => format!("{bytes} bytes"),
    }
}

/// How the asker should take a refusal: decides HTTP status and exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalClass {
    /// The request itself is wrong.
    Invalid,
    /// The asker is not known.
    Unauthenticated,
    /// The asker may not.
    Forbidden,
    /// What is asked for does not exist, or may not be seen.
    NotFound,
    /// The state does not allow it now.
    Conflict,
}

impl Refusal {
    /// Stable code for programs, as `name_taken`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NameInvalid { .. } => "name_invalid",
            Self::NameTaken { .. } => "name_taken",
            Self::NotFound { .. } => "not_found",
            Self::OutOfRange { .. } => "out_of_range",
            Self::TooLong { .. } => "too_long",
            Self::Malformed { .. } => "malformed",
            Self::NotPermitted { .. } => "not_permitted",
            Self::NotLoggedIn => "not_logged_in",
            Self::CredentialsWrong => "credentials_wrong",
            Self::JoinTokenWorthless => "join_token_worthless",
            Self::BeingDeleted { .. } => "being_deleted",
            Self::ImageNotHeld { .. } => "image_not_held",
            Self::Exhausted { .. } => "exhausted",
            Self::ClusterExists => "cluster_exists",
            Self::ClusterMissing => "cluster_missing",
            Self::VnodeNotRunning { .. } => "vnode_not_running",
            Self::MasterNameHeld { .. } => "master_name_held",
            Self::LastMaster { .. } => "last_master",
            Self::QuorumAtRisk { .. } => "quorum_at_risk",
            Self::CannotLead { .. } => "cannot_lead",
            Self::MasterReplacedAlready { .. } => "master_replaced_already",
            Self::Drill(refusal) => refusal.code(),
            Self::RequestTooOld => "request_too_old",
            Self::OnlyOffline { .. } => "only_offline",
            Self::VersionTooLow { .. } => "version_too_low",
            Self::ProgramTooOld { .. } => "program_too_old",
            Self::VersionHeldBack { .. } => "version_held_back",
            Self::PortTaken { .. } => "port_taken",
            Self::ImageInUse { .. } => "image_in_use",
            Self::DiskShrinks { .. } => "disk_shrinks",
            Self::NoRoom { .. } => "no_room",
            Self::Snapshot(refusal) => refusal.code(),
            Self::Limit(refusal) => refusal.code(),
            Self::Move(refusal) => refusal.code(),
            Self::Rebalance(refusal) => refusal.code(),
            Self::Quota(refusal) => refusal.code(),
            Self::LastAdmin { .. } => "last_admin",
            Self::Account(refusal) => refusal.code(),
            Self::Notice(refusal) => refusal.code(),
            Self::Bean(refusal) => refusal.code(),
            Self::LinkWorthless => "link_worthless",
            Self::Identity(refusal) => refusal.code(),
            Self::Certificate(refusal) => refusal.code(),
            Self::ImagesTooLarge { .. } => "images_too_large",
            Self::VersionCurrent { .. } => "version_current",
        }
    }

    /// How to take it.
    #[must_use]
    pub fn class(&self) -> RefusalClass {
        match self {
            Self::NameInvalid { .. }
            | Self::OutOfRange { .. }
            | Self::TooLong { .. }
            | Self::Malformed { .. } => RefusalClass::Invalid,
            Self::NotLoggedIn | Self::CredentialsWrong | Self::JoinTokenWorthless => {
                RefusalClass::Unauthenticated
            }
            Self::NotPermitted { .. } => RefusalClass::Forbidden,
            Self::NotFound { .. } | Self::LinkWorthless => RefusalClass::NotFound,
            Self::NameTaken { .. }
            | Self::BeingDeleted { .. }
            | Self::ImageNotHeld { .. }
            | Self::Exhausted { .. }
            | Self::ClusterExists
            | Self::ClusterMissing
            | Self::VnodeNotRunning { .. }
            | Self::MasterNameHeld { .. }
            | Self::LastMaster { .. }
            | Self::QuorumAtRisk { .. }
            | Self::CannotLead { .. }
            | Self::MasterReplacedAlready { .. }
            | Self::RequestTooOld
            | Self::OnlyOffline { .. }
            | Self::VersionTooLow { .. }
            | Self::ProgramTooOld { .. }
            | Self::VersionHeldBack { .. }
            | Self::PortTaken { .. }
            | Self::ImageInUse { .. }
            | Self::DiskShrinks { .. }
            | Self::ImagesTooLarge { .. }
            | Self::VersionCurrent { .. }
            | Self::NoRoom { .. } => RefusalClass::Conflict,
            Self::Drill(refusal) => refusal.class(),
            Self::Snapshot(refusal) => refusal.class(),
            Self::Limit(refusal) => refusal.class(),
            Self::Move(refusal) => refusal.class(),
            Self::Rebalance(refusal) => refusal.class(),
            Self::Quota(refusal) => refusal.class(),
            Self::LastAdmin { .. } => RefusalClass::Conflict,
            Self::Account(refusal) => refusal.class(),
            Self::Notice(refusal) => refusal.class(),
            Self::Bean(refusal) => refusal.class(),
            Self::Identity(refusal) => refusal.class(),
            Self::Certificate(refusal) => refusal.class(),
        }
    }

    /// Nothing of that kind and name is there for the asker; also said of what they may not see (THREATS 48).
    #[must_use]
    pub fn not_found(kind: &str, name: impl ToString) -> Self {
        Self::NotFound {
            kind: kind.to_owned(),
            name: name.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_name_is_said_of_one_of_its_kind() {
        let said = |kind: &str| {
            let (kind, name) = (kind.to_owned(), "x".to_owned());
            Refusal::NameTaken { kind, name }.to_string()
        };
        for (kind, with) in [
            ("image", "an image"),
            ("user", "a user"),
            ("vcluster", "a vcluster"),
            ("API token", "an API token"),
        ] {
            assert!(said(kind).starts_with(&format!("{with} named")), "{kind}");
        }
    }
}
