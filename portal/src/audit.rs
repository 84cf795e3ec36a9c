//! What doors tell the audit trail, and reading it for people.

use std::io;
use std::time::Duration;

use docklet_control::Command;
use docklet_control::audit::SINCE;
use docklet_control::audit::chain;
use docklet_control::audit::command::AuditCommand;
use docklet_control::audit::record::Record;
use docklet_control::id::{LogIndex, RequestId};
use docklet_control::model::User;
use docklet_raft::{ProposeFault, RaftFault};
use serde::Deserialize;
use tokio::sync::Semaphore;

use crate::asker::Asker;
use crate::problem::Problem;
use crate::serve::Portal;

/// Who goes into a vnode waits so long for the entry that says so. Without a quorum they go in all the same, to mend what
/// is broken, and it is told as soon as there is one.
const NOTE_DEADLINE: Duration = Duration::from_secs(2);
/// So long a master that lives tries to tell it.
const TOLD_LATER_DEADLINE: Duration = Duration::from_secs(600);
/// Entries that wait to be told later, at most.
static LATER: Semaphore = Semaphore::const_new(256);
/// Records that one question looks at, at most: who finds fewer asks on from where it ended.
const LOOKED_AT_MAX: u64 = 10_000;
const PAGE: usize = 1_000;

/// Lets the trail have what somebody is about to do.
///
/// # Errors
/// They may not.
pub(crate) async fn note(
    portal: &Portal,
    asker: &Asker,
    command: AuditCommand,
) -> Result<(), Problem> {
    tell(portal, asker, Command::Audit(command)).await
}

/// The same of what more than the trail is to have.
///
/// # Errors
/// They may not.
pub(crate) async fn tell(portal: &Portal, asker: &Asker, command: Command) -> Result<(), Problem> {
    noted(portal, asker, command).await.map(drop)
}

/// The same; answers the entry, if there is one by now.
///
/// # Errors
/// They may not.
pub(crate) async fn noted(
    portal: &Portal,
    asker: &Asker,
    command: Command,
) -> Result<Option<LogIndex>, Problem> {
    if portal.master.local().state.version() < SINCE {
        return Ok(None);
    }
    let request = RequestId::issued(portal.master.local().index, rand::random());
    let actor = asker.actor();
    let told = portal
        .master
        .propose(actor, request, command.clone(), NOTE_DEADLINE);
    match told.await {
        Ok(receipt) => Ok(Some(receipt.index)),
        Err(ProposeFault::Refused(refusal)) => Err(refusal.into()),
        Err(ProposeFault::Unknown(fault)) => {
            let Ok(turn) = LATER.try_acquire() else {
                tracing::error!(%fault, ?actor, "the audit trail does not have it: too much waits to be told");
                return Ok(None);
            };
            tracing::warn!(%fault, ?actor, command = command.name(), "the audit trail hears of it later");
            let master = portal.master.clone();
            tokio::spawn(async move {
                let _turn = turn;
                let told = master.propose(actor, request, command, TOLD_LATER_DEADLINE);
                if let Err(fault) = told.await {
                    tracing::error!(%fault, ?actor, "the audit trail does not have it");
                }
            });
            Ok(None)
        }
    }
}

/// What somebody looks for.
#[derive(Clone, Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub(crate) struct Sought {
    /// Name of the person who asked, or `cluster`.
    pub(crate) who: String,
    /// A part of the path of a thing.
    pub(crate) thing: String,
    /// Name of a command, or the beginning of it.
    pub(crate) command: String,
    /// Records before this one; the newest if none.
    pub(crate) before: Option<u64>,
    /// So many, the usual number if none.
    pub(crate) limit: Option<usize>,
}

impl Sought {
    fn fits(&self, record: &Record) -> bool {
        let who = self.who.trim();
        let command = self.command.trim().to_ascii_lowercase();
        let thing = self.thing.trim();
        let label = record.who.label();
        (who.is_empty()
            || label == who
            || label
                .strip_suffix(who)
                .is_some_and(|kind| kind.ends_with(' ')))
            && (thing.is_empty() || record.things.iter().any(|known| known.contains(thing)))
            && record.command.to_ascii_lowercase().starts_with(&command)
    }
}

/// Records that were found, the newest first.
pub(crate) struct Found {
    pub(crate) records: Vec<Record>,
    /// Others may be before this one; none if this was all.
    pub(crate) before: Option<u64>,
    /// The newest record that there is.
    pub(crate) head: u64,
}

/// Looks for records that `asker` may see, back from the newest.
///
/// # Errors
/// The disk failed.
pub(crate) async fn find(
    portal: &Portal,
    asker: &User,
    sought: &Sought,
    most: usize,
) -> Result<Found, Problem> {
    let head = portal.master.local().state.audit_head.unwrap_or_default();
    let newest = head.records;
    portal.master.trail_durable().await?;
    let mut upto = sought
        .before
        .map_or(newest, |before| before.saturating_sub(1))
        .min(newest);
    let stop = upto.saturating_sub(LOOKED_AT_MAX);
    let mut records = Vec::new();
    while upto > stop {
        let page = portal.master.trail_upto(upto, PAGE).await?;
        let after = page.after;
        for line in page.lines.iter().rev() {
            let record =
                chain::read(line).map_err(|fault| RaftFault::from(io::Error::other(fault)))?;
            upto = record.number - 1;
            records.extend(record.shown_to(asker).filter(|record| sought.fits(record)));
            if records.len() == most {
                return Ok(Found {
                    records,
                    before: (upto > 0).then_some(upto + 1),
                    head: newest,
                });
            }
        }
        if page.lines.is_empty() || after == 0 {
            return Ok(Found {
                records,
                before: None,
                head: newest,
            });
        }
        upto = after;
    }
    Ok(Found {
        records,
        before: (upto > 0).then_some(upto + 1),
        head: newest,
    })
}

/// Records that come while somebody looks.
pub(crate) struct Coming {
    sought: Sought,
    /// All up to this one have come.
    head: u64,
}

impl Coming {
    pub(crate) fn after(head: u64, sought: Sought) -> Self {
        Self { sought, head }
    }

    /// Those that have come since, the oldest first; none if the disk failed: then they come with the next look.
    pub(crate) async fn next(&mut self, portal: &Portal, asker: &User) -> Vec<Record> {
        let head = portal.master.local().state.audit_head.unwrap_or_default();
        let newest = head.records;
        if newest <= self.head || portal.master.trail_durable().await.is_err() {
            return Vec::new();
        }
        let missed = usize::try_from(newest - self.head).unwrap_or(PAGE);
        let Ok(page) = portal.master.trail_upto(newest, missed.min(PAGE)).await else {
            return Vec::new();
        };
        let records = page.lines.iter().filter_map(|line| chain::read(line).ok());
        let records = records.filter(|record| record.number > self.head);
        let shown = records.filter_map(|record| record.shown_to(asker));
        let shown = shown.filter(|record| self.sought.fits(record)).collect();
        self.head = newest;
        shown
    }
}
