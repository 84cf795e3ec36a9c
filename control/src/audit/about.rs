//! What events are about, by the names that people know, and whose it is.

mod others;

use std::collections::{BTreeMap, BTreeSet};

use super::event::AuditEvent;
use super::record::{named, user_name};
use crate::account::event::AccountEvent;
use crate::bean::event::BeanEvent;
use crate::drain::event::DrainEvent;
use crate::drill::event::DrillEvent;
use crate::event::{Event, VclusterRef, VnodeRef};
use crate::group::event::GroupEvent;
use crate::id::{DrillId, MasterId, UserId, VclusterId, VnodeId, WorkerId};
use crate::identity::event::IdentityEvent;
use crate::idle::event::IdleEvent;
use crate::image::event::ImageEvent;
use crate::limit::event::LimitEvent;
use crate::model::identity::Holder;
use crate::model::{PurseOf, Vcluster, Vnode};
use crate::moves::event::MoveEvent;
use crate::name::Name;
use crate::notice::event::NoticeEvent;
use crate::notice::mail::MailEvent;
use crate::quota::event::QuotaEvent;
use crate::rebalance::event::RebalanceEvent;
use crate::schedule::event::ScheduleEvent;
use crate::service::event::ServiceEvent;
use crate::snapshot::event::SnapshotEvent;
use crate::state::State;
use crate::template::event::TemplateEvent;
use crate::trash::event::{KeptRef, TrashEvent};

/// Things that one line names; of the others it says how many there are.
const THINGS_MAX: usize = 12;

/// What the events so far are about.
pub(super) struct About<'s> {
    /// Before the events: what goes by them has its name there.
    state: &'s State,
    /// What they made.
    vclusters: BTreeMap<VclusterId, String>,
    vnodes: BTreeMap<VnodeId, String>,
    users: BTreeMap<UserId, String>,
    /// In the order in which they came.
    things: Vec<String>,
    known: BTreeSet<String>,
    owners: BTreeSet<UserId>,
}

impl<'s> About<'s> {
    pub(super) fn in_state(state: &'s State) -> Self {
        Self {
            state,
            vclusters: BTreeMap::new(),
            vnodes: BTreeMap::new(),
            users: BTreeMap::new(),
            things: Vec::new(),
            known: BTreeSet::new(),
            owners: BTreeSet::new(),
        }
    }

    /// The first things, how many more there are, and whose they are.
    pub(super) fn told(mut self) -> (Vec<String>, usize, BTreeSet<UserId>) {
        let more = self.things.len().saturating_sub(THINGS_MAX);
        self.things.truncate(THINGS_MAX);
        (self.things, more, self.owners)
    }

