//! The fields of each noun.

use std::collections::BTreeSet;

use super::group::quota;
use super::scheduling::{labels, rules};
use super::{Building, Field, Fields, Noun, Shown, accounts, acme, identity, notice, rebalance};
use crate::amount::VnodeSize;
use crate::id::{Digest, UserId, VclusterId, WorkerId};
use crate::image::{catalog, copies};
use crate::model::{
    Bandwidth, Image, ImageSave, JoinRole, KbitPerS, Outcome, Receipt, SaveSeen, VclusterWanted,
    Vnode, VnodeResize, VnodeSeen, VnodeWanted, Wishes, WorkerStatus,
};
use crate::permit;
use crate::version;

impl Shown<'_> {
    pub(super) fn machines(&mut self) {
        let state = self.state;
        if let Some(settings) = &state.settings {
            let autopilot = state.autopilot();
            let policy = Building::default()
                .number("contact_ms", autopilot.contact_ms)
                .number("lag_entries", autopilot.lag_entries)
                .number("steady_ms", autopilot.steady_ms)
                .number_if("dead_after_ms", autopilot.dead_after_ms);
            let fields = Building::default()
                .text("id", settings.cluster)
                .text("cluster_net", settings.cluster_net)
                .number("user_prefix", settings.user_prefix)
                .number("cpu_overcommit_percent", settings.cpu_overcommit_percent)
                .number(
                    "memory_overcommit_percent",
                    settings.memory_overcommit_percent,
                )
                .number(
                    "disk_overcommit_percent",
                    state.overcommit_of_disks().percent,
                )
                .number_if("image_quota_bytes", state.image_quota().bytes)
                .number("worker_timeout_ms", settings.worker_timeout_ms)
                .number("version", state.version().0)
                .number_if(
                    "last_backup_at",
                    state.last_backup.map(|backup| backup.at.0),
                )
                .number_if(
                    "last_backup_index",
                    state.last_backup.map(|backup| backup.index.0),
                )
                .group("bandwidth", bandwidth(state.bandwidth))
                .group("bandwidth_ceiling", bandwidth(state.bandwidth_ceiling))
                .group("autopilot", policy.0)
                .group("rebalance", rebalance::fields(state))
                .group_if("quota", state.usual_quota.as_ref().map(quota))
                .text("registration", accounts::registration(state))
                .group_if(
                    "mail_server",
                    notice::mail_server(state).filter(|_| self.asker.is_admin()),
                )
                .group_if(
                    "oidc",
                    identity::provider(state).filter(|_| self.asker.is_admin()),
                )
                .group_if(
                    "pam",
                    identity::pam(state).filter(|_| self.asker.is_admin()),
                )
                .group_if(
                    "acme",
                    acme::fields(state).filter(|_| self.asker.is_admin()),
                );
            self.add(Noun::Cluster, settings.name.to_string(), "", fields.0);
        }
        for master in state.masters.values() {
            let replacement = state.replacements.get(&master.id);
            let successor = replacement.and_then(|replacement| replacement.new);
            let program = state.programs.get(&master.id);
            let fields = Building::default()
                .number("id", master.id.0)
                .number("knows", version::known_by(state, master).0)
                .text_if("program", program.map(|program| &program.name))
                .text("cluster_addr", &master.cluster_addr)
                .text("public_addr", &master.public_addr)
                .number("joined_at", master.joined_at.0)
                .number_if(
                    "replaced_since",
                    replacement.map(|replacement| replacement.since.0),
                )
                .number_if("replaced_by", successor.map(|id| id.0));
            self.add(Noun::Masters, master.name.to_string(), master.id, fields.0);
        }
        self.workers();
        for token in state.join_tokens.values() {
            let role = match token.role {
                JoinRole::Master => "master",
                JoinRole::Agent => "agent",
            };
            let fields = Building::default()
                .text("role", role)
                .number("expires_at", token.expires_at.0)
                .number("uses_left", token.uses_left);
            let name = format!("{role}-{}", token.expires_at.0);
            let other = self
                .view
                .0
                .get(&Noun::Tokens)
                .map_or(0, |known| known.len());
            self.add(Noun::Tokens, name, other, fields.0);
        }
    }

    fn workers(&mut self) {
        for worker in self.state.workers.values() {
            let traits = self.state.worker_traits.get(&worker.id);
            let certificate = self.state.certificate_of(worker.id).held;
            let status = match worker.status {
                WorkerStatus::Joined => "joined",
                WorkerStatus::Up => "up",
                WorkerStatus::Down => "down",
                WorkerStatus::Unadmitted => "unadmitted",
            };
            let capacity = &worker.facts.capacity;
            let gpus = capacity
                .gpus
                .iter()
                .map(|gpu| format!("{} {}", gpu.model, gpu.uuid));
            let fields = Building::default()
                .number("id", worker.id.0)
                .text("status", status)
                .number("status_since", worker.status_since.0)
                .text("data_addr", &worker.data_addr)
                .text("underlay", worker.underlay)
                .number("cpu_milli", capacity.cpu_milli.0)
                .number("memory_mib", capacity.memory_mib.0)
                .number("disk_mib", capacity.disk_mib.0)
                .list("gpus", gpus)
                .text("kernel", &worker.facts.kernel)
                .text("liblxc", &worker.facts.liblxc)
                .text("agent", &worker.facts.agent)
                .number_if(
                    "certificate_ends_at",
                    certificate.map(|held| held.ends_at.0),
                )
                .number_if("certificate", certificate.map(|held| held.number.0))
                .group("labels", labels(traits.map(|traits| &traits.labels)))
                .text_if(
                    "cordon",
                    traits
                        .and_then(|traits| traits.cordon.as_ref())
                        .map(|cordon| &cordon.reason),
                );
            self.add(Noun::Workers, worker.name.to_string(), worker.id, fields.0);
        }
    }

    pub(super) fn drills(&mut self) {
        for drill in self.state.drills.values() {
            let verdict = drill.ending.as_ref().map(|ending| ending.verdict);
            let verdict = verdict.map(|verdict| verdict.word());
            let fields = Building::default()
                .text("kind", drill.plan.kind.word())
                .text("stage", drill.stage.word())
                .text_if("verdict", verdict);
            self.add(Noun::Drills, drill.id.to_string(), drill.id, fields.0);
        }
    }

    pub(super) fn images(&mut self) {
        if self.state.version() >= copies::SINCE {
            self.titles();
            self.untitled();
        } else {
            self.registered();
        }
    }

    /// Images by what people call them.
    fn titles(&mut self) {
        let (state, asker) = (self.state, self.asker);
        for title in catalog::visible(state, asker) {
            let versions = title
                .versions
                .iter()
                .map(|version| match version.label.as_str() {
                    "" => short(version.digest),
                    label => format!("{} ({label})", short(version.digest)),
                });
            let mut fields = Building::default()
                .text("digest", title.current)
                .text("owner", self.person(title.owner))
                .text("visibility", title.visibility.word())
                .text("description", &title.description)
                .list("versions", versions);
            if let Some(image) = state.images.get(&title.current) {
                fields = self.of_image(fields, image);
            }
            if permit::owns(asker, title.owner) {
                let people = title.shared_with.iter().map(|id| self.person(*id));
                fields = fields.list("shared_with", people);
                let groups = state.groups_of_image(title);
                let groups = groups.map(|group| group.name.to_string());
                fields = fields.list("shared_with_groups", groups);
            }
            let name = catalog::called(state, asker, title);
            self.add(Noun::Images, name, short(title.current), fields.0);
        }
    }

    /// For admins: images that no name means now, but vnodes or older versions do.
    fn untitled(&mut self) {
        if !self.asker.is_admin() {
            return;
        }
        let state = self.state;
        let titles = state.image_titles.values();
        let meant: BTreeSet<Digest> = titles.map(|title| title.current).collect();
        for image in state
            .images
            .values()
            .filter(|image| !meant.contains(&image.digest))
        {
            let fields = Building::default().text("digest", image.digest);
            let fields = self.of_image(fields, image);
            let name = format!("{}@{}", image.name, short(image.digest));
            self.add(Noun::Images, name, short(image.digest), fields.0);
        }
    }

    fn of_image(&self, fields: Building, image: &Image) -> Building {
        let mut fields = fields
            .number("blob_bytes", image.blob_bytes)
            .list("init", image.spec.init.iter().cloned())
            .text("stop_signal", &image.spec.stop_signal)
            .number("stop_timeout_ms", image.spec.stop_timeout_ms)
            .number("registered_at", image.registered_at.0);
        if let Some(run) = self.state.image_runs.get(&image.digest) {
            fields = fields
                .list("environment", run.environment.iter().cloned())
                .text("directory", &run.directory);
        }
        if self.asker.is_admin() {
            let keepers = copies::keepers(self.state, image.digest);
            fields = fields
                .list("holders", self.holders(image))
                .list("kept_by", keepers.iter().map(|id| self.worker(*id)));
        }
        fields
    }

    /// Images as they were before people had names of their own for them.
    fn registered(&mut self) {
        for image in self.state.images.values() {
            let meant = self.state.image_names.get(&image.name);
            let name = match meant {
                Some((name, digest)) if *digest == image.digest => name.to_string(),
                Some(_) | None => format!("{}@{}", image.name, short(image.digest)),
            };
            let mut fields = Building::default()
                .text("digest", image.digest)
                .number("blob_bytes", image.blob_bytes)
                .text("description", &image.description)
                .list("init", image.spec.init.iter().cloned())
                .text("stop_signal", &image.spec.stop_signal)
                .number("stop_timeout_ms", image.spec.stop_timeout_ms)
                .number("registered_at", image.registered_at.0);
            if self.asker.is_admin() {
                fields = fields.list("holders", self.holders(image));
            }
            self.add(Noun::Images, name, short(image.digest), fields.0);
        }
    }

    fn holders(&self, image: &Image) -> Vec<String> {
        image.holders.iter().map(|id| self.worker(*id)).collect()
    }

    pub(super) fn networks(&mut self) {
        let (state, asker) = (self.state, self.asker);
        let networks = state.networks.values();
        for network in networks.filter(|network| permit::watches(asker, network.owner)) {
            let used = network.addresses.iter().map(|(address, id)| {
                let vnode = state.vnodes.get(id);
                let name = vnode.map_or_else(|| id.to_string(), |vnode| self.vnode(vnode));
                (address.to_string(), Field::Text(name))
            });
            let fields = Building::default()
                .number("id", network.id.0)
                .text("subnet", network.subnet)
                .group("addresses", used.collect());
            let name = if asker.operates() {
                self.person(network.owner)
            } else {
                "private".to_owned()
            };
            self.add(Noun::Networks, name, network.id, fields.0);
        }
    }

    pub(super) fn vclusters(&mut self) {
        let (state, asker) = (self.state, self.asker);
        let vclusters = state.vclusters.values();
        for vcluster in vclusters.filter(|vcluster| permit::watches(asker, vcluster.owner)) {
            let wanted = match vcluster.wanted {
                VclusterWanted::Running => "running",
                VclusterWanted::Stopped => "stopped",
                VclusterWanted::Deleted => "deleted",
            };
            let vnodes = state.live_vnodes_of(vcluster.id).len();
            let fields = Building::default()
                .number("id", vcluster.id.0)
                .text("owner", self.person(vcluster.owner))
                .text("wanted", wanted)
                .text(
                    "trash",
                    if state.is_trashed(vcluster.id) {
                        "yes"
                    } else {
                        "no"
                    },
                )
                .number("vnodes", u64::try_from(vnodes).unwrap_or(u64::MAX))
                .text("image", &vcluster.image_name)
                .text("image_digest", vcluster.image)
                .group(
                    "size",
                    size(vcluster.size, state.wishes_of_vcluster(vcluster.id)),
                )
                .group("rules", rules(state.rules_of(vcluster.id)))
                .number_if(
                    "bandwidth_kbit_per_s",
                    state
                        .wished_bandwidth(vcluster.id)
                        .map(|rate| rate.0.into()),
                )
                .number("created_at", vcluster.created_at.0)
                .number("created_index", vcluster.created_index.0);
            let name = self.theirs(vcluster.owner, vcluster.name.as_str());
            self.add(Noun::Vclusters, name, vcluster.id, fields.0);
        }
    }

    pub(super) fn vnodes(&mut self) {
        let (state, asker) = (self.state, self.asker);
        for vnode in state
            .vnodes
            .values()
            .filter(|vnode| permit::watches(asker, vnode.owner))
        {
            let wanted = match vnode.wanted {
                VnodeWanted::Running => "running",
                VnodeWanted::Stopped => "stopped",
                VnodeWanted::Removed => "removed",
            };
            let placement = vnode.placement;
            // What is made of it is its owner's matter.
            let own = permit::owns(asker, vnode.owner);
            let saving = state.image_saves.get(&vnode.id).filter(|_| own);
            let obstacles = vnode.obstacles.iter();
            let obstacles = obstacles.map(|obstacle| self.worker(obstacle.worker));
            let fields = Building::default()
                .number("id", vnode.id.0)
                .text("wanted", wanted)
                .text("seen", seen(&vnode.seen))
                .number("seen_at", vnode.seen_at.0)
                .text("address", vnode.address)
                .text("image_digest", vnode.image)
                .group("size", size(vnode.size, state.wishes_of(vnode.id)))
                .list("gpus", state.gpus_of(vnode.id).iter().cloned())
                .text_if("worker", placement.map(|placed| self.worker(placed.worker)))
                .number_if("epoch", placement.map(|placed| placed.epoch.0))
                .list("does_not_fit_on", obstacles)
                .text_if("saved_as", saving.map(|s| &s.name))
                .text_if("save", saving.map(save))
                .text_if("disk_copied_of", state.copied_for(vnode.id).filter(|_| own))
                .text_if("resize", state.vnode_resizes.get(&vnode.id).map(resize))
                .number("created_at", vnode.created_at.0);
            self.add(Noun::Vnodes, self.vnode(vnode), vnode.id, fields.0);
        }
    }

    pub(super) fn ports(&mut self) {
        let (state, asker) = (self.state, self.asker);
        let ports = state.ports.values();
        for port in ports.filter(|port| permit::owns(asker, port.owner)) {
            let vnode = state.vnodes.get(&port.vnode);
            let fields = Building::default()
                .text_if("vnode", vnode.map(|vnode| self.vnode(vnode)))
                .number("port", port.number.0)
                .number("added_at", port.added_at.0);
            let name = self.theirs(port.owner, &port.public.to_string());
            self.add(Noun::Ports, name, port.public, fields.0);
        }
    }

    /// The name of a thing, with its owner's before it where several people's are shown.
    pub(super) fn theirs(&self, owner: UserId, name: &str) -> String {
        if self.asker.operates() {
            format!("{}/{name}", self.person(owner))
        } else {
            name.to_owned()
        }
    }

    pub(super) fn person(&self, id: UserId) -> String {
        let user = self.state.users.get(&id);
        user.map_or_else(|| format!("user {id}"), |user| user.name.to_string())
    }

    fn worker(&self, id: WorkerId) -> String {
        let worker = self.state.workers.get(&id);
        worker.map_or_else(|| format!("worker {id}"), |worker| worker.name.to_string())
    }

    pub(super) fn vnode(&self, vnode: &Vnode) -> String {
        let vcluster: VclusterId = vnode.vcluster;
        let known = self.state.vclusters.get(&vcluster);
        let vcluster = known.map_or_else(|| format!("vcluster {vcluster}"), |v| v.name.to_string());
        self.theirs(vnode.owner, &format!("{vcluster}/{}", vnode.hostname()))
    }
}

