//! Snapshots of vnodes, and the schedules by which they are taken.

use std::str::FromStr;

use axum::Json;
use axum::extract::{Path, Query, State};
use docklet_control::model::{Receipt, SnapshotRhythm, Vnode};
use docklet_control::snapshot::command::{SnapshotCommand, SnapshotOf};
use docklet_control::trash::command::Thing;
use docklet_control::view::{SnapshotsView, snapshot};
use docklet_control::{Command, trash};
use serde::Deserialize;

use super::Body;
use crate::asker::{Asker, propose};
use crate::openapi::Created;
use crate::problem::Problem;
use crate::serve::Portal;
use crate::worker::{find_vcluster, find_vnode};

pub(crate) async fn list(
    asker: Asker,
    Path(vcluster): Path<String>,
) -> Result<Json<SnapshotsView>, Problem> {
    let state = &asker.frozen.state;
    let vcluster = find_vcluster(state, &asker.user, &vcluster)?.id;
    Ok(Json(snapshot::of_vcluster(state, vcluster)))
}

/// One snapshot as people write it: `lab/host-0@friday`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) vcluster: String,
    pub(crate) vnode: String,
    pub(crate) snapshot: String,
}

impl FromStr for Named {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let parts = text.split_once('/').and_then(|(vcluster, rest)| {
            let (vnode, snapshot) = rest.split_once('@')?;
            Some([vcluster, vnode, snapshot].map(str::to_owned))
        });
        let [vcluster, vnode, snapshot] = parts.ok_or_else(|| {
            Problem::malformed("name of a snapshot", "write it as VCLUSTER/host-0@NAME")
        })?;
        Ok(Self {
            vcluster,
            vnode,
            snapshot,
        })
    }
}

impl Named {
    /// The vnode of which it is.
    pub(crate) fn vnode<'a>(&self, asker: &'a Asker) -> Result<&'a Vnode, Problem> {
        let (state, user) = (&asker.frozen.state, &asker.user);
        Ok(find_vnode(state, user, &self.vcluster, &self.vnode)?)
    }
}

/// Of one vnode of a vcluster, or of all if none is named.
pub(crate) fn meant(
    asker: &Asker,
    vcluster: &str,
    vnode: Option<&str>,
) -> Result<SnapshotOf, Problem> {
    let (state, user) = (&asker.frozen.state, &asker.user);
    Ok(match vnode {
        Some(vnode) => SnapshotOf::Vnode(find_vnode(state, user, vcluster, vnode)?.id),
        None => SnapshotOf::Vcluster(find_vcluster(state, user, vcluster)?.id),
    })
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSnapshot {
    name: String,
    #[serde(default)]
    vnode: Option<String>,
    #[serde(default)]
    ttl_ms: Option<u64>,
}

pub(crate) async fn take(
    State(portal): State<Portal>,
    asker: Asker,
    Path(vcluster): Path<String>,
    Body(body): Body<NewSnapshot>,
) -> Result<Created<Receipt>, Problem> {
    let command = SnapshotCommand::Take {
        of: meant(&asker, &vcluster, body.vnode.as_deref())?,
        name: body.name,
        ttl_ms: body.ttl_ms,
    };
    let receipt = propose(&portal, &asker, Command::Snapshot(command)).await?;
    Ok(Created(receipt))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfVnode {
    #[serde(default)]
    vnode: Option<String>,
}

/// Whose of that name go, and whether for good.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Going {
    #[serde(default)]
    vnode: Option<String>,
    #[serde(default)]
    now: bool,
}

pub(crate) async fn delete(
    State(portal): State<Portal>,
    asker: Asker,
    Path((vcluster, name)): Path<(String, String)>,
    Query(query): Query<Going>,
) -> Result<Json<Receipt>, Problem> {
    let of = meant(&asker, &vcluster, query.vnode.as_deref())?;
    let thing = Thing::Snapshots { of, name };
    let command = trash::deleting(&asker.frozen.state, thing, query.now);
    Ok(Json(propose(&portal, &asker, command).await?))
}

pub(crate) async fn restore(
    State(portal): State<Portal>,
    asker: Asker,
    Path((vcluster, name)): Path<(String, String)>,
    Body(OfVnode { vnode }): Body<OfVnode>,
) -> Result<Json<Receipt>, Problem> {
    let of = meant(&asker, &vcluster, vnode.as_deref())?;
    let command = Command::Snapshot(SnapshotCommand::Restore { of, name });
    Ok(Json(propose(&portal, &asker, command).await?))
}

pub(crate) async fn schedule(
    State(portal): State<Portal>,
    asker: Asker,
    Path(vcluster): Path<String>,
    Body(rhythm): Body<SnapshotRhythm>,
) -> Result<Json<Receipt>, Problem> {
    set_schedule(&portal, &asker, &vcluster, Some(rhythm)).await
}

pub(crate) async fn unschedule(
    State(portal): State<Portal>,
    asker: Asker,
    Path(vcluster): Path<String>,
) -> Result<Json<Receipt>, Problem> {
    set_schedule(&portal, &asker, &vcluster, None).await
}

async fn set_schedule(
    portal: &Portal,
    asker: &Asker,
    vcluster: &str,
    rhythm: Option<SnapshotRhythm>,
) -> Result<Json<Receipt>, Problem> {
    let vcluster = find_vcluster(&asker.frozen.state, &asker.user, vcluster)?.id;
    let command = SnapshotCommand::SetSchedule { vcluster, rhythm };
    let receipt = propose(portal, asker, Command::Snapshot(command)).await?;
    Ok(Json(receipt))
}
