//! Templates: what one may make a vcluster of; for operators and managers of groups, how to publish one, and one for each
//! member of a group.

use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use docklet_control::Command;
use docklet_control::amount::{CpuMilli, MemoryMib, VnodeSize};
use docklet_control::model::kept::KeptKind;
use docklet_control::model::{Group, Rules, Wishes};
use docklet_control::template::command::{NewRecipe, TemplateCommand};
use docklet_control::trash::command::Thing;
use docklet_control::view::{TemplateView, template};
use maud::{Markup, html};
use serde::Deserialize;

use super::amount::{cores, mib};
use super::quota::managed;
use super::{Page, by_command, check_csrf, csrf, instant, kept, whole, whole_anew};
use crate::api::template::{Made, MadeOutcome, for_all};
use crate::asker::{Asker, propose};
use crate::problem::Problem;
use crate::serve::Portal;

pub(crate) async fn show(asker: Asker) -> Markup {
    let page = Page {
        title: "Templates",
        asker: &asker,
        live: Some("/live/templates".to_owned()),
        script: None,
    };
    page.render(whole(&body(&asker)))
}

pub(crate) fn fragments(asker: &Asker) -> Vec<(String, Markup)> {
    whole_anew(&body(asker))
}

fn body(asker: &Asker) -> Markup {
    let templates = template::list(&asker.frozen.state, &asker.user);
    let groups = managed(asker);
    let publishes = asker.user.operates() || !groups.is_empty();
    html! {
        h1 { "Templates" }
        p { "A template is what vclusters of many people are made of. What you make of one is yours, and counts as yours." }
        @if templates.is_empty() {
            p.muted {
                "There is none for you yet. "
                @if publishes { "Publish one below." } @else { "Operators publish them for everybody, and managers of groups for their groups." }
            }
        }
        @for template in &templates { (card(asker, template, &groups)) }
        @if publishes { (form(asker, &groups)) (by_command("docklet template publish NAME --group GROUP --image python3 --vnodes 2")) }
        (kept::section(asker, &[KeptKind::Template], None))
    }
}

fn card(asker: &Asker, template: &TemplateView, groups: &[&Group]) -> Markup {
    let path = format!("/templates/{}", template.name);
    html! {
        section.card data-template=(template.name) aria-labelledby={"template-" (template.name)} {
            h2 id={"template-" (template.name)} { (template.name) }
            @if !template.description.is_empty() { p { (template.description) } }
            dl.facts {
                div { dt { "For" } dd { (template.group.as_deref().unwrap_or("everybody")) } }
                div { dt { "Vnodes" } dd { (template.vnodes) ", each " (cores(template.size.cpu_milli.0.into())) " and " (mib(template.size.memory_mib.0.into())) } }
                div { dt { "Image" } dd { (template.image) } }
                div { dt { "Published" } dd { "by " (template.by) ", " (instant(template.published_at)) } }
            }
            @if template.usable {
                form.fields method="post" action={(path) "/clone"} {
                    (csrf(asker))
                    div.field.long {
                        label for={"as-" (template.name)} { "Name of your vcluster" }
                        input id={"as-" (template.name)} name="name" value=(template.name) autocomplete="off" required maxlength="40";
                    }
                    button.button type="submit" { "Make one" }
                }
            } @else { p.muted { "Its image is not shared with you, so that you cannot make one." } }
            @if !groups.is_empty() {
                form.fields method="post" action={(path) "/clones"} {
                    (csrf(asker))
                    div.field.long {
                        label for={"all-" (template.name)} { "For each member of" }
                        select id={"all-" (template.name)} name="group" {
                            @for group in groups {
                                option value=(group.name) selected[Some(group.name.as_str()) == template.group.as_deref()] { (group.name) ", " (group.members.len()) " members" }
                            }
                        }
                    }
                    button.button.secondary type="submit" { "Make one for each" }
                }
            }
            @if template.kept {
                form.actions method="post" action={(path) "/withdraw"} {
                    (csrf(asker))
                    button.quiet type="submit" { "Withdraw" }
                    span.hint { "What was made of it stays. " (kept::way_back(asker)) }
                }
            }
        }
    }
}

