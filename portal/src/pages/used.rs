//! What one person uses: over time, by vcluster, and in beans by month. For themselves, and of everybody for admins.

use axum::extract::{Path, Query, State};
use docklet_control::State as Cluster;
use docklet_control::meter::{Measure, Values};
use docklet_control::model::{MicroBeans, PurseOf, User, Vcluster, VnodeSeen};
use maud::{Markup, html};

use super::amount::{bytes, cores};
use super::usage::{self, COLUMNS, Chart, Shown, chart, known, whole};
use super::{Page, by_command};
use crate::accounts;
use crate::asker::Asker;
use crate::meters;
use crate::problem::Problem;
use crate::serve::Portal;

/// Months that are shown.
const MONTHS_MAX: usize = 12;

pub(crate) async fn own(State(portal): State<Portal>, asker: Asker) -> Result<Markup, Problem> {
    let person = asker.user.clone();
    show(&portal, &asker, &person, "/usage").await
}

pub(crate) async fn of(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
) -> Result<Markup, Problem> {
    let person = accounts::find(&asker, &name)?.clone();
    show(
        &portal,
        &asker,
        &person,
        &format!("/people/{}/usage", person.name),
    )
    .await
}

async fn show(
    portal: &Portal,
    asker: &Asker,
    person: &User,
    path: &str,
) -> Result<Markup, Problem> {
    let state = &asker.frozen.state;
    let own = person.id == asker.user.id;
    let has_gpus = state.vnodes_of_person(person.id);
    let has_gpus = has_gpus
        .into_iter()
        .any(|vnode| !state.gpus_of(vnode.id).is_empty());
    let body = html! {
        @if !own { p.crumbs { a href="/people" { "People" } " / " a href={"/people/" (person.name)} { (person.name) } " / usage" } }
        h1 { @if own { "Your usage" } @else { "Usage of " (person.name) } }
        (chart(&Chart {
            history: &format!("/api/v1/users/{}/history", person.name),
            each: None,
            of: Vec::new(),
            has_gpus,
            table: &format!("{path}/table"),
        }))
        (by_vcluster(portal, state, person).await)
        (in_beans(state, person, own))
        @if own { (by_command("docklet quota show")) } @else { (by_command(&format!("docklet quota show --user {}", person.name))) }
    };
    Ok(Page {
        title: "Usage",
        asker,
        live: None,
        script: Some("chart.js"),
    }
    .render(body))
}

/// One vcluster with what its vnodes use now together.
struct Part<'s> {
    vcluster: &'s Vcluster,
    running: usize,
    vnodes: usize,
    values: Values,
}

async fn by_vcluster(portal: &Portal, state: &Cluster, person: &User) -> Markup {
    let mut parts = Vec::new();
    for vcluster in state.vclusters_of(person.id) {
        if state.is_trashed(vcluster.id) {
            continue;
        }
        let workers = meters::workers_of(state, vcluster);
        let live = meters::now_of_all(portal, workers.into_iter()).await;
        let mut values = Values::default();
        let told = meters::usage(state, vcluster, &live);
        for usage in told.iter().filter_map(|vnode| vnode.usage) {
            values.add(&usage.values);
        }
        let vnodes = state.live_vnodes_of(vcluster.id);
        let running = vnodes
            .iter()
            .filter(|vnode| vnode.seen == VnodeSeen::Running);
        parts.push(Part {
            vcluster,
            running: running.count(),
            vnodes: vnodes.len(),
            values,
        });
    }
    let cpu = |part: &Part<'_>| {
        let used = part.values.get(Measure::CpuMilli);
        used.map(|milli| whole(f64::from(milli)))
    };
    parts.sort_by_key(|part| (std::cmp::Reverse(cpu(part)), &part.vcluster.name));
    html! {
        section aria-labelledby="by-vcluster" {
            h2 #by-vcluster { "Now, by vcluster" }
            @if parts.is_empty() {
                p.muted { "There are no vclusters. " a href="/new/vcluster" { "Create one" } }
            } @else {
                table {
                    thead { tr { th { "Vcluster" } th { "Running" } th { "CPU" } th { "Memory" } th { "Disk" } th { "Processes" } } }
                    tbody { @for part in &parts { (row(part)) } }
                }
            }
        }
    }
}

