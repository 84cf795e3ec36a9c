//! Templates, and what is made of them: for oneself, or for each member of a group.

use axum::Json;
use axum::extract::{Path, Query, State};
use docklet_control::amount::VnodeSize;
use docklet_control::id::RequestId;
use docklet_control::model::{KbitPerS, Receipt, Rules};
use docklet_control::template::command::{NewRecipe, TemplateCommand, Whom};
use docklet_control::trash::command::Thing;
use docklet_control::view::{TemplateView, template};
use docklet_control::{Command, Refusal, permit, trash};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Body;
use super::vcluster::{Deleted, Given};
use crate::asker::{Asker, propose, propose_as};
use crate::openapi::Created;
use crate::problem::Problem;
use crate::serve::Portal;

/// Vclusters that are asked for at once when there is to be one for each member.
const AT_ONCE: usize = 16;

pub(crate) async fn list(asker: Asker) -> Json<Vec<TemplateView>> {
    Json(template::list(&asker.frozen.state, &asker.user))
}

pub(crate) async fn show(
    asker: Asker,
    Path(name): Path<String>,
) -> Result<Json<TemplateView>, Problem> {
    let found = template::named(&asker.frozen.state, &asker.user, &name);
    Ok(Json(found.ok_or_else(|| {
        Refusal::not_found("template", name.escape_debug())
    })?))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Published {
    #[serde(default)]
    description: String,
    /// Everybody if absent.
    #[serde(default)]
    group: Option<String>,
    recipe: GivenRecipe,
}

/// What a vcluster is made of, as when one is made.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GivenRecipe {
    image: String,
    vnodes: u32,
    #[serde(default)]
    size: VnodeSize,
    #[serde(default)]
    wishes: Given,
    #[serde(default)]
    bandwidth_kbit_per_s: Option<KbitPerS>,
    #[serde(default)]
    rules: Rules,
}

pub(crate) async fn publish(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
    Body(body): Body<Published>,
) -> Result<Json<Receipt>, Problem> {
    let Published {
        description,
        group,
        recipe,
    } = body;
    let recipe = NewRecipe {
        image: recipe.image,
        vnodes: recipe.vnodes,
        size: recipe.size,
        wishes: recipe.wishes.wishes(),
        bandwidth: recipe.bandwidth_kbit_per_s,
        rules: recipe.rules,
    };
    let command = TemplateCommand::Publish {
        name,
        description,
        group,
        recipe,
    };
    let receipt = propose(&portal, &asker, Command::Template(command)).await?;
    Ok(Json(receipt))
}

pub(crate) async fn withdraw(
    State(portal): State<Portal>,
    asker: Asker,
    Path(template): Path<String>,
    Query(query): Query<Deleted>,
) -> Result<Json<Receipt>, Problem> {
    let thing = Thing::Template { template };
    let command = trash::deleting(&asker.frozen.state, thing, query.now);
    Ok(Json(propose(&portal, &asker, command).await?))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "WantedClone")]
pub(crate) struct Wanted {
    /// What the vcluster is called; the template's name if absent.
    #[serde(default)]
    name: Option<String>,
}

pub(crate) async fn clone(
    State(portal): State<Portal>,
    asker: Asker,
    Path(template): Path<String>,
    Body(Wanted { name }): Body<Wanted>,
) -> Result<Created<Receipt>, Problem> {
    let command = Command::Template(TemplateCommand::Clone {
        template,
        name,
        whom: None,
    });
    let receipt = propose(&portal, &asker, command).await?;
    Ok(Created(receipt))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WantedForAll {
    #[serde(default)]
    name: Option<String>,
    group: String,
    /// Some of its members; all if absent.
    #[serde(default)]
    users: Option<Vec<String>>,
}

/// What became of one member's.
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "MadeOfTemplate")]
pub(crate) struct Made {
    pub(crate) user: String,
    pub(crate) outcome: MadeOutcome,
    /// Why not, if it was not made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<&'static str>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MadeOutcome {
    Made,
    /// They have a vcluster of that name, which stays as it is.
    Kept,
    Refused,
}

pub(crate) async fn clone_for_all(
    State(portal): State<Portal>,
    asker: Asker,
    Path(template): Path<String>,
    Body(wanted): Body<WantedForAll>,
) -> Result<Json<Vec<Made>>, Problem> {
    let WantedForAll { name, group, users } = wanted;
    let made = for_all(&portal, &asker, &template, name.as_deref(), &group, users);
    Ok(Json(made.await?))
}

/// One for each. Asking again, with the same request's id or another, makes what is missing and nothing twice.
pub(crate) async fn for_all(
    portal: &Portal,
    asker: &Asker,
    template: &str,
    name: Option<&str>,
    group: &str,
    users: Option<Vec<String>>,
) -> Result<Vec<Made>, Problem> {
    let state = &asker.frozen.state;
    let found = permit::shown_group(state, &asker.user, group)?;
    if template::named(state, &asker.user, template).is_none() {
        return Err(Refusal::not_found("template", template.escape_debug()).into());
    }
    let members = || {
        let users = found.members.iter().filter_map(|id| state.users.get(id));
        users.map(|user| user.name.to_string()).collect()
    };
    let users: Vec<String> = users.unwrap_or_else(members);
    let one = |user: String| async move {
        let command = Command::Template(TemplateCommand::Clone {
            template: template.to_owned(),
            name: name.map(str::to_owned),
            whom: Some(Whom {
                group: group.to_owned(),
                user: user.clone(),
            }),
        });
        let request = request_for(asker.request(), &user);
        let made = propose_as(portal, asker, request, command).await;
        told(user, made)
    };
    let all = futures_util::stream::iter(users.into_iter().map(one));
    let all: Vec<Result<Made, Problem>> = all.buffered(AT_ONCE).collect().await;
    all.into_iter().collect()
}

/// Each member's has an id of its own, which follows from the whole's.
fn request_for(whole: RequestId, user: &str) -> RequestId {
    let mut hasher = Sha256::new();
    hasher.update(whole.0.to_be_bytes());
    hasher.update(user.as_bytes());
    let digest = hasher.finalize();
    let (first, _) = digest.split_at(8);
    let random = first
        .iter()
        .fold(0, |all, byte| all << 8 | u64::from(*byte));
    RequestId::issued(whole.known(), random)
}

/// What concerns them all is no answer of one.
fn told(user: String, made: Result<Receipt, Problem>) -> Result<Made, Problem> {
    let (outcome, problem) = match made {
        Ok(_) => (MadeOutcome::Made, None),
        Err(problem) if problem.code == "name_taken" => (MadeOutcome::Kept, Some(problem)),
        Err(problem) if problem.status.is_client_error() && problem.code != "not_permitted" => {
            (MadeOutcome::Refused, Some(problem))
        }
        Err(problem) => return Err(problem),
    };
    Ok(Made {
        user,
        outcome,
        code: problem.as_ref().map(|problem| problem.code),
        reason: problem.map(|problem| problem.detail),
    })
}