fn form(asker: &Asker, groups: &[&Group]) -> Markup {
    let usual = VnodeSize::default();
    html! {
        details.card {
            summary { "Publish a template" }
            form.grid method="post" action="/templates" {
                (csrf(asker))
                div.field {
                    label for="name" { "Name" }
                    input #name name="name" required maxlength="40" autocomplete="off" aria-describedby="name-hint";
                    p.hint #name-hint { "a-z, 0-9 and -. One of that name which you may change is replaced; what was made of it stays." }
                }
                div.field {
                    label for="group" { "For" }
                    select #group name="group" {
                        @if asker.user.operates() { option value="" { "everybody" } }
                        @for group in groups { option value=(group.name) { (group.name) } }
                    }
                }
                div.field {
                    label for="description" { "Description" }
                    input #description name="description" maxlength="500" autocomplete="off";
                }
                div.field {
                    label for="image" { "Image" }
                    input #image name="image" value="busybox" required autocomplete="off" aria-describedby="image-hint";
                    p.hint #image-hint { "Share it with the group: a template gives nobody an image." }
                }
                div.field {
                    label for="vnodes" { "Vnodes" }
                    input #vnodes name="vnodes" type="number" min="1" max="1000" value="1" required;
                }
                div.field {
                    label for="cpu" { "CPU of each, in thousandths of a core" }
                    input #cpu name="cpu_milli" type="number" min="1" value=(usual.cpu_milli.0) required;
                }
                div.field {
                    label for="memory" { "Memory of each, in MiB" }
                    input #memory name="memory_mib" type="number" min="1" value=(usual.memory_mib.0) required;
                }
                div.actions { button.button type="submit" { "Publish" } }
            }
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct NewTemplate {
    csrf: String,
    name: String,
    #[serde(default)]
    group: String,
    #[serde(default)]
    description: String,
    image: String,
    vnodes: u32,
    cpu_milli: u32,
    memory_mib: u32,
}

pub(crate) async fn publish(
    State(portal): State<Portal>,
    asker: Asker,
    Form(form): Form<NewTemplate>,
) -> Result<Redirect, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let recipe = NewRecipe {
        image: form.image.trim().to_owned(),
        vnodes: form.vnodes,
        size: VnodeSize {
            cpu_milli: CpuMilli(form.cpu_milli),
            memory_mib: MemoryMib(form.memory_mib),
            ..VnodeSize::default()
        },
        wishes: Wishes::default(),
        bandwidth: None,
        rules: Rules::default(),
    };
    let command = TemplateCommand::Publish {
        name: form.name.trim().to_owned(),
        description: form.description,
        group: Some(form.group).filter(|group| !group.is_empty()),
        recipe,
    };
    let receipt = propose(&portal, &asker, Command::Template(command)).await?;
    Ok(Redirect::to(&format!("/templates?after={}", receipt.index)))
}

#[derive(Deserialize)]
pub(crate) struct Confirmed {
    csrf: String,
}

pub(crate) async fn withdraw(
    State(portal): State<Portal>,
    asker: Asker,
    Path(template): Path<String>,
    Form(form): Form<Confirmed>,
) -> Result<Response, Problem> {
    check_csrf(&asker, &form.csrf)?;
    kept::delete(&portal, &asker, Thing::Template { template }, "/templates").await
}

#[derive(Deserialize)]
pub(crate) struct Cloning {
    csrf: String,
    name: String,
}

pub(crate) async fn clone(
    State(portal): State<Portal>,
    asker: Asker,
    Path(template): Path<String>,
    Form(form): Form<Cloning>,
) -> Result<Response, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let name = form.name.trim().to_owned();
    let command = Command::Template(TemplateCommand::Clone {
        template,
        name: Some(name.clone()),
        whom: None,
    });
    let receipt = propose(&portal, &asker, command).await?;
    // It was a name, or it would have been refused.
    let path = format!("/vclusters/{name}?after={}", receipt.index);
    Ok(Redirect::to(&path).into_response())
}

#[derive(Deserialize)]
pub(crate) struct ForAll {
    csrf: String,
    group: String,
}

pub(crate) async fn clone_for_all(
    State(portal): State<Portal>,
    asker: Asker,
    Path(template): Path<String>,
    Form(form): Form<ForAll>,
) -> Result<Markup, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let made = for_all(&portal, &asker, &template, None, &form.group, None).await?;
    let body = html! {
        h1 { "One of " (template) " for each member of " (form.group) }
        (results(&made))
        p { a href="/templates" { "Back to the templates" } }
    };
    let page = Page {
        title: "Templates",
        asker: &asker,
        live: None,
        script: None,
    };
    Ok(page.render(body))
}

fn results(made: &[Made]) -> Markup {
    let count = |outcome| made.iter().filter(|one| one.outcome == outcome).count();
    let refused = count(MadeOutcome::Refused);
    html! {
        p role="status" {
            (count(MadeOutcome::Made)) " made, " (count(MadeOutcome::Kept)) " had one of that name already, " (refused) " got none."
            @if refused > 0 { " Asking again makes what is missing, and nothing twice." }
        }
        @if made.is_empty() { p.muted { "Nobody is in the group." } } @else {
            table {
                thead { tr { th { "Person" } th { "Result" } th { "Why" } } }
                tbody {
                    @for one in made {
                        tr data-user=(one.user) {
                            td.main data-label="Person" { (one.user) }
                            td data-label="Result" {
                                @match one.outcome {
                                    MadeOutcome::Made => "made",
                                    MadeOutcome::Kept => "kept what was there",
                                    MadeOutcome::Refused => "none",
                                }
                            }
                            td data-label="Why" { (one.reason.as_deref().unwrap_or_default()) }
                        }
                    }
                }
            }
        }
    }
}
