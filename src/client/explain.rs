//! Why vnodes are where they are.

use std::process::ExitCode;

use clap::Args;
use docklet_control::view::{Explanation, Lack, Verdict};

use super::VnodeName;
use super::connection::Connection;
use super::name_or_number;
use super::output::{Rows, line, plain, print_data};
use crate::cli::Print;

#[derive(Args)]
pub struct Explain {
    /// A vcluster, or one of its vnodes, as lab/host-0
    #[arg(value_name = "VC|VC/host-N")]
    what: String,
    #[command(flatten)]
    print: Print,
}

pub async fn run(explain: Explain) -> anyhow::Result<ExitCode> {
    let connection = Connection::open()?;
    let explanations: Vec<Explanation> = match explain.what.split_once('/') {
        None => {
            let vcluster = name_or_number("vcluster", &explain.what)?;
            connection
                .get(&format!("/vclusters/{vcluster}/explain"))
                .await?
        }
        Some(_) => {
            let VnodeName { vcluster, vnode } = explain.what.parse()?;
            let path = format!("/vclusters/{vcluster}/vnodes/{vnode}/explain");
            vec![connection.get(&path).await?]
        }
    };
    if print_data(explain.print.format, &explanations, |all| verdicts(all))? {
        return Ok(ExitCode::SUCCESS);
    }
    for explanation in &explanations {
        text(explanation).iter().for_each(|part| line(&plain(part)));
    }
    Ok(ExitCode::SUCCESS)
}

/// A row for each vnode and worker.
fn verdicts(explanations: &[Explanation]) -> Rows {
    let mut rows = Rows::new(&["vnode", "worker", "here", "place", "why"]);
    for explanation in explanations {
        for worker in &explanation.workers {
            let lacks = worker.lacks.iter().map(|lack| lack.text.as_str());
            let lacks: Vec<&str> = lacks.collect();
            rows.add([
                explanation.vnode.clone(),
                worker.worker.clone(),
                if worker.here { "yes" } else { "no" }.to_owned(),
                worker
                    .place
                    .map_or("-".to_owned(), |place| place.to_string()),
                match worker.place {
                    Some(_) => state(worker),
                    None => lacks.join("; "),
                },
            ]);
        }
    }
    rows
}

/// Line by line.
fn text(explanation: &Explanation) -> Vec<String> {
    let mut lines = vec![format!("{}: {}", explanation.vnode, explanation.summary)];
    for worker in &explanation.workers {
        let here = if worker.here { " (it is here)" } else { "" };
        match worker.place {
            Some(1) => lines.push(format!(
                "  {}{here}: best, {}",
                worker.worker,
                state(worker)
            )),
            Some(place) => {
                let state = state(worker);
                lines.push(format!(
                    "  {}{here}: number {place}, {state}",
                    worker.worker
                ));
            }
            None => {
                lines.push(format!("  {}{here}: cannot take it", worker.worker));
                lines.extend(worker.lacks.iter().map(lacking));
            }
        }
    }
    lines.push(format!("  Quota: {}", explanation.quota));
    let help = explanation.unblock.iter();
    lines.extend(help.map(|text| format!("  Would help: {text}")));
    lines
}

fn state(worker: &Verdict) -> String {
    let zone = worker.zone.as_ref();
    let zone = zone.map_or_else(String::new, |zone| format!(", zone {zone}"));
    let (siblings, share) = (worker.siblings, worker.share / 10);
    format!("{siblings} of its vcluster there, {share} % promised{zone}")
}

fn lacking(lack: &Lack) -> String {
    let holders = lack.holders.iter();
    let holders = holders.map(|holder| format!("{} {}", holder.who, holder.amount));
    let holders: Vec<String> = holders.collect();
    let held = match holders.as_slice() {
        [] => String::new(),
        some => format!(" (held by {})", some.join(", ")),
    };
    format!("    - {}{held}", lack.text)
}
