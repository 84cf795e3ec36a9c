//! The state as the asker may see it, now or as it was, and what differs between two moments.

use axum::Json;
use axum::extract::{Query, State};
use docklet_control::id::{LogIndex, UnixMs};
use docklet_control::view::state::{StateDiff, StateView};
use serde::{Deserialize, Serialize};

use crate::asker::Asker;
use crate::past::{self, Moment, Oldest, Past};
use crate::problem::Problem;
use crate::serve::Portal;

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct At {
    /// An entry's number, a time, or how long ago; now if absent.
    at: Option<String>,
}

#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "ShownState")]
pub(crate) struct Shown {
    #[serde(flatten)]
    when: When,
    /// How far back this master can look.
    oldest: Oldest,
    state: StateView,
}

/// After which entry, and when that was stamped.
#[derive(Serialize, schemars::JsonSchema)]
struct When {
    index: LogIndex,
    at: Option<UnixMs>,
}

impl When {
    fn of(past: &Past) -> Self {
        Self {
            index: past.index,
            at: past.at,
        }
    }
}

pub(crate) async fn show(
    State(portal): State<Portal>,
    asker: Asker,
    Query(query): Query<At>,
) -> Result<Json<Shown>, Problem> {
    let moment = query.at.map(|text| text.parse()).transpose()?;
    let _turn = past::turn(&portal.looks).await?;
    let past = past::look(&portal, &asker, moment).await?;
    let (when, oldest) = (When::of(&past), past::oldest(&portal.master).await?);
    let state = past::aside(move || past::view(&past, &asker)).await?;
    Ok(Json(Shown {
        when,
        oldest,
        state,
    }))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Between {
    from: String,
    /// Now if absent.
    to: Option<String>,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct Compared {
    from: When,
    to: When,
    diff: StateDiff,
}

pub(crate) async fn diff(
    State(portal): State<Portal>,
    asker: Asker,
    Query(query): Query<Between>,
) -> Result<Json<Compared>, Problem> {
    let from: Moment = query.from.parse()?;
    let to = query.to.map(|text| text.parse()).transpose()?;
    let _turn = past::turn(&portal.looks).await?;
    let from = past::look(&portal, &asker, Some(from)).await?;
    let to = past::look(&portal, &asker, to).await?;
    let moments = (When::of(&from), When::of(&to));
    let diff = past::aside(move || past::compared(&from, &to, &asker)).await?;
    Ok(Json(Compared {
        from: moments.0,
        to: moments.1,
        diff,
    }))
}
