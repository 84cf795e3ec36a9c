//! Turns a state and an event into the next state. Never refuses and never chooses: what was decided happens.
//! An event about something that is not there changes nothing, so that no log can stop a master.

mod account;
mod acme;
mod bean;
mod certificate;
mod drain;
mod drill;
mod group;
mod identity;
mod idle;
mod image;
mod limit;
mod lost;
mod machine;
mod master;
mod moves;
mod notice;
mod person;
mod port;
mod quota;
mod rebalance;
mod schedule;
mod service;
mod snapshot;
mod template;
mod terminal;
mod trash;
mod vcluster;
mod vnode;
mod wishes;

use crate::event::{Change, Event};
use crate::id::UnixMs;
use crate::model::Agreed;
use crate::setting;
use crate::state::State;

/// The state after `event`, which the leader stamped with `at`.
#[must_use]
pub fn evolve(mut state: State, at: UnixMs, event: &Event) -> State {
    match event.clone() {
        Event::ClusterInitialised { settings } => state.settings = Some(settings),
        Event::MasterJoined { master } => state.put_master(master),
        Event::JoinTokenCreated { token } => state.put_join_token(token),
        Event::JoinTokenSpent { id, uses_left } => machine::token_spent(&mut state, id, uses_left),
        Event::JoinTokenForgotten { id } => state.remove_join_token(&id),
        Event::WorkerJoined { worker } => state.put_worker(worker),
        Event::WorkerDescribed { worker, facts } => machine::described(&mut state, worker, facts),
        Event::WorkerMarked { worker, status } => machine::marked(&mut state, at, worker, status),
        Event::UserCreated { user } => person::created(&mut state, user),
        Event::PasswordChanged {
            user,
            password_hash,
        } => person::password_changed(&mut state, user, password_hash),
        Event::SessionOpened { session } => account::session_opened(&mut state, session),
        Event::SessionClosed { id, .. } => account::session_closed(&mut state, &id),
        Event::ImageRegistered { image } => image::registered(&mut state, image),
        Event::ImageHeld { digest, worker } => image::held(&mut state, digest, worker),
        Event::ImageLost { digest, worker } => image::lost(&mut state, digest, worker),
        Event::NetworkCreated { network } => vcluster::network_created(&mut state, network),
        Event::VclusterCreated { vcluster } => vcluster::created(&mut state, vcluster),
        Event::VclusterWantedChanged { about, wanted } => {
            vcluster::wanted_changed(&mut state, about.vcluster, wanted);
            trash::wanted_changed(&mut state, at, about.vcluster, wanted);
        }
        Event::VclusterDeleted { about } => {
            state.remove_snapshot_schedule(&about.vcluster);
            trash::vcluster_deleted(&mut state, about.vcluster);
            vcluster::deleted(&mut state, about.vcluster);
        }
        Event::VnodeCreated { vnode } => vnode::created(&mut state, vnode),
        Event::VnodeWantedChanged { about, wanted } => {
            // What is stopped and started begins to count anew.
            state.remove_vnode_idle(&about.vnode);
            terminal::vnode_removed(&mut state, about.vnode);
            vnode::change(&mut state, about.vnode, |row| row.wanted = wanted);
        }
        Event::VnodePlaced { about, placement } => {
            vnode::placed(&mut state, at, about.vnode, placement);
        }
        Event::VnodeUnplaceable { about, obstacles } => {
            vnode::change(&mut state, about.vnode, |row| row.obstacles = obstacles);
        }
        Event::VnodeSeen { about, seen } => vnode::seen(&mut state, at, about.vnode, seen),
        Event::VnodeRemoved { about } => {
            port::vnode_removed(&mut state, about.vnode);
            service::vnode_removed(&mut state, about.vnode);
            snapshot::vnode_removed(&mut state, about.vnode);
            moves::vnode_removed(&mut state, about.vnode);
            lost::vnode_removed(&mut state, about.vnode);
            state.remove_vnode_idle(&about.vnode);
            vnode::removed(&mut state, about.vnode);
        }
        Event::MasterRemoved { master, .. } => {
            state.remove_master(&master);
            state.remove_program(&master);
        }
        Event::MasterReplacementWanted { replacement } => state.put_replacement(replacement),
        Event::MasterReplacementJoined { old, new } => {
            master::replacement_joined(&mut state, old, new);
        }
        Event::MasterReplacementForgotten { old } => state.remove_replacement(&old),
        Event::AutopilotSet { autopilot } => state.autopilot = Some(autopilot),
        Event::ClusterRestored {
            lineage,
            settings,
            counters,
        } => {
            state.settings = Some(settings);
            state.last_backup = None;
            certificate::forget_all(&mut state);
            master::went_on_alone(&mut state, lineage, counters);
            notice::went_on_alone(&mut state, at);
        }
        Event::ClusterRecovered {
            lineage, counters, ..
        } => {
            master::went_on_alone(&mut state, lineage, counters);
            notice::went_on_alone(&mut state, at);
        }
        Event::ProgramReported { program } => state.put_program(program),
        Event::VersionRaised { version } => state.agreed = Some(Agreed { version, at }),
        Event::BackupTaken { backup } => state.last_backup = Some(backup),
        Event::PortAdded { port } => port::added(&mut state, port),
        Event::PortRemoved { public, .. } => port::removed(&mut state, public),
        Event::BandwidthLimited { bandwidth } => state.bandwidth = Some(bandwidth),
        Event::Drill(event) => drill::evolve(&mut state, at, event),
        Event::Image(event) => image::evolve(&mut state, event),
        Event::VclusterWished { about, wishes } => {
            wishes::of_vcluster(&mut state, about.vcluster, wishes);
        }
        Event::VnodeWished { about, wishes } => wishes::of_vnode(&mut state, about.vnode, wishes),
        Event::GpusGiven { about, gpus } => wishes::gpus_given(&mut state, about.vnode, gpus),
        Event::DiskOvercommitSet { overcommit } => state.disk_overcommit = Some(overcommit),
        Event::Snapshot(event) => snapshot::evolve(&mut state, event),
        Event::Limit(event) => limit::evolve(&mut state, event),
        Event::Group(event) => group::evolve(&mut state, event),
        Event::Schedule(event) => schedule::evolve(&mut state, at, event),
        Event::Moved(event) => moves::evolve(&mut state, at, event),
        Event::Drain(event) => drain::evolve(&mut state, at, event),
        Event::Rebalance(event) => rebalance::evolve(&mut state, at, &event),
        Event::Quota(event) => quota::evolve(&mut state, event),
        Event::Template(event) => template::evolve(&mut state, event),
        Event::Notice(event) => notice::evolve(&mut state, event),
        Event::Bean(event) => bean::evolve(&mut state, at, event),
        Event::Service(event) => service::evolve(&mut state, event),
        Event::Terminal(event) => terminal::evolve(&mut state, event),
        Event::Acme(event) => acme::evolve(&mut state, event),
        Event::Certificate(event) => certificate::evolve(&mut state, &event),
        Event::RoleSet { user, role } => person::role_set(&mut state, user, role),
        Event::Account(event) => account::evolve(&mut state, event),
        Event::Trash(event) => trash::evolve(&mut state, at, event),
        Event::Idle(event) => idle::evolve(&mut state, event),
        Event::Identity(event) => identity::evolve(&mut state, at, event),
        // Told for whoever follows and looks back; the master mends itself.
        Event::MasterDiverged { .. } | Event::Audit(_) => {}
    }
    state
}

/// The state after all that one entry changed; receipts are not events, and stay as they are.
#[must_use]
pub fn evolve_all(state: State, change: &Change) -> State {
    change.events.iter().fold(state, |state, event| {
        let before = setting::before(&state, event);
        let mut next = evolve(state, change.at, event);
        if let Some(before) = before {
            setting::keep(&mut next, before, change);
        }
        next
    })
}
