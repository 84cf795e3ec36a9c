//! Snapshots of a vcluster's vnodes, on its page: what there is, taking, restoring, deleting, and the schedule.

use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use docklet_control::Command;
use docklet_control::model::kept::KeptKind;
use docklet_control::model::{RestoreSeen, SnapshotRhythm, VclusterWanted};
use docklet_control::snapshot::command::{SnapshotCommand, SnapshotOf};
use docklet_control::trash::command::Thing;
use docklet_control::view::{
    RestoreView, ScheduleView, SnapshotView, SnapshotsView, VclusterView, snapshot,
};
use maud::{Markup, html};
use serde::Deserialize;

use super::amount::bytes;
use super::{by_command, check_csrf, csrf, instant, kept, sentence};
use crate::api::snapshot::meant;
use crate::asker::{Asker, propose};
use crate::problem::Problem;
use crate::serve::Portal;
use crate::worker::find_vcluster;

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// How often the form offers.
const RHYTHMS: [(&str, u64); 6] = [
    ("Every 15 minutes", 15 * MINUTE_MS),
    ("Hourly", HOUR_MS),
    ("Every 6 hours", 6 * HOUR_MS),
    ("Daily", DAY_MS),
    ("Weekly", 7 * DAY_MS),
    ("Every 4 weeks", 28 * DAY_MS),
];
/// How long the forms offer to keep one.
const SPANS: [(&str, u64); 5] = [
    ("For ever", 0),
    ("For a day", DAY_MS),
    ("For a week", 7 * DAY_MS),
    ("For 4 weeks", 28 * DAY_MS),
    ("For a year", 365 * DAY_MS),
];

/// Everything about snapshots on the page of a vcluster.
pub(crate) fn section(asker: &Asker, view: &VclusterView, name: &str) -> Markup {
    html! {
        section aria-labelledby="snapshots-title" {
            h2 #snapshots-title { "Snapshots" }
            (table(asker, view, name))
            @if view.wanted != VclusterWanted::Deleted { (take_form(asker, view, name)) }
            (deleted(asker, view))
            (schedule(asker, view, name))
            (by_command(&format!("docklet snapshot create {name}/host-0@before-upgrade --wait")))
        }
    }
}

/// The parts that are sent anew when they change.
pub(crate) fn fragments(asker: &Asker, view: &VclusterView, name: &str) -> Vec<(String, Markup)> {
    vec![
        ("snapshots".to_owned(), table(asker, view, name)),
        ("kept".to_owned(), deleted(asker, view)),
        ("snapshot-schedule".to_owned(), schedule(asker, view, name)),
    ]
}

