//! Beans: what vnodes cost, who has how many, and who gets some.

mod rates;
mod verify;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use docklet_control::id::LogIndex;
use docklet_control::model::{BeanSettings, MicroBeans};
use docklet_control::view::bean::{BeanRequestView, PurseView};
use docklet_control::view::{BeansView, StatementView};
use reqwest::{Method, RequestBuilder};
use serde::Deserialize;
use serde_json::json;

use super::connection::Connection;
use super::output::{Format, Rows, instant, line, print, print_receipt};
use crate::cli::Print;
use crate::exit::{Class, Failure};

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Beans {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    print: Print,
}

#[derive(Subcommand)]
#[command(defer = true)]
enum Command {
    /// What was spent and given in a month
    Statement(Statement),
    /// Ask for beans
    Request {
        /// 100 to 5000
        beans: u64,
        /// What for
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        print: Print,
    },
    /// Ask for them no longer
    Withdraw {
        /// The number of your request
        request: u64,
        #[command(flatten)]
        print: Print,
    },
    /// List requests about which you may decide
    Requests(Print),
    /// Give what was asked for: of nowhere, by admins; of the purse of a group, by its managers
    Approve {
        /// Its number
        request: u64,
        /// The group of whose purse it is given
        #[arg(long, value_name = "GROUP")]
        from: Option<String>,
        #[arg(long, default_value = "")]
        reason: String,
        #[command(flatten)]
        print: Print,
    },
    /// Decline a request
    Decline {
        /// Its number
        request: u64,
        #[arg(long, default_value = "")]
        reason: String,
        #[command(flatten)]
        print: Print,
    },
    /// Give beans: `grant ada 100`, or `grant --group course 1000`
    Grant {
        #[command(flatten)]
        to: Whom,
        /// The group of whose purse it is given; of nowhere if absent, by admins
        #[arg(long, value_name = "GROUP")]
        from: Option<String>,
        #[arg(long, default_value = "")]
        reason: String,
        #[command(flatten)]
        print: Print,
    },
    /// Take beans out of a purse, as `take-back ada 100 --reason "given twice"`; for admins
    TakeBack {
        #[command(flatten)]
        of: Whom,
        /// Whose beans they were is told
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        print: Print,
    },
    /// What things cost: show, and for admins set
    #[command(subcommand)]
    Rates(rates::Command),
    /// Say how the site uses beans; for admins
    Set(Set),
    /// List all purses, those first from which most was spent; for admins
    Top(Print),
}

// A user and an amount, or an amount and --group.
#[derive(Args)]
pub struct Whom {
    /// [USER] BEANS
    #[arg(required = true, num_args = 1..=2, value_names = ["USER", "BEANS"])]
    words: Vec<String>,
    /// A group instead of a user
    #[arg(long)]
    group: Option<String>,
}

#[derive(Args)]
pub struct Statement {
    /// As 2026-11 [default: the newest of which there are lines]
    #[arg(long)]
    month: Option<String>,
    /// Of somebody else; for admins
    #[arg(long, conflicts_with = "group")]
    user: Option<String>,
    /// Of the purse of a group that you manage
    #[arg(long)]
    group: Option<String>,
    /// As it was after an entry, or at a time
    #[arg(long, conflicts_with = "verify")]
    at: Option<String>,
    /// A line for each day instead of each vnode; days are kept for this month and the two before
    #[arg(long, conflicts_with = "verify")]
    by_day: bool,
    /// Print comma-separated values
    #[arg(long, conflicts_with = "verify")]
    csv: bool,
    /// Compute it anew from the events that are kept, and compare line by line
    #[arg(long)]
    verify: bool,
    #[command(flatten)]
    print: Print,
}

#[derive(Args)]
pub struct Set {
    /// Beans are in use: vnodes cost some
    #[arg(long, conflicts_with = "off")]
    on: bool,
    /// Nothing costs anything, and nothing is counted
    #[arg(long)]
    off: bool,
    /// What a new account begins with
    #[arg(long, value_name = "BEANS")]
    birth: Option<u64>,
    /// For how long what runs goes on without beans, as 1h
    #[arg(long, value_name = "TIME", value_parser = milliseconds)]
    grace: Option<u64>,
    /// Balances of which people are told when theirs falls to them, as 1000,500,100,0
    #[arg(long, value_delimiter = ',')]
    thresholds: Option<Vec<u64>>,
    /// How often workers tell what vnodes use, as 60s
    #[arg(long, value_name = "TIME", value_parser = milliseconds)]
    every: Option<u64>,
    #[command(flatten)]
    print: Print,
}