    pub(super) fn add(&mut self, event: &Event) {
        match event {
            Event::ClusterInitialised { .. }
            | Event::ClusterRestored { .. }
            | Event::ClusterRecovered { .. }
            | Event::BackupTaken { .. }
            | Event::VersionRaised { .. } => self.thing("cluster", ""),
            Event::MasterJoined { master } => self.thing("master", &master.name),
            Event::MasterRemoved { name, .. } => self.thing("master", name),
            Event::MasterReplacementWanted { replacement } => self.master(replacement.old),
            Event::MasterReplacementJoined { old, .. }
            | Event::MasterReplacementForgotten { old } => self.master(*old),
            Event::MasterDiverged { master, .. } => self.master(*master),
            Event::ProgramReported { program } => self.master(program.master),
            Event::JoinTokenCreated { .. }
            | Event::JoinTokenSpent { .. }
            | Event::JoinTokenForgotten { .. } => self.thing("join token", ""),
            Event::WorkerJoined { worker } => self.thing("worker", &worker.name),
            Event::WorkerDescribed { worker, .. } | Event::WorkerMarked { worker, .. } => {
                self.worker(*worker);
            }
            Event::UserCreated { user } => {
                self.users.insert(user.id, user.name.to_string());
                self.user(user.id);
            }
            Event::PasswordChanged { user, .. } | Event::SessionClosed { user, .. } => {
                self.user(*user);
            }
            Event::SessionOpened { session } => self.user(session.user),
            Event::RoleSet { user, .. } => self.user(*user),
            Event::ImageRegistered { image } => self.owned("image", image.owner, &image.name),
            Event::ImageHeld { digest, .. } | Event::ImageLost { digest, .. } => {
                self.thing("blob", digest);
            }
            Event::NetworkCreated { network } => self.user(network.owner),
            Event::VclusterCreated { vcluster } => self.new_vcluster(vcluster),
            Event::VclusterWantedChanged { about, .. }
            | Event::VclusterDeleted { about }
            | Event::VclusterWished { about, .. } => self.vcluster(*about),
            Event::VnodeCreated { vnode } => self.new_vnode(vnode),
            Event::VnodeWantedChanged { about, .. }
            | Event::VnodePlaced { about, .. }
            | Event::VnodeUnplaceable { about, .. }
            | Event::VnodeSeen { about, .. }
            | Event::VnodeRemoved { about }
            | Event::VnodeWished { about, .. }
            | Event::GpusGiven { about, .. }
            | Event::PortRemoved { about, .. } => self.vnode(*about),
            Event::PortAdded { port } => self.vnode(VnodeRef {
                vnode: port.vnode,
                vcluster: port.vcluster,
                owner: port.owner,
            }),
            Event::AutopilotSet { .. } => self.thing("setting", "autopilot"),
            Event::BandwidthLimited { .. } => self.thing("setting", "bandwidth"),
            Event::DiskOvercommitSet { .. } => self.thing("setting", "disk-overcommit"),
            Event::Drill(event) => self.drill(event),
            Event::Image(event) => self.image(event),
            Event::Snapshot(event) => self.snapshot(event),
            Event::Limit(event) => self.limit(event),
            Event::Group(event) => self.group(event),
            Event::Schedule(event) => self.schedule(event),
            Event::Moved(event) => self.moved(event),
            Event::Drain(DrainEvent::Begun { drain }) => self.worker(drain.worker),
            Event::Drain(DrainEvent::Came { worker, .. }) => self.worker(*worker),
            Event::Rebalance(RebalanceEvent::PolicySet { .. }) => {
                self.thing("setting", "rebalance");
            }
            Event::Rebalance(RebalanceEvent::BecameUneven | RebalanceEvent::BecameEven) => {}
            Event::Quota(event) => self.quota(event),
            Event::Account(event) => self.account(event),
            Event::Template(event) => {
                let (TemplateEvent::Published { template, .. }
                | TemplateEvent::Withdrawn { template, .. }) = event;
                self.thing("template", &template.name);
            }
            Event::Notice(event) => self.notice(event),
            Event::Identity(event) => self.identity(event),
            Event::Bean(event) => self.beans(event),
            Event::Service(event) => self.service(event),
            Event::Terminal(event) => self.vnode(event.about()),
            Event::Acme(_) => self.thing("setting", "acme"),
            Event::Certificate(event) => self.worker(event.worker()),
            Event::Idle(IdleEvent::Rested { about, .. } | IdleEvent::Woke { about }) => {
                self.vnode(*about);
            }
            Event::Idle(IdleEvent::Stopped { about, .. }) => self.vcluster(*about),
            Event::Trash(TrashEvent::PolicySet { .. }) => self.thing("setting", "trash"),
            Event::Trash(TrashEvent::Discarded { trashed }) => self.vcluster(VclusterRef {
                vcluster: trashed.vcluster,
                owner: trashed.owner,
            }),
            Event::Trash(TrashEvent::Restored { about, .. } | TrashEvent::Warned { about, .. }) => {
                self.vcluster(*about);
            }
            Event::Trash(TrashEvent::Kept { kept }) => self.kept(&KeptRef::from(&**kept)),
            Event::Trash(TrashEvent::Recovered { about, .. } | TrashEvent::Dropped { about }) => {
                self.kept(about);
            }
            Event::Audit(AuditEvent::Refused { of, .. }) => self.tried(of.as_ref()),
            Event::Audit(event) => {
                if let Some(about) = event.about() {
                    self.vnode(about);
                }
                if let Some(master) = event.master() {
                    self.master(master);
                }
                for (kind, thing) in event.things() {
                    self.thing(kind, thing);
                }
            }
        }
    }

