//! The state of the cluster: persistent ordered maps, so that a clone costs nothing and every reader keeps
//! its own frozen copy. Only [`crate::evolve`] changes it, through the `put` and `remove` functions here, which
//! keep the look-up tables in step.

mod accounts;
mod beans;
mod drains;
mod groups;
mod identities;
mod idles;
mod images;
mod kept;
mod limits;
mod lost;
mod machines;
mod moves;
mod notices;
mod people;
mod ports;
mod quotas;
mod rebalance;
mod scheduling;
mod services;
mod settings;
mod snapshots;
mod templates;
mod terminals;
mod trash;
mod wishes;

use std::ops::{Bound, RangeBounds};

use imbl::{OrdMap, OrdSet};

use crate::id::{
    BugId, Digest, DrillId, Epoch, GroupId, IdentityId, LogIndex, MailId, MasterId, NetworkId,
    NoticeId, RequestId, SecretHash, ServiceId, UnixMs, UserId, VclusterId, VnodeId, WorkerId,
};
use crate::image::copies;
use crate::model::audit::AuditHead;
use crate::model::identity::{Identity, LoginDoors};
use crate::model::idle::VnodeIdle;
use crate::model::kept::Kept;
use crate::model::setting::{SettingHistory, SettingName};
use crate::model::trash::{Rest, TrashPolicy, Trashed};
use crate::model::{
    Account, AccountPolicy, Acme, Agreed, Application, Autopilot, Bandwidth, BeanDays, BeanLine,
    BeanRequest, BeanSettings, Bug, Checkpointing, ClusterVersion, Counters, DiskOvercommit, Drain,
    Drill, Group, GroupQuota, GroupShare, HomeUsual, Image, ImageCopies, ImageGroups, ImageQuota,
    ImageRun, ImageSave, ImageSaveBound, ImageTitle, JoinToken, LastBackup, LineOf, Lineage, Login,
    Mail, MailServer, Master, Month, Move, Network, Notice, Port, Program, PublicPort, Purse,
    PurseOf, Quota, Reader, Rebalance, Receipt, Replacement, Service, Session, Settings, Share,
    Snapshot, SnapshotCopy, SnapshotRestore, SnapshotSave, SnapshotSchedule, Tally, Template, User,
    UserHome, UserImageQuota, UserQuota, Vcluster, VclusterBandwidth, VclusterRules,
    VclusterWishes, Visit, Vnode, VnodeFence, VnodeLoss, VnodeResize, VnodeWanted, VnodeWishes,
    Worker, WorkerCertificate, WorkerLoss, WorkerTraits,
};
use crate::name::Name;
use crate::quota::Amounts;
use crate::row_map::RowMap;

