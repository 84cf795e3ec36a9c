//! How much people have and may have: one's own on the first page; for admins and managers of groups a page on which they
//! see whom they look after, and say how much those may have.

use axum::extract::{Form, Query, State};
use axum::response::Redirect;
use docklet_control::Command;
use docklet_control::model::{Bound, Group, QuotaItem};
use docklet_control::quota::command::QuotaCommand;
use docklet_control::view::{AllowanceView, AllowedItem, allowance};
use maud::{Markup, html};
use serde::Deserialize;

use super::{Page, by_command, check_csrf, csrf, whole, whole_anew};
use crate::asker::{Asker, propose};
use crate::part::{self, Asked};
use crate::past::aside;
use crate::problem::Problem;
use crate::serve::Portal;

/// What somebody has themselves, on their first page.
pub(super) fn own(asker: &Asker) -> Markup {
    let view = allowance::of(&asker.frozen.state, &asker.user);
    let bounded = view.items.iter().filter(|item| item.limit.is_some());
    let bounded: Vec<&AllowedItem> = bounded.collect();
    html! {
        section.card aria-labelledby="quota" {
            h2 #quota { "Your quota" }
            @if bounded.iter().all(|item| item.used.is_none()) {
                p.muted { "You may have as much as there is." }
            }
            dl.quota {
                @for item in bounded { (row(item)) }
            }
            p { a href="/usage" { "Your usage over time" } }
            (by_command("docklet quota show"))
        }
    }
}

fn row(item: &AllowedItem) -> Markup {
    let limit = item.limit_words();
    html! {
        div data-item=(item.item.code()) {
            dt { (item.item.word()) }
            dd {
                @if let (Some(used), Some(words), Some(most)) = (item.used, item.used_words(), item.limit) {
                    (words) " of " (limit)
                    meter min="0" max=(most.max(1)) value=(used.min(most.max(1))) aria-label={(item.item.word()) " used"} {}
                    @if used > most { span.hint { "More than is allowed now: it stays, and there is no more." } }
                } @else { (limit) }
                " " span.hint { (item.whence) }
            }
        }
    }
}

/// Whether there is anybody whom the asker looks after.
pub(super) fn looks_after_others(asker: &Asker) -> bool {
    let mut groups = asker.frozen.state.groups.values();
    asker.user.is_admin() || groups.any(|group| group.is_managed_by(&asker.user))
}

/// Groups that the asker looks after, by name.
pub(super) fn managed(asker: &Asker) -> Vec<&Group> {
    let groups = asker.frozen.state.groups.values();
    let managed = groups.filter(|group| group.is_managed_by(&asker.user));
    let mut managed: Vec<&Group> = managed.collect();
    managed.sort_by_key(|group| &group.name);
    managed
}

const PATH: &str = "/quotas";

pub(crate) async fn show(asker: Asker, Query(asked): Query<Asked>) -> Result<Markup, Problem> {
    let body = body(&asker, &asked).await?;
    let page = Page {
        title: "Quotas",
        asker: &asker,
        live: Some(asked.at("/live/quotas")),
        script: None,
    };
    Ok(page.render(whole(&body)))
}

pub(crate) async fn fragments(asker: &Asker, asked: &Asked) -> Vec<(String, Markup)> {
    let body = body(asker, asked).await;
    body.map(|body| whole_anew(&body)).unwrap_or_default()
}

async fn body(asker: &Asker, asked: &Asked) -> Result<Markup, Problem> {
    let (shown, wanted) = (asker.clone(), asked.for_page());
    let look = move || allowance::part(&shown.frozen.state, &shown.user, &wanted);
    let people = aside(look).await?;
    Ok(html! {
        h1 { "Quotas" }
        p { "What holds of somebody is what was set for them; else the most generous of their groups; else the usual. Whoever has more than they may keeps it, and gets no more." }
        @if looks_after_others(asker) { (form(asker)) } @else {
            p.muted { "You look after nobody else: managers of groups and admins do." }
        }
        h2 { "People" }
        (part::finder(asked, &people, PATH, "people"))
        (table(&people.rows))
        (part::pager(asked, &people, PATH))
        @if asker.user.is_admin() { h2 { "Usual" } (usual(asker)) }
        h2 { "Groups" }
        (groups(asker))
        @if asker.user.is_admin() { p { "What vnodes use may cost beans, too: " a href="/beans" { "how this site uses beans" } "." } }
        (by_command("docklet quota set --user NAME --vnodes 8 --memory 4GiB"))
    })
}