    fn drill(&mut self, event: &DrillEvent) {
        let drill: DrillId = match event {
            DrillEvent::Announced { drill } => drill.id,
            DrillEvent::Loss { loss, .. } => loss.drill,
            DrillEvent::Begun { drill, .. }
            | DrillEvent::TakenOver { drill, .. }
            | DrillEvent::Probed { drill, .. }
            | DrillEvent::FaultReported { drill, .. }
            | DrillEvent::Restored { drill, .. }
            | DrillEvent::Aborted { drill, .. }
            | DrillEvent::Checking { drill, .. }
            | DrillEvent::Measured { drill, .. }
            | DrillEvent::Ended { drill, .. } => *drill,
        };
        self.thing("drill", drill);
    }

    fn image(&mut self, event: &ImageEvent) {
        match event {
            ImageEvent::Stored { image } => self.owned("image", image.owner, &image.name),
            ImageEvent::RunSet { owner, .. } => {
                self.owners.insert(*owner);
            }
            ImageEvent::Titled { title, .. } => self.owned("image", title.owner, &title.name),
            ImageEvent::Untitled { owner, name, .. } => self.owned("image", *owner, name),
            ImageEvent::GroupsSet { shared, .. } => {
                self.owned("image", shared.owner, &shared.name);
            }
            ImageEvent::CopiesPlaced { copies } => self.thing("blob", copies.digest),
            ImageEvent::Forgotten { digest } => self.thing("blob", digest),
            ImageEvent::SaveSeen { save, of } => {
                self.saved(save.vnode, *of);
                self.owned("image", save.owner, &save.name);
            }
            ImageEvent::SaveEnded { vnode, of, .. } => self.saved(*vnode, *of),
            ImageEvent::SaveBounded { bound, of } => self.saved(bound.vnode, *of),
            ImageEvent::QuotaSet { .. } => self.thing("setting", "image-quota"),
            ImageEvent::QuotaOfSet { user, .. } => self.user(*user),
        }
    }

    pub(super) fn entered(&mut self, vnode: VnodeId) {
        let row = self.state.vnodes.get(&vnode);
        if let Some(about) = row.map(VnodeRef::from) {
            self.vnode(about);
        }
    }

    fn saved(&mut self, vnode: VnodeId, owner: UserId) {
        self.owners.insert(owner);
        self.entered(vnode);
    }

    fn snapshot(&mut self, event: &SnapshotEvent) {
        match event {
            SnapshotEvent::Asked { snapshot } => self.saved(snapshot.vnode, snapshot.owner),
            SnapshotEvent::Seen { about, .. }
            | SnapshotEvent::Deleted { about, .. }
            | SnapshotEvent::RestoreSeen { about, .. }
            | SnapshotEvent::SaveSourced { about, .. }
            | SnapshotEvent::CopyWanted { about, .. }
            | SnapshotEvent::Copied { about } => self.vnode(*about),
            SnapshotEvent::Scheduled { schedule } => self.vcluster(VclusterRef {
                vcluster: schedule.vcluster,
                owner: schedule.owner,
            }),
            SnapshotEvent::Unscheduled { about } => self.vcluster(*about),
        }
    }

    fn limit(&mut self, event: &LimitEvent) {
        match event {
            LimitEvent::VclusterResized { about, .. }
            | LimitEvent::BandwidthWished { about, .. } => self.vcluster(*about),
            LimitEvent::VnodeResized { about, .. }
            | LimitEvent::ResizeAsked { about, .. }
            | LimitEvent::ResizeTold { about, .. } => self.vnode(*about),
            LimitEvent::BandwidthCeilingSet { .. } => self.thing("setting", "bandwidth-ceiling"),
            LimitEvent::UsualHomeSet { .. } => self.thing("setting", "usual-home"),
            LimitEvent::HomeSet { user, .. } => self.user(*user),
        }
    }

    fn group(&mut self, event: &GroupEvent) {
        let (group, left) = match event {
            GroupEvent::Formed { group, left } => (group, Some(left)),
            GroupEvent::Dissolved { group } => (group, None),
        };
        self.thing("group", &group.name);
        self.owners.extend(left.into_iter().flatten());
    }

    fn schedule(&mut self, event: &ScheduleEvent) {
        match event {
            ScheduleEvent::WorkerDescribed { traits } => self.worker(traits.worker),
            ScheduleEvent::RulesSet { about, .. } => self.vcluster(*about),
            ScheduleEvent::VnodeFenced { about, .. } | ScheduleEvent::VnodeLost { about, .. } => {
                self.vnode(*about);
            }
        }
    }