/// Everything that the cluster knows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// None until the cluster is initialised.
    pub settings: Option<Settings>,
    pub counters: Counters,
    pub masters: RowMap<MasterId, Master>,
    /// None until an admin changes it: then the default holds.
    pub autopilot: Option<Autopilot>,
    /// None in a cluster that began with its first entry and was never recovered.
    pub lineage: Option<Lineage>,
    /// None while the cluster has the version that every cluster begins with.
    pub agreed: Option<Agreed>,
    /// What masters run, as they said.
    pub programs: RowMap<MasterId, Program>,
    /// None before the first.
    pub last_backup: Option<LastBackup>,
    /// How much each vnode may send and receive; none while nobody has limited it.
    pub bandwidth: Option<Bandwidth>,
    /// None until an admin changes it.
    pub disk_overcommit: Option<DiskOvercommit>,
    /// None until an admin sets one.
    pub bandwidth_ceiling: Option<Bandwidth>,
    /// What a home holds; none until an admin changes it.
    pub usual_home: Option<HomeUsual>,
    /// None until an admin evens workers out, or says when the leader shall.
    pub rebalance: Option<Rebalance>,
    /// None until an admin changes it.
    pub usual_quota: Option<Quota>,
    pub account_policy: Option<AccountPolicy>,
    /// Where the audit trail ends; none before version 3.
    pub audit_head: Option<AuditHead>,
    /// None until an admin changes it.
    pub trash_policy: Option<TrashPolicy>,
    /// None until an admin says how beans are used.
    pub bean_settings: Option<BeanSettings>,
    /// None while people log in with passwords of this cluster only.
    pub login_doors: Option<LoginDoors>,
    /// Masters that shall go when another has come, by the one that goes.
    pub replacements: RowMap<MasterId, Replacement>,
    pub join_tokens: RowMap<SecretHash, JoinToken>,
    pub workers: RowMap<WorkerId, Worker>,
    pub users: RowMap<UserId, User>,
    pub sessions: RowMap<SecretHash, Session>,
    pub images: RowMap<Digest, Image>,
    /// What an image's name means now: the name again and the digest.
    pub image_names: RowMap<Name, (Name, Digest)>,
    /// What people call images, since version 3.
    pub image_titles: RowMap<(UserId, Name), ImageTitle>,
    pub image_runs: RowMap<Digest, ImageRun>,
    pub image_copies: RowMap<Digest, ImageCopies>,
    /// Vnodes of which images are being made.
    pub image_saves: RowMap<VnodeId, ImageSave>,
    pub groups: RowMap<GroupId, Group>,
    /// Groups that images are shared with, by the images' titles.
    pub image_groups: RowMap<(UserId, Name), ImageGroups>,
    /// None until an admin changes it.
    pub image_quota: Option<ImageQuota>,
    pub image_quotas: RowMap<UserId, UserImageQuota>,
    pub image_save_bounds: RowMap<VnodeId, ImageSaveBound>,
    pub snapshots: RowMap<(VnodeId, LogIndex), Snapshot>,
    /// The last restore of each vnode that had one.
    pub snapshot_restores: RowMap<VnodeId, SnapshotRestore>,
    pub snapshot_schedules: RowMap<VclusterId, SnapshotSchedule>,
    /// What the images in the making are of, where that is a snapshot.
    pub snapshot_saves: RowMap<VnodeId, SnapshotSave>,
    /// Vnodes whose disks are to begin as copies of snapshots.
    pub snapshot_copies: RowMap<VnodeId, SnapshotCopy>,
    pub networks: RowMap<NetworkId, Network>,
    pub vclusters: RowMap<VclusterId, Vcluster>,
    pub vnodes: RowMap<VnodeId, Vnode>,
    /// What they want beyond their size, if that is not the usual.
    pub vcluster_wishes: RowMap<VclusterId, VclusterWishes>,
    pub vnode_wishes: RowMap<VnodeId, VnodeWishes>,
    /// What their owners want them to send and receive, where that is not the site's setting.
    pub vcluster_bandwidths: RowMap<VclusterId, VclusterBandwidth>,
    /// Homes of another size than the usual.
    pub user_homes: RowMap<UserId, UserHome>,
    /// What admins said of workers.
    pub worker_traits: RowMap<WorkerId, WorkerTraits>,
    /// What owners want of the workers of vclusters, where that is not the usual.
    pub vcluster_rules: RowMap<VclusterId, VclusterRules>,
    /// Vnodes that their workers end by themselves when they are cut off.
    pub vnode_fences: RowMap<VnodeId, VnodeFence>,
    /// Vnodes that began anew because their worker was lost.
    pub vnode_losses: RowMap<VnodeId, VnodeLoss>,
    /// Vnodes whose limits are not all in force yet.
    pub vnode_resizes: RowMap<VnodeId, VnodeResize>,
    /// The last move of each vnode that had one.
    pub moves: RowMap<VnodeId, Move>,
    /// The last time that each worker was emptied.
    pub drains: RowMap<WorkerId, Drain>,
    /// What workers said of whether they can take processes along.
    pub checkpointing: RowMap<WorkerId, Checkpointing>,
    /// Vnodes' ports that are open to the outside.
    pub ports: RowMap<PublicPort, Port>,
    /// Receipts by the entry that they are for; the oldest are dropped.
    pub receipts: RowMap<LogIndex, Receipt>,
    /// Drills, the newest last; the oldest are dropped.
    pub drills: RowMap<DrillId, Drill>,
    /// The workers of those of them that make one look lost.
    pub losses: RowMap<DrillId, WorkerLoss>,
    /// What admins set for people, and for groups; and what single members have of the latter.
    pub user_quotas: RowMap<UserId, UserQuota>,
    pub group_quotas: RowMap<GroupId, GroupQuota>,
    pub group_shares: RowMap<(GroupId, UserId), GroupShare>,
    /// What is known of accounts beside their users, where that is more than nothing.
    pub accounts: RowMap<UserId, Account>,
    /// Requests for accounts, open and declined.
    pub applications: RowMap<LogIndex, Application>,
    /// What is known of sessions beside their secrets.
    pub logins: RowMap<SecretHash, Login>,
    pub templates: RowMap<Name, Template>,
    pub setting_histories: RowMap<SettingName, SettingHistory>,
    /// What was deleted and can be had back.
    pub trashed: RowMap<VclusterId, Trashed>,
    pub kept: RowMap<LogIndex, Kept>,
    /// Vclusters that are to stand still.
    pub rests: RowMap<VclusterId, Rest>,
    /// Vnodes that do nothing, of owners who have an idle time.
    pub vnode_idles: RowMap<VnodeId, VnodeIdle>,
    pub notices: RowMap<NoticeId, Notice>,
    /// What people have read, who have read something or want other mails than usual.
    pub readers: RowMap<UserId, Reader>,
    /// Mails that were not delivered, or not yet.
    pub mails: RowMap<MailId, Mail>,
    pub bugs: RowMap<BugId, Bug>,
    /// None while no mails are sent.
    pub mail_server: Option<MailServer>,
    /// None while the cluster gets itself no public certificates.
    pub acme: Option<Acme>,
    /// What people and groups have to spend.
    pub purses: RowMap<PurseOf, Purse>,
    /// What placements of vnodes have used, until their workers have told the last of it.
    pub tallies: RowMap<(VnodeId, Epoch), Tally>,
    /// What was spent and given, by month.
    pub bean_lines: RowMap<(PurseOf, Month, LineOf), BeanLine>,
    /// The same day by day, for the last months.
    pub bean_days: RowMap<(PurseOf, Month), BeanDays>,
    /// The last request of each who asked for beans.
    pub bean_requests: RowMap<UserId, BeanRequest>,
    /// What is opened in browsers.
    pub services: RowMap<ServiceId, Service>,
    /// By which browsers may use services, and tickets for that.
    pub visits: RowMap<SecretHash, Visit>,
    /// Links by which terminals are looked at.
    pub shares: RowMap<LogIndex, Share>,
    /// As whom providers know people.
    pub identities: RowMap<IdentityId, Identity>,
    pub worker_certificates: RowMap<WorkerId, WorkerCertificate>,
    /// Look-up tables derived from the above.
    lookup: Lookup,
}