fn table(people: &[AllowanceView]) -> Markup {
    const SHOWN: [QuotaItem; 8] = [
        QuotaItem::Vnodes,
        QuotaItem::CpuMilli,
        QuotaItem::MemoryMib,
        QuotaItem::DiskMib,
        QuotaItem::Gpus,
        QuotaItem::Ports,
        QuotaItem::Snapshots,
        QuotaItem::ImageBytes,
    ];
    let cell = |view: &AllowanceView, item: QuotaItem| {
        let found = view.items.iter().find(|found| found.item == item);
        found.map(|found| {
            let used = found.used_words().unwrap_or_default();
            let of = if found.limit.is_some() { " of" } else { "," };
            (
                format!("{used}{of} {}", found.limit_words()),
                found.whence.clone(),
            )
        })
    };
    html! {
        table.quotas {
            thead { tr { th { "Person" } @for item in SHOWN { th { (item.word()) } } } }
            tbody {
                @for view in people {
                    tr data-user=(view.user) {
                        td.main data-label="Person" { (view.user) }
                        @for item in SHOWN {
                            td data-label=(item.word()) {
                                @if let Some((text, whence)) = cell(view, item) { (text) p.hint { (whence) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn words(item: QuotaItem, bound: Bound) -> String {
    let most = bound.number().map(|most| item.words(most));
    most.unwrap_or_else(|| "no limit".to_owned())
}

fn usual(asker: &Asker) -> Markup {
    html! {
        dl.facts {
            @for (item, bound) in allowance::usual(&asker.frozen.state) {
                div { dt { (item.word()) } dd { (words(item, bound)) } }
            }
        }
    }
}

fn groups(asker: &Asker) -> Markup {
    let state = &asker.frozen.state;
    let managed = managed(asker);
    html! {
        @if managed.is_empty() { p.muted { "There is no group that you look after." } }
        @for group in managed {
            @let given = state.group_quotas.get(&group.id);
            section.card data-group=(group.name) {
                h3 { a href={"/groups/" (group.name)} { (group.name) } }
                p.hint { (group.members.len()) @if group.members.len() == 1 { " member" } @else { " members" } }
                @if let Some(given) = given {
                    dl.facts {
                        @for (item, bound) in &given.quota.0 {
                            div { dt { (item.word()) } dd { (words(*item, *bound)) } }
                        }
                    }
                } @else { p.muted { "It gives its members nothing beyond what they have without it." } }
            }
        }
    }
}

/// One form for all: of whom, what, how much. Admins set everything, managers what members have of what a group gives.
fn form(asker: &Asker) -> Markup {
    let admin = asker.user.is_admin();
    html! {
        details.card {
            summary { "Set a quota" }
            form.grid method="post" action="/quotas" {
                (csrf(asker))
                div.field {
                    label for="quota-group" { "Group" }
                    select #quota-group name="group" required[!admin] {
                        @if admin { option value="" { "–" } }
                        @for group in managed(asker) { option value=(group.name) { (group.name) } }
                    }
                }
                div.field {
                    label for="quota-user" { "Person" }
                    input #quota-user name="user" autocomplete="off" required[!admin] aria-describedby="quota-hint";
                }
                div.field {
                    label for="quota-item" { "Of what" }
                    select #quota-item name="item" {
                        @for item in QuotaItem::ALL { option value=(item.code()) { (item.word()) ", " (unit(item)) } }
                    }
                }
                div.field {
                    label for="quota-most" { "At most" }
                    input #quota-most name="most" autocomplete="off" inputmode="numeric" placeholder="as without it" aria-describedby="quota-hint";
                }
                p.hint #quota-hint {
                    "A number, “none” for no limit, or nothing for what holds when it is not said here. "
                    @if admin { "With neither group nor person it is the usual; with both it is what the group gives that person." }
                    @else { "It is what the group gives that person, and no more than it gives all." }
                }
                div.actions { button.button type="submit" { "Set" } }
            }
        }
    }
}

fn unit(item: QuotaItem) -> &'static str {
    match item {
        QuotaItem::Vnodes | QuotaItem::Gpus | QuotaItem::Ports | QuotaItem::Snapshots => "number",
        QuotaItem::CpuMilli => "thousandths of a core",
        QuotaItem::MemoryMib | QuotaItem::DiskMib | QuotaItem::HomeMib => "MiB",
        QuotaItem::ImageBytes => "bytes",
        QuotaItem::BandwidthKbitPerS => "kbit/s of each vnode",
        QuotaItem::IdleMinutes => "minutes without doing anything",
    }
}

#[derive(Deserialize)]
pub(crate) struct Change {
    csrf: String,
    #[serde(default)]
    group: String,
    #[serde(default)]
    user: String,
    item: String,
    most: String,
}

impl Change {
    fn command(self) -> Result<QuotaCommand, Problem> {
        let item = QuotaItem::ALL.into_iter();
        let mut item = item.filter(|item| item.code() == self.item);
        let unknown = || Problem::malformed("item", "it is none of those that have a quota");
        let item = item.next().ok_or_else(unknown)?;
        let bound = match self.most.trim() {
            "" => None,
            "none" => Some(Bound::Unlimited),
            text => {
                let most = text.parse();
                Some(Bound::AtMost(
                    most.map_err(|error| Problem::malformed("limit", error))?,
                ))
            }
        };
        let change = [(item, bound)].into();
        let (group, user) = (self.group, self.user.trim().to_owned());
        Ok(match (group.is_empty(), user.is_empty()) {
            (true, true) => QuotaCommand::SetUsual { change },
            (true, false) => QuotaCommand::SetOfUser { user, change },
            (false, true) => QuotaCommand::SetOfGroup { group, change },
            (false, false) => QuotaCommand::SetShare {
                group,
                user,
                change,
            },
        })
    }
}

pub(crate) async fn set(
    State(portal): State<Portal>,
    asker: Asker,
    Form(form): Form<Change>,
) -> Result<Redirect, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let command = Command::Quota(form.command()?);
    let receipt = propose(&portal, &asker, command).await?;
    Ok(Redirect::to(&format!("/quotas?after={}", receipt.index)))
}
