//! Vclusters.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use docklet_control::Command;
use docklet_control::amount::{DiskMib, VnodeSize};
use docklet_control::id::VclusterId;
use docklet_control::model::{Receipt, Wishes};
use docklet_control::view::{VclusterView, vcluster};
use serde::Deserialize;

use super::Body;
use crate::asker::{Asker, propose};
use crate::problem::Problem;
use crate::serve::Portal;
use crate::worker::find_vcluster;

pub(crate) async fn list(asker: Asker) -> Json<Vec<VclusterView>> {
    Json(vcluster::list(&asker.frozen.state, &asker.user))
}

pub(crate) async fn show(
    asker: Asker,
    Path(name): Path<String>,
) -> Result<Json<VclusterView>, Problem> {
    let found = find_vcluster(&asker.frozen.state, &asker.user, &name)?;
    Ok(Json(vcluster::show(&asker.frozen.state, found)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewVcluster {
    name: String,
    image: String,
    vnodes: u32,
    #[serde(default)]
    size: VnodeSize,
    /// Disk and GPUs.
    #[serde(default)]
    wishes: Wishes,
}

pub(crate) async fn create(
    State(portal): State<Portal>,
    asker: Asker,
    Body(body): Body<NewVcluster>,
) -> Result<(StatusCode, Json<Receipt>), Problem> {
    let command =
        Command::create_vcluster(body.name, body.image, body.vnodes, body.size, body.wishes);
    let receipt = propose(&portal, &asker, command).await?;
    Ok((StatusCode::CREATED, Json(receipt)))
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
) -> Result<Json<Receipt>, Problem> {
    change(&portal, &asker, &name, |vcluster| Command::DeleteVcluster {
        vcluster,
    })
    .await
}

#[derive(Deserialize)]
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Resize {
    disk_mib: DiskMib,
}

pub(crate) async fn resize(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
    Body(Resize { disk_mib }): Body<Resize>,
) -> Result<Json<Receipt>, Problem> {
    change(&portal, &asker, &name, |vcluster| Command::ResizeVcluster {
        vcluster,
        disk_mib,
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
