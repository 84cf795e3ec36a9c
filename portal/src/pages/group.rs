//! Groups of people: those that one is in or looks after, all of them for admins; and one with its people, what it gives them,
//! what is shared with it, and its beans.

use axum::extract::{Form, Path, State};
use axum::response::{Redirect, Response};
use docklet_control::group::command::GroupCommand;
use docklet_control::model::kept::KeptKind;
use docklet_control::model::{Group, PurseOf, QuotaItem};
use docklet_control::trash::command::Thing;
use docklet_control::view::{
    GroupAllowanceView, PeopleView, TemplateView, allowance, group, template,
};
use docklet_control::{Command, Refusal, bean, permit};
use maud::{Markup, html};
use serde::Deserialize;

use super::quota::words;
use super::vcluster::see;
use super::{Page, by_command, check_csrf, csrf, instant, kept};
use crate::asker::{Asker, propose};
use crate::problem::Problem;
use crate::serve::Portal;

pub(crate) async fn list(asker: Asker) -> Markup {
    let admin = asker.user.is_admin();
    let body = html! {
        h1 { "Groups" }
        p { "People of a group share images and templates, and may have what it gives them." }
        (all(&asker))
        @if admin {
            section.card aria-labelledby="new-group" {
                h2 #new-group { "New group" }
                form.fields method="post" action="/groups" {
                    (csrf(&asker))
                    div.field { label for="name" { "Name" } input #name name="name" maxlength="40" required autocomplete="off"; }
                    div.field.long { label for="description" { "What for, in a line" } input #description name="description" maxlength="200" autocomplete="off"; }
                    button.button type="submit" { "Make it" }
                }
            }
        }
        (by_command("docklet group list"))
        (deleted(&asker))
    };
    framed(&asker, "Groups", Some("/live/groups".to_owned()), body)
}

pub(crate) fn list_fragments(asker: &Asker) -> Vec<(String, Markup)> {
    vec![
        ("groups".to_owned(), all(asker)),
        ("kept".to_owned(), deleted(asker)),
    ]
}

fn deleted(asker: &Asker) -> Markup {
    kept::section(asker, &[KeptKind::Group], None)
}

fn all(asker: &Asker) -> Markup {
    let groups = group::list(&asker.frozen.state, &asker.user);
    html! {
        div #groups {
            @if groups.is_empty() {
                div.empty {
                    h2 { "No groups" }
                    p { @if asker.user.is_admin() { "Make one below, and add people to it." } @else { "You are in none. Admins make groups, and their managers add people." } }
                }
            } @else {
                table {
                    thead { tr { th { "Group" } th { "Members" } th { "Managers" } th { "Images" } th { "Since" } } }
                    tbody { @for group in &groups { (row(asker, group)) } }
                }
            }
        }
    }
}

fn framed(asker: &Asker, title: &str, live: Option<String>, body: Markup) -> Markup {
    Page {
        title,
        asker,
        live,
        script: None,
    }
    .render(body)
}

fn row(asker: &Asker, group: &PeopleView) -> Markup {
    let own = |names: &[String]| names.iter().any(|name| asker.user.name.as_str() == name);
    html! {
        tr data-group=(group.name) {
            td.main data-label="Group" {
                a href={"/groups/" (group.name)} { (group.name) }
                @if own(&group.managers) { " " span.muted { "you manage it" } }
                @if !group.description.is_empty() { p.hint { (group.description) } }
            }
            td data-label="Members" { (group.members.len()) }
            td data-label="Managers" { @if group.managers.is_empty() { span.muted { "admins" } } @else { (group.managers.join(", ")) } }
            td data-label="Images" { (group.images.len()) }
            td data-label="Since" { (instant(group.created_at)) }
        }
    }
}

pub(crate) async fn show(asker: Asker, Path(name): Path<String>) -> Result<Markup, Problem> {
    let state = &asker.frozen.state;
    let row = permit::shown_group(state, &asker.user, &name)?;
    let body = html! {
        p.crumbs { a href="/groups" { "Groups" } " / " (row.name) }
        h1 { (row.name) }
        @if !row.description.is_empty() { p { (row.description) } }
        (whole(&asker, row))
        @if asker.user.is_admin() { (delete(&asker, row)) }
        (by_command(&format!("docklet group show {}", row.name)))
    };
    let live = Some(format!("/live/groups/{}", row.name));
    Ok(framed(&asker, "Group", live, body))
}

pub(crate) fn show_fragments(asker: &Asker, name: &str) -> Vec<(String, Markup)> {
    let found = permit::shown_group(&asker.frozen.state, &asker.user, name).ok();
    let part = found.map(|row| ("group".to_owned(), whole(asker, row)));
    part.into_iter().collect()
}

/// All that changes of itself.
fn whole(asker: &Asker, row: &Group) -> Markup {
    let state = &asker.frozen.state;
    let view = group::of(state, &asker.user, row);
    let given = allowance::given(state, &asker.user, row);
    html! {
        div #group {
            (facts(asker, row, &view))
            (people(asker, row, &view, &given))
            (gives(asker, row, &given))
            (shared(asker, &view))
        }
    }
}

