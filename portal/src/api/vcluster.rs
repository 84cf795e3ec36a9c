//! Vclusters.

use axum::Json;
use axum::extract::{Path, Query, State};
use docklet_control::Command;
use docklet_control::amount::{DiskMib, VnodeSize};
use docklet_control::id::VclusterId;
use docklet_control::limit::command::LimitCommand;
use docklet_control::model::{GpuWish, KbitPerS, Receipt, Rules, SizeChange, Wishes};
use docklet_control::snapshot::command::SnapshotCommand;
use docklet_control::trash;
use docklet_control::trash::command::TrashCommand;
use docklet_control::view::{VclusterView, vcluster};
use serde::Deserialize;

use super::Body;
use super::snapshot::Named;
use crate::asker::{Asker, propose};
use crate::openapi::Created;
use crate::part::{self, Asked, Rows};
use crate::problem::Problem;
use crate::serve::Portal;
use crate::worker::{find_vcluster, find_watched};

pub(crate) async fn list(asker: Asker, Query(asked): Query<Asked>) -> Rows<VclusterView> {
    part::answer(&asked, "/api/v1/vclusters", |wanted| {
        vcluster::part(&asker.frozen.state, &asker.user, wanted)
    })
}

pub(crate) async fn show(
    asker: Asker,
    Path(name): Path<String>,
) -> Result<Json<VclusterView>, Problem> {
    let found = find_watched(&asker.frozen.state, &asker.user, &name)?;
    Ok(Json(vcluster::show(&asker.frozen.state, found)))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewVcluster {
    name: String,
    /// Either an image, or a snapshot with which the first vnode begins.
    #[serde(default)]
    image: Option<String>,
    /// As `lab/host-0@friday`.
    #[serde(default)]
    from: Option<String>,
    vnodes: u32,
    #[serde(default)]
    size: VnodeSize,
    #[serde(default)]
    wishes: Given,
    /// What each may send, and as much receive; the site's setting if absent.
    #[serde(default)]
    bandwidth_kbit_per_s: Option<KbitPerS>,
    /// Where its vnodes shall be.
    #[serde(default)]
    rules: Rules,
}

/// Disk and GPUs.
#[derive(Default, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "GivenWishes")]
pub(crate) struct Given {
    /// The usual if absent; of a snapshot its own.
    disk_mib: Option<DiskMib>,
    gpus: GpuWish,
}

impl Given {
    /// Of a vcluster that is made of an image.
    pub(crate) fn wishes(self) -> Wishes {
        Wishes {
            disk_mib: self.disk_mib.unwrap_or(VnodeSize::DISK),
            gpus: self.gpus,
        }
    }
}

impl NewVcluster {
    fn command(self, asker: &Asker) -> Result<Command, Problem> {
        if self.from.is_none() {
            return Ok(Command::create_vcluster(self.of_image()?));
        }
        let (None, Some(from)) = (self.image, self.from) else {
            return Err(either());
        };
        if self.bandwidth_kbit_per_s.is_some() {
            return Err(of_snapshot());
        }
        let from: Named = from.parse()?;
        Ok(Command::Snapshot(SnapshotCommand::CreateVcluster {
            name: self.name,
            vnode: from.vnode(asker)?.id,
            snapshot: from.snapshot,
            vnodes: self.vnodes,
            size: self.size,
            disk_mib: self.wishes.disk_mib,
            gpus: self.wishes.gpus,
            rules: self.rules,
        }))
    }

    /// One that is made of an image, and of nothing else.
    pub(crate) fn of_image(self) -> Result<docklet_control::NewVcluster, Problem> {
        let (Some(image), None) = (self.image, self.from) else {
            return Err(either());
        };
        Ok(docklet_control::NewVcluster {
            name: self.name,
            image,
            vnodes: self.vnodes,
            size: self.size,
            wishes: self.wishes.wishes(),
            bandwidth: self.bandwidth_kbit_per_s,
            rules: self.rules,
        })
    }
}

fn either() -> Problem {
    let cause = "give either image, or the snapshot of a vnode as from";
    Problem::malformed("what it is made of", cause)
}

/// One wish at a time: what is made of a snapshot begins with the site's bandwidth.
pub(crate) fn of_snapshot() -> Problem {
    let cause = "a vcluster of a snapshot begins with the site's: make it, then resize it";
    Problem::malformed("bandwidth", cause)
}

pub(crate) async fn create(
    State(portal): State<Portal>,
    asker: Asker,
    Body(body): Body<NewVcluster>,
) -> Result<Created<Receipt>, Problem> {
    let command = body.command(&asker)?;
    let receipt = propose(&portal, &asker, command).await?;
    Ok(Created(receipt))
}

pub(crate) async fn start(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
) -> Result<Json<Receipt>, Problem> {
    change(&portal, &asker, &name, |vcluster| Command::StartVcluster {
        vcluster,
    })
    .await
}

pub(crate) async fn stop(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
) -> Result<Json<Receipt>, Problem> {
    change(&portal, &asker, &name, |vcluster| Command::StopVcluster {
        vcluster,
    })
    .await
}

pub(crate) async fn delete(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
    Query(query): Query<Deleted>,
) -> Result<Json<Receipt>, Problem> {
    let kept = !query.now && trash::is_used(&asker.frozen.state);
    change(&portal, &asker, &name, |vcluster| {
        if kept {
            Command::Trash(TrashCommand::Discard { vcluster })
        } else {
            Command::DeleteVcluster { vcluster }
        }
    })
    .await
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Deleted {
    /// For good, without the time in which it could be undone.
    #[serde(default)]
    pub(super) now: bool,
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scale {
    vnodes: u32,
}

pub(crate) async fn scale(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
    Body(Scale { vnodes }): Body<Scale>,
) -> Result<Json<Receipt>, Problem> {
    change(&portal, &asker, &name, |vcluster| Command::ScaleVcluster {
        vcluster,
        vnodes,
    })
    .await
}

pub(crate) async fn resize(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
    Body(resize): Body<SizeChange>,
) -> Result<Json<Receipt>, Problem> {
    change(&portal, &asker, &name, |vcluster| {
        Command::Limit(LimitCommand::Resize {
            vcluster,
            change: resize,
        })
    })
    .await
}

async fn change(
    portal: &Portal,
    asker: &Asker,
    name: &str,
    command: impl FnOnce(VclusterId) -> Command,
) -> Result<Json<Receipt>, Problem> {
    let id = find_vcluster(&asker.frozen.state, &asker.user, name)?.id;
    Ok(Json(propose(portal, asker, command(id)).await?))
}
