//! Ports of vnodes that are open to the outside, and how much vnodes may send and receive.

use axum::Json;
use axum::extract::{Path, Query, State};
use docklet_control::limit::command::LimitCommand;
use docklet_control::model::{Bandwidth, PortNumber, Protocol, PublicPort, Receipt};
use docklet_control::view::{PortView, port};
use docklet_control::{Command, permit};
use serde::Deserialize;

use super::Body;
use crate::asker::{Asker, propose};
use crate::openapi::Created;
use crate::part::{self, Asked, Rows};
use crate::problem::Problem;
use crate::serve::Portal;
use crate::worker::find_vnode;

pub(crate) async fn list(asker: Asker, Query(asked): Query<Asked>) -> Rows<PortView> {
    part::answer(&asked, "/api/v1/ports", |wanted| {
        port::part(&asker.frozen.state, &asker.user, wanted)
    })
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPort {
    vcluster: String,
    vnode: String,
    /// The vnode's own.
    number: PortNumber,
    #[serde(default)]
    protocol: Protocol,
    /// One that is free if absent.
    #[serde(default)]
    public: Option<PortNumber>,
}

pub(crate) async fn add(
    State(portal): State<Portal>,
    asker: Asker,
    Body(body): Body<NewPort>,
) -> Result<Created<Receipt>, Problem> {
    let state = &asker.frozen.state;
    let vnode = find_vnode(state, &asker.user, &body.vcluster, &body.vnode)?.id;
    let command = Command::AddPort {
        vnode,
        protocol: body.protocol,
        number: body.number,
        public: body.public,
    };
    let receipt = propose(&portal, &asker, command).await?;
    Ok(Created(receipt))
}

pub(crate) async fn remove(
    State(portal): State<Portal>,
    asker: Asker,
    Path((protocol, number)): Path<(Protocol, PortNumber)>,
) -> Result<Json<Receipt>, Problem> {
    let public = PublicPort { protocol, number };
    let command = Command::RemovePort { public };
    Ok(Json(propose(&portal, &asker, command).await?))
}

pub(crate) async fn bandwidth(asker: Asker) -> Result<Json<Bandwidth>, Problem> {
    let state = &asker.frozen.state;
    permit::person(state, asker.actor())?;
    Ok(Json(state.bandwidth.unwrap_or_default()))
}

pub(crate) async fn limit_bandwidth(
    State(portal): State<Portal>,
    asker: Asker,
    Body(bandwidth): Body<Bandwidth>,
) -> Result<Json<Receipt>, Problem> {
    let command = Command::LimitBandwidth { bandwidth };
    Ok(Json(propose(&portal, &asker, command).await?))
}

/// What no vnode may have more of.
pub(crate) async fn bandwidth_ceiling(asker: Asker) -> Result<Json<Bandwidth>, Problem> {
    let state = &asker.frozen.state;
    permit::person(state, asker.actor())?;
    Ok(Json(state.bandwidth_ceiling()))
}

pub(crate) async fn set_bandwidth_ceiling(
    State(portal): State<Portal>,
    asker: Asker,
    Body(ceiling): Body<Bandwidth>,
) -> Result<Json<Receipt>, Problem> {
    let command = Command::Limit(LimitCommand::SetBandwidthCeiling { ceiling });
    Ok(Json(propose(&portal, &asker, command).await?))
}
