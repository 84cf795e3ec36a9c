//! Whom a change concerns: which workers may have another assignment now, and whose part of the state is another. So
//! that a master wakes those who follow it and nobody else. It may name too many, never too few.

mod beans;
mod moves;
mod notices;
mod people;
mod quotas;
mod services;
mod wishes;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use imbl::ordset;

use crate::assignment::holders_before;
use crate::id::{Digest, NetworkId, UserId, VclusterId, VnodeId, WorkerId};
use crate::image::copies;
use crate::model::{Image, Network, User, Vcluster, Vnode, VnodeWanted, Worker};
use crate::row_map::RowMap;
use crate::state::State;

/// Who is concerned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// What every assignment says has changed.
    pub all_workers: bool,
    /// Workers whose assignment may have changed.
    pub workers: BTreeSet<WorkerId>,
    /// People some of whose things changed.
    pub owners: BTreeSet<UserId>,
    /// Something changed that belongs to nobody: machines, images, settings, drills.
    pub shared: bool,
}

impl Touched {
    /// Whether the worker may have another assignment.
    #[must_use]
    pub fn concerns_worker(&self, worker: WorkerId) -> bool {
        self.all_workers || self.workers.contains(&worker)
    }

    /// Whether what the person may see may be another.
    #[must_use]
    pub fn concerns(&self, person: &User) -> bool {
        self.shared
            || self.owners.contains(&person.id)
            || (person.operates() && !self.owners.is_empty())
    }

    /// Whether nobody is concerned.
    #[must_use]
    pub fn is_nobody(&self) -> bool {
        *self == Self::default()
    }
}

/// Whom the change from `before` to `after` concerns. Costs in proportion to what changed.
#[must_use]
pub fn touched(before: &State, after: &State) -> Touched {
    let mut tracing = Tracing {
        before,
        after,
        touched: Touched::default(),
        networks: BTreeSet::new(),
        vclusters: BTreeSet::new(),
    };
    tracing.singles();
    tracing.people();
    tracing.machines();
    tracing.images();
    tracing.networks();
    tracing.vclusters();
    tracing.vnodes();
    tracing.wishes();
    tracing.limits();
    tracing.rules();
    tracing.ports();
    tracing.services();
    tracing.snapshots();
    tracing.moves();
    tracing.losses();
    tracing.quotas();
    tracing.notices();
    tracing.beans();
    tracing.neighbours();
    tracing.touched
}

/// One comparison.
struct Tracing<'s> {
    before: &'s State,
    after: &'s State,
    touched: Touched,
    /// Segments whose set of workers may have changed.
    networks: BTreeSet<NetworkId>,
    /// Vclusters whose names and addresses changed.
    vclusters: BTreeSet<VclusterId>,
}

/// A row before and after.
type Pair<'s, V> = (Option<&'s V>, Option<&'s V>);

/// The rows that differ.
fn differing<'s, K: Ord, V: PartialEq>(
    before: &'s RowMap<K, V>,
    after: &'s RowMap<K, V>,
) -> impl Iterator<Item = Pair<'s, V>> {
    before.differing(after).map(|row| (row.before, row.after))
}

/// What is there of a row before and after.
fn both<'s, V>(pair: Pair<'s, V>) -> impl Iterator<Item = &'s V> + use<'s, V> {
    pair.0.into_iter().chain(pair.1)
}

/// Whether `part` of a row differs, its being there included.
fn differs<'s, V, P: PartialEq>(pair: Pair<'s, V>, part: impl Fn(&'s V) -> P) -> bool {
    pair.0.map(&part) != pair.1.map(&part)
}

impl<'s> Tracing<'s> {
    fn states(&self) -> [&'s State; 2] {
        [self.before, self.after]
    }