/// Derived from the tables, never stored.
#[derive(Clone, Debug, Default, PartialEq)]
struct Lookup {
    accounts: accounts::Lookup,
    notices: notices::Lookup,
    beans: beans::Lookup,
    services: services::Lookup,
    terminals: terminals::Lookup,
    identities: identities::Lookup,
    kept: kept::Lookup,
    user_by_name: OrdMap<Name, UserId>,
    group_by_name: OrdMap<Name, GroupId>,
    groups_by_member: OrdSet<(UserId, GroupId)>,
    /// What people have, who has something.
    amounts: OrdMap<UserId, Amounts>,
    network_by_owner: OrdMap<UserId, NetworkId>,
    /// Those in the trash, too: of one name there is one at most that is not.
    vclusters_by_name: OrdSet<(UserId, Name, VclusterId)>,
    vnodes_by_vcluster: OrdSet<(VclusterId, VnodeId)>,
    vnodes_by_worker: OrdSet<(WorkerId, VnodeId)>,
    /// Workers with a vnode of an image.
    workers_by_image: OrdSet<(Digest, WorkerId)>,
    unplaced: OrdSet<VnodeId>,
    vnode_by_gpu: OrdMap<String, VnodeId>,
    ports_by_vnode: OrdSet<(VnodeId, PublicPort)>,
    /// Owners of titles that are public.
    public_images: OrdMap<Name, UserId>,
    receipt_by_request: OrdMap<RequestId, LogIndex>,
    snapshots_by_expiry: OrdSet<(UnixMs, VnodeId, LogIndex)>,
    open_moves: OrdSet<VnodeId>,
    /// Both workers of each open move.
    moves_by_worker: OrdSet<(WorkerId, VnodeId)>,
}

/// Finding things.
impl State {
    /// The version of what may be written.
    #[must_use]
    pub fn version(&self) -> ClusterVersion {
        let agreed = self.agreed.map(|agreed| agreed.version);
        agreed.unwrap_or(ClusterVersion::FIRST)
    }

    /// The policy that holds.
    #[must_use]
    pub fn autopilot(&self) -> Autopilot {
        self.autopilot.unwrap_or_default()
    }

    #[must_use]
    pub fn network_of(&self, owner: UserId) -> Option<&Network> {
        self.networks.get(self.lookup.network_by_owner.get(&owner)?)
    }

