//! Files of a vnode: a directory, and what can be done in it. All of it works without JavaScript; with it uploads go in parts
//! that survive a broken connection (`assets/files.js`).

use axum::extract::{Form, Path, Query, State};
use axum::response::Redirect;
use docklet_control::Refusal;
use docklet_control::file_path::{FilePath, plain};
use docklet_control::file_wire::{FileAsk, FileFacts, FileKind, FileListing};
use docklet_control::id::{LogIndex, UnixMs};
use maud::{Markup, html};
use serde::Deserialize;

use super::{Page, by_command, check_csrf, csrf, instant};
use crate::api::files::{Done, done, is_directory, listing};
use crate::asker::Asker;
use crate::files::{Reached, Touch};
use crate::problem::Problem;
use crate::serve::Portal;

pub(crate) mod bring;
pub(crate) mod watched;

/// Where the directory is.
pub(crate) const LISTING: &str = "listing";

/// Text of so many bytes can be edited in a page.
const TEXT_BYTES_MAX: u64 = 1 << 20;

/// Which directory.
#[derive(Deserialize)]
pub(crate) struct Shown {
    path: Option<String>,
    /// Name of the last entry of the part before.
    past: Option<String>,
}

impl Shown {
    /// The page's stream: of what is done to files after this entry.
    fn stream(&self, place: &Place<'_>, path: &FilePath, index: LogIndex) -> String {
        let past = self.past.as_deref().map(encoded);
        let past = past.map(|past| format!("&past={past}")).unwrap_or_default();
        format!("/live{}{past}&after={index}", place.page("", path))
    }
}

/// The page's address, of another path of it.
struct Place<'p> {
    vcluster: &'p str,
    vnode: &'p str,
}

impl Place<'_> {
    fn below(&self, what: &str) -> String {
        format!(
            "/vclusters/{}/vnodes/{}/files{what}",
            self.vcluster, self.vnode
        )
    }

    fn page(&self, what: &str, path: &FilePath) -> String {
        format!("{}?path={}", self.below(what), encoded(path.as_str()))
    }

    fn api(&self, what: &str, path: &FilePath) -> String {
        format!("/api/v1{}", self.page(what, path))
    }
}

fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// One word for a shell, whatever is in it: people paste what they see, and others name directories.
fn quoted(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/:._-".contains(letter);
    if text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

pub(crate) async fn show(
    State(portal): State<Portal>,
    asker: Asker,
    Path((vcluster, vnode)): Path<(String, String)>,
    Query(shown): Query<Shown>,
) -> Result<Markup, Problem> {
    let reached = Reached::new(&portal, &asker, &vcluster, &vnode).await?;
    let path = shown.path.as_deref().map(FilePath::parse).transpose()?;
    let found = listing(&reached, path, shown.past.clone()).await?;
    let place = Place {
        vcluster: &vcluster,
        vnode: &vnode,
    };
    let title = format!("Files of {vnode} of {vcluster}");
    let page = Page {
        title: &title,
        asker: &asker,
        live: Some(shown.stream(&place, &found.path, asker.frozen.index)),
        script: Some("files.js"),
    };
    let from = format!("{vcluster}/{vnode}:{}", found.path);
    Ok(page.render(html! {
        (crumbs(&place))
        h1 { "Files of " (vnode) }
        (way(&place, &found.path))
        @match &found.entries {
            Some(entries) => {
                (tools(&asker, &place, &found.path))
                div #delete-state hidden {
                    p #delete-told role="status" aria-live="polite" {}
                    button.button.secondary.small #delete-stop type="button" { "Stop" }
                }
                (part(&asker, &place, &found, entries))
            }
            None => p { a.button href=(place.api("/content", &found.path)) download { "Download " (plain(found.path.name())) } },
        }
        section.foot { (by_command(&format!("docklet cp -r {} .", quoted(&from)))) }
    }))
}

fn crumbs(place: &Place<'_>) -> Markup {
    let Place { vcluster, vnode } = place;
    html! {
        p.crumbs { a href="/vclusters" { "Vclusters" } " / " a href={"/vclusters/" (vcluster)} { (vcluster) } " / " (vnode) }
    }
}