    fn singles(&mut self) {
        let (before, after) = (self.before, self.after);
        let cluster = |state: &State| {
            let settings = state.settings.as_ref();
            settings.map(|settings| (settings.cluster, settings.cluster_net))
        };
        self.touched.all_workers |= cluster(before) != cluster(after);
        let bandwidth = |state: &State| {
            (
                state.bandwidth.unwrap_or_default(),
                state.bandwidth_ceiling(),
            )
        };
        self.touched.all_workers |= bandwidth(before) != bandwidth(after);
        for pair in differing(&before.masters, &after.masters) {
            self.touched.all_workers |=
                differs(pair, |master| (&master.cluster_addr, &master.public_addr));
        }
        self.touched.shared |= before.settings != after.settings
            || before.autopilot != after.autopilot
            || before.lineage != after.lineage
            || before.agreed != after.agreed
            || before.programs != after.programs
            || before.last_backup != after.last_backup
            || before.bandwidth != after.bandwidth
            || before.disk_overcommit != after.disk_overcommit
            || before.bandwidth_ceiling != after.bandwidth_ceiling
            || before.masters != after.masters
            || before.replacements != after.replacements
            || before.join_tokens != after.join_tokens
            || before.drills != after.drills
            || before.losses != after.losses
            || before.image_names != after.image_names
            || before.image_titles != after.image_titles
            || before.image_groups != after.image_groups
            || before.groups != after.groups
            || before.image_quota != after.image_quota
            || before.worker_traits != after.worker_traits
            || before.checkpointing != after.checkpointing
            || before.drains != after.drains
            || before.rebalance != after.rebalance
            || before.account_policy != after.account_policy
            || before.acme != after.acme
            || before.worker_certificates != after.worker_certificates
            || before.templates != after.templates
            || before.setting_histories != after.setting_histories
            || before.trash_policy != after.trash_policy;
    }

    fn machines(&mut self) {
        for pair in differing(&self.before.workers, &self.after.workers) {
            self.touched.shared = true;
            if differs(pair, |worker| (worker.underlay, &worker.data_addr)) {
                for worker in both(pair) {
                    self.machine(worker);
                }
                self.all_with_gateways();
            }
        }
        // Whoever shows one that is refused now is cut off.
        let rows = (
            &self.before.worker_certificates,
            &self.after.worker_certificates,
        );
        for pair in differing(rows.0, rows.1) {
            if differs(pair, |row| row.since) {
                let workers = both(pair).map(|row| row.worker);
                self.touched.workers.extend(workers);
            }
        }
    }

    /// Every worker that has vnodes: their gateways keep them from all machines of the cluster.
    fn all_with_gateways(&mut self) {
        for state in self.states() {
            let vnodes = state.vnodes.values();
            let workers = vnodes.flat_map(|vnode| state.workers_of(vnode));
            self.touched.workers.extend(workers);
        }
    }

    /// A worker that can be reached elsewhere now: its neighbours and who fetches images of it must know.
    fn machine(&mut self, worker: &Worker) {
        for state in self.states() {
            let owners: BTreeSet<UserId> =
                state.kept_on(worker.id).map(|vnode| vnode.owner).collect();
            let networks = owners.iter().filter_map(|owner| state.network_of(*owner));
            self.networks.extend(networks.map(|network| network.id));
            let moves = state.moves_at(worker.id);
            self.touched.workers.extend(moves.map(|moving| moving.to));
            for image in state.images.values() {
                if image.holders.contains(&worker.id) {
                    self.fetchers(state, image, worker.id);
                }
            }
        }
    }

    fn images(&mut self) {
        for pair in differing(&self.before.images, &self.after.images) {
            self.touched.shared = true;
            if differs(pair, |image| (image.blob_bytes, &image.spec)) {
                for image in both(pair) {
                    self.users_of(image.digest);
                }
            }
            if let (Some(old), Some(new)) = pair {
                self.holders(old, new);
            }
            if differs(pair, |_| ()) {
                for image in both(pair) {
                    self.keepers_of(image.digest);
                }
            }
        }
        for pair in differing(&self.before.image_runs, &self.after.image_runs) {
            self.touched.shared = true;
            for run in both(pair) {
                self.users_of(run.digest);
            }
        }
        for pair in differing(&self.before.image_copies, &self.after.image_copies) {
            self.touched.shared = true;
            for copies in both(pair) {
                self.keepers_of(copies.digest);
            }
        }
        for pair in differing(&self.before.image_saves, &self.after.image_saves) {
            for save in both(pair) {
                self.touched.owners.insert(save.owner);
                for state in self.states() {
                    let vnode = state.vnodes.get(&save.vnode);
                    self.touched.owners.extend(vnode.map(|vnode| vnode.owner));
                    let placement = vnode.and_then(|vnode| vnode.placement);
                    self.touched
                        .workers
                        .extend(placement.map(|placed| placed.worker));
                }
            }
        }
        // Who shall hold what is told from version 3 on.
        self.touched.all_workers |=
            (self.before.version() < copies::SINCE) != (self.after.version() < copies::SINCE);
    }