    #[must_use]
    pub fn vcluster_named(&self, owner: UserId, name: &Name) -> Option<&Vcluster> {
        let key = |id| (owner, name.clone(), VclusterId(id));
        let named = self.lookup.vclusters_by_name.range(key(0)..=key(u64::MAX));
        let mut named = named.filter(|(.., id)| !self.is_trashed(*id));
        self.vclusters.get(&named.next()?.2)
    }

    #[must_use]
    pub fn receipt_of(&self, request: RequestId) -> Option<&Receipt> {
        self.receipts
            .get(self.lookup.receipt_by_request.get(&request)?)
    }

    /// The drill that is under way: there is one at a time.
    #[must_use]
    pub fn running_drill(&self) -> Option<&Drill> {
        let (_, newest) = self.drills.last()?;
        newest.runs().then_some(newest)
    }

    /// Whether the request may have been decided so long ago that its receipt is forgotten.
    #[must_use]
    pub fn may_have_forgotten(&self, request: RequestId, next: LogIndex) -> bool {
        let oldest = self.receipts.first().map(|(index, _)| *index);
        let full = self.receipts.len() >= Receipt::KEPT_MAX;
        // An id that is random as a whole claims to know entries that are yet to come.
        full && request.known() < next && oldest.is_some_and(|oldest| request.known() < oldest)
    }

    /// All vnodes of a vcluster, by identity, those on their way out included.
    pub fn vnodes_of(&self, vcluster: VclusterId) -> impl Iterator<Item = &Vnode> {
        let range = (vcluster, VnodeId(0))..=(vcluster, VnodeId(u64::MAX));
        self.lookup
            .vnodes_by_vcluster
            .range(range)
            .filter_map(|(_, id)| self.vnodes.get(id))
    }

    /// Vnodes of a vcluster that are there to stay, by ordinal.
    #[must_use]
    pub fn live_vnodes_of(&self, vcluster: VclusterId) -> Vec<&Vnode> {
        let mut vnodes: Vec<&Vnode> = self
            .vnodes_of(vcluster)
            .filter(|vnode| vnode.wanted != VnodeWanted::Removed)
            .collect();
        vnodes.sort_by_key(|vnode| vnode.ordinal);
        vnodes
    }

    /// Vnodes placed on a worker, by identity.
    pub fn vnodes_on(&self, worker: WorkerId) -> impl Iterator<Item = &Vnode> {
        let range = (worker, VnodeId(0))..=(worker, VnodeId(u64::MAX));
        self.lookup
            .vnodes_by_worker
            .range(range)
            .filter_map(|(_, id)| self.vnodes.get(id))
    }

    /// Workers within `range` that have a vnode of `image`, by identity.
    pub fn workers_with(
        &self,
        image: Digest,
        range: impl RangeBounds<WorkerId>,
    ) -> impl Iterator<Item = WorkerId> + '_ {
        let bound = |bound: Bound<&WorkerId>| bound.map(|worker| (image, *worker));
        let start = match bound(range.start_bound()) {
            Bound::Unbounded => Bound::Included((image, WorkerId(0))),
            given @ (Bound::Included(_) | Bound::Excluded(_)) => given,
        };
        let end = match bound(range.end_bound()) {
            Bound::Unbounded => Bound::Included((image, WorkerId(u64::MAX))),
            given @ (Bound::Included(_) | Bound::Excluded(_)) => given,
        };
        let found = self.lookup.workers_by_image.range((start, end));
        found.map(|(_, worker)| *worker)
    }

    /// The same, and those that shall hold it without using it.
    pub fn workers_told_of(
        &self,
        image: Digest,
        range: impl RangeBounds<WorkerId> + Clone,
    ) -> impl Iterator<Item = WorkerId> + '_ {
        let keepers = if self.version() >= copies::SINCE {
            copies::keepers(self, image)
        } else {
            OrdSet::new()
        };
        let keepers: Vec<WorkerId> = keepers.range(range.clone()).copied().collect();
        let coming: Vec<WorkerId> = self.expecting(image, range.clone()).collect();
        let told = self.workers_with(image, range);
        told.chain(coming).chain(keepers)
    }

    /// Vnodes that no worker has yet, the oldest first.
    pub fn unplaced_vnodes(&self) -> impl Iterator<Item = &Vnode> {
        self.lookup
            .unplaced
            .iter()
            .filter_map(|id| self.vnodes.get(id))
    }

    /// Vclusters of one owner, by name; those in the trash, too.
    pub fn vclusters_of(&self, owner: UserId) -> impl Iterator<Item = &Vcluster> {
        let from = (owner, Name::LEAST, VclusterId(0));
        let named = self.lookup.vclusters_by_name.range(from..);
        let own = named.take_while(move |(of, ..)| *of == owner);
        own.filter_map(|(.., id)| self.vclusters.get(id))
    }
}

