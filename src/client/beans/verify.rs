//! Computes a statement anew from the events that are kept, and compares it line by line with the one that the cluster keeps.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use docklet_control::Change;
use docklet_control::bean::audit::{self, Sum, Sums};
use docklet_control::id::LogIndex;
use docklet_control::model::{Month, PurseOf};
use docklet_control::view::StatementView;
use futures_util::StreamExt;
use reqwest::Method;
use serde::Deserialize;

use super::super::connection::Connection;
use super::super::output::{Rows, print, remark};
use super::super::stream::next_event;
use super::{Statement, no_purse};
use crate::exit::{Class, Failure};

/// A master says something at least every two seconds.
const SILENCE_MAX: Duration = Duration::from_secs(6);
/// Masters that are gone or behind are asked again for so long.
const GIVE_UP: Duration = Duration::from_secs(30);

#[derive(serde::Serialize)]
struct Compared {
    label: String,
    kept: String,
    computed: String,
    charges: u64,
    same: bool,
}

#[derive(Deserialize)]
struct Remark {
    index: Option<LogIndex>,
}

pub(super) async fn run(connection: &Connection, ask: &Statement) -> anyhow::Result<ExitCode> {
    let now = ask.get(connection, ask.month.as_deref(), None).await?;
    let statement = now.statement.ok_or_else(no_purse)?;
    let from = now.oldest.index;
    let then = from.to_string();
    let month = Some(statement.month.as_str());
    let before = ask.get(connection, month, Some(&then)).await?;
    let mut computed = Sums::new();
    if let Some(before) = &before.statement {
        computed.extend(lines(before)?);
    }
    let wanted = Following {
        of: statement.of,
        next: LogIndex(from.0 + 1),
        until: now.index,
    };
    follow(connection, wanted, &mut computed).await?;
    let of_month = parse(&statement)?;
    computed.retain(|(month, _), _| *month == of_month);
    let kept = lines(&statement)?;
    let compared = compare(&statement, &kept, &computed);
    print(ask.print.format, &compared, |compared| table(compared))?;
    let wrong = compared.iter().filter(|line| !line.same).count();
    if wrong > 0 {
        let message = format!(
            "{wrong} lines of {} are not what the events say: tell an admin, who compares the masters with `docklet master list`",
            statement.month
        );
        return Err(Failure::new(Class::Fault, message).into());
    }
    let carried = match &before.statement {
        Some(before) if !before.lines.is_empty() => {
            format!(", and what the state after entry {from} said before")
        }
        Some(_) | None => String::new(),
    };
    remark(&format!(
        "All lines are what the events of entries {} to {} say{carried}.",
        from.0 + 1,
        now.index
    ));
    Ok(ExitCode::SUCCESS)
}

fn parse(statement: &StatementView) -> Result<Month, Failure> {
    let month = Month::parse(&statement.month);
    month.ok_or_else(|| {
        Failure::new(
            Class::NotFound,
            "there are no lines yet, so nothing to verify",
        )
    })
}

fn lines(statement: &StatementView) -> Result<Sums, Failure> {
    if statement.lines.is_empty() {
        return Ok(Sums::new());
    }
    let month = parse(statement)?;
    let lines = statement.lines.iter().map(|line| {
        let sum = Sum {
            cost: line.cost,
            credit: line.credit,
            count: line.count,
            last: line.last,
        };
        ((month, line.about), sum)
    });
    Ok(lines.collect())
}

fn compare(statement: &StatementView, kept: &Sums, computed: &Sums) -> Vec<Compared> {
    let mut keys: Vec<_> = kept.keys().chain(computed.keys()).collect();
    keys.sort();
    keys.dedup();
    let text = |sum: Option<&Sum>| {
        let amount = sum.map(|sum| sum.credit.minus(sum.cost.sum()).to_string());
        amount.unwrap_or_else(|| "none".to_owned())
    };
    let compared = keys.into_iter().map(|key| {
        let (one, other) = (kept.get(key), computed.get(key));
        let line = statement.lines.iter().find(|line| line.about == key.1);
        Compared {
            label: line.map_or_else(|| format!("{:?}", key.1), |line| line.label.clone()),
            kept: text(one),
            computed: text(other),
            charges: other.map_or(0, |sum| sum.count),
            same: one == other,
        }
    });
    compared.collect()
}