    /// Every worker with a vnode of an image.
    fn users_of(&mut self, image: Digest) {
        for state in self.states() {
            let workers = state.workers_told_of(image, ..);
            self.touched.workers.extend(workers);
        }
    }

    /// Every worker that shall hold an image.
    fn keepers_of(&mut self, image: Digest) {
        for state in self.states() {
            self.touched.workers.extend(copies::keepers(state, image));
        }
    }

    fn holders(&mut self, old: &Image, new: &Image) {
        for holder in old.holders.diff(&new.holders) {
            match holder {
                ordset::DiffItem::Add(come) => self.holder(self.after, new, *come),
                ordset::DiffItem::Remove(gone) => self.holder(self.before, old, *gone),
            }
        }
    }

    /// One holder more in the state after, or less than in the state before. Where nobody has chosen who shall hold the
    /// image, whoever does shall.
    fn holder(&mut self, state: &State, image: &Image, holder: WorkerId) {
        let chosen = state.image_copies.contains_key(&image.digest);
        if state.version() >= copies::SINCE && !chosen {
            self.touched.workers.insert(holder);
        }
        self.fetchers(state, image, holder);
    }

    /// Workers with a vnode of the image that are told of `holder`. It follows them in the order of holders, with not
    /// too many others between.
    fn fetchers(&mut self, state: &State, image: &Image, holder: WorkerId) {
        let digest = image.digest;
        match holders_before(&image.holders, holder) {
            None => self
                .touched
                .workers
                .extend(state.workers_told_of(digest, ..)),
            Some(first) if first < holder => {
                let workers = state.workers_told_of(digest, first..holder);
                self.touched.workers.extend(workers);
            }
            Some(first) => {
                let (high, low) = (
                    state.workers_told_of(digest, first..),
                    state.workers_told_of(digest, ..holder),
                );
                self.touched.workers.extend(high.chain(low));
            }
        }
    }

    fn networks(&mut self) {
        for pair in differing(&self.before.networks, &self.after.networks) {
            let moved = differs(pair, |network| (network.owner, network.subnet));
            for network in both(pair) {
                self.touched.owners.insert(network.owner);
                self.networks.insert(network.id);
                if moved {
                    self.all_of(network.owner);
                }
            }
        }
    }

    fn vclusters(&mut self) {
        for pair in differing(&self.before.vclusters, &self.after.vclusters) {
            let renamed = differs(pair, |vcluster: &Vcluster| {
                (&vcluster.name, vcluster.network)
            });
            for vcluster in both(pair) {
                self.touched.owners.insert(vcluster.owner);
                if renamed {
                    self.vclusters.insert(vcluster.id);
                }
            }
        }
    }

    fn vnodes(&mut self) {
        for pair in differing(&self.before.vnodes, &self.after.vnodes) {
            self.touched
                .owners
                .extend(both(pair).map(|vnode| vnode.owner));
            if !differs(pair, assigned) {
                continue;
            }
            let workers = both(pair).filter_map(|vnode| vnode.placement);
            self.touched
                .workers
                .extend(workers.map(|placed| placed.worker));
            if differs(pair, host) {
                self.vclusters
                    .extend(both(pair).map(|vnode| vnode.vcluster));
            }
            if differs(pair, |vnode| {
                (vnode.owner, vnode.placement.map(|p| p.worker))
            }) {
                for (state, vnode) in self.states().into_iter().zip([pair.0, pair.1]) {
                    let network = vnode.and_then(|vnode| state.network_of(vnode.owner));
                    self.networks.extend(network.map(|network| network.id));
                }
            }
        }
    }

