//! Beans: what one has, what it was spent on, and who gets some.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use docklet_control::bean::command::{BeanCommand, RatesChange, Receiver, SettingsChange};
use docklet_control::id::LogIndex;
use docklet_control::model::{BeanSettings, Month, Receipt};
use docklet_control::view::bean::{self, PurseView};
use docklet_control::view::{BeansView, StatementView};
use docklet_control::{Command, Refusal, permit};
use serde::{Deserialize, Serialize};

use super::Body;
use crate::asker::{Asker, propose};
use crate::part::{self, Asked, Rows};
use crate::past::{self, Oldest};
use crate::problem::Problem;
use crate::serve::Portal;

/// None where beans are not in use.
pub(crate) async fn show(asker: Asker) -> Json<Option<BeansView>> {
    Json(bean::show(&asker.frozen.state, &asker.user))
}

/// What holds, or would if an admin turned them on.
pub(crate) async fn settings(asker: Asker) -> Json<BeanSettings> {
    let settings = asker.frozen.state.bean_settings.clone();
    Json(settings.unwrap_or_default())
}

pub(crate) async fn purses(
    asker: Asker,
    Query(asked): Query<Asked>,
) -> Result<Rows<PurseView>, Problem> {
    let state = &asker.frozen.state;
    permit::admin(state, asker.actor(), "see all purses")?;
    Ok(part::answer(&asked, "/api/v1/beans/purses", |wanted| {
        bean::part(state, wanted)
    }))
}

/// Whose statement, of which month.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// The newest of which there are lines if absent.
    month: Option<String>,
    user: Option<String>,
    group: Option<String>,
    /// As it was: after that entry, or then.
    at: Option<String>,
}

#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "ShownStatement")]
pub(crate) struct Shown {
    /// After which entry.
    index: LogIndex,
    /// How far back this master can look.
    oldest: Oldest,
    /// None if there was no purse then.
    statement: Option<StatementView>,
}

pub(crate) async fn statement(
    State(portal): State<Portal>,
    asker: Asker,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Shown>, Problem> {
    let month = month(wanted.month.as_deref())?;
    let oldest = past::oldest(&portal.master).await?;
    let (state, user) = (&asker.frozen.state, &asker.user);
    // Who may see it is decided by what they are now.
    let named = |kind: &str, name: Option<&str>| {
        Refusal::not_found(kind, name.unwrap_or_default().escape_debug())
    };
    let (whose, group) = (wanted.user.as_deref(), wanted.group.as_deref());
    let of = bean::named(state, user, whose, group);
    let of = of.ok_or_else(|| match group {
        Some(_) => named("group", group),
        None => named("user", whose),
    })?;
    let (index, statement) = match wanted.at {
        None => (asker.frozen.index, bean::statement(state, of, month)),
        Some(at) => {
            let _turn = past::turn(&portal.looks).await?;
            let past = past::look(&portal, &asker, Some(at.parse()?)).await?;
            (past.index, bean::statement(&past.state, of, month))
        }
    };
    Ok(Json(Shown {
        index,
        oldest,
        statement,
    }))
}

pub(crate) fn month(text: Option<&str>) -> Result<Option<Month>, Problem> {
    let parse = |text: &str| {
        let month = Month::parse(text);
        month.ok_or_else(|| {
            let what = format!("\"{}\"", text.escape_debug());
            Problem::malformed(&what, "give a month as 2026-11")
        })
    };
    text.filter(|text| !text.is_empty()).map(parse).transpose()
}

/// The same as a table for other programs, for a link of the page.
pub(crate) async fn csv(asker: Asker, Query(wanted): Query<Wanted>) -> Result<Response, Problem> {
    let month = month(wanted.month.as_deref())?;
    let (state, user) = (&asker.frozen.state, &asker.user);
    let (whose, group) = (wanted.user.as_deref(), wanted.group.as_deref());
    let of = bean::named(state, user, whose, group);
    let statement = of.and_then(|of| bean::statement(state, of, month));
    let statement = statement.ok_or_else(|| Refusal::not_found("statement", "of that purse"))?;
    let name = format!("attachment; filename=\"beans-{}.csv\"", statement.month);
    let head = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, name),
    ];
    Ok((head, statement.csv()).into_response())
}

async fn done(
    portal: &Portal,
    asker: &Asker,
    command: BeanCommand,
) -> Result<Json<Receipt>, Problem> {
    Ok(Json(propose(portal, asker, Command::Bean(command)).await?))
}

pub(crate) async fn set(
    State(portal): State<Portal>,
    asker: Asker,
    Body(change): Body<SettingsChange>,
) -> Result<Json<Receipt>, Problem> {
    done(&portal, &asker, BeanCommand::Set(change)).await
}

pub(crate) async fn set_rates(
    State(portal): State<Portal>,
    asker: Asker,
    Body(change): Body<RatesChange>,
) -> Result<Json<Receipt>, Problem> {
    done(&portal, &asker, BeanCommand::SetRates(change)).await
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewGrant {
    to: Receiver,
    beans: u64,
    #[serde(default)]
    reason: String,
    /// The group of whose purse it is; of nowhere if absent.
    #[serde(default)]
    from: Option<String>,
}

pub(crate) async fn grant(
    State(portal): State<Portal>,
    asker: Asker,
    Body(new): Body<NewGrant>,
) -> Result<Json<Receipt>, Problem> {
    let NewGrant {
        to,
        beans,
        reason,
        from,
    } = new;
    let command = BeanCommand::Grant {
        to,
        beans,
        reason,
        from,
    };
    done(&portal, &asker, command).await
}

/// What is to go out of a purse.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TakingBack {
    of: Receiver,
    beans: u64,
    reason: String,
}

pub(crate) async fn take_back(
    State(portal): State<Portal>,
    asker: Asker,
    Body(TakingBack { of, beans, reason }): Body<TakingBack>,
) -> Result<Json<Receipt>, Problem> {
    let command = BeanCommand::TakeBack { of, beans, reason };
    done(&portal, &asker, command).await
}

pub(crate) async fn withdraw(
    State(portal): State<Portal>,
    asker: Asker,
    Path(request): Path<LogIndex>,
) -> Result<Json<Receipt>, Problem> {
    done(&portal, &asker, BeanCommand::Withdraw { request }).await
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRequest {
    beans: u64,
    reason: String,
}

pub(crate) async fn request(
    State(portal): State<Portal>,
    asker: Asker,
    Body(NewRequest { beans, reason }): Body<NewRequest>,
) -> Result<Json<Receipt>, Problem> {
    done(&portal, &asker, BeanCommand::Request { beans, reason }).await
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "BeanApproval")]
pub(crate) struct Approval {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    from: Option<String>,
}

pub(crate) async fn approve(
    State(portal): State<Portal>,
    asker: Asker,
    Path(request): Path<LogIndex>,
    Body(Approval { reason, from }): Body<Approval>,
) -> Result<Json<Receipt>, Problem> {
    let command = BeanCommand::Approve {
        request,
        from,
        reason,
    };
    done(&portal, &asker, command).await
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Declining {
    #[serde(default)]
    reason: String,
}

pub(crate) async fn decline(
    State(portal): State<Portal>,
    asker: Asker,
    Path(request): Path<LogIndex>,
    Body(Declining { reason }): Body<Declining>,
) -> Result<Json<Receipt>, Problem> {
    done(&portal, &asker, BeanCommand::Decline { request, reason }).await
}
