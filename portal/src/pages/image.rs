//! Images: what there is, who may see it, which versions there are; and what can be done to one.

pub(crate) mod import;

use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use docklet_control::id::Digest;
use docklet_control::image::command::ImageCommand;
use docklet_control::image::copies::SINCE;
use docklet_control::model::Visibility;
use docklet_control::model::kept::KeptKind;
use docklet_control::trash::command::Thing;
use docklet_control::view::{ImageView, VersionView, image, quota};
use docklet_control::{Command, Refusal};
use maud::{Markup, html};
use serde::Deserialize;

use super::amount::mib;
use super::{Page, check_csrf, csrf, instant, kept, whole, whole_anew};
use crate::asker::{Asker, propose};
use crate::problem::Problem;
use crate::serve::Portal;

pub(crate) async fn list(asker: Asker) -> Markup {
    let body = html! {
        h1 { "Images" }
        (table(&asker))
        (deleted(&asker))
        @if may_add(&asker) { (import::form(&asker)) }
    };
    let live = Some("/live/images".to_owned());
    Page {
        title: "Images",
        asker: &asker,
        live,
        script: None,
    }
    .render(body)
}

fn may_add(asker: &Asker) -> bool {
    asker.user.is_admin() || asker.frozen.state.version() >= SINCE
}

pub(crate) fn fragments(asker: &Asker) -> Vec<(String, Markup)> {
    vec![
        ("images".to_owned(), table(asker)),
        ("kept".to_owned(), deleted(asker)),
    ]
}

fn deleted(asker: &Asker) -> Markup {
    kept::section(asker, &[KeptKind::Image, KeptKind::ImageVersion], None)
}

fn table(asker: &Asker) -> Markup {
    let views = image::list(&asker.frozen.state, &asker.user);
    html! {
        div #images {
            p.muted { (room(asker)) }
            @if views.is_empty() {
                div.empty {
                    h2 { "No images yet" }
                    p { "Every vnode starts from an image. An admin makes one, the first in a second, the second in minutes:" }
                    p { code { "docklet image build busybox" } }
                    p { code { "docklet image build debian" } }
                }
            } @else {
                table {
                    thead { tr { th { "Image" } th { "Seen by" } th { "Size" } th { "Held by" } th { "Version" } th { "Registered" } } }
                    tbody { @for view in &views { (row(view)) } }
                }
            }
        }
    }
}

/// How much of what they may have who looks has.
fn room(asker: &Asker) -> String {
    let own = quota::of(&asker.frozen.state, &asker.user);
    let used = mib(own.used_bytes.div_ceil(1 << 20));
    match own.bytes {
        Some(bytes) => format!("Your images take {used} of {}.", mib(bytes >> 20)),
        None => format!("Your images take {used}."),
    }
}

fn row(view: &ImageView) -> Markup {
    let digest = view.digest.to_string();
    html! {
        tr data-image=(view.name) {
            td.main data-label="Image" {
                @if view.owner.is_empty() { (view.name) } @else { a href=(path(view)) { (view.name) } }
                p.hint { (view.description) }
            }
            td data-label="Seen by" { (seen_by(view)) }
            td data-label="Size" { (mib(view.blob_bytes.div_ceil(1 << 20))) }
            td data-label="Held by" { (holders(view)) }
            td data-label="Version" { code title=(digest) { (digest[..12]) } }
            td data-label="Registered" { (instant(view.registered_at)) }
        }
    }
}

fn seen_by(view: &ImageView) -> String {
    if view.visibility == Visibility::Public {
        return "everybody".to_owned();
    }
    let groups = view.shared_with_groups.iter();
    let groups = groups.map(|group| format!("group {group}"));
    let people = view.shared_with.iter().cloned();
    let owner = std::iter::once(view.owner.clone());
    let all: Vec<String> = owner.chain(people).chain(groups).collect();
    all.join(", ")
}

fn holders(view: &ImageView) -> Markup {
    html! {
        (view.holders.join(", "))
        @if !view.coming.is_empty() { p.hint { "on its way to " (view.coming.join(", ")) } }
    }
}

/// Where an image has its page: whose it is, and its name.
fn path(view: &ImageView) -> String {
    let name = view.name.rsplit('/').next().unwrap_or(&view.name);
    format!("/images/{}/{name}", view.owner)
}

/// The image that an address means.
fn find(asker: &Asker, owner: &str, name: &str) -> Result<ImageView, Problem> {
    let meant = format!("{owner}/{name}");
    let found = image::named(&asker.frozen.state, &asker.user, &meant);
    Ok(found.ok_or_else(|| Refusal::not_found("image", meant.escape_debug()))?)
}

pub(crate) async fn show(
    asker: Asker,
    Path((owner, name)): Path<(String, String)>,
) -> Result<Markup, Problem> {
    let view = find(&asker, &owner, &name)?;
    Ok(Page {
        title: &view.name,
        asker: &asker,
        live: Some(format!("/live/images/{owner}/{name}")),
        script: None,
    }
    .render(whole(&body(&asker, &view))))
}

pub(crate) fn show_fragments(asker: &Asker, owner: &str, name: &str) -> Vec<(String, Markup)> {
    match find(asker, owner, name) {
        Ok(view) => whole_anew(&body(asker, &view)),
        Err(_) => super::gone("image", ("/images", "All images")),
    }
}

fn body(asker: &Asker, view: &ImageView) -> Markup {
    html! {
        p.crumbs { a href="/images" { "Images" } " / " (view.name) }
        h1 { (view.name) }
        (facts(view))
        (versions(asker, view))
        @if view.own { (changes(asker, view)) }
    }
}

