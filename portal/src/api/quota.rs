//! How many bytes of images people have and may have.

use axum::Json;
use axum::extract::{Path, Query, State};
use docklet_control::Command;
use docklet_control::image::command::ImageCommand;
use docklet_control::model::{ImageQuota, Receipt};
use docklet_control::view::{QuotasView, quota};

use super::Body;
use crate::asker::{Asker, propose};
use crate::part::{self, Asked, With};
use crate::problem::Problem;
use crate::serve::Portal;

pub(crate) async fn show(asker: Asker, Query(asked): Query<Asked>) -> With<QuotasView> {
    let state = &asker.frozen.state;
    let people = part::answer(&asked, "/api/v1/image-quotas", |wanted| {
        quota::part(state, &asker.user, wanted)
    });
    people.map(|people| QuotasView {
        everybody: state.image_quota(),
        people,
    })
}

pub(crate) async fn set(
    State(portal): State<Portal>,
    asker: Asker,
    Body(quota): Body<ImageQuota>,
) -> Result<Json<Receipt>, Problem> {
    let command = Command::Image(ImageCommand::SetQuota { quota });
    Ok(Json(propose(&portal, &asker, command).await?))
}

pub(crate) async fn set_of(
    State(portal): State<Portal>,
    asker: Asker,
    Path(user): Path<String>,
    Body(quota): Body<ImageQuota>,
) -> Result<Json<Receipt>, Problem> {
    let quota = Some(quota);
    let command = Command::Image(ImageCommand::SetQuotaOf { user, quota });
    Ok(Json(propose(&portal, &asker, command).await?))
}

pub(crate) async fn reset(
    State(portal): State<Portal>,
    asker: Asker,
    Path(user): Path<String>,
) -> Result<Json<Receipt>, Problem> {
    let command = Command::Image(ImageCommand::SetQuotaOf { user, quota: None });
    Ok(Json(propose(&portal, &asker, command).await?))
}
