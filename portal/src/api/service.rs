//! Services of vnodes.

use axum::Json;
use axum::extract::{Path, State};
use docklet_control::Command;
use docklet_control::id::ServiceId;
use docklet_control::model::{PortNumber, Receipt};
use docklet_control::service::command::{NewAudience, NewService, ServiceCommand};
use docklet_control::view::{ServiceView, service};
use serde::Deserialize;

use super::Body;
use crate::asker::{Asker, propose};
use crate::openapi::Created;
use crate::problem::Problem;
use crate::serve::Portal;
use crate::worker::find_vnode;

/// All that the asker may open.
pub(crate) async fn list(State(portal): State<Portal>, asker: Asker) -> Json<Vec<ServiceView>> {
    let views = service::list(&asker.frozen.state, &asker.user);
    Json(
        views
            .into_iter()
            .map(|view| linked(&portal, view))
            .collect(),
    )
}

/// With where a browser opens it.
pub(crate) fn linked(portal: &Portal, view: ServiceView) -> ServiceView {
    ServiceView {
        url: portal.proxy.url(view.id, &view.path),
        ..view
    }
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Adding {
    vcluster: String,
    vnode: String,
    name: String,
    port: PortNumber,
    #[serde(default)]
    path: String,
    #[serde(default)]
    tells_user: bool,
}

pub(crate) async fn add(
    State(portal): State<Portal>,
    asker: Asker,
    Body(body): Body<Adding>,
) -> Result<Created<Receipt>, Problem> {
    let state = &asker.frozen.state;
    let vnode = find_vnode(state, &asker.user, &body.vcluster, &body.vnode)?.id;
    let command = ServiceCommand::Add(NewService {
        vnode,
        name: body.name,
        port: body.port,
        path: body.path,
        tells_user: body.tells_user,
    });
    let receipt = propose(&portal, &asker, Command::Service(command)).await?;
    Ok(Created(receipt))
}

pub(crate) async fn remove(
    State(portal): State<Portal>,
    asker: Asker,
    Path(service): Path<ServiceId>,
) -> Result<Json<Receipt>, Problem> {
    let command = Command::Service(ServiceCommand::Remove { service });
    Ok(Json(propose(&portal, &asker, command).await?))
}

pub(crate) async fn share(
    State(portal): State<Portal>,
    asker: Asker,
    Path(service): Path<ServiceId>,
    Body(with): Body<NewAudience>,
) -> Result<Json<Receipt>, Problem> {
    let command = Command::Service(ServiceCommand::Share { service, with });
    Ok(Json(propose(&portal, &asker, command).await?))
}
