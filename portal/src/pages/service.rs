//! Services of vnodes: opening one, and what there is on the page of a vcluster and in the workspace.

use std::collections::HashMap;

use axum::extract::{Form, Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use docklet_control::id::{ServiceId, VclusterId};
use docklet_control::model::{PortNumber, VclusterWanted};
use docklet_control::service::command::{NewAudience, NewService, ServiceCommand};
use docklet_control::view::{ServiceView, VclusterView, service};
use docklet_control::{Command, Refusal};
use form_urlencoded::Serializer;
use maud::{DOCTYPE, Markup, html};
use serde::Deserialize;

use super::vcluster::see;
use super::{by_command, check_csrf, csrf, phase};
use crate::api::service::linked;
use crate::asker::{Asker, propose};
use crate::assets;
use crate::login::{fresh_secret, hash_of};
use crate::next;
use crate::problem::Problem;
use crate::proxy::back;
use crate::serve::Portal;
use crate::worker::{find_vcluster, find_vnode};

/// Lets a browser into a service that its person may open: with a ticket, back to where it came from. A browser that came by
/// another site's page has shown no cookie, and is asked once more from here.
pub(crate) async fn open(
    State(portal): State<Portal>,
    asker: Option<Asker>,
    headers: HeaderMap,
    Path(id): Path<ServiceId>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Response, Problem> {
    refuse_parts(&headers)?;
    let place = portal.proxy.place.clone();
    let place = place.ok_or_else(|| Refusal::not_found("service", id))?;
    let part = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
    let state = part("state");
    if state.len() != 64 || !state.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        // Somebody kept the address: what begins at the service ends there.
        return Ok(passing(&place.url(id, "/")));
    }
    let Some(asker) = asker else {
        if query.contains_key("again") {
            return Ok(
                Redirect::to(&next::login_for(&format!("/services/{id}/go"))).into_response(),
            );
        }
        let mut again = Serializer::new(String::new());
        for (name, value) in [("state", state), ("next", part("next")), ("again", "1")] {
            again.append_pair(name, value);
        }
        return Ok(passing(&format!("/open/{id}?{}", again.finish())));
    };
    let ticket = fresh_secret();
    let command = ServiceCommand::Open {
        service: id,
        ticket: hash_of(&ticket),
        session: asker.session,
    };
    propose(&portal, &asker, Command::Service(command)).await?;
    let to = back(&place, id, &ticket, state, part("next"));
    let headers = [(axum::http::header::REFERRER_POLICY, "no-referrer")];
    Ok((headers, Redirect::to(&to)).into_response())
}

/// Only a whole window goes this way: what a page of somebody's service includes would leave an entry each time.
fn refuse_parts(headers: &HeaderMap) -> Result<(), Refusal> {
    let other = |name: &str, wanted: &str| headers.get(name).is_some_and(|value| value != wanted);
    if other("sec-fetch-mode", "navigate") || other("sec-fetch-dest", "document") {
        return Err(Refusal::NotPermitted {
            action: "open a service within another page".to_owned(),
            needed: "a window of its own".to_owned(),
        });
    }
    Ok(())
}

/// On to a service that the asker may open. A form may end here: what it leads to then is this site's own page.
pub(crate) async fn go(
    State(portal): State<Portal>,
    asker: Asker,
    Path(id): Path<ServiceId>,
) -> Result<Response, Problem> {
    let found = docklet_control::service::opened(&asker.frozen.state, &asker.user, id);
    let url = found.and_then(|service| portal.proxy.url(id, &service.path));
    let url = url.ok_or_else(|| Refusal::not_found("service", id))?;
    Ok(passing(&url))
}

/// A page that goes on by itself, as a link on this site would.
fn passing(to: &str) -> Response {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="refresh" content={"0;url=" (to)};
                title { "Opening · Docklet" }
                link rel="stylesheet" href=(assets::at("style.css"));
            }
            body { main.alone { h1 { "Opening" } p { a.button href=(to) { "Go on" } } } }
        }
    }
    .into_response()
}

/// Everything about services on the page of a vcluster.
pub(crate) fn section(portal: &Portal, asker: &Asker, view: &VclusterView, name: &str) -> Markup {
    html! {
        section aria-labelledby="services-title" {
            h2 #services-title { "Services" }
            (table(portal, asker, view, name))
            @if view.wanted != VclusterWanted::Deleted { (form(asker, view, name)) }
            (by_command(&format!("docklet service add {name}/host-0 web --port 8080")))
        }
    }
}

/// The part that is sent anew when it changes.
pub(crate) fn table(portal: &Portal, asker: &Asker, view: &VclusterView, name: &str) -> Markup {
    let views = of_vcluster(portal, asker, view.id);
    html! {
        div #services {
            @if views.is_empty() {
                p.hint { "None. What listens in a vnode and speaks HTTP can be opened in browsers, by whom its owner lets. Start a server in a vnode, then say below at which port it listens." }
            } @else {
                table {
                    thead { tr { th { "Service" } th { "At" } th { "State" } th { "For" } th { span.unseen { "Actions" } } } }
                    tbody { @for view in &views { (row(asker, view, name)) } }
                }
            }
        }
    }
}

fn of_vcluster(portal: &Portal, asker: &Asker, id: VclusterId) -> Vec<ServiceView> {
    let views = service::of_vcluster(&asker.frozen.state, &asker.user, id);
    views.into_iter().map(|view| linked(portal, view)).collect()
}