    fn moved(&mut self, event: &MoveEvent) {
        match event {
            MoveEvent::Begun { about, .. }
            | MoveEvent::Copied { about, .. }
            | MoveEvent::Switching { about, .. }
            | MoveEvent::WayChanged { about, .. }
            | MoveEvent::Placed { about, .. }
            | MoveEvent::Returning { about, .. }
            | MoveEvent::PlacedBack { about, .. }
            | MoveEvent::Ended { about, .. } => self.vnode(*about),
            MoveEvent::CheckpointingReported { able } => self.worker(able.worker),
        }
    }

    fn quota(&mut self, event: &QuotaEvent) {
        match event {
            QuotaEvent::UsualSet { .. } => self.thing("setting", "usual-quota"),
            QuotaEvent::OfUserSet { set } => self.user(set.user),
            QuotaEvent::OfGroupSet { set, .. } => {
                let group = self.state.groups.get(&set.group);
                self.thing("group", named(group.map(|group| &group.name), set.group));
            }
            QuotaEvent::ShareSet { set, .. } => self.user(set.user),
        }
    }

    fn beans(&mut self, event: &BeanEvent) {
        match event {
            BeanEvent::Set { .. } => self.thing("setting", "beans"),
            BeanEvent::Opened { of, .. }
            | BeanEvent::Closed { of, .. }
            | BeanEvent::RanLow { of, .. } => self.purse(*of),
            BeanEvent::Charged { charge } => self.purse(PurseOf::User(charge.about.owner)),
            BeanEvent::Granted { grant, .. } => {
                self.purse(grant.to);
                if let Some(from) = grant.from {
                    self.purse(from);
                }
            }
            BeanEvent::TakenBack { taken, .. } => self.purse(taken.of),
            BeanEvent::Requested { request, .. }
            | BeanEvent::Decided { request, .. }
            | BeanEvent::Withdrawn { request, .. } => {
                self.purse(PurseOf::User(request.user));
            }
            BeanEvent::TallyBegun { about, .. }
            | BeanEvent::TallyBehind { about }
            | BeanEvent::TallyEnded { about } => self.saved(about.vnode, about.owner),
            BeanEvent::Stopped { about, .. } => self.vcluster(*about),
        }
    }

    fn service(&mut self, event: &ServiceEvent) {
        match event {
            ServiceEvent::Added { service }
            | ServiceEvent::Removed { service }
            | ServiceEvent::Shared { service, .. }
            | ServiceEvent::Opened { service, .. }
            | ServiceEvent::Entered { service, .. } => {
                let path = self.path_of_vnode(VnodeRef {
                    vnode: service.vnode,
                    vcluster: service.vcluster,
                    owner: service.owner,
                });
                self.thing("service", format!("{path}/{}", service.name));
                self.owners.insert(service.owner);
            }
            ServiceEvent::Left { visit } => {
                self.thing("visit", visit.service);
                self.owners.insert(visit.user);
            }
        }
    }

    fn purse(&mut self, of: PurseOf) {
        let name = match of {
            PurseOf::User(user) => {
                self.owners.insert(user);
                self.name_of(user)
            }
            PurseOf::Group(group) => {
                let row = self.state.groups.get(&group);
                format!("group {}", named(row.map(|row| &row.name), group))
            }
        };
        self.thing("purse", name);
    }

    /// Whoever is told something is not touched by it.
    fn notice(&mut self, event: &NoticeEvent) {
        match event {
            NoticeEvent::Told { notice, .. } | NoticeEvent::Gone { notice, .. } => {
                self.thing("notice", notice.id);
            }
            NoticeEvent::ReaderSet { reader } => self.user(reader.user),
            NoticeEvent::Mail(MailEvent::ServerSet { .. }) => self.thing("setting", "mail"),
            NoticeEvent::Mail(_) => self.thing("mail", ""),
            NoticeEvent::Bug(_) => self.thing("bug report", ""),
        }
    }

    fn identity(&mut self, event: &IdentityEvent) {
        match event {
            IdentityEvent::ProviderSet { .. } => self.thing("setting", "oidc"),
            IdentityEvent::PamSet { .. } => self.thing("setting", "pam"),
            IdentityEvent::Connected { identity } => {
                self.thing("identity", &identity.subject);
                if let Holder::User(user) = identity.holder {
                    self.user(user);
                }
            }
            IdentityEvent::Welcomed { account } => self.user(account.user),
            IdentityEvent::Used { user, .. }
            | IdentityEvent::Disconnected { user, .. }
            | IdentityEvent::WaySet { user, .. } => self.user(*user),
        }
    }