/// From the root to this directory.
fn way(place: &Place<'_>, path: &FilePath) -> Markup {
    let way = path.way();
    html! {
        nav.way aria-label="Directory" {
            ol {
                @for (number, step) in way.iter().enumerate() {
                    @let name = if step.is_root() { "all files".to_owned() } else { plain(step.name()) };
                    li {
                        @if number + 1 == way.len() { span aria-current="page" { (name) } }
                        @else { a href=(place.page("", step)) { (name) } }
                    }
                }
            }
        }
    }
}

fn tools(asker: &Asker, place: &Place<'_>, path: &FilePath) -> Markup {
    html! {
        form.fields #upload method="post" action=(place.below("/upload")) enctype="multipart/form-data"
            data-files={"/api/v1" (place.below(""))} data-path=(path.as_str()) {
            (csrf(asker))
            input type="hidden" name="path" value=(path.as_str());
            div.field.long {
                label for="upload-file" { "Bring files here, or drop them on the page" }
                input #upload-file type="file" name="file" required;
            }
            label.tick { input type="checkbox" name="replace" value="yes"; " Replace what is there" }
            button.button type="submit" { "Upload" }
            div #upload-state hidden {
                progress #upload-bar max="1" value="0" aria-label="Uploaded" {}
                p #upload-told role="status" aria-live="polite" {}
                button.button.secondary.small #upload-pause type="button" { "Pause" }
            }
        }
        div.actions {
            form.inline method="post" action=(place.below("/change")) {
                (csrf(asker))
                input type="hidden" name="path" value=(path.as_str());
                input type="hidden" name="action" value="mkdir";
                label for="folder" { "New folder" }
                input #folder name="name" required;
                button.button.secondary type="submit" { "Make" }
            }
            a.button.secondary href=(place.api("/zip", path)) download { "Download all as zip" }
        }
    }
}

fn part(asker: &Asker, place: &Place<'_>, found: &FileListing, entries: &[FileFacts]) -> Markup {
    html! { div #(LISTING) { (table(asker, place, found, entries)) } }
}

fn table(asker: &Asker, place: &Place<'_>, found: &FileListing, entries: &[FileFacts]) -> Markup {
    if entries.is_empty() {
        return html! {
            div.empty #files { h2 { "Nothing is here yet" } p { "Upload a file above, or make a folder." } }
        };
    }
    let last = entries.last().filter(|_| found.more);
    html! {
        table #files {
            thead { tr { th { "Name" } th { "Size" } th { "Changed" } th { "Mode" } th { span.unseen { "Actions" } } } }
            tbody { @for entry in entries { (row(asker, place, &found.path, entry)) } }
        }
        p.hint { (found.count) @if found.count == 1 { " entry" } @else { " entries" } }
        @if let Some(last) = last {
            p { a href={(place.page("", &found.path)) "&past=" (encoded(&last.name))} { "Those after " (plain(&last.name)) } }
        }
    }
}

fn row(asker: &Asker, place: &Place<'_>, dir: &FilePath, entry: &FileFacts) -> Markup {
    let path = dir.join(&entry.name).ok().filter(|_| entry.named);
    let name = plain(&entry.name);
    let is_file = entry.leads_to.unwrap_or(entry.kind) == FileKind::File;
    html! {
        tr data-file=(name) {
            td.main data-label="Name" {
                @match &path {
                    Some(path) if is_directory(entry) => a href=(place.page("", path)) { (name) "/" },
                    Some(path) if is_file => a href=(place.api("/content", path)) download { (name) },
                    Some(_) | None => (name),
                }
                @if let Some(target) = &entry.target { p.hint { "link to " (plain(target)) } }
                @if path.is_none() { p.hint { "its name is no text: use a terminal" } }
                @if entry.kind == FileKind::Other { p.hint { "a device, a pipe or a socket" } }
            }
            td data-label="Size" { @if entry.kind == FileKind::File { (size(entry.bytes)) } @else { "—" } }
            td data-label="Changed" { (instant(UnixMs(entry.changed_ms))) }
            td data-label="Mode" { code { (format!("{:04o}", entry.mode)) } }
            td.act data-label="" {
                @if let Some(path) = &path { (acts(asker, place, path, entry, &name)) }
            }
        }
    }
}