/// Looking back.
impl State {
    /// Forgets what became of requests, and how far the audit trail had come: a state of the past is for looking at, not
    /// for going on from.
    pub fn forget_receipts(&mut self) {
        self.audit_head = None;
        self.receipts = RowMap::default();
        self.lookup.receipt_by_request = OrdMap::new();
    }
}

/// Changing things: for [`crate::evolve`] and [`crate::rows`] only. Every table has `put` and `remove`.
impl State {
    pub(crate) fn put_network(&mut self, network: Network) {
        self.lookup
            .network_by_owner
            .insert(network.owner, network.id);
        self.networks.insert(network.id, network);
    }

    pub(crate) fn remove_network(&mut self, id: &NetworkId) {
        if let Some(network) = self.networks.remove(id) {
            self.lookup.network_by_owner.remove(&network.owner);
        }
    }

    pub(crate) fn put_vcluster(&mut self, vcluster: Vcluster) {
        self.counting_anew(vcluster.id, |state| {
            state.forget_vcluster(&vcluster.id);
            let key = (vcluster.owner, vcluster.name.clone(), vcluster.id);
            state.lookup.vclusters_by_name.insert(key);
            state.vclusters.insert(vcluster.id, vcluster);
        });
    }

    pub(crate) fn remove_vcluster(&mut self, id: &VclusterId) {
        self.counting_anew(*id, |state| state.forget_vcluster(id));
    }

    fn forget_vcluster(&mut self, id: &VclusterId) {
        if let Some(vcluster) = self.vclusters.remove(id) {
            let key = (vcluster.owner, vcluster.name, *id);
            self.lookup.vclusters_by_name.remove(&key);
        }
    }

    pub(crate) fn put_vnode(&mut self, vnode: Vnode) {
        let id = vnode.id;
        self.uncount_vnode(id);
        self.forget_places_of(id);
        self.lookup
            .vnodes_by_vcluster
            .insert((vnode.vcluster, vnode.id));
        match vnode.placement {
            Some(placement) => {
                let lookup = &mut self.lookup;
                lookup.vnodes_by_worker.insert((placement.worker, vnode.id));
                lookup
                    .workers_by_image
                    .insert((vnode.image, placement.worker));
            }
            None => {
                self.lookup.unplaced.insert(vnode.id);
            }
        }
        self.vnodes.insert(id, vnode);
        self.count_vnode(id);
    }

    pub(crate) fn remove_vnode(&mut self, id: &VnodeId) -> Option<Vnode> {
        self.uncount_vnode(*id);
        self.forget_places_of(*id);
        let vnode = self.vnodes.remove(id)?;
        self.lookup
            .vnodes_by_vcluster
            .remove(&(vnode.vcluster, *id));
        Some(vnode)
    }

    fn forget_places_of(&mut self, id: VnodeId) {
        self.lookup.unplaced.remove(&id);
        let Some(vnode) = self.vnodes.get(&id) else {
            return;
        };
        let Some(placement) = vnode.placement else {
            return;
        };
        let (image, worker) = (vnode.image, placement.worker);
        self.lookup.vnodes_by_worker.remove(&(worker, id));
        if !self.vnodes_on(worker).any(|other| other.image == image) {
            self.lookup.workers_by_image.remove(&(image, worker));
        }
    }

    pub(crate) fn put_drill(&mut self, drill: Drill) {
        self.drills.insert(drill.id, drill);
    }

    pub(crate) fn remove_drill(&mut self, id: &DrillId) {
        self.drills.remove(id);
    }

    pub(crate) fn put_receipt(&mut self, receipt: Receipt) {
        self.lookup
            .receipt_by_request
            .insert(receipt.request, receipt.index);
        self.receipts.insert(receipt.index, receipt);
        while self.receipts.len() > Receipt::KEPT_MAX {
            let Some(oldest) = self.receipts.first().map(|(index, _)| *index) else {
                return;
            };
            self.remove_receipt(&oldest);
        }
    }

    pub(crate) fn remove_receipt(&mut self, index: &LogIndex) {
        if let Some(receipt) = self.receipts.remove(index) {
            self.lookup.receipt_by_request.remove(&receipt.request);
        }
    }
}