    fn account(&mut self, event: &AccountEvent) {
        match event {
            AccountEvent::PolicySet { .. } => self.thing("setting", "registration"),
            AccountEvent::Applied { application } => self.thing("request", &application.name),
            AccountEvent::Declined { name, .. } => self.thing("request", name),
            AccountEvent::ApplicationForgotten { application } => {
                self.thing("request", application);
            }
            AccountEvent::Left { user, name } => {
                self.users.insert(*user, name.to_string());
                self.user(*user);
            }
            AccountEvent::Approved { .. }
            | AccountEvent::ProfileSet { .. }
            | AccountEvent::Locked { .. }
            | AccountEvent::Unlocked { .. }
            | AccountEvent::Leaving { .. }
            | AccountEvent::LoginOpened { .. }
            | AccountEvent::TokenUsed { .. }
            | AccountEvent::HashUpgraded { .. }
            | AccountEvent::FactorBegun { .. }
            | AccountEvent::FactorConfirmed { .. }
            | AccountEvent::CodeUsed { .. }
            | AccountEvent::RecoveryCodeUsed { .. }
            | AccountEvent::FactorRemoved { .. }
            | AccountEvent::Discarded { .. }
            | AccountEvent::Restored { .. } => {
                if let Some(user) = event.owner() {
                    self.user(user);
                }
            }
        }
    }

    fn thing(&mut self, kind: &str, name: impl ToString) {
        let thing = format!("{kind} {}", name.to_string());
        let thing = thing.trim_end().to_owned();
        if self.known.insert(thing.clone()) {
            self.things.push(thing);
        }
    }

    fn owned(&mut self, kind: &str, owner: UserId, name: &Name) {
        let path = format!("{}/{name}", self.name_of(owner));
        self.thing(kind, path);
        self.owners.insert(owner);
    }

    fn name_of(&self, user: UserId) -> String {
        let new = self.users.get(&user).cloned();
        new.unwrap_or_else(|| user_name(self.state, user))
    }

    fn user(&mut self, user: UserId) {
        let name = self.name_of(user);
        self.thing("user", name);
        self.owners.insert(user);
    }

    fn master(&mut self, id: MasterId) {
        let row = self.state.masters.get(&id);
        self.thing("master", named(row.map(|row| &row.name), id));
    }

    fn worker(&mut self, id: WorkerId) {
        let row = self.state.workers.get(&id);
        self.thing("worker", named(row.map(|row| &row.name), id));
    }

    fn path_of_vcluster(&self, id: VclusterId, owner: UserId) -> String {
        let row = self.state.vclusters.get(&id).map(|row| &row.name);
        let new = self.vclusters.get(&id).cloned();
        let name = new.unwrap_or_else(|| named(row, id));
        format!("{}/{name}", self.name_of(owner))
    }

    fn new_vcluster(&mut self, vcluster: &Vcluster) {
        self.vclusters
            .insert(vcluster.id, vcluster.name.to_string());
        self.vcluster(vcluster.into());
    }

    fn vcluster(&mut self, about: VclusterRef) {
        let path = self.path_of_vcluster(about.vcluster, about.owner);
        self.thing("vcluster", path);
        self.owners.insert(about.owner);
    }

    fn new_vnode(&mut self, vnode: &Vnode) {
        self.vnodes.insert(vnode.id, vnode.hostname());
        self.vnode(vnode.into());
    }

    fn path_of_vnode(&self, about: VnodeRef) -> String {
        let row = self.state.vnodes.get(&about.vnode).map(Vnode::hostname);
        let new = self.vnodes.get(&about.vnode).cloned();
        let host = new.or(row).unwrap_or_else(|| about.vnode.to_string());
        let path = self.path_of_vcluster(about.vcluster, about.owner);
        format!("{path}/{host}")
    }

    fn vnode(&mut self, about: VnodeRef) {
        let path = self.path_of_vnode(about);
        self.thing("vnode", path);
        self.owners.insert(about.owner);
    }
}