pub(super) fn receipt(receipt: &Receipt) -> Fields {
    let refusal = match &receipt.outcome {
        Outcome::Accepted(_) => None,
        Outcome::Refused(refusal) => Some(refusal),
    };
    let outcome = if refusal.is_none() {
        "accepted"
    } else {
        "refused"
    };
    let fields = Building::default()
        .text("command", &receipt.command)
        .number("at", receipt.at.0)
        .text("outcome", outcome)
        .text_if("why", refusal);
    fields.0
}

fn bandwidth(bandwidth: Option<Bandwidth>) -> Fields {
    let bandwidth = bandwidth.unwrap_or_default();
    let rate = |rate: Option<KbitPerS>| rate.map(|rate| rate.0.into());
    let fields = Building::default()
        .number_if("sent_kbit_per_s", rate(bandwidth.sent))
        .number_if("received_kbit_per_s", rate(bandwidth.received));
    fields.0
}

pub(super) fn size(size: VnodeSize, wishes: &Wishes) -> Fields {
    let fields = Building::default()
        .number("cpu_milli", size.cpu_milli.0)
        .number("memory_mib", size.memory_mib.0)
        .number("pids_max", size.pids_max)
        .number("disk_mib", wishes.disk_mib.0)
        .number("gpus", wishes.gpus.count)
        .text_if("gpu_model", wishes.gpus.model.as_ref());
    fields.0
}

fn seen(seen: &VnodeSeen) -> String {
    match seen {
        VnodeSeen::Pending => "pending".to_owned(),
        VnodeSeen::Preparing { step } => format!("preparing: {step}"),
        VnodeSeen::Running => "running".to_owned(),
        VnodeSeen::Stopped => "stopped".to_owned(),
        VnodeSeen::Failed { step, cause } => format!("failed: {step}: {cause}"),
    }
}

fn resize(resize: &VnodeResize) -> String {
    match resize.waits.as_str() {
        "" => "under way".to_owned(),
        cause => format!("waits: {cause}"),
    }
}

fn save(save: &ImageSave) -> String {
    match &save.seen {
        SaveSeen::Wanted => "wanted".to_owned(),
        SaveSeen::Working { step } => format!("working: {step}"),
        SaveSeen::Failed { cause } => format!("failed: {cause}"),
    }
}

/// Enough of a digest to tell images apart.
fn short(digest: Digest) -> String {
    digest.to_string().chars().take(12).collect()
}