fn facts(view: &ImageView) -> Markup {
    html! {
        dl.facts {
            div { dt { "Description" } dd { (view.description) } }
            div { dt { "Owner" } dd { (view.owner) } }
            div { dt { "Seen by" } dd #seen-by { (seen_by(view)) } }
            div { dt { "Size" } dd { (mib(view.blob_bytes.div_ceil(1 << 20))) " packed" } }
            div { dt { "Held by" } dd { (holders(view)) } }
            div { dt { "Starts" } dd { code { (view.spec.init.join(" ")) } } }
            @if !view.used_by.is_empty() { div { dt { "Used by" } dd { (view.used_by.join(", ")) } } }
            div { dt { "Digest" } dd { code { (view.digest) } } }
        }
    }
}

fn versions(asker: &Asker, view: &ImageView) -> Markup {
    html! {
        h2 { "Versions" }
        table {
            thead { tr { th { "Version" } th { "Added" } th { span.unseen { "Actions" } } } }
            tbody { @for version in view.versions.iter().rev() { (version_row(asker, view, version)) } }
        }
    }
}

fn version_row(asker: &Asker, view: &ImageView, version: &VersionView) -> Markup {
    let digest = version.digest.to_string();
    html! {
        tr {
            td.main data-label="Version" {
                code title=(digest) { (digest[..12]) } " " (version.label)
                @if version.current { " " span.phase.phase-running { "current" } }
            }
            td data-label="Added" { (instant(version.added_at)) }
            td.act data-label="" {
                @if view.own && !version.current {
                    div.buttons {
                        (button(asker, view, "rollback", &digest, "Go back to it", "secondary small"))
                        (button(asker, view, "delete-version", &digest, "Delete it", "danger small"))
                    }
                }
            }
        }
    }
}

/// Everything else that can be changed.
fn changes(asker: &Asker, view: &ImageView) -> Markup {
    html! {
        h2 { "Change" }
        div.changes {
            (field(asker, view, ("description", "Description", &view.description, "Describe")))
            (field(asker, view, ("share", "Share with", "", "Share")))
            (field(asker, view, ("share-group", "Share with the group", "", "Share")))
        }
        @if !view.shared_with.is_empty() || !view.shared_with_groups.is_empty() {
            div.actions {
                @for person in &view.shared_with {
                    (button(asker, view, "unshare", person, &format!("Do not share with {person}"), "secondary small"))
                }
                @for group in &view.shared_with_groups {
                    (button(asker, view, "unshare-group", group, &format!("Do not share with group {group}"), "secondary small"))
                }
            }
        }
        div.foot {
            @if asker.user.is_admin() {
                @match view.visibility {
                    Visibility::Private => (button(asker, view, "publish", "", "Let everybody see it", "secondary")),
                    Visibility::Public => (button(asker, view, "withdraw", "", "Make it private", "secondary")),
                }
            }
            (button(asker, view, "delete", "", "Delete", "danger"))
        }
    }
}

fn button(
    asker: &Asker,
    view: &ImageView,
    action: &str,
    value: &str,
    label: &str,
    class: &str,
) -> Markup {
    html! {
        form.inline method="post" action={(path(view)) "/" (action)} {
            (csrf(asker))
            input type="hidden" name="value" value=(value);
            button class={"button " (class)} type="submit" { (label) }
        }
    }
}

fn field(
    asker: &Asker,
    view: &ImageView,
    (action, label, value, submit): (&str, &str, &str, &str),
) -> Markup {
    html! {
        form.inline.named method="post" action={(path(view)) "/" (action)} {
            (csrf(asker))
            label for={"image-" (action)} { (label) }
            input id={"image-" (action)} name="value" value=(value) maxlength="500" autocomplete="off";
            button.button.secondary type="submit" { (submit) }
        }
    }
}

fn version_named(digits: &str) -> Result<Digest, Refusal> {
    let missing = |_| Refusal::not_found("version", digits.escape_debug());
    digits.parse().map_err(missing)
}

#[derive(Deserialize)]
pub(crate) struct Change {
    csrf: String,
    #[serde(default)]
    value: String,
}

pub(crate) async fn change(
    State(portal): State<Portal>,
    asker: Asker,
    Path((owner, name, action)): Path<(String, String, String)>,
    Form(form): Form<Change>,
) -> Result<Response, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let image = format!("{owner}/{name}");
    let value = form.value;
    let page = format!("/images/{owner}/{name}");
    let command = match action.as_str() {
        "description" => ImageCommand::Describe {
            image,
            description: value,
        },
        "share" => ImageCommand::Share { image, with: value },
        "unshare" => ImageCommand::Unshare { image, with: value },
        "share-group" => ImageCommand::ShareWithGroup {
            image,
            group: value,
        },
        "unshare-group" => ImageCommand::UnshareFromGroup {
            image,
            group: value,
        },
        "publish" => ImageCommand::SetVisibility {
            image,
            visibility: Visibility::Public,
        },
        "withdraw" => ImageCommand::SetVisibility {
            image,
            visibility: Visibility::Private,
        },
        "rollback" => ImageCommand::RollBack {
            image,
            to: Some(version_named(&value)?),
        },
        "delete-version" => {
            let version = version_named(&value)?;
            let thing = Thing::ImageVersion { image, version };
            return kept::delete(&portal, &asker, thing, &page).await;
        }
        "delete" => {
            let thing = Thing::Image { image };
            return kept::delete(&portal, &asker, thing, "/images").await;
        }
        other => {
            return Err(Problem {
                status: StatusCode::NOT_FOUND,
                code: "not_found",
                detail: format!("An image cannot be asked to {}.", other.escape_debug()),
            });
        }
    };
    let receipt = propose(&portal, &asker, Command::Image(command)).await?;
    Ok(Redirect::to(&format!("{page}?after={}", receipt.index)).into_response())
}