/// What is left of them on an open page when its vcluster goes.
pub(crate) fn gone() -> Vec<(String, Markup)> {
    vec![
        ("snapshots".to_owned(), html! { div #snapshots {} }),
        ("kept".to_owned(), html! { div #kept {} }),
        (
            "snapshot-schedule".to_owned(),
            html! { div #snapshot-schedule {} },
        ),
    ]
}

fn deleted(asker: &Asker, view: &VclusterView) -> Markup {
    kept::section(asker, &[KeptKind::Snapshot], Some(view.id))
}

fn all(asker: &Asker, view: &VclusterView) -> SnapshotsView {
    snapshot::of_vcluster(&asker.frozen.state, view.id)
}

fn table(asker: &Asker, view: &VclusterView, name: &str) -> Markup {
    let SnapshotsView {
        snapshots,
        restores,
        ..
    } = all(asker, view);
    html! {
        div #snapshots {
            @if snapshots.is_empty() {
                p.hint { "None. A snapshot is a vnode's disk as it is at one moment, kept on its worker; what runs goes on. Take the first below, before you change something that you may want back." }
            } @else {
                table {
                    thead { tr {
                        th { "Snapshot" } th { "Taken" } th { "Uses" } th { "Goes" } th { span.unseen { "Actions" } }
                    } }
                    tbody { @for snapshot in &snapshots { (row(asker, snapshot, (view, name))) } }
                }
            }
            @for restore in &restores { (restored(restore)) }
        }
    }
}

fn row(asker: &Asker, snapshot: &SnapshotView, (view, name): (&VclusterView, &str)) -> Markup {
    let own = view.owner == asker.user.name.as_str();
    html! {
        tr data-snapshot=(snapshot.called()) data-condition=(snapshot.condition()) {
            td.main data-label="Snapshot" { (snapshot.vnode) "@" (snapshot.name) }
            td data-label="Taken" {
                @match snapshot.condition() {
                    "taken" => (instant(snapshot.asked_at)),
                    other => (other),
                }
                @if !snapshot.cause().is_empty() { p.hint { (sentence(snapshot.cause())) } }
            }
            td data-label="Uses" {
                @match snapshot.measures() {
                    Some((disk, used, _)) => span { (size(used)) span.muted { " of " (size(disk.0 << 20)) } },
                    None => "—",
                }
            }
            td data-label="Goes" {
                @match snapshot.expires_at { Some(at) => (instant(at)), None => "never" }
            }
            td.act data-label="" {
                div.buttons {
                    @if snapshot.condition() == "taken" {
                        (restore_form(asker, snapshot, name))
                        @if own { (copy_link(snapshot, name)) }
                    }
                    (delete_form(asker, snapshot, name))
                }
            }
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "people read a tenth of a unit, and a double has sixteen digits"
)]
fn size(amount: u64) -> String {
    bytes(amount as f64)
}

fn restore_form(asker: &Asker, snapshot: &SnapshotView, name: &str) -> Markup {
    let sure = format!(
        "Put {} back to {}? If it runs it is stopped and started again. What is there now becomes a snapshot.",
        snapshot.vnode, snapshot.name
    );
    html! {
        form method="post" action={"/vclusters/" (name) "/snapshots/restore"} data-confirm=(sure) {
            (meaning(asker, snapshot))
            button.button.secondary.small type="submit" aria-label={"Restore " (snapshot.called())} { "Restore" }
        }
    }
}

/// To the form with which a vcluster is made of it.
fn copy_link(snapshot: &SnapshotView, name: &str) -> Markup {
    let of = format!("{name}/{}", snapshot.called());
    html! {
        a.button.secondary.small href={"/new/vcluster?from=" (of)} aria-label={"New vcluster of " (snapshot.called())} { "New vcluster" }
    }
}

fn delete_form(asker: &Asker, snapshot: &SnapshotView, name: &str) -> Markup {
    let sure = format!("Delete {}? {}", snapshot.called(), kept::way_back(asker));
    html! {
        form method="post" action={"/vclusters/" (name) "/snapshots/delete"} data-confirm=(sure) {
            (meaning(asker, snapshot))
            button.button.secondary.small type="submit" aria-label={"Delete " (snapshot.called())} { "Delete" }
        }
    }
}

/// Which one a form is about.
fn meaning(asker: &Asker, snapshot: &SnapshotView) -> Markup {
    html! {
        (csrf(asker))
        input type="hidden" name="vnode" value=(snapshot.vnode);
        input type="hidden" name="name" value=(snapshot.name);
    }
}

fn restored(restore: &RestoreView) -> Markup {
    let RestoreView {
        vnode, name, left, ..
    } = restore;
    html! {
        p.hint data-restore=(vnode) {
            @match &restore.seen {
                RestoreSeen::Wanted => { (vnode) " is being put back to " (name) "." }
                RestoreSeen::Done { at } => {
                    (vnode) " was put back to " (name) ", " (instant(*at)) "."
                    @if let Some(left) = left { " What was there before is " (vnode) "@" (left) "." }
                }
                RestoreSeen::Failed { cause } => {
                    (vnode) " was not put back to " (name) " and goes on as it was: " (cause) "."
                }
            }
        }
    }
}

fn take_form(asker: &Asker, view: &VclusterView, name: &str) -> Markup {
    html! {
        form.fields method="post" action={"/vclusters/" (name) "/snapshots/take"} aria-label="Take a snapshot" {
            (csrf(asker))
            div.field {
                label for="snapshot-vnode" { "Vnode" }
                select #snapshot-vnode name="vnode" {
                    option value="" { "All" }
                    @for vnode in &view.vnodes { option { (vnode.name) } }
                }
            }
            div.field.long {
                label for="snapshot-name" { "Name" }
                input #snapshot-name name="name" required maxlength="40" autocomplete="off";
            }
            div.field {
                label for="snapshot-ttl" { "Keep it" }
                (spans("snapshot-ttl", 0))
            }
            button.button.secondary type="submit" { "Take" }
        }
    }
}

fn spans(id: &str, chosen: u64) -> Markup {
    html! {
        select id=(id) name="ttl_ms" {
            @for (label, ms) in SPANS { option value=(ms) selected[ms == chosen] { (label) } }
            @if !SPANS.iter().any(|(_, ms)| *ms == chosen) {
                option value=(chosen) selected { (chosen / MINUTE_MS) " minutes" }
            }
        }
    }
}

fn schedule(asker: &Asker, view: &VclusterView, name: &str) -> Markup {
    let schedule = all(asker, view).schedule;
    html! {
        div #snapshot-schedule {
            @if view.wanted != VclusterWanted::Deleted {
                h3 { "Schedule" }
                p.hint {
                    @match &schedule {
                        Some(schedule) => { "The next of all vnodes are taken " (instant(schedule.next_at)) "." }
                        None => "None are taken by themselves.",
                    }
                }
                @if let Some(trouble) = schedule.as_ref().map(|s| &s.trouble).filter(|t| !t.is_empty()) {
                    p.notice { "The last time there was none of " (trouble) "." }
                }
                (schedule_form(asker, schedule.as_ref(), name))
            }
        }
    }
}

fn schedule_form(asker: &Asker, schedule: Option<&ScheduleView>, name: &str) -> Markup {
    let every = schedule.map_or(DAY_MS, |schedule| schedule.every_ms);
    let keep = schedule.map_or(7, |schedule| schedule.keep);
    let (least, most) = SnapshotRhythm::KEEP_RANGE.into_inner();
    html! {
        form.fields method="post" action={"/vclusters/" (name) "/snapshots/schedule"} aria-label="Schedule of snapshots" {
            (csrf(asker))
            div.field {
                label for="snapshot-every" { "Take them" }
                select #snapshot-every name="every_ms" {
                    @if schedule.is_some() { option value="0" { "Not any more" } }
                    @for (label, ms) in RHYTHMS { option value=(ms) selected[ms == every] { (label) } }
                    @if !RHYTHMS.iter().any(|(_, ms)| *ms == every) {
                        option value=(every) selected { "Every " (every / MINUTE_MS) " minutes" }
                    }
                }
            }
            div.field {
                label for="snapshot-keep" { "Keep the newest" }
                input #snapshot-keep name="keep" type="number" min=(least) max=(most) value=(keep) required;
            }
            div.field {
                label for="snapshot-expiry" { "Keep each" }
                (spans("snapshot-expiry", schedule.and_then(|s| s.ttl_ms).unwrap_or_default()))
            }
            button.button.secondary type="submit" { "Set" }
        }
    }
}

/// The fields of all these forms, as text: what is left empty comes as an empty one, what a form has not is absent.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Fields {
    csrf: String,
    vnode: String,
    name: String,
    ttl_ms: String,
    every_ms: String,
    keep: String,
}

impl Fields {
    fn of(&self, asker: &Asker, vcluster: &str) -> Result<SnapshotOf, Problem> {
        let vnode = self.vnode.trim();
        meant(
            asker,
            vcluster,
            Some(vnode).filter(|vnode| !vnode.is_empty()),
        )
    }

    fn ttl_ms(&self) -> Result<Option<u64>, Problem> {
        let ttl_ms: u64 = number("expiry", &self.ttl_ms)?;
        Ok(Some(ttl_ms).filter(|ttl_ms| *ttl_ms > 0))
    }

    fn rhythm(&self) -> Result<Option<SnapshotRhythm>, Problem> {
        let every_ms = number("interval", &self.every_ms)?;
        if every_ms == 0 {
            return Ok(None);
        }
        Ok(Some(SnapshotRhythm {
            every_ms,
            keep: number("number of snapshots", &self.keep)?,
            ttl_ms: self.ttl_ms()?,
        }))
    }
}

fn number<N: std::str::FromStr<Err: ToString>>(what: &str, text: &str) -> Result<N, Problem> {
    let number = text.trim().parse();
    number.map_err(|error: N::Err| Problem::malformed(what, error))
}

pub(crate) async fn take(
    State(portal): State<Portal>,
    asker: Asker,
    Path(vcluster): Path<String>,
    Form(form): Form<Fields>,
) -> Result<Response, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let command = SnapshotCommand::Take {
        of: form.of(&asker, &vcluster)?,
        name: form.name.trim().to_owned(),
        ttl_ms: form.ttl_ms()?,
    };
    ask(&portal, &asker, &vcluster, command).await
}

