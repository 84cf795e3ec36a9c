//! Beans: what one has and what it was spent on; for managers of groups and admins, who asks for some, and who has how many.

mod days;
pub(crate) mod page;

use axum::extract::{Form, Path, State};
use axum::response::Redirect;
use docklet_control::Command;
use docklet_control::bean::command::{BeanCommand, Receiver, SettingsChange};
use docklet_control::id::LogIndex;
use docklet_control::model::{BeanRequest, MicroBeans};
use docklet_control::view::bean::{self, BeanRequestView, LineView, PurseView};
use docklet_control::view::{BeansView, StatementView};
use maud::{Markup, html};
use serde::Deserialize;

use super::{by_command, check_csrf, csrf, instant};
use crate::asker::{Asker, propose};
use crate::part;
use crate::problem::Problem;
use crate::serve::Portal;

/// What somebody has, in the head of every page.
pub(super) fn head(asker: &Asker) -> Markup {
    let balance = bean::balance(&asker.frozen.state, &asker.user);
    html! {
        @if let Some(balance) = balance {
            a.name.beans href="/beans" data-beans=(balance) { (short(balance)) " beans" }
        }
    }
}

/// What somebody has themselves, on their first page; nothing where beans are not in use.
pub(super) fn own_card(asker: &Asker) -> Markup {
    let view = bean::show(&asker.frozen.state, &asker.user);
    html! {
        @if let Some(view) = view {
            section.card aria-labelledby="beans" {
                h2 #beans { "Your beans" }
                @match &view.own {
                    Some(purse) => (own(purse)),
                    None => { p.muted { "Your purse is opened in a moment." } }
                }
                p { a href="/beans" { "What they were spent on, and asking for more" } }
                (by_command("docklet beans statement"))
            }
        }
    }
}

fn in_use(
    asker: &Asker,
    asked: &part::Asked,
    view: &BeansView,
    statement: Option<&StatementView>,
) -> Markup {
    html! {
        div.cards {
            section.card aria-labelledby="purse" {
                h2 #purse { "Your purse" }
                @match &view.own {
                    Some(purse) => (own(purse)),
                    None => { p.muted { "It is opened in a moment." } }
                }
            }
            section.card aria-labelledby="ask" {
                h2 #ask { "Ask for beans" }
                (ask(asker, view))
            }
        }
        h2 { "Statement" }
        @match statement {
            Some(statement) => (of_month(statement)),
            None => { p.muted { "There is nothing to tell yet: the first line comes when something of yours runs. " a href="/new/vcluster" { "Create a vcluster" } } }
        }
        (by_command("docklet beans statement --verify"))
        @if !view.requests.is_empty() || super::quota::looks_after_others(asker) {
            h2 { "Requests" }
            (requests(asker, view))
        }
        @if !view.groups.is_empty() || asker.user.is_admin() {
            h2 { "Give beans" }
            (give(asker, view))
        }
        @if asker.user.is_admin() {
            h2 { "Purses" }
            (all_purses(asker, asked))
        } @else if !view.groups.is_empty() {
            h2 { "Purses of your groups" }
            (purses(&view.groups))
        }
    }
}

fn own(purse: &PurseView) -> Markup {
    html! {
        dl.figures {
            div { dt { "Beans" } dd data-balance=(purse.balance) { (short(purse.micro)) } }
            div { dt { "Spent in the newest month" } dd { (short(purse.spent_micro)) } }
        }
        @if let Some(at) = purse.stops_at {
            p.notice.refused role="status" { "Nothing is left. What runs is stopped after " (instant(at)) ", the newest first. Nothing of it is lost." }
        }
    }
}

fn ask(asker: &Asker, view: &BeansView) -> Markup {
    let waits = view.request.as_ref().filter(|row| row.verdict.is_none());
    let (least, most) = BeanRequest::BEANS_RANGE.into_inner();
    html! {
        @if let Some(request) = &view.request { (answer(request)) }
        @if let Some(request) = waits {
            form method="post" action={ "/beans/requests/" (request.number) } {
                (csrf(asker))
                button.button.quiet type="submit" name="verdict" value="withdraw" { "Withdraw the request" }
            }
        }
        @if waits.is_none() {
            form.fields method="post" action="/beans/requests" {
                (csrf(asker))
                div.field {
                    label for="wanted" { "Beans" }
                    input #wanted name="beans" type="number" min=(least) max=(most) value="500" required;
                }
                div.field.long {
                    label for="why" { "What for" }
                    input #why name="reason" required maxlength=(BeanRequest::REASON_LEN_MAX) autocomplete="off";
                }
                button.button type="submit" { "Ask" }
            }
        }
    }
}

