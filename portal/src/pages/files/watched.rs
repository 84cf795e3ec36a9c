//! A directory that somebody looks at: it is looked at again when something was done to files of its vnode through a master. What
//! programs in the vnode do to them nobody is told of.

use std::collections::VecDeque;
use std::time::Duration;

use docklet_control::Event;
use docklet_control::account::scope;
use docklet_control::audit::event::AuditEvent;
use docklet_control::file_path::FilePath;
use docklet_control::id::LogIndex;
use docklet_control::model::account::Scope;
use docklet_raft::{Followed, Follower, OnGap};
use maud::Markup;
use tokio::time::Instant;

use super::{Place, Shown, part};
use crate::api::files::listing;
use crate::asker::Asker;
use crate::files::Reached;
use crate::problem::Problem;
use crate::serve::Portal;

/// The entry comes before the act: it is looked again after so long, each time.
const LOOK_AFTER: [Duration; 2] = [Duration::from_millis(300), Duration::from_secs(3)];
/// Entries that are read in one go.
const GO: usize = 200;

pub(crate) struct Watched {
    vcluster: String,
    vnode: String,
    path: Option<FilePath>,
    past: Option<String>,
    follower: Follower,
    looks: VecDeque<Instant>,
}

impl Watched {
    /// Of the page of this stream, if it is one of files.
    ///
    /// # Errors
    /// A program's token may not look at files, or there is no such path.
    pub(crate) fn of(
        portal: &Portal,
        asker: &Asker,
        page: &str,
        (shown, after): (Shown, Option<u64>),
    ) -> Result<Option<Self>, Problem> {
        let ["vclusters", vcluster, "vnodes", vnode, "files"] =
            page.split('/').collect::<Vec<_>>()[..]
        else {
            return Ok(None);
        };
        let state = &asker.frozen.state;
        scope::check_look(
            state,
            asker.actor(),
            Scope::ReadFiles,
            "look at files of vnodes",
        )?;
        let after = after.unwrap_or(asker.frozen.index.0);
        Ok(Some(Self {
            vcluster: vcluster.to_owned(),
            vnode: vnode.to_owned(),
            path: shown.path.as_deref().map(FilePath::parse).transpose()?,
            past: shown.past,
            follower: portal.master.follower(LogIndex(after), OnGap::Skip),
            looks: VecDeque::new(),
        }))
    }

    /// How it looks now, if something was done to files there; nothing if the worker does not say.
    pub(crate) async fn next(&mut self, portal: &Portal, asker: &Asker) -> Option<Markup> {
        if self.was_touched(asker).await {
            let now = Instant::now();
            self.looks = LOOK_AFTER.map(|after| now + after).into();
        }
        let due = self.looks.front().is_some_and(|at| *at <= Instant::now());
        if !due {
            return None;
        }
        self.looks.pop_front();
        let reached = Reached::new(portal, asker, &self.vcluster, &self.vnode).await;
        let found = listing(&reached.ok()?, self.path.clone(), self.past.clone()).await;
        let found = found.ok()?;
        let place = Place {
            vcluster: &self.vcluster,
            vnode: &self.vnode,
        };
        let entries = found.entries.as_ref()?;
        Some(part(asker, &place, &found, entries))
    }

    async fn was_touched(&mut self, asker: &Asker) -> bool {
        let state = &asker.frozen.state;
        let vnode = crate::worker::find_vnode(state, &asker.user, &self.vcluster, &self.vnode);
        let Ok(vnode) = vnode.map(|vnode| vnode.id) else {
            return false;
        };
        let touches = |event: &Event| {
            let Event::Audit(event) = event else {
                return false;
            };
            match event {
                AuditEvent::FilesWritten { about, .. }
                | AuditEvent::FilesDeleted { about, .. }
                | AuditEvent::FilesMoved { about, .. } => about.vnode == vnode,
                AuditEvent::FilesRead { .. }
                | AuditEvent::TerminalOpened { .. }
                | AuditEvent::ProgramRun { .. }
                | AuditEvent::PortForwarded { .. }
                | AuditEvent::Refused { .. }
                | AuditEvent::LeaderChosen { .. }
                | AuditEvent::MasterDrained { .. } => false,
            }
        };
        let mut touched = false;
        for _ in 0..GO {
            match self.follower.next().await {
                Ok(Some(Followed::Change(change))) => touched |= change.events.iter().any(touches),
                Ok(Some(Followed::Skipped(_) | Followed::Snapshot(_))) => touched = true,
                Ok(None) | Err(_) => break,
            }
        }
        touched
    }
}
