//! The workspace: JupyterLab in one click, and what else can be opened.

use axum::extract::{Form, State};
use axum::response::{IntoResponse, Redirect, Response};
use docklet_control::amount::{MemoryMib, VnodeSize};
use docklet_control::image::catalog;
use docklet_control::model::receipt::Subject;
use docklet_control::model::{Outcome, Receipt, Service, Vcluster, VclusterWanted};
use docklet_control::name::Name;
use docklet_control::view::{ServiceView, service};
use docklet_control::{Command, Refusal, State as ClusterState};
use maud::{Markup, html};
use serde::Deserialize;

use super::service::{audience, title};
use super::vcluster::see;
use super::{Page, by_command, check_csrf, csrf, phase};
use crate::api::service::linked;
use crate::asker::{Asker, OWN_WRITE_DEADLINE, propose};
use crate::problem::Problem;
use crate::serve::Portal;

/// The image of which workspaces are made, and what it calls JupyterLab.
const IMAGE: &str = "jupyter";
const LAB: &str = "lab";
/// Names that a workspace may have, in this order.
const NAMES_MAX: usize = 20;
/// JupyterLab with two kernels.
const MEMORY_MIB: u32 = 1_024;

pub(crate) async fn show(State(portal): State<Portal>, asker: Asker) -> Markup {
    let body = html! {
        h1 { "Workspace" }
        (overview(&portal, &asker))
    };
    let live = Some("/live/workspace".to_owned());
    Page {
        title: "Workspace",
        asker: &asker,
        live,
        script: None,
    }
    .render(body)
}

pub(crate) fn fragments(portal: &Portal, asker: &Asker) -> Vec<(String, Markup)> {
    vec![("workspace".to_owned(), overview(portal, asker))]
}

fn overview(portal: &Portal, asker: &Asker) -> Markup {
    let views = service::list(&asker.frozen.state, &asker.user);
    let views: Vec<ServiceView> = views.into_iter().map(|view| linked(portal, view)).collect();
    html! {
        div #workspace {
            section.card aria-labelledby="jupyter" { h2 #jupyter { "JupyterLab" } (jupyter(portal, asker)) }
            section aria-labelledby="services-title" {
                h2 #services-title { "Services" }
                @if views.is_empty() {
                    p.hint { "None yet. What your vnodes serve, and what others share with you, is here." }
                    (by_command("docklet service add lab/host-0 web --port 8080"))
                } @else {
                    (table(&views))
                }
            }
        }
    }
}

fn table(views: &[ServiceView]) -> Markup {
    html! {
        table {
            thead { tr { th { "Service" } th { "At" } th { "State" } th { "For" } th { "Owner" } } }
            tbody {
                @for view in views {
                    tr data-service=(view.id) {
                        td.main data-label="Service" { (title(view)) }
                        td data-label="At" {
                            span {
                                @if view.own { a href={"/vclusters/" (view.vcluster)} { (view.vcluster) } } @else { (view.vcluster) }
                                "/" (view.vnode)
                            }
                        }
                        td data-label="State" { (phase(view.phase)) }
                        td data-label="For" { (audience(view)) }
                        td data-label="Owner" { (view.owner) }
                    }
                }
            }
        }
    }
}

/// The asker's own JupyterLab: the one that was made last.
fn own_lab<'s>(state: &'s ClusterState, asker: &Asker) -> Option<(&'s Service, &'s Vcluster)> {
    let services = state.services.values().rev();
    let mut own = services.filter(|service| {
        let lab = service.by_image && service.name.as_str() == LAB;
        lab && service.owner == asker.user.id && !state.is_trashed(service.vcluster)
    });
    own.find_map(|service| {
        let vcluster = state.vclusters.get(&service.vcluster)?;
        (vcluster.wanted != VclusterWanted::Deleted).then_some((service, vcluster))
    })
}