/// What became of one's own last request.
fn answer(request: &BeanRequestView) -> Markup {
    html! {
        p data-request=(request.number) {
            "You asked for " (request.beans) " beans, " (instant(request.asked_at)) ": "
            @match &request.verdict {
                None => "nobody has decided yet.",
                Some(verdict) => {
                    @if verdict.given { "approved" } @else { "declined" } " by " (verdict.by)
                    @if verdict.reason.is_empty() { "." } @else { ", “" (verdict.reason) "”." }
                }
            }
        }
    }
}

fn of_month(statement: &StatementView) -> Markup {
    let csv = format!("/api/v1/beans/statement.csv?month={}", statement.month);
    let money = |label: &'static str, beans: MicroBeans| {
        html! { td.number data-label=(label) { (rounded(beans)) } }
    };
    html! {
        nav.months aria-label="Months" {
            @for month in statement.months.iter().rev() {
                @let current = (*month == statement.month).then_some("page");
                a href={"/beans?month=" (month)} aria-current=[current] { (month) } " "
            }
        }
        @if statement.lines.is_empty() { p.muted { "There is nothing of " (statement.month) "." } } @else {
            table.statement {
                caption { "Statement of " (statement.month) ". It began with " (short(statement.begins_micro)) " beans and ends with " (short(statement.ends_micro)) "." }
                thead { tr {
                    th { "Line" } th { "Ran" } th { "CPU" } th { "Memory" } th { "Disk" } th { "Ports" } th { "Network" } th { "GPUs" } th { "Rounding" } th { "Sum" }
                } }
                tbody {
                    @for line in &statement.lines {
                        tr data-line=(line.label) {
                            td.main data-label="Line" { (line.label) }
                            td data-label="Ran" { (ran(line)) }
                            (money("CPU", line.cost.cpu))
                            (money("Memory", line.cost.memory))
                            (money("Disk", line.cost.disk))
                            (money("Ports", line.cost.ports))
                            (money("Network", line.cost.network))
                            (money("GPUs", line.cost.gpus))
                            (money("Rounding", line.cost.rounding))
                            td.number data-label="Sum" { (short(line.amount)) }
                        }
                    }
                }
            }
            p { a href=(csv) { "As a table (CSV)" } }
            (days::section(statement))
        }
    }
}

