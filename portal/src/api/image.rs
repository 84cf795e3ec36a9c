//! Images: looking at them, and changing what their names mean. Bringing them is [`crate::images`].

use axum::Json;
use axum::extract::{Path, Query, State};
use docklet_control::id::{Digest, VnodeId, WorkerId};
use docklet_control::image::command::ImageCommand;
use docklet_control::model::{Receipt, Visibility};
use docklet_control::snapshot::command::SnapshotCommand;
use docklet_control::trash::command::Thing;
use docklet_control::view::{ImageView, SaveView, image};
use docklet_control::{Command, Refusal, permit, trash};
use serde::Deserialize;

use super::Body;
use crate::asker::{Asker, propose};
use crate::problem::Problem;
use crate::serve::Portal;
use crate::worker::find_vcluster;

pub(crate) async fn list(asker: Asker) -> Json<Vec<ImageView>> {
    Json(image::list(&asker.frozen.state, &asker.user))
}

/// Whose image is meant, if it is not the asker's own or a public one.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Whose {
    owner: Option<String>,
}

/// What the asker calls it.
fn meant(name: String, whose: Whose) -> String {
    match whose.owner {
        Some(owner) => format!("{owner}/{name}"),
        None => name,
    }
}

pub(crate) async fn show(
    asker: Asker,
    Path(name): Path<String>,
    Query(whose): Query<Whose>,
) -> Result<Json<ImageView>, Problem> {
    let meant = meant(name, whose);
    let found = image::named(&asker.frozen.state, &asker.user, &meant);
    Ok(Json(found.ok_or_else(|| {
        Refusal::not_found("image", meant.escape_debug())
    })?))
}

/// What is to be deleted: all of it, or one version.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Deleted {
    owner: Option<String>,
    version: Option<Digest>,
    /// For good, without the time in which it could be undone.
    #[serde(default)]
    now: bool,
}

pub(crate) async fn delete(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
    Query(query): Query<Deleted>,
) -> Result<Json<Receipt>, Problem> {
    let image = meant(name, Whose { owner: query.owner });
    let thing = match query.version {
        Some(version) => Thing::ImageVersion { image, version },
        None => Thing::Image { image },
    };
    let command = trash::deleting(&asker.frozen.state, thing, query.now);
    Ok(Json(propose(&portal, &asker, command).await?))
}

/// What shall become of an image.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
#[schemars(rename = "ImageChange")]
pub(crate) enum Change {
    Description(String),
    Share(String),
    Unshare(String),
    #[serde(rename = "share_with_group")]
    ShareWithGroup(String),
    #[serde(rename = "unshare_from_group")]
    UnshareFromGroup(String),
    Visibility(Visibility),
    Name(String),
    /// To this version, or to the one before.
    Rollback(Option<Digest>),
    Pull(Pull),
}

/// Which workers shall hold it, or need not.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pull {
    /// Names; all that there are if absent.
    workers: Option<Vec<String>>,
    held: bool,
}

impl Change {
    fn command(self, asker: &Asker, image: String) -> Result<ImageCommand, Problem> {
        Ok(match self {
            Self::Description(description) => ImageCommand::Describe { image, description },
            Self::Share(with) => ImageCommand::Share { image, with },
            Self::Unshare(with) => ImageCommand::Unshare { image, with },
            Self::ShareWithGroup(group) => ImageCommand::ShareWithGroup { image, group },
            Self::UnshareFromGroup(group) => ImageCommand::UnshareFromGroup { image, group },
            Self::Visibility(visibility) => ImageCommand::SetVisibility { image, visibility },
            Self::Name(to) => ImageCommand::Rename { image, to },
            Self::Rollback(to) => ImageCommand::RollBack { image, to },
            Self::Pull(Pull { workers, held }) => ImageCommand::Pull {
                image,
                workers: workers_named(asker, workers)?,
                held,
            },
        })
    }
}

fn workers_named(asker: &Asker, names: Option<Vec<String>>) -> Result<Vec<WorkerId>, Problem> {
    let state = &asker.frozen.state;
    permit::admin(state, asker.actor(), "pull images")?;
    let Some(names) = names else {
        return Ok(state.workers.keys().copied().collect());
    };
    let named = |name: &String| {
        let mut workers = state.workers.values();
        let found = workers.find(|worker| worker.name.as_str() == name);
        let missing = || Refusal::not_found("worker", name.escape_debug());
        found.map(|worker| worker.id).ok_or_else(missing)
    };
    let found: Result<Vec<WorkerId>, Refusal> = names.iter().map(named).collect();
    Ok(found?)
}

pub(crate) async fn change(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
    Query(whose): Query<Whose>,
    Body(change): Body<Change>,
) -> Result<Json<Receipt>, Problem> {
    let command = Command::Image(change.command(&asker, meant(name, whose))?);
    Ok(Json(propose(&portal, &asker, command).await?))
}

pub(crate) async fn saves(asker: Asker) -> Json<Vec<SaveView>> {
    Json(image::saves(&asker.frozen.state, &asker.user))
}

/// What a vnode shall be saved as.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Save {
    name: String,
    #[serde(default)]
    label: String,
    /// Of what is in the vnode now if absent.
    #[serde(default)]
    snapshot: Option<String>,
}

pub(crate) async fn save(
    State(portal): State<Portal>,
    asker: Asker,
    Path((vcluster, vnode)): Path<(String, String)>,
    Body(body): Body<Save>,
) -> Result<Json<Receipt>, Problem> {
    let vnode = vnode_named(&asker, &vcluster, &vnode)?;
    let Save {
        name,
        label,
        snapshot,
    } = body;
    let command = match snapshot {
        None => Command::Image(ImageCommand::Save { vnode, name, label }),
        Some(snapshot) => Command::Snapshot(SnapshotCommand::Save {
            vnode,
            snapshot,
            image: name,
            label,
        }),
    };
    Ok(Json(propose(&portal, &asker, command).await?))
}

pub(crate) async fn cancel_save(
    State(portal): State<Portal>,
    asker: Asker,
    Path((vcluster, vnode)): Path<(String, String)>,
) -> Result<Json<Receipt>, Problem> {
    let vnode = vnode_named(&asker, &vcluster, &vnode)?;
    let command = Command::Image(ImageCommand::CancelSave { vnode });
    Ok(Json(propose(&portal, &asker, command).await?))
}

/// The vnode `host-N` of a vcluster, running or not.
fn vnode_named(asker: &Asker, vcluster: &str, hostname: &str) -> Result<VnodeId, Refusal> {
    let state = &asker.frozen.state;
    let vcluster = find_vcluster(state, &asker.user, vcluster)?;
    let vnodes = state.live_vnodes_of(vcluster.id);
    let found = vnodes.iter().find(|vnode| vnode.hostname() == hostname);
    let missing = || Refusal::not_found("vnode", hostname.escape_debug());
    Ok(found.ok_or_else(missing)?.id)
}