fn facts(asker: &Asker, row: &Group, view: &PeopleView) -> Markup {
    let state = &asker.frozen.state;
    let of = PurseOf::Group(row.id);
    let beans = bean::in_use(state).is_some() && bean::is_shown_to(state, of, &asker.user);
    html! {
        dl.facts {
            div { dt { "Members" } dd { (view.members.len()) } }
            div { dt { "Managed by" } dd { @if view.managers.is_empty() { "admins" } @else { (view.managers.join(", ")) } } }
            div { dt { "Since" } dd { (instant(view.created_at)) } }
            @if beans { div { dt { a href="/beans" { "Beans" } } dd { (bean::balance(state, of)) } } }
        }
    }
}

/// Who is in it; for whoever looks after it also what each has.
fn people(asker: &Asker, row: &Group, view: &PeopleView, given: &GroupAllowanceView) -> Markup {
    const SHOWN: [QuotaItem; 4] = [
        QuotaItem::Vnodes,
        QuotaItem::CpuMilli,
        QuotaItem::MemoryMib,
        QuotaItem::Gpus,
    ];
    let manages = row.is_managed_by(&asker.user);
    let role = |name: &String| {
        if view.managers.contains(name) {
            "manager"
        } else {
            "member"
        }
    };
    let has = |name: &str, item: QuotaItem| {
        let member = given.members.iter().find(|one| one.allowance.user == name);
        let found = member.and_then(|one| one.allowance.items.iter().find(|it| it.item == item));
        found.map(|found| match (found.used_words(), found.limit) {
            (Some(used), Some(_)) => format!("{used} of {}", found.limit_words()),
            (Some(used), None) => used,
            (None, _) => found.limit_words(),
        })
    };
    html! {
        section aria-labelledby="group-people" {
            h2 #group-people { "People" }
            @if view.members.is_empty() { p.muted { "Nobody is in it yet." } } @else {
                table {
                    thead { tr { th { "Person" } th { "Role" } @if manages { @for item in SHOWN { th { (item.word()) } } th { span.unseen { "Actions" } } } } }
                    tbody {
                        @for name in &view.members {
                            tr data-member=(name) {
                                td.main data-label="Person" { (name) }
                                td data-label="Role" { (role(name)) }
                                @if manages {
                                    @for item in SHOWN { td data-label=(item.word()) { (has(name, item).unwrap_or_else(|| "–".to_owned())) } }
                                    td.act data-label="" { div.buttons { (member_actions(asker, view, name)) } }
                                }
                            }
                        }
                    }
                }
            }
            @if manages {
                form.fields method="post" action={"/groups/" (view.name) "/add"} aria-label="Add somebody" {
                    (csrf(asker))
                    div.field.long { label for="add-user" { "Add somebody" } input #add-user name="user" autocomplete="off" required placeholder="alice"; }
                    button.button.secondary type="submit" { "Add" }
                }
            }
            @if asker.user.is_admin() {
                form.fields method="post" action={"/groups/" (view.name) "/manage"} aria-label="Let somebody manage it" {
                    (csrf(asker))
                    div.field.long { label for="manage-user" { "Let somebody manage it" } input #manage-user name="user" autocomplete="off" required placeholder="alice"; }
                    button.button.secondary type="submit" { "Let them" }
                }
                div.actions { @for name in &view.managers {
                    form method="post" action={"/groups/" (view.name) "/unmanage"} {
                        (csrf(asker))
                        input type="hidden" name="user" value=(name);
                        button.quiet type="submit" { "Let " (name) " manage it no more" }
                    } }
                }
            }
        }
    }
}

fn member_actions(asker: &Asker, view: &PeopleView, name: &str) -> Markup {
    html! {
        form method="post" action={"/groups/" (view.name) "/remove"} data-confirm={"Take " (name) " out of " (view.name) "? What they made stays theirs and runs on."} {
            (csrf(asker))
            input type="hidden" name="user" value=(name);
            button.button.secondary.small type="submit" aria-label={"Take " (name) " out"} { "Take out" }
        }
    }
}

fn gives(asker: &Asker, row: &Group, given: &GroupAllowanceView) -> Markup {
    html! {
        section aria-labelledby="group-gives" {
            h2 #group-gives { "What it gives each member" }
            @if given.quota.is_empty() {
                p.muted { "Nothing beyond what they have without it." }
            } @else {
                dl.facts { @for (item, bound) in &given.quota { div { dt { (item.word()) } dd { (words(*item, *bound)) } } } }
            }
            @if row.is_managed_by(&asker.user) { p { a href="/quotas" { "Set what it gives, or what one of them has of it" } } }
        }
    }
}

fn shared(asker: &Asker, view: &PeopleView) -> Markup {
    let templates = template::list(&asker.frozen.state, &asker.user);
    let templates = templates
        .iter()
        .filter(|it| it.group.as_ref() == Some(&view.name));
    let templates: Vec<&TemplateView> = templates.collect();
    html! {
        section aria-labelledby="group-images" {
            h2 #group-images { "Shared with it" }
            @if view.images.is_empty() && templates.is_empty() {
                p.muted { "Nothing that you see. Who has an image shares it with a group on the image's page." }
            }
            @if !view.images.is_empty() {
                h3 { "Images" }
                ul.plain { @for image in &view.images { li { (image) } } }
                p { a href="/images" { "All images" } }
            }
            @if !templates.is_empty() {
                h3 { "Templates" }
                ul.plain { @for it in &templates { li { strong { (it.name) } @if !it.description.is_empty() { ": " (it.description) } } } }
                p { a href="/templates" { "All templates" } }
            }
        }
    }
}

fn delete(asker: &Asker, view: &Group) -> Markup {
    html! {
        details.card {
            summary { "Delete the group" }
            p { "Nothing is shared with it any more, and its members have no more than without it. What they made stays. " (kept::way_back(asker)) }
            form.actions method="post" action={"/groups/" (view.name) "/delete"} {
                (csrf(asker))
                button.button.danger type="submit" { "Delete " (view.name) }
            }
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct New {
    csrf: String,
    name: String,
    #[serde(default)]
    description: String,
}

pub(crate) async fn create(
    State(portal): State<Portal>,
    asker: Asker,
    Form(form): Form<New>,
) -> Result<Redirect, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let name = form.name.trim().to_owned();
    let command = GroupCommand::Create {
        name: name.clone(),
        description: form.description,
    };
    let receipt = propose(&portal, &asker, Command::Group(command)).await?;
    Ok(Redirect::to(&format!(
        "/groups/{name}?after={}",
        receipt.index
    )))
}

#[derive(Deserialize)]
pub(crate) struct Change {
    csrf: String,
    #[serde(default)]
    user: String,
}

pub(crate) async fn change(
    State(portal): State<Portal>,
    asker: Asker,
    Path((name, action)): Path<(String, String)>,
    Form(form): Form<Change>,
) -> Result<Response, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let users = vec![form.user.trim().to_owned()];
    let group = permit::shown_group(&asker.frozen.state, &asker.user, &name)?
        .name
        .to_string();
    let back = format!("/groups/{group}");
    let (command, back) = match action.as_str() {
        "add" => (GroupCommand::Add { group, users }, back),
        "remove" => (GroupCommand::Remove { group, users }, back),
        "manage" => (GroupCommand::AddManagers { group, users }, back),
        "unmanage" => (GroupCommand::RemoveManagers { group, users }, back),
        "delete" => {
            return kept::delete(&portal, &asker, Thing::Group { group }, "/groups").await;
        }
        other => return Err(Refusal::not_found("action", other.escape_debug()).into()),
    };
    let receipt = propose(&portal, &asker, Command::Group(command)).await?;
    Ok(see(&back, receipt.index))
}
