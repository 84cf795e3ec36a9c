//! Open ports of a vcluster, on its page: what there is, opening and closing.

use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use docklet_control::Command;
use docklet_control::id::LogIndex;
use docklet_control::model::{PortNumber, Protocol, PublicPort, VclusterWanted};
use docklet_control::view::{PortView, VclusterView};
use maud::{Markup, html};
use serde::Deserialize;

use super::{by_command, check_csrf, csrf};
use crate::asker::{Asker, propose};
use crate::problem::Problem;
use crate::serve::Portal;
use crate::worker::find_vnode;

/// Everything about ports on the page of a vcluster.
pub(crate) fn section(asker: &Asker, view: &VclusterView, name: &str) -> Markup {
    html! {
        section aria-labelledby="ports-title" {
            h2 #ports-title { "Open ports" }
            (table(asker, view, name))
            @if view.wanted != VclusterWanted::Deleted { (form(asker, view, name)) }
            (by_command(&format!("docklet port add {name}/host-0 22")))
        }
    }
}

/// The part that is sent anew when it changes.
pub(crate) fn table(asker: &Asker, view: &VclusterView, name: &str) -> Markup {
    html! {
        div #ports {
            @if view.ports.is_empty() {
                p.hint { "None. The outside reaches only what is opened here; vnodes reach each other and the outside anyway. Say below which port of which vnode shall be reached, as 22 for SSH." }
            } @else {
                table {
                    thead { tr { th { "Connect to" } th { "Leads to" } th { "Worker" } th { span.unseen { "Actions" } } } }
                    tbody { @for port in &view.ports { (row(asker, port, name)) } }
                }
            }
        }
    }
}

fn row(asker: &Asker, port: &PortView, name: &str) -> Markup {
    let public = format!("{}/{}", port.public, port.protocol);
    html! {
        tr data-port=(public) {
            td.main data-label="Connect to" {
                @match &port.address {
                    Some(address) => { code { (address) } " " (port.protocol) }
                    None => { code { (public) } p.hint { "once it has a worker" } }
                }
            }
            td data-label="Leads to" { (port.vnode) ", port " (port.number) }
            td data-label="Worker" { (port.worker.as_deref().unwrap_or("—")) }
            td.act data-label="" {
                form method="post" action={"/vclusters/" (name) "/ports/remove"} {
                    (csrf(asker))
                    input type="hidden" name="public" value=(port.public);
                    input type="hidden" name="protocol" value=(port.protocol);
                    button.button.secondary.small type="submit" aria-label={"Close port " (public)} { "Close" }
                }
            }
        }
    }
}

fn form(asker: &Asker, view: &VclusterView, name: &str) -> Markup {
    html! {
        form.fields method="post" action={"/vclusters/" (name) "/ports/add"} aria-label="Open a port" {
            (csrf(asker))
            div.field {
                label for="port-vnode" { "Vnode" }
                select #port-vnode name="vnode" required {
                    @for vnode in &view.vnodes { option { (vnode.name) } }
                }
            }
            div.field {
                label for="port-number" { "Its port" }
                input #port-number name="number" type="number" min="1" max="65535" required;
            }
            div.field {
                label for="port-protocol" { "Protocol" }
                select #port-protocol name="protocol" {
                    @for protocol in [Protocol::Tcp, Protocol::Udp] { option { (protocol) } }
                }
            }
            div.field {
                label for="port-public" { "Public port" }
                input #port-public name="public" type="number" min=(PublicPort::RANGE.start()) max=(PublicPort::RANGE.end()) placeholder="any free";
            }
            button.button.secondary type="submit" { "Open" }
        }
    }
}

/// The form's fields, as text: a field that is left empty comes as one.
#[derive(Deserialize)]
pub(crate) struct Opening {
    csrf: String,
    vnode: String,
    number: String,
    protocol: Protocol,
    public: String,
}

pub(crate) async fn add(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
    Form(form): Form<Opening>,
) -> Result<Response, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let state = &asker.frozen.state;
    let vnode = find_vnode(state, &asker.user, &name, &form.vnode)?.id;
    let public = form.public.trim();
    let command = Command::AddPort {
        vnode,
        protocol: form.protocol,
        number: number("port", &form.number)?,
        public: (!public.is_empty())
            .then(|| number("public port", public))
            .transpose()?,
    };
    let receipt = propose(&portal, &asker, command).await?;
    Ok(see(&name, receipt.index))
}

#[derive(Deserialize)]
pub(crate) struct Closing {
    csrf: String,
    public: String,
    protocol: Protocol,
}

pub(crate) async fn remove(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
    Form(form): Form<Closing>,
) -> Result<Response, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let public = PublicPort {
        protocol: form.protocol,
        number: number("public port", &form.public)?,
    };
    let receipt = propose(&portal, &asker, Command::RemovePort { public }).await?;
    Ok(see(&name, receipt.index))
}

fn number(what: &str, text: &str) -> Result<PortNumber, Problem> {
    let number = text.trim().parse();
    let number = number.map_err(|error| Problem::malformed(what, error))?;
    Ok(PortNumber(number))
}

/// To the vcluster's page, which knows the write.
fn see(name: &str, index: LogIndex) -> Response {
    Redirect::to(&format!("/vclusters/{name}?after={index}")).into_response()
}