pub(crate) async fn restore(
    State(portal): State<Portal>,
    asker: Asker,
    Path(vcluster): Path<String>,
    Form(form): Form<Fields>,
) -> Result<Response, Problem> {
    let restore = |of, name| SnapshotCommand::Restore { of, name };
    ask_of_one(&portal, &asker, &vcluster, form, restore).await
}

pub(crate) async fn delete(
    State(portal): State<Portal>,
    asker: Asker,
    Path(vcluster): Path<String>,
    Form(form): Form<Fields>,
) -> Result<Response, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let of = form.of(&asker, &vcluster)?;
    let thing = Thing::Snapshots {
        of,
        name: form.name,
    };
    kept::delete(&portal, &asker, thing, &format!("/vclusters/{vcluster}")).await
}

/// Asks for what is done with a snapshot that is there.
async fn ask_of_one(
    portal: &Portal,
    asker: &Asker,
    vcluster: &str,
    form: Fields,
    command: impl FnOnce(SnapshotOf, String) -> SnapshotCommand,
) -> Result<Response, Problem> {
    check_csrf(asker, &form.csrf)?;
    let of = form.of(asker, vcluster)?;
    ask(portal, asker, vcluster, command(of, form.name)).await
}

pub(crate) async fn set_schedule(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
    Form(form): Form<Fields>,
) -> Result<Response, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let vcluster = find_vcluster(&asker.frozen.state, &asker.user, &name)?.id;
    let rhythm = form.rhythm()?;
    let command = SnapshotCommand::SetSchedule { vcluster, rhythm };
    ask(&portal, &asker, &name, command).await
}

/// To the vcluster's page, which knows the write.
async fn ask(
    portal: &Portal,
    asker: &Asker,
    vcluster: &str,
    command: SnapshotCommand,
) -> Result<Response, Problem> {
    let receipt = propose(portal, asker, Command::Snapshot(command)).await?;
    let index = receipt.index;
    Ok(Redirect::to(&format!("/vclusters/{vcluster}?after={index}")).into_response())
}