fn table(compared: &[Compared]) -> Rows {
    let mut rows = Rows::new(&["line", "kept", "computed", "charges", "same"]);
    for line in compared {
        rows.add([
            line.label.clone(),
            line.kept.clone(),
            line.computed.clone(),
            line.charges.to_string(),
            if line.same { "yes" } else { "NO" }.to_owned(),
        ]);
    }
    rows
}

/// Which events are added up.
struct Following {
    of: PurseOf,
    next: LogIndex,
    until: LogIndex,
}

/// Adds what happened from the one entry to the other; goes on with another master when one is gone.
async fn follow(
    connection: &Connection,
    mut wanted: Following,
    sums: &mut Sums,
) -> anyhow::Result<()> {
    let begun = Instant::now();
    while wanted.next <= wanted.until {
        if begun.elapsed() > GIVE_UP {
            let text = "the masters did not tell all events in time: try again";
            return Err(Failure::new(Class::Unavailable, text).into());
        }
        let path = format!("/events?from={}&gap=skip", wanted.next);
        let response = connection
            .send(Method::GET, &path, |request| request)
            .await?;
        let mut stream = response.bytes_stream();
        let mut buffer = Vec::new();
        let mut ended = false;
        while wanted.next <= wanted.until && !ended {
            match tokio::time::timeout(SILENCE_MAX, stream.next()).await {
                Ok(Some(Ok(bytes))) => buffer.extend(bytes),
                Ok(Some(Err(_)) | None) | Err(_) => break,
            }
            while let Some((kind, data)) = next_event(&mut buffer) {
                ended |= !wanted.take(&kind, &data, sums)?;
            }
        }
        if ended {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    Ok(())
}

impl Following {
    /// Answers whether the stream goes on.
    fn take(&mut self, kind: &str, data: &str, sums: &mut Sums) -> anyhow::Result<bool> {
        match kind {
            "change" => {
                let change: Change = serde_json::from_str(data)?;
                if change.index <= self.until {
                    audit::add(sums, self.of, &change);
                }
                self.next = LogIndex(change.index.0 + 1);
                Ok(true)
            }
            "bookmark" => {
                let said: Remark = serde_json::from_str(data)?;
                let index = said.index.unwrap_or_default();
                self.next = self.next.max(LogIndex(index.0 + 1));
                Ok(true)
            }
            "skipped" => {
                let text =
                    "the history of that master does not reach back so far any more: try again";
                Err(Failure::new(Class::Unavailable, text).into())
            }
            _ => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_differs_is_seen() {
        let statement: StatementView = serde_json::from_value(serde_json::json!({
            "name": "ada", "of": {"user": 2}, "month": "2026-11", "months": ["2026-11"],
            "begins_micro": 0, "ends_micro": 150, "lines": [{
                "about": "credits", "label": "credits", "used": {}, "credit": 150, "count": 1,
                "cost": {"cpu": 0, "memory": 0, "disk": 0, "ports": 0, "network": 0, "gpus": 0, "rounding": 0},
                "first": 5, "last": 5, "amount": 150,
            }],
        }))
        .expect("a statement");
        let kept = lines(&statement).expect("lines");
        assert!(compare(&statement, &kept, &kept.clone())[0].same);
        let mut other = kept.clone();
        other.values_mut().for_each(|sum| sum.count += 1);
        assert!(!compare(&statement, &kept, &other)[0].same);
        assert!(!compare(&statement, &kept, &Sums::new())[0].same);
        let mut sums = Sums::new();
        let mut following = Following {
            of: statement.of,
            next: LogIndex(5),
            until: LogIndex(9),
        };
        let change = r#"{"index":5,"at":1796083199999,"actor":"duty","command":"OpenPurses","events":[{"Bean":{"Opened":{"of":{"user":2},"beans":150,"number":5,"told":[2]}}}]}"#;
        assert!(following.take("change", change, &mut sums).expect("taken"));
        assert!(
            following
                .take("bookmark", r#"{"index":9}"#, &mut sums)
                .expect("taken")
        );
        assert_eq!(following.next, LogIndex(10));
        assert_eq!(sums, kept);
        assert!(
            following
                .take("skipped", r#"{"index":9}"#, &mut sums)
                .is_err()
        );
    }
}
