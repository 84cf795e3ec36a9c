//! The audit trail: what one may see of it; and for admins all of it, as lines that can be checked elsewhere.

use std::io;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};
use docklet_control::audit::record::Record;
use docklet_control::id::{Digest, UnixMs};
use docklet_control::{Refusal, permit};
use futures_util::{Stream, stream};
use serde::{Deserialize, Serialize};

use crate::asker::{Asker, OWN_WRITE_DEADLINE, now};
use crate::audit::{self, Sought};
use crate::bounds::{Lasting, Lease};
use crate::problem::Problem;
use crate::serve::Portal;

/// Records of one answer.
const LIMIT_MAX: usize = 1_000;
const LIMIT_USUAL: usize = 100;
/// Lines that are read at once.
const PART: usize = 1_000;
const ACTION: &str = "export the audit trail";

/// Records, the newest first.
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "ShownRecords")]
pub(crate) struct Shown {
    records: Vec<Record>,
    /// Others may be before this one: ask with `before`.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<u64>,
}

pub(crate) async fn list(
    State(portal): State<Portal>,
    asker: Asker,
    Query(sought): Query<Sought>,
) -> Result<Json<Shown>, Problem> {
    let limit = sought.limit.unwrap_or(LIMIT_USUAL).clamp(1, LIMIT_MAX);
    let found = audit::find(&portal, &asker.user, &sought, limit).await?;
    Ok(Json(Shown {
        records: found.records,
        before: found.before,
    }))
}

/// Where the trail ends, or was at one record.
#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct Mark {
    number: u64,
    hash: Digest,
}

/// The last record's number and hash.
pub(crate) async fn end(asker: Asker) -> Result<Json<Mark>, Problem> {
    permit::admin(&asker.frozen.state, asker.actor(), ACTION)?;
    let head = asker.frozen.state.audit_head.unwrap_or_default();
    Ok(Json(Mark {
        number: head.records,
        hash: head.hash,
    }))
}

/// The hash of one record: whoever has a copy sees whether it is of this trail.
pub(crate) async fn mark(
    State(portal): State<Portal>,
    asker: Asker,
    Path(number): Path<u64>,
) -> Result<Json<Mark>, Problem> {
    permit::admin(&asker.frozen.state, asker.actor(), ACTION)?;
    // What comes after it begins with its hash.
    let page = portal.master.trail_after(number, 1).await?;
    let head = asker.frozen.state.audit_head.unwrap_or_default();
    if page.after != number || number > head.records {
        return Err(Refusal::not_found("record of the audit trail", number).into());
    }
    Ok(Json(Mark {
        number,
        hash: page.hash,
    }))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct From {
    /// Records after this one; all that is kept if absent.
    #[serde(default)]
    after: u64,
}

/// What a copy begins with.
#[derive(Serialize)]
struct Head {
    docklet_audit_trail: u32,
    cluster: String,
    taken_at: UnixMs,
    after: u64,
    hash: Digest,
}

/// What a copy that is whole ends with.
#[derive(Serialize)]
struct End {
    end: u64,
    hash: Digest,
}

pub(crate) async fn export(
    State(portal): State<Portal>,
    asker: Asker,
    Query(query): Query<From>,
) -> Result<Response, Problem> {
    permit::admin(&asker.frozen.state, asker.actor(), ACTION)?;
    let lease = asker.hold(&portal, Lasting::Transfer)?;
    // As new as every acknowledged write; without a quorum what this master has.
    let current = portal.master.read(OWN_WRITE_DEADLINE).await;
    let state = &current.unwrap_or(asker.frozen).state;
    let upto = state.audit_head.unwrap_or_default().records;
    let begin = portal.master.trail_after(query.after, 0).await?;
    let cluster = state.settings.as_ref().map(|settings| &settings.cluster);
    let head = Head {
        docklet_audit_trail: 1,
        cluster: cluster.map(|id| hex::encode(id.0)).unwrap_or_default(),
        taken_at: now(),
        after: begin.after,
        hash: begin.hash,
    };
    let copying = Copying {
        portal,
        after: begin.after,
        hash: begin.hash,
        upto,
        _lease: lease,
    };
    let first = stream::iter([Ok(text(&head))]);
    let parts = futures_util::StreamExt::chain(first, copying.parts());
    let name = format!("attachment; filename=\"audit-{upto}.ndjson\"");
    let headers: [(HeaderName, String); 2] = [
        (header::CONTENT_TYPE, "application/x-ndjson".to_owned()),
        (header::CONTENT_DISPOSITION, name),
    ];
    Ok((headers, Body::from_stream(parts)).into_response())
}

/// A copy on its way.
struct Copying {
    portal: Portal,
    after: u64,
    hash: Digest,
    upto: u64,
    _lease: Lease,
}

impl Copying {
    /// Lines in parts, and the end. A copy that breaks off has no end.
    fn parts(self) -> impl Stream<Item = io::Result<Bytes>> {
        stream::unfold(Some(self), |copying| async move {
            let mut copying = copying?;
            if copying.after >= copying.upto {
                let end = End {
                    end: copying.after,
                    hash: copying.hash,
                };
                return Some((Ok(text(&end)), None));
            }
            match copying.part().await {
                Ok(part) => Some((Ok(part), Some(copying))),
                Err(fault) => Some((Err(fault), None)),
            }
        })
    }

    async fn part(&mut self) -> io::Result<Bytes> {
        let wanted = usize::try_from(self.upto - self.after).unwrap_or(PART);
        let page = self.portal.master.trail_after(self.after, wanted.min(PART));
        let page = page.await.map_err(io::Error::other)?;
        let last = page.lines.last().filter(|_| page.after == self.after);
        let hash = last.and_then(|line| docklet_control::audit::chain::hash_of(line));
        let hash = hash.ok_or_else(|| io::Error::other("the trail goes on elsewhere"))?;
        self.after += page.lines.len() as u64;
        self.hash = hash;
        Ok((page.lines.join("\n") + "\n").into())
    }
}

fn text(line: &impl Serialize) -> Bytes {
    let text = serde_json::to_string(line).expect("plain data has a JSON form");
    (text + "\n").into()
}