fn row(part: &Part<'_>) -> Markup {
    let used =
        |measure: Measure, words: &dyn Fn(f64) -> String| known(&part.values, measure, words);
    html! {
        tr data-vcluster=(part.vcluster.name) {
            td.main data-label="Vcluster" { a href={"/vclusters/" (part.vcluster.id)} { (part.vcluster.name) } }
            td data-label="Running" { (part.running) " of " (part.vnodes) }
            td data-label="CPU" { (used(Measure::CpuMilli, &|milli| cores(whole(milli)))) }
            td data-label="Memory" { (used(Measure::MemoryBytes, &bytes)) }
            td data-label="Disk" { (used(Measure::DiskBytes, &bytes)) }
            td data-label="Processes" { (used(Measure::Processes, &|n| whole(n).to_string())) }
        }
    }
}

/// What was spent, month by month; nothing where beans are not in use.
fn in_beans(state: &Cluster, person: &User, own: bool) -> Markup {
    if docklet_control::bean::in_use(state).is_none() {
        return html! {};
    }
    let of = PurseOf::User(person.id);
    let months = spent_by_month(state, of);
    let most = months
        .iter()
        .map(|(_, spent)| spent.0)
        .max()
        .unwrap_or(0)
        .max(1);
    html! {
        section aria-labelledby="in-beans" {
            h2 #in-beans { "Beans, by month" }
            @if months.is_empty() { p.muted { "Nothing was spent yet." } } @else {
                table {
                    thead { tr { th { "Month" } th { "Spent" } th { span.unseen { "Compared" } } } }
                    tbody {
                        @for (month, spent) in months.iter().rev().take(MONTHS_MAX) {
                            tr {
                                td.main data-label="Month" { @if own { a href={"/beans?month=" (month)} { (month) } } @else { (month) } }
                                td data-label="Spent" { (spent) }
                                td data-label="Compared" { meter min="0" max=(most) value=(spent.0.max(0)) aria-label={(spent) " beans in " (month)} {} }
                            }
                        }
                    }
                }
            }
            @if own { p { a href="/beans" { "Your beans, and what they went for" } } }
        }
    }
}

fn spent_by_month(state: &Cluster, of: PurseOf) -> Vec<(String, MicroBeans)> {
    let mut months: Vec<(String, MicroBeans)> = Vec::new();
    for line in state.bean_lines_of(of) {
        let month = line.month.to_string();
        let spent = line.cost.sum();
        match months.last_mut().filter(|(last, _)| *last == month) {
            Some((_, sum)) => *sum = sum.plus(spent),
            None => months.push((month, spent)),
        }
    }
    months.retain(|(_, spent)| spent.0 != 0);
    months
}

pub(crate) async fn own_table(
    State(portal): State<Portal>,
    asker: Asker,
    Query(shown): Query<Shown>,
) -> Result<Markup, Problem> {
    let person = asker.user.clone();
    Ok(table(&portal, &asker, &person, "/usage", &shown).await)
}

pub(crate) async fn table_of(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
    Query(shown): Query<Shown>,
) -> Result<Markup, Problem> {
    let person = accounts::find(&asker, &name)?.clone();
    let path = format!("/people/{}/usage", person.name);
    Ok(table(&portal, &asker, &person, &path, &shown).await)
}

async fn table(portal: &Portal, asker: &Asker, person: &User, path: &str, shown: &Shown) -> Markup {
    let state = &asker.frozen.state;
    let vnodes = state.vnodes_of_person(person.id);
    let history = meters::history(portal, state, vnodes, shown.span, &COLUMNS).await;
    let body = html! {
        p.crumbs { a href=(path) { "Usage" } " / as a table" }
        h1 { "In use" }
        form.inline method="get" { (usage::spans(shown.span)) }
        (usage::answered(&history))
    };
    Page {
        title: "Usage",
        asker,
        live: None,
        script: None,
    }
    .render(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use docklet_control::id::UserId;

    #[test]
    fn who_has_no_purse_has_spent_nothing() {
        let state = Cluster::default();
        assert_eq!(spent_by_month(&state, PurseOf::User(UserId(1))), Vec::new());
        assert_eq!(by_beans(&state), "");
    }

    fn by_beans(state: &Cluster) -> String {
        let person = User {
            id: UserId(1),
            name: docklet_control::name::Name::parse("user", "ada").expect("a name"),
            role: docklet_control::model::Role::User,
            password_hash: String::new(),
            created_at: docklet_control::id::UnixMs(0),
        };
        in_beans(state, &person, true).into_string()
    }
}
