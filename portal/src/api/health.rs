//! How the cluster is, for operators and admins.

use axum::Json;
use axum::extract::State;
use docklet_control::permit;
use docklet_control::view::health::HealthView;

use crate::asker::Asker;
use crate::health;
use crate::problem::Problem;
use crate::serve::Portal;

pub(crate) async fn show(
    State(portal): State<Portal>,
    asker: Asker,
) -> Result<Json<HealthView>, Problem> {
    permit::operator(
        &asker.frozen.state,
        asker.actor(),
        "look at the cluster's health",
    )?;
    Ok(Json(health::look(&portal, &asker.frozen).await))
}