fn jupyter(portal: &Portal, asker: &Asker) -> Markup {
    let state = &asker.frozen.state;
    let own = own_lab(state, asker);
    let usable = own.is_some() || catalog::find(state, &asker.user, IMAGE).is_some();
    if portal.proxy.place.is_none() {
        return html! {
            p { "Notebooks are opened at names of their own, and this cluster has none for services." }
            (by_command("docklet port-forward lab/host-0 8888"))
        };
    }
    let (label, hint) = match own {
        Some((_, vcluster)) if vcluster.wanted == VclusterWanted::Running => (
            "Open JupyterLab",
            format!("In the vcluster {}. Nobody but you comes in, and your login is enough.", vcluster.name),
        ),
        Some((_, vcluster)) => (
            "Start and open JupyterLab",
            format!("The vcluster {} stands still; its files are as they were.", vcluster.name),
        ),
        None => (
            "Make and open JupyterLab",
            "It makes a vcluster of one vnode of the image jupyter. The first time takes some seconds.".to_owned(),
        ),
    };
    html! {
        @if usable {
            p { (hint) }
            form method="post" action="/workspace/open" {
                (csrf(asker))
                button.button type="submit" { (label) }
            }
        } @else {
            p { "There is no image " code { (IMAGE) } " that you may use. An admin builds it once." }
            (by_command("docklet image build jupyter"))
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct Opening {
    csrf: String,
}

/// Makes or starts it, and goes on to it. The proxy's page waits until it answers.
pub(crate) async fn open(
    State(portal): State<Portal>,
    asker: Asker,
    Form(form): Form<Opening>,
) -> Result<Response, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let state = &asker.frozen.state;
    if let Some((service, vcluster)) = own_lab(state, &asker) {
        let (id, vcluster_id) = (service.id, vcluster.id);
        if vcluster.wanted == VclusterWanted::Running {
            return Ok(on_to(id, None));
        }
        let start = Command::StartVcluster {
            vcluster: vcluster_id,
        };
        let receipt = propose(&portal, &asker, start).await?;
        return Ok(on_to(id, Some(&receipt)));
    }
    let command = Command::CreateVcluster {
        name: free_name(state, &asker)?,
        image: IMAGE.to_owned(),
        vnodes: 1,
        size: VnodeSize {
            memory_mib: MemoryMib(MEMORY_MIB),
            ..VnodeSize::default()
        },
    };
    let receipt = propose(&portal, &asker, command).await?;
    let made = match receipt.outcome {
        Outcome::Accepted(Subject::Vcluster(vcluster)) => {
            let applied = portal
                .master
                .wait_applied(receipt.index, OWN_WRITE_DEADLINE);
            let state = applied.await?.state;
            let mut services = state.services_of(vcluster);
            let lab = services.find(|service| service.name.as_str() == LAB);
            lab.map(|service| service.id)
        }
        Outcome::Accepted(_) | Outcome::Refused(_) => None,
    };
    Ok(match made {
        Some(service) => on_to(service, Some(&receipt)),
        // The image says nothing of a service: its page tells what there is.
        None => see("/workspace", receipt.index),
    })
}

fn on_to(service: docklet_control::id::ServiceId, receipt: Option<&Receipt>) -> Response {
    let after = receipt.map(|receipt| format!("?after={}", receipt.index));
    let after = after.unwrap_or_default();
    Redirect::to(&format!("/services/{service}/go{after}")).into_response()
}

fn free_name(state: &ClusterState, asker: &Asker) -> Result<String, Refusal> {
    let names = (1..=NAMES_MAX).map(|number| match number {
        1 => "workspace".to_owned(),
        number => format!("workspace-{number}"),
    });
    let free = |text: &String| {
        let name = Name::parse("vcluster", text);
        name.is_ok_and(|name| state.vcluster_named(asker.user.id, &name).is_none())
    };
    let mut names = names.filter(free);
    names.next().ok_or_else(|| Refusal::NameTaken {
        kind: "vcluster".to_owned(),
        name: "workspace".to_owned(),
    })
}