/// A statement, and how far back it can be computed anew.
#[derive(Deserialize)]
struct Shown {
    index: LogIndex,
    oldest: Oldest,
    statement: Option<StatementView>,
}

#[derive(Deserialize)]
struct Oldest {
    index: LogIndex,
}

pub async fn run(beans: Beans) -> anyhow::Result<ExitCode> {
    let connection = Connection::open()?;
    let Some(command) = beans.command else {
        return balance(&connection, beans.print.format).await;
    };
    match command {
        Command::Statement(statement) => return show(&connection, statement).await,
        Command::Request {
            beans,
            reason,
            print,
        } => {
            let body = json!({"beans": beans, "reason": reason});
            post(&connection, "/beans/requests", &body, print).await?;
        }
        Command::Withdraw { request, print } => {
            let path = format!("/beans/requests/{request}");
            let receipt = connection.receipt(Method::DELETE, &path, &()).await?;
            print_receipt(print.format, &receipt)?;
        }
        Command::Requests(ask) => {
            let view = in_use(connection.get("/beans").await?)?;
            print(ask.format, &view.requests, |rows| requests(rows))?;
        }
        Command::Approve {
            request,
            from,
            reason,
            print,
        } => {
            let body = json!({"from": from, "reason": reason});
            let path = format!("/beans/requests/{request}/approve");
            post(&connection, &path, &body, print).await?;
        }
        Command::Decline {
            request,
            reason,
            print,
        } => {
            let path = format!("/beans/requests/{request}/decline");
            post(&connection, &path, &json!({"reason": reason}), print).await?;
        }
        Command::Grant {
            to,
            from,
            reason,
            print,
        } => {
            let (to, beans) = to.parse()?;
            let body = json!({"to": to, "beans": beans, "from": from, "reason": reason});
            post(&connection, "/beans/grants", &body, print).await?;
        }
        Command::TakeBack { of, reason, print } => {
            let (of, beans) = of.parse()?;
            let body = json!({"of": of, "beans": beans, "reason": reason});
            post(&connection, "/beans/take-back", &body, print).await?;
        }
        Command::Rates(command) => rates::run(&connection, command).await?,
        Command::Set(set) => {
            let body = set.body();
            let receipt = connection
                .receipt(Method::PUT, "/beans/settings", &body)
                .await?;
            print_receipt(set.print.format, &receipt)?;
        }
        Command::Top(ask) => {
            let purses: Vec<PurseView> = connection.list("/beans/purses").await?;
            print(ask.format, &purses, |rows| purses_table(rows))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn post(
    connection: &Connection,
    path: &str,
    body: &serde_json::Value,
    print: Print,
) -> anyhow::Result<()> {
    let receipt = connection.receipt(Method::POST, path, body).await?;
    print_receipt(print.format, &receipt)
}

fn in_use(view: Option<BeansView>) -> anyhow::Result<BeansView> {
    let off = || {
        let text =
            "this site does not use beans: an admin turns them on with `docklet beans set --on`";
        Failure::new(Class::Conflict, text)
    };
    Ok(view.ok_or_else(off)?)
}

async fn balance(connection: &Connection, format: Format) -> anyhow::Result<ExitCode> {
    let view = in_use(connection.get("/beans").await?)?;
    print(format, &view, |view| {
        let own = view.own.iter().chain(&view.groups);
        let purses: Vec<PurseView> = own.cloned().collect();
        purses_table(&purses)
    })?;
    Ok(ExitCode::SUCCESS)
}

fn purses_table(purses: &[PurseView]) -> Rows {
    let mut rows = Rows::new(&["purse", "beans", "spent this month", "stops"]);
    for purse in purses {
        let kind = if purse.group { "group " } else { "" };
        rows.add([
            format!("{kind}{}", purse.name),
            purse.balance.clone(),
            purse.spent_micro.to_string(),
            purse.stops_at.map(instant).unwrap_or_default(),
        ]);
    }
    rows
}

fn requests(requests: &[BeanRequestView]) -> Rows {
    let mut rows = Rows::new(&["number", "user", "beans", "has", "asked", "reason"]);
    for request in requests {
        rows.add([
            request.number.to_string(),
            request.user.clone(),
            request.beans.to_string(),
            request.balance.clone(),
            instant(request.asked_at),
            request.reason.clone(),
        ]);
    }
    rows
}

/// As 90s, 30m, 24h or 7d.
fn milliseconds(text: &str) -> Result<u64, Failure> {
    let number = text.trim_end_matches(char::is_alphabetic);
    let unit_ms = match &text[number.len()..] {
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        "d" => Some(24 * 3_600_000),
        _ => None,
    };
    let time = unit_ms.and_then(|ms| number.parse::<u64>().ok()?.checked_mul(ms));
    time.ok_or_else(|| {
        let text = text.escape_debug();
        let message = format!("\"{text}\" is no time: write it as 90s, 30m, 24h or 7d");
        Failure::new(Class::Invalid, message)
    })
}

impl Whom {
    fn parse(self) -> Result<(serde_json::Value, u64), Failure> {
        let wrong = |text: &str| Failure::new(Class::Invalid, text.to_owned());
        let (to, beans) = match (self.group, self.words.as_slice()) {
            (None, [user, beans]) => (json!({"user": user}), beans),
            (Some(group), [beans]) => (json!({"group": group}), beans),
            _ => {
                let text = "say who and how many, as `ada 100`, or `--group course 1000`";
                return Err(wrong(text));
            }
        };
        let number = beans.parse();
        let number = number.map_err(|_| wrong("say a whole number of beans, as 100"));
        Ok((to, number?))
    }
}

impl Set {
    fn body(&self) -> serde_json::Value {
        let on = match (self.on, self.off) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            (false, false) => None,
        };
        json!({
            "on": on,
            "birth": self.birth,
            "grace_ms": self.grace,
            "thresholds": self.thresholds,
            "every_ms": self.every,
        })
    }
}

impl Statement {
    /// Asks for it as it was at that entry, or now.
    async fn get(
        &self,
        connection: &Connection,
        month: Option<&str>,
        at: Option<&str>,
    ) -> anyhow::Result<Shown> {
        let query: Vec<(&str, &str)> = [
            ("month", month),
            ("user", self.user.as_deref()),
            ("group", self.group.as_deref()),
            ("at", at),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
        let prepare = |request: RequestBuilder| request.query(&query);
        let response = connection
            .send(Method::GET, "/beans/statement", prepare)
            .await?;
        Ok(response.json().await?)
    }
}

async fn show(connection: &Connection, ask: Statement) -> anyhow::Result<ExitCode> {
    if ask.verify {
        return verify::run(connection, &ask).await;
    }
    let shown = ask
        .get(connection, ask.month.as_deref(), ask.at.as_deref())
        .await?;
    let statement = shown.statement.ok_or_else(no_purse)?;
    if ask.csv {
        let text = if ask.by_day {
            statement.csv_by_day()
        } else {
            statement.csv()
        };
        line(text.trim_end());
        return Ok(ExitCode::SUCCESS);
    }
    let rows = if ask.by_day { by_day } else { table };
    print(ask.print.format, &statement, rows)?;
    Ok(ExitCode::SUCCESS)
}

fn no_purse() -> Failure {
    let text = "there was no purse then, so there is no statement: `docklet beans` says whether the site uses beans";
    Failure::new(Class::NotFound, text)
}

fn table(statement: &StatementView) -> Rows {
    let mut rows = Rows::new(&[
        "line", "ran", "cpu", "memory", "disk", "ports", "network", "gpus", "rounding", "sum",
    ]);
    let ends = |rows: &mut Rows, label: &str, beans: MicroBeans| {
        let mut cells = vec![format!("{label} of {}", statement.month)];
        cells.extend(std::iter::repeat_n(String::new(), 8));
        cells.push(beans.to_string());
        rows.add(cells);
    };
    ends(&mut rows, "begin", statement.begins_micro);
    for row in &statement.lines {
        let mut cells = vec![row.label.clone(), format!("{} s", row.used.run_ms / 1_000)];
        cells.extend(row.cost.parts().map(|(_, beans)| beans.to_string()));
        cells.push(row.amount.to_string());
        rows.add(cells);
    }
    ends(&mut rows, "end", statement.ends_micro);
    rows
}

fn by_day(statement: &StatementView) -> Rows {
    let mut rows = Rows::new(&[
        "day", "cpu", "memory", "disk", "ports", "network", "gpus", "rounding", "spent", "given",
    ]);
    for day in &statement.days {
        let mut cells = vec![day.day.clone()];
        cells.extend(day.cost.parts().map(|(_, beans)| beans.to_string()));
        cells.extend([day.spent_micro.to_string(), day.credit.to_string()]);
        rows.add(cells);
    }
    rows
}

/// What holds, or would.
async fn settings(connection: &Connection) -> anyhow::Result<BeanSettings> {
    connection.get("/beans/settings").await
}