fn ran(line: &LineView) -> String {
    let minutes = line.used.run_ms / 60_000;
    match (minutes / 60, minutes % 60) {
        (0, 0) if line.used.run_ms == 0 => String::new(),
        (0, 0) => format!("{} s", line.used.run_ms / 1_000),
        (0, minutes) => format!("{minutes} min"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

/// To the hundredth, where that is something: the command line has them to the millionth.
fn short(beans: MicroBeans) -> String {
    if beans.0.unsigned_abs() < 10_000 {
        return beans.to_string();
    }
    let hundredths = beans.0 / 10_000;
    let sign = if hundredths < 0 { "-" } else { "" };
    let size = hundredths.unsigned_abs();
    let text = format!("{}.{:02}", size / 100, size % 100);
    format!("{sign}{}", text.trim_end_matches('0').trim_end_matches('.'))
}

/// What costs nothing is left out.
fn rounded(beans: MicroBeans) -> String {
    match beans.0 {
        0 => String::new(),
        1..10_000 => "< 0.01".to_owned(),
        _ => short(beans),
    }
}

fn requests(asker: &Asker, view: &BeansView) -> Markup {
    html! {
        @if view.requests.is_empty() { p.muted { "Nobody whom you look after asks for beans." } }
        @for request in &view.requests {
            section.card data-request=(request.number) aria-labelledby={"request-" (request.number)} {
                h3 id={"request-" (request.number)} { (request.user) " asks for " (request.beans) }
                p { "“" (request.reason) "”" }
                p.hint { (instant(request.asked_at)) ", with " (short(request.micro)) " beans left" }
                form.fields method="post" action={"/beans/requests/" (request.number)} {
                    (csrf(asker))
                    (purse_to_give_of(asker, view, &format!("from-{}", request.number)))
                    div.field.long {
                        label for={"answer-" (request.number)} { "Answer" }
                        input id={"answer-" (request.number)} name="reason" maxlength=(BeanRequest::REASON_LEN_MAX) autocomplete="off";
                    }
                    button.button type="submit" name="verdict" value="approve" { "Approve" }
                    button.quiet type="submit" name="verdict" value="decline" { "Decline" }
                }
            }
        }
    }
}

/// Admins give of nowhere, managers of the purse of a group.
fn purse_to_give_of(asker: &Asker, view: &BeansView, id: &str) -> Markup {
    html! {
        div.field {
            label for=(id) { "Of" }
            select id=(id) name="from" {
                @if asker.user.is_admin() { option value="" { "nowhere" } }
                @for purse in &view.groups { option value=(purse.name) { "group " (purse.name) } }
            }
        }
    }
}

fn give(asker: &Asker, view: &BeansView) -> Markup {
    html! {
        form.fields method="post" action="/beans/grants" {
            (csrf(asker))
            div.field {
                label for="to" { "To" }
                input #to name="to" required maxlength="40" autocomplete="off";
            }
            @if asker.user.is_admin() {
                div.field {
                    label for="kind" { "Who is a" }
                    select #kind name="kind" { option value="user" { "person" } option value="group" { "group" } }
                }
            }
            div.field {
                label for="beans" { "Beans" }
                input #beans name="beans" type="number" min="1" max="1000000" value="100" required;
            }
            (purse_to_give_of(asker, view, "from"))
            div.field.long {
                label for="reason" { "Reason" }
                input #reason name="reason" maxlength=(BeanRequest::REASON_LEN_MAX) autocomplete="off";
            }
            button.button type="submit" name="way" value="give" { "Give" }
            @if asker.user.is_admin() {
                button.button.quiet type="submit" name="way" value="take_back" { "Take back" }
            }
        }
    }
}

/// For admins.
fn all_purses(asker: &Asker, asked: &part::Asked) -> Markup {
    const PATH: &str = "/beans";
    let part = bean::part(&asker.frozen.state, &asked.for_page());
    html! {
        (part::finder(asked, &part, PATH, "purses"))
        @if part.total > 0 || asked.for_page().find.is_empty() { (purses(&part.rows)) }
        (part::pager(asked, &part, PATH))
    }
}

fn purses(purses: &[PurseView]) -> Markup {
    html! {
        @if purses.is_empty() { p.muted { "There is none yet." } } @else {
            table.statement {
                thead { tr { th { "Purse" } th { "Beans" } th { "Spent in its newest month" } th { "Stops" } } }
                tbody {
                    @for purse in purses {
                        tr data-purse=(purse.name) {
                            td.main data-label="Purse" { @if purse.group { "group " } (purse.name) }
                            td.number data-label="Beans" { (short(purse.micro)) }
                            td.number data-label="Spent in its newest month" { (rounded(purse.spent_micro)) }
                            td.number data-label="Stops" { @if let Some(at) = purse.stops_at { (instant(at)) } }
                        }
                    }
                }
            }
        }
    }
}

fn settings(asker: &Asker) -> Markup {
    let settings = asker.frozen.state.bean_settings.clone().unwrap_or_default();
    let minutes = settings.grace_ms / 60_000;
    html! {
        details.card {
            summary { "How this site uses beans" }
            form.grid method="post" action="/beans/settings" {
                (csrf(asker))
                div.field {
                    label for="on" { "Beans are" }
                    select #on name="on" {
                        option value="true" selected[settings.on] { "in use" }
                        option value="false" selected[!settings.on] { "not in use" }
                    }
                }
                div.field {
                    label for="birth" { "A new account begins with" }
                    input #birth name="birth" type="number" min="0" max="1000000" value=(settings.birth) required;
                }
                div.field {
                    label for="grace" { "Without beans what runs goes on for, in minutes" }
                    input #grace name="grace_minutes" type="number" min="0" max="43200" value=(minutes) required;
                }
                div.actions { button.button type="submit" { "Set" } }
            }
            (by_command("docklet beans set --on --thresholds 1000,500,100,0 && docklet beans rates show"))
        }
    }
}

async fn done(portal: &Portal, asker: &Asker, command: BeanCommand) -> Result<Redirect, Problem> {
    let receipt = propose(portal, asker, Command::Bean(command)).await?;
    Ok(Redirect::to(&format!("/beans?after={}", receipt.index)))
}

#[derive(Deserialize)]
pub(crate) struct Asked {
    csrf: String,
    beans: u64,
    reason: String,
}

pub(crate) async fn request(
    State(portal): State<Portal>,
    asker: Asker,
    Form(form): Form<Asked>,
) -> Result<Redirect, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let (beans, reason) = (form.beans, form.reason);
    done(&portal, &asker, BeanCommand::Request { beans, reason }).await
}

#[derive(Deserialize)]
pub(crate) struct Decided {
    csrf: String,
    verdict: Verdict,
    #[serde(default)]
    from: String,
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Approve,
    Decline,
    Withdraw,
}

pub(crate) async fn decide(
    State(portal): State<Portal>,
    asker: Asker,
    Path(request): Path<LogIndex>,
    Form(form): Form<Decided>,
) -> Result<Redirect, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let (reason, from) = (form.reason, Some(form.from).filter(|from| !from.is_empty()));
    let command = match form.verdict {
        Verdict::Approve => BeanCommand::Approve {
            request,
            from,
            reason,
        },
        Verdict::Decline => BeanCommand::Decline { request, reason },
        Verdict::Withdraw => BeanCommand::Withdraw { request },
    };
    done(&portal, &asker, command).await
}