fn row(asker: &Asker, view: &ServiceView, name: &str) -> Markup {
    html! {
        tr data-service=(view.id) {
            td.main data-label="Service" { (title(view)) }
            td data-label="At" { (view.vnode) ", port " (view.port) }
            td data-label="State" { (phase(view.phase)) }
            td data-label="For" { div { (audience(view)) (share(asker, view, name)) } }
            td.act data-label="" {
                form method="post" action={"/vclusters/" (name) "/services/remove"} {
                    (csrf(asker))
                    input type="hidden" name="service" value=(view.id);
                    button.button.secondary.small type="submit" aria-label={"Remove service " (view.name)} { "Remove" }
                }
            }
        }
    }
}

/// The name, with where it is opened.
pub(crate) fn title(view: &ServiceView) -> Markup {
    html! {
        @match &view.url {
            Some(url) => { a href=(url) target="_blank" rel="noopener" { (view.name) } },
            None => { (view.name) p.hint { "This cluster has no name for services: use " code { "docklet port-forward" } "." } },
        }
        @if view.by_image { p.hint { "by its image" } }
    }
}

/// For whom it is, in words.
pub(crate) fn audience(view: &ServiceView) -> String {
    if view.everybody {
        return "everybody here".to_owned();
    }
    let groups = view.groups.iter().map(|group| format!("group {group}"));
    let names: Vec<String> = view.people.iter().cloned().chain(groups).collect();
    match (view.own, names.is_empty()) {
        (true, true) => "its owner".to_owned(),
        (true, false) => names.join(", "),
        (false, _) => "you".to_owned(),
    }
}

fn share(asker: &Asker, view: &ServiceView, name: &str) -> Markup {
    let id = format!("share-{}", view.id);
    html! {
        details.more {
            summary aria-label={"Share " (view.name)} { "Share" }
            form.share method="post" action={"/vclusters/" (name) "/services/share"} {
                (csrf(asker))
                input type="hidden" name="service" value=(view.id);
                label for={(id) "-people"} { "People" }
                input id={(id) "-people"} name="people" value=(view.people.join(", ")) placeholder="ada, bob";
                label for={(id) "-groups"} { "Groups" }
                input id={(id) "-groups"} name="groups" value=(view.groups.join(", "));
                label { input type="checkbox" name="everybody" value="yes" checked[view.everybody]; " Everybody who is logged in" }
                button.button.secondary.small type="submit" { "Set" }
            }
        }
    }
}

fn form(asker: &Asker, view: &VclusterView, name: &str) -> Markup {
    html! {
        form.fields method="post" action={"/vclusters/" (name) "/services/add"} aria-label="Add a service" {
            (csrf(asker))
            div.field {
                label for="service-vnode" { "Vnode" }
                select #service-vnode name="vnode" required {
                    @for vnode in &view.vnodes { option { (vnode.name) } }
                }
            }
            div.field {
                label for="service-name" { "Name" }
                input #service-name name="name" maxlength="40" required placeholder="web";
            }
            div.field {
                label for="service-port" { "Its port" }
                input #service-port name="port" type="number" min="1" max="65535" required;
            }
            div.field {
                label for="service-path" { "Path" }
                input #service-path name="path" maxlength="200" placeholder="/";
            }
            button.button.secondary type="submit" { "Add" }
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct Adding {
    csrf: String,
    vnode: String,
    name: String,
    port: String,
    path: String,
}

pub(crate) async fn add(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
    Form(form): Form<Adding>,
) -> Result<Response, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let state = &asker.frozen.state;
    let vnode = find_vnode(state, &asker.user, &name, &form.vnode)?.id;
    let port = form.port.trim().parse();
    let port = port.map_err(|error| Problem::malformed("port", error))?;
    let command = ServiceCommand::Add(NewService {
        vnode,
        name: form.name.trim().to_owned(),
        port: PortNumber(port),
        path: form.path.trim().to_owned(),
        tells_user: false,
    });
    changed(&portal, &asker, &name, command).await
}

#[derive(Deserialize)]
pub(crate) struct Removing {
    csrf: String,
    service: ServiceId,
}

pub(crate) async fn remove(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
    Form(form): Form<Removing>,
) -> Result<Response, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let service = form.service;
    changed(&portal, &asker, &name, ServiceCommand::Remove { service }).await
}

#[derive(Deserialize)]
pub(crate) struct Sharing {
    csrf: String,
    service: ServiceId,
    people: String,
    groups: String,
    #[serde(default)]
    everybody: String,
}

pub(crate) async fn set_audience(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
    Form(form): Form<Sharing>,
) -> Result<Response, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let command = ServiceCommand::Share {
        service: form.service,
        with: NewAudience {
            everybody: form.everybody == "yes",
            people: names(&form.people),
            groups: names(&form.groups),
        },
    };
    changed(&portal, &asker, &name, command).await
}

fn names(text: &str) -> Vec<String> {
    let names = text.split([',', ' ']).map(str::trim);
    let names = names.filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

async fn changed(
    portal: &Portal,
    asker: &Asker,
    name: &str,
    command: ServiceCommand,
) -> Result<Response, Problem> {
    find_vcluster(&asker.frozen.state, &asker.user, name)?;
    let receipt = propose(portal, asker, Command::Service(command)).await?;
    Ok(see(&format!("/vclusters/{name}"), receipt.index))
}
