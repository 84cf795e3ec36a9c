//! Evening out how workers are loaded.

use std::process::ExitCode;
use std::str::FromStr;

use clap::{Args, Subcommand};
use docklet_control::model::receipt::Subject;
use docklet_control::model::{RebalancePolicy, Receipt};
use docklet_control::rebalance::command::Extent;
use docklet_control::rebalance::percent::{percent, permille};
use docklet_control::view::moves::MoveOf;
use docklet_control::view::rebalance::{PlanView, PolicyView};
use reqwest::Method;

use super::connection::Connection;
use super::output::{Format, Rows, instant, line, plain, print, print_data, print_receipt, remark};
use super::snapshot::name::{Span, span};
use crate::cli::{Outcome, Print};
use crate::exit::{Class, Failure};

// Shares are what is promised of a worker, of CPU, memory or disk, whatever is short first. Moves under way count as done.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Rebalance {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    act: Act,
    /// Moves, at most [default: as the policy says, 10]
    #[arg(long, value_name = "N")]
    budget: Option<u32>,
    /// How far shares may be apart afterwards, as 20% [default: as the policy says, 20%]
    #[arg(long, value_name = "PERCENT", value_parser = threshold)]
    threshold: Option<u32>,
    #[command(flatten)]
    outcome: Outcome,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct Act {
    /// Show what would move, and change nothing: exits with 0 if nothing would, and with 1 if something would
    #[arg(long, conflicts_with = "wait")]
    plan: bool,
    /// Begin the moves, all of them at once
    #[arg(long)]
    apply: bool,
}

#[derive(Subcommand)]
#[command(defer = true)]
enum Command {
    /// Show or set when the leader evens out workers by itself; what is not given stays
    Policy(Policy),
}

#[derive(Args)]
struct Policy {
    /// It does
    #[arg(long, conflicts_with = "off")]
    on: bool,
    /// It does not; what is on its way goes on
    #[arg(long)]
    off: bool,
    /// How far shares may be apart, as 20%
    #[arg(long, value_name = "PERCENT", value_parser = threshold)]
    threshold: Option<u32>,
    /// For how long they must have been further apart before anything moves, as 10m
    #[arg(long, value_name = "SPAN")]
    hold: Option<Span>,
    /// Vnodes on their way at once, at most
    #[arg(long, value_name = "N")]
    at_once: Option<u32>,
    /// Moves within a time, at most, as 10/h or 20/6h
    #[arg(long, value_name = "N/SPAN")]
    budget: Option<Budget>,
    #[command(flatten)]
    print: Print,
}

/// So many moves within a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Budget {
    moves: u32,
    window_ms: u64,
}

impl FromStr for Budget {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let read = || {
            let (moves, window) = text.split_once('/')?;
            let one = window.chars().all(char::is_alphabetic);
            let window = if one {
                format!("1{window}")
            } else {
                window.to_owned()
            };
            let Span { ms: window_ms } = window.parse().ok()?;
            let moves = moves.parse().ok()?;
            Some(Self { moves, window_ms })
        };
        read().ok_or_else(|| {
            let text = text.escape_debug();
            let message = format!("\"{text}\" is no budget of moves: write it as 10/h or 20/6h");
            Failure::new(Class::Invalid, message)
        })
    }
}

fn threshold(text: &str) -> Result<u32, Failure> {
    permille(text).ok_or_else(|| {
        let text = text.escape_debug();
        let message = format!("\"{text}\" is no share: write it in percent, as 20% or 12.5%");
        Failure::new(Class::Invalid, message)
    })
}

const PATH: &str = "/rebalance";
const POLICY: &str = "/rebalance/policy";

pub async fn run(ask: Rebalance) -> anyhow::Result<ExitCode> {
    let connection = Connection::open()?;
    if let Some(Command::Policy(asked)) = ask.command {
        return policy(&connection, asked).await;
    }
    let extent = Extent {
        threshold_permille: ask.threshold,
        moves_max: ask.budget,
    };
    if ask.act.apply {
        apply(&connection, &extent, ask.outcome).await
    } else {
        plan(&connection, &extent, ask.outcome.print).await
    }
}

