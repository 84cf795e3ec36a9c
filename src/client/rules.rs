//! Where the vnodes of a vcluster shall be.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use docklet_control::model::{OnLost, Rules, Spread};
use reqwest::Method;
use serde_json::{Value, json};

use super::amount;
use super::connection::Connection;
use super::name_or_number;
use super::output::{Rows, print, print_receipt};
use crate::cli::Print;

// Where vnodes shall be.
#[derive(Args)]
pub struct Placing {
    /// How its vnodes lie to each other: few on each worker, few in each zone, or many on one worker [default: workers]
    #[arg(long, value_enum)]
    spread: Option<Spreading>,
    /// A worker never has more of its vnodes
    #[arg(long, value_name = "N")]
    at_most: Option<u32>,
    /// What each worker must be labelled, as zone=a; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = amount::label)]
    label: Vec<(String, String)>,
    /// What each worker had better be labelled, as disk=ssd: before the spread, and after room; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = amount::label)]
    prefer: Vec<(String, String)>,
    /// What becomes of a vnode whose worker is lost: it waits for it, or begins anew on another with a new disk [default:
    /// wait]
    #[arg(long, value_enum)]
    on_lost: Option<Losing>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Losing {
    Wait,
    Restart,
}

impl Losing {
    fn meant(self) -> OnLost {
        match self {
            Self::Wait => OnLost::Wait,
            Self::Restart => OnLost::Restart,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Spreading {
    Workers,
    Zones,
    Together,
}

impl Spreading {
    fn meant(self) -> Spread {
        match self {
            Self::Workers => Spread::Workers,
            Self::Zones => Spread::Zones,
            Self::Together => Spread::Together,
        }
    }
}

impl Placing {
    /// None if nothing is asked for.
    pub fn rules(&self) -> Option<Value> {
        let asked = self.spread.is_some()
            || self.at_most.is_some()
            || !self.label.is_empty()
            || !self.prefer.is_empty()
            || self.on_lost.is_some();
        let spread = self.spread.map_or(Spread::default(), Spreading::meant);
        let on_lost = self.on_lost.map_or(OnLost::default(), Losing::meant);
        let rules = json!({
            "spread": spread,
            "per_worker_max": self.at_most,
            "labels": by_key(&self.label),
            "prefers": by_key(&self.prefer),
            "on_lost": on_lost,
        });
        asked.then_some(rules)
    }
}

fn by_key(labels: &[(String, String)]) -> BTreeMap<&str, &str> {
    let all = labels.iter();
    all.map(|(key, value)| (key.as_str(), value.as_str()))
        .collect()
}

#[derive(Args)]
pub struct Rule {
    vcluster: String,
    #[command(flatten)]
    placing: Placing,
    #[command(flatten)]
    print: Print,
}

/// Sets what is asked for, everything else to the usual; shows what holds if nothing is asked for.
pub async fn run(connection: &Connection, rule: Rule) -> anyhow::Result<ExitCode> {
    let path = format!(
        "/vclusters/{}/rules",
        name_or_number("vcluster", &rule.vcluster)?
    );
    if let Some(rules) = rule.placing.rules() {
        let receipt = connection.receipt(Method::PUT, &path, &rules).await?;
        print_receipt(rule.print.format, &receipt)?;
        return Ok(ExitCode::SUCCESS);
    }
    let rules: Rules = connection.get(&path).await?;
    print(rule.print.format, &rules, |rules| {
        let mut rows = Rows::new(&[
            "spread",
            "at most on one worker",
            "labels",
            "prefers",
            "on lost",
        ]);
        let most = rules.per_worker_max;
        rows.add([
            rules.spread.word().to_owned(),
            most.map_or_else(|| "-".to_owned(), |most| most.to_string()),
            amount::of_labels(&rules.labels),
            amount::of_labels(&rules.prefers),
            rules.on_lost.word().to_owned(),
        ]);
        rows
    })?;
    Ok(ExitCode::SUCCESS)
}