fn acts(
    asker: &Asker,
    place: &Place<'_>,
    path: &FilePath,
    entry: &FileFacts,
    name: &str,
) -> Markup {
    let is_directory = entry.kind == FileKind::Directory;
    let sure = if is_directory {
        format!("Delete {name} with all in it? This cannot be undone.")
    } else {
        format!("Delete {name}? This cannot be undone.")
    };
    html! {
        div.buttons {
            @if entry.kind == FileKind::File && entry.bytes <= TEXT_BYTES_MAX {
                a.button.secondary.small href=(place.page("/edit", path)) aria-label={"Edit " (name)} { "Edit" }
            }
            @if is_directory {
                a.button.secondary.small href=(place.api("/zip", path)) download aria-label={"Download " (name) " as zip"} { "Zip" }
            }
            details.more {
                summary aria-label={"More for " (name)} { "More" }
                form.inline method="post" action=(place.below("/change")) {
                    (csrf(asker))
                    input type="hidden" name="path" value=(path.as_str());
                    input type="hidden" name="action" value="rename";
                    input name="name" value=(entry.name) maxlength="4095" required aria-label={"New name or path of " (name)};
                    button.button.secondary.small type="submit" { "Move" }
                }
                form method="post" action=(place.below("/change")) data-confirm=(sure) data-delete=[is_directory.then(|| place.api("", path))] {
                    (csrf(asker))
                    input type="hidden" name="path" value=(path.as_str());
                    input type="hidden" name="action" value="delete";
                    button.button.danger.small type="submit" aria-label={"Delete " (name)} { "Delete" }
                }
            }
        }
    }
}

/// As people read it: three digits or so.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1_024 {
        return format!("{bytes} B");
    }
    let mut tenths = bytes.saturating_mul(10) / 1_024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1_024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// What is to be done.
#[derive(Deserialize)]
pub(crate) struct Change {
    csrf: String,
    path: String,
    action: String,
    #[serde(default)]
    name: String,
}

pub(crate) async fn change(
    State(portal): State<Portal>,
    asker: Asker,
    Path((vcluster, vnode)): Path<(String, String)>,
    Form(form): Form<Change>,
) -> Result<Redirect, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let path = FilePath::parse(&form.path)?;
    let reached = Reached::new(&portal, &asker, &vcluster, &vnode).await?;
    let dir = path.split().map_or_else(FilePath::root, |(dir, _)| dir);
    let (touch, ask, back, done_what) = match form.action.as_str() {
        "mkdir" => {
            let made = path.join(&form.name)?;
            let ask = FileAsk::MakeDirectory {
                path: made.clone(),
                may_exist: false,
            };
            (Touch::Write(made), ask, path, "made it")
        }
        // A whole path, or another name in the same directory.
        "rename" => {
            let to = if form.name.starts_with('/') {
                FilePath::parse(&form.name)?
            } else {
                dir.join(&form.name)?
            };
            let ask = FileAsk::Move {
                from: path.clone(),
                to: to.clone(),
                replace: false,
            };
            (Touch::Move(path, to), ask, dir, "moved it")
        }
        "delete" => {
            let ask = FileAsk::Delete {
                path: path.clone(),
                all: true,
            };
            (Touch::Delete(path), ask, dir, "deleted it")
        }
        other => return Err(Refusal::not_found("action", other.escape_debug()).into()),
    };
    let entry = reached.tell(touch, None).await?;
    let Done { files } = done(reached.act(&ask).await?)?;
    let says = match files {
        0 | 1 => format!("{} has {done_what}.", reached.worker()),
        many => format!("{} has {done_what}: {many} files.", reached.worker()),
    };
    let place = Place {
        vcluster: &vcluster,
        vnode: &vnode,
    };
    let page = place.page("", &back);
    Ok(Redirect::to(&reached.receipt(&page, entry, says)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_of_a_directory_is_a_command() {
        assert_eq!(quoted("lab/host-0:/root"), "lab/host-0:/root");
        assert_eq!(quoted("lab/host-0:/a; b"), "'lab/host-0:/a; b'");
        assert_eq!(quoted("/a'$(b)"), r"'/a'\''$(b)'");
    }

    #[test]
    fn sizes_are_short() {
        let told = [
            0,
            1_023,
            1_024,
            1_536,
            1 << 20,
            (5 << 30) + (1 << 29),
            u64::MAX,
        ]
        .map(size);
        assert_eq!(
            told[..6],
            ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "1.0 MiB", "5.5 GiB"]
        );
        assert!(told[6].ends_with("TiB"));
    }
}