    fn ports(&mut self) {
        for pair in differing(&self.before.ports, &self.after.ports) {
            self.touched
                .owners
                .extend(both(pair).map(|port| port.owner));
            for state in self.states() {
                let vnodes = both(pair).filter_map(|port| state.vnodes.get(&port.vnode));
                let placed = vnodes.filter_map(|vnode| vnode.placement);
                self.touched
                    .workers
                    .extend(placed.map(|placed| placed.worker));
            }
        }
    }

    /// Whoever has the vnode keeps, takes and restores them; schedules are the leader's.
    fn snapshots(&mut self) {
        let (before, after) = (self.before, self.after);
        for pair in differing(&before.snapshots, &after.snapshots) {
            for snapshot in both(pair) {
                self.touched.owners.insert(snapshot.owner);
                self.worker_of(snapshot.vnode);
            }
        }
        for pair in differing(&before.snapshot_restores, &after.snapshot_restores) {
            for restore in both(pair) {
                self.worker_of(restore.vnode);
            }
        }
        for pair in differing(&before.snapshot_saves, &after.snapshot_saves) {
            for save in both(pair) {
                self.worker_of(save.vnode);
            }
        }
        for pair in differing(&before.snapshot_copies, &after.snapshot_copies) {
            for copy in both(pair) {
                self.worker_of(copy.vnode);
            }
        }
        for pair in differing(&before.image_save_bounds, &after.image_save_bounds) {
            for bound in both(pair) {
                self.worker_of(bound.vnode);
            }
        }
        for pair in differing(&before.snapshot_schedules, &after.snapshot_schedules) {
            let owners = both(pair).map(|schedule| schedule.owner);
            self.touched.owners.extend(owners);
        }
    }

    /// Who has a vnode, and whose it is.
    fn worker_of(&mut self, id: VnodeId) {
        for state in self.states() {
            let vnode = state.vnodes.get(&id);
            self.touched.owners.extend(vnode.map(|vnode| vnode.owner));
            let workers = vnode.into_iter().flat_map(|vnode| state.workers_of(vnode));
            self.touched.workers.extend(workers);
        }
    }

    /// Workers with siblings of what changed: those of a vcluster know its names, those of a segment each other.
    fn neighbours(&mut self) {
        for vcluster in std::mem::take(&mut self.vclusters) {
            for state in self.states() {
                let placed = state
                    .vnodes_of(vcluster)
                    .filter_map(|vnode| vnode.placement);
                self.touched
                    .workers
                    .extend(placed.map(|placed| placed.worker));
            }
        }
        for network in std::mem::take(&mut self.networks) {
            let [before, after] = self.states().map(|state| {
                let network = state.networks.get(&network);
                network
                    .map(|network| neighbours(state, network))
                    .unwrap_or_default()
            });
            if before != after {
                self.touched
                    .workers
                    .extend(before.into_keys().chain(after.into_keys()));
            }
        }
    }
}

/// All of a vnode that its worker's assignment says.
fn assigned(vnode: &Vnode) -> impl PartialEq {
    let identity = (vnode.vcluster, vnode.owner, vnode.ordinal, vnode.address);
    (
        identity,
        vnode.placement,
        vnode.wanted,
        vnode.image,
        vnode.size,
    )
}

/// What its siblings are told of a vnode.
fn host(vnode: &Vnode) -> impl PartialEq {
    let stays = vnode.wanted != VnodeWanted::Removed;
    stays.then_some((vnode.vcluster, vnode.ordinal, vnode.address))
}

/// Workers that have vnodes in a segment, and where its packets reach them.
fn neighbours(state: &State, network: &Network) -> BTreeMap<WorkerId, Option<IpAddr>> {
    let vnodes = network.addresses.values();
    let vnodes = vnodes.filter_map(|vnode| state.vnodes.get(vnode));
    let workers = vnodes.flat_map(|vnode| state.workers_of(vnode));
    let underlay = |id: &WorkerId| state.workers.get(id).map(|worker| worker.underlay);
    workers.map(|worker| (worker, underlay(&worker))).collect()
}
