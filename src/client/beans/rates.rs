//! What things cost.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use docklet_control::bean::command::RatesChange;
use docklet_control::model::Rates;
use reqwest::Method;

use super::super::connection::Connection;
use super::super::output::{Rows, print, print_receipt};
use super::settings;
use crate::cli::Print;
use crate::exit::{Class, Failure};

#[derive(Subcommand)]
#[command(defer = true)]
pub enum Command {
    /// Show what things cost
    Show(Print),
    /// Say what things cost; what is not named stays. 0 is free; for admins
    Set(Set),
}

#[derive(Args)]
pub struct Set {
    /// Seconds of one core for a bean
    #[arg(long, value_name = "SECONDS")]
    cpu: Option<u64>,
    /// Seconds of one core, times the MiB in use meanwhile, for a bean
    #[arg(long, value_name = "N")]
    cpu_memory: Option<u64>,
    /// Hours of one MiB in use for a bean, whatever the CPU does
    #[arg(long, value_name = "HOURS")]
    memory: Option<u64>,
    /// Hours of running with one MiB of disk for a bean
    #[arg(long, value_name = "HOURS")]
    disk: Option<u64>,
    /// Hours of running with one open port for a bean
    #[arg(long, value_name = "HOURS")]
    port: Option<u64>,
    /// Bytes sent and received for a bean
    #[arg(long, value_name = "BYTES")]
    network: Option<u64>,
    /// Beans for an hour of a GPU, as 100; of one model as A100=200; `A100=usual` takes that back. May be given several times
    #[arg(long, value_name = "[MODEL=]BEANS", value_parser = gpu)]
    gpu: Vec<Gpu>,
    /// Whether each hour of running costs whole beans, rounded up
    #[arg(long, value_name = "true|false")]
    whole_hours: Option<bool>,
    #[command(flatten)]
    print: Print,
}

/// The price of one model, or of all of which nothing else is said.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Gpu {
    Usual(u64),
    Model(String, Option<u64>),
}

fn gpu(text: &str) -> Result<Gpu, Failure> {
    let parsed = match text.rsplit_once('=') {
        None => text.parse().ok().map(Gpu::Usual),
        Some((model, "usual")) => Some(Gpu::Model(model.to_owned(), None)),
        Some((model, beans)) => {
            let beans = beans.parse().ok();
            beans.map(|beans| Gpu::Model(model.to_owned(), Some(beans)))
        }
    };
    parsed.ok_or_else(|| {
        let text = text.escape_debug();
        let message = format!("\"{text}\" is no price: write beans an hour, as 100 or A100=200");
        Failure::new(Class::Invalid, message)
    })
}

pub async fn run(connection: &Connection, command: Command) -> anyhow::Result<()> {
    match command {
        Command::Show(ask) => {
            let settings = settings(connection).await?;
            print(ask.format, &settings, |settings| table(&settings.rates))
        }
        Command::Set(set) => {
            let body = set.change();
            let receipt = connection
                .receipt(Method::PUT, "/beans/rates", &body)
                .await?;
            print_receipt(set.print.format, &receipt)
        }
    }
}

impl Set {
    fn change(&self) -> RatesChange {
        let mut gpu_h = None;
        let mut gpus = BTreeMap::new();
        for price in &self.gpu {
            match price {
                Gpu::Usual(beans) => gpu_h = Some(*beans),
                Gpu::Model(model, beans) => {
                    gpus.insert(model.clone(), *beans);
                }
            }
        }
        RatesChange {
            cpu_s: self.cpu,
            cpu_s_mib: self.cpu_memory,
            memory_mib_h: self.memory,
            disk_mib_h: self.disk,
            port_h: self.port,
            network_bytes: self.network,
            gpu_h,
            gpus,
            whole_hours: self.whole_hours,
        }
    }
}

fn table(rates: &Rates) -> Rows {
    let mut rows = Rows::new(&["one bean pays for", "unit"]);
    for (per_bean, unit) in [
        (rates.cpu_s, "seconds of one core"),
        (
            rates.cpu_s_mib,
            "seconds of one core x MiB in use meanwhile",
        ),
        (rates.memory_mib_h, "hours of one MiB in use"),
        (rates.disk_mib_h, "hours of running with one MiB of disk"),
        (rates.port_h, "hours of running with one open port"),
        (rates.network_bytes, "bytes sent and received"),
    ] {
        let amount = match per_bean {
            0 => "free".to_owned(),
            amount => amount.to_string(),
        };
        rows.add([amount, unit.to_owned()]);
    }
    rows.add([format!("1/{}", rates.gpu_h), "hours of a GPU".to_owned()]);
    for (model, beans) in &rates.gpus {
        rows.add([format!("1/{beans}"), format!("hours of a {model}")]);
    }
    let whole = if rates.whole_hours { "yes" } else { "no" };
    rows.add([
        whole.to_owned(),
        "each hour of running costs whole beans".to_owned(),
    ]);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_of_gpus_are_read_with_and_without_a_model() {
        assert_eq!(gpu("100").ok(), Some(Gpu::Usual(100)));
        let a100 = |beans| Some(Gpu::Model("NVIDIA A100".to_owned(), beans));
        assert_eq!(gpu("NVIDIA A100=200").ok(), a100(Some(200)));
        assert_eq!(gpu("NVIDIA A100=usual").ok(), a100(None));
        assert!(gpu("A100=").is_err() && gpu("cheap").is_err());
    }
}