async fn plan(
    connection: &Connection,
    extent: &Extent,
    Print { format }: Print,
) -> anyhow::Result<ExitCode> {
    let view: PlanView = connection.get(&format!("{PATH}{}", query(extent))).await?;
    if !view.moves.is_empty() || format != Format::Table {
        print(format, &view, moves)?;
    }
    if format == Format::Table {
        print(format, &view, shares)?;
    }
    let resting = match view.resting {
        0 => String::new(),
        1 => " 1 vnode rests, as it was to be moved within the last hour.".to_owned(),
        resting => {
            format!(" {resting} vnodes rest, as they were to be moved within the last hour.")
        }
    };
    let sentence = view.sentence();
    remark(&format!(
        "Of workers, {sentence}.{resting} Nothing was changed."
    ));
    Ok(if view.moves.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn query(extent: &Extent) -> String {
    let threshold = extent.threshold_permille;
    let threshold = threshold.map(|permille| format!("threshold_permille={permille}"));
    let moves_max = extent.moves_max.map(|moves| format!("moves_max={moves}"));
    let parts: Vec<String> = threshold.into_iter().chain(moves_max).collect();
    if parts.is_empty() {
        return String::new();
    }
    format!("?{}", parts.join("&"))
}

fn moves(view: &PlanView) -> Rows {
    let mut rows = Rows::new(&["vnode", "from", "its share", "to", "its share"]);
    let pair = |before, after| format!("{} -> {}", percent(before), percent(after));
    for one in &view.moves {
        rows.add([
            one.vnode.clone(),
            one.from.clone(),
            pair(one.from_before_permille, one.from_after_permille),
            one.to.clone(),
            pair(one.to_before_permille, one.to_after_permille),
        ]);
    }
    rows
}

fn shares(view: &PlanView) -> Rows {
    let mut rows = Rows::new(&["worker", "promised", "afterwards", "takes no part"]);
    let share = |share: Option<u64>| share.map_or_else(|| "-".to_owned(), percent);
    for worker in &view.workers {
        rows.add([
            worker.worker.clone(),
            share(worker.share_permille),
            share(worker.share_after_permille),
            worker.absence.clone().unwrap_or_default(),
        ]);
    }
    rows
}

async fn apply(
    connection: &Connection,
    extent: &Extent,
    outcome: Outcome,
) -> anyhow::Result<ExitCode> {
    let receipt = connection.receipt(Method::POST, PATH, extent).await?;
    let begun = match receipt.accepted() {
        Ok(Subject::Moves(begun)) => *begun as usize,
        _ => 0,
    };
    let Some(limit) = outcome.wait.limit() else {
        print_receipt(outcome.print.format, &receipt)?;
        remark(&format!(
            "{} on the way: `docklet vc moves` says how far.",
            vnodes(begun)
        ));
        return Ok(ExitCode::SUCCESS);
    };
    match tokio::time::timeout(limit, ended(connection, &receipt, begun)).await {
        Ok(moves) => told(outcome, begun, &moves?),
        Err(_) => {
            let moves = moves_of(connection, &receipt).await?;
            let text = format!(
                "it has not ended after {} s and goes on (entry {}): {}; see `docklet vc moves`",
                limit.as_secs(),
                receipt.index,
                progress(&moves, begun)
            );
            Err(Failure::new(Class::Timeout, text).into())
        }
    }
}

fn vnodes(count: usize) -> String {
    match count {
        1 => "1 vnode is".to_owned(),
        count => format!("{count} vnodes are"),
    }
}

/// The moves that an entry began. Those of vnodes that are gone, or were moved again, are not among them.
async fn moves_of(connection: &Connection, receipt: &Receipt) -> anyhow::Result<Vec<MoveOf>> {
    let mut moves: Vec<MoveOf> = connection.get("/moves").await?;
    moves.retain(|one| one.moving.number == receipt.index);
    Ok(moves)
}

/// Looks after each change that the event stream tells, and says how far it is.
async fn ended(
    connection: &Connection,
    receipt: &Receipt,
    begun: usize,
) -> anyhow::Result<Vec<MoveOf>> {
    let mut said = String::new();
    let look = async || {
        let moves = moves_of(connection, receipt).await?;
        if moves.iter().all(|one| !one.moving.is_open) {
            return Ok(Some(moves));
        }
        let now = progress(&moves, begun);
        if now != said {
            remark(&now);
            said = now;
        }
        Ok(None)
    };
    connection.until(receipt.index, look).await
}

fn moved(moves: &[MoveOf]) -> usize {
    let moved = moves.iter().filter(|one| one.moving.stage == "moved");
    moved.count()
}

fn progress(moves: &[MoveOf], begun: usize) -> String {
    let on_way = moves.iter().filter(|one| one.moving.is_open).count();
    let moved = moved(moves);
    let ended = begun.saturating_sub(on_way + moved);
    let stayed = match ended {
        0 => String::new(),
        ended => format!(", {ended} stayed"),
    };
    format!("{moved} of {begun} moved, {on_way} on their way{stayed}")
}

fn told(outcome: Outcome, begun: usize, moves: &[MoveOf]) -> anyhow::Result<ExitCode> {
    let is_data = print_data(outcome.print.format, &moves, |moves| {
        let mut rows = Rows::new(&["vnode", "how it is"]);
        for one in *moves {
            rows.add([one.vnode.clone(), one.moving.sentence()]);
        }
        rows
    })?;
    if !is_data {
        for one in moves {
            line(&plain(&format!("{} {}.", one.vnode, one.moving.sentence())));
        }
    }
    let moved = moved(moves);
    if moved == begun {
        return Ok(ExitCode::SUCCESS);
    }
    let text = format!(
        "{moved} of {begun} vnodes moved: the others stayed, are gone, or were moved otherwise; see `docklet vc moves`"
    );
    Err(Failure::new(Class::Conflict, text).into())
}

impl Policy {
    fn asks(&self) -> bool {
        self.on
            || self.off
            || self.threshold.is_some()
            || self.hold.is_some()
            || self.at_once.is_some()
            || self.budget.is_some()
    }

    /// What is not given stays as it was.
    fn after(&self, before: RebalancePolicy) -> RebalancePolicy {
        let (moves, window) = self.budget.map(|b| (b.moves, b.window_ms)).unzip();
        RebalancePolicy {
            enabled: self.on || (before.enabled && !self.off),
            threshold_permille: self.threshold.unwrap_or(before.threshold_permille),
            hold_ms: self.hold.map_or(before.hold_ms, |hold| hold.ms),
            at_once: self.at_once.unwrap_or(before.at_once),
            moves_max: moves.unwrap_or(before.moves_max),
            window_ms: window.unwrap_or(before.window_ms),
        }
    }
}

async fn policy(connection: &Connection, asked: Policy) -> anyhow::Result<ExitCode> {
    let view: PolicyView = connection.get(POLICY).await?;
    if asked.asks() {
        let after = asked.after(view.policy);
        let receipt = connection.receipt(Method::PUT, POLICY, &after).await?;
        print_receipt(asked.print.format, &receipt)?;
        if !after.enabled && !asked.off {
            remark(
                "The leader does nothing by itself yet: `docklet rebalance policy --on` lets it.",
            );
        }
        return Ok(ExitCode::SUCCESS);
    }
    print(asked.print.format, &view, |view| {
        let policy = &view.policy;
        let mut rows = Rows::new(&["what", "value"]);
        let mut add = |what: &str, value: String| rows.add([what.to_owned(), value]);
        let enabled = if policy.enabled { "on" } else { "off" };
        add("by itself", enabled.to_owned());
        add("threshold", percent(policy.threshold_permille.into()));
        add("hold", span(policy.hold_ms));
        add("at once", policy.at_once.to_string());
        let window = span(policy.window_ms);
        add("budget", format!("{}/{window}", policy.moves_max));
        add("begun within that", view.begun.to_string());
        add("under way", view.under_way.len().to_string());
        add("apart now", percent(view.spread_permille));
        let since = view.uneven_since.map(instant);
        add("uneven since", since.unwrap_or_else(|| "-".to_owned()));
        let from = view.moves_from.map(instant);
        add("moves from", from.unwrap_or_else(|| "-".to_owned()));
        rows
    })?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_a_number_of_moves_within_a_time() {
        let read = |text: &str| text.parse::<Budget>().ok();
        let budget = |moves, window_ms| Some(Budget { moves, window_ms });
        assert_eq!(read("10/h"), budget(10, 3_600_000));
        assert_eq!(read("20/6h"), budget(20, 6 * 3_600_000));
        assert_eq!(read("1/90m"), budget(1, 90 * 60_000));
        for text in [
            "", "10", "10/", "/h", "-1/h", "10/x", "1.5/h", "10/h/h", "10/é",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_not_given_of_a_policy_stays() {
        let asked = Policy {
            on: true,
            off: false,
            threshold: Some(150),
            hold: None,
            at_once: None,
            budget: "5/d".parse().ok(),
            print: Print {
                format: Format::Table,
            },
        };
        let before = RebalancePolicy::default();
        let expected = RebalancePolicy {
            enabled: true,
            threshold_permille: 150,
            moves_max: 5,
            window_ms: 24 * 3_600_000,
            ..before
        };
        assert_eq!(asked.after(before), expected);
    }
}