/// Which button of the form: of a purse nothing is taken by mistake.
#[derive(Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Way {
    #[default]
    Give,
    TakeBack,
}

#[derive(Deserialize)]
pub(crate) struct Given {
    #[serde(default)]
    way: Way,
    csrf: String,
    to: String,
    #[serde(default)]
    kind: String,
    beans: u64,
    #[serde(default)]
    from: String,
    #[serde(default)]
    reason: String,
}

pub(crate) async fn grant(
    State(portal): State<Portal>,
    asker: Asker,
    Form(form): Form<Given>,
) -> Result<Redirect, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let name = form.to.trim().to_owned();
    let to = if form.kind == "group" {
        Receiver::Group(name)
    } else {
        Receiver::User(name)
    };
    let (beans, reason) = (form.beans, form.reason);
    let command = match form.way {
        Way::Give => BeanCommand::Grant {
            to,
            beans,
            reason,
            from: Some(form.from).filter(|from| !from.is_empty()),
        },
        Way::TakeBack => BeanCommand::TakeBack {
            of: to,
            beans,
            reason,
        },
    };
    done(&portal, &asker, command).await
}

#[derive(Deserialize)]
pub(crate) struct NewSettings {
    csrf: String,
    on: bool,
    birth: u64,
    grace_minutes: u64,
}

pub(crate) async fn set(
    State(portal): State<Portal>,
    asker: Asker,
    Form(form): Form<NewSettings>,
) -> Result<Redirect, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let change = SettingsChange {
        on: Some(form.on),
        birth: Some(form.birth),
        grace_ms: Some(form.grace_minutes.saturating_mul(60_000)),
        ..SettingsChange::default()
    };
    done(&portal, &asker, BeanCommand::Set(change)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_on_pages_are_short_and_never_say_nothing_for_something() {
        assert_eq!(short(MicroBeans(149_500_000)), "149.5");
        assert_eq!(short(MicroBeans(150_000_000)), "150");
        assert_eq!(short(MicroBeans(-12_345_678)), "-12.34");
        assert_eq!(short(MicroBeans(-2_957)), "-0.002957");
        assert_eq!(rounded(MicroBeans(0)), "");
        assert_eq!(rounded(MicroBeans(9_999)), "< 0.01");
        assert_eq!(rounded(MicroBeans(1_250_000)), "1.25");
    }
}
