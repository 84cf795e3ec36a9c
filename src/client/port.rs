//! Ports of vnodes that are open to the outside, and how much vnodes may send and receive.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use docklet_control::model::{Bandwidth, KbitPerS};
use docklet_control::view::PortView;
use reqwest::Method;
use serde_json::{Value, json};

use super::VnodeName;
use super::amount::kbit;
use super::connection::Connection;
use super::output::{Rows, instant, print, print_receipt};
use crate::cli::Print;

#[derive(Subcommand)]
#[command(defer = true)]
pub enum Command {
    /// Open a port of a vnode to the outside
    Add(Add),
    /// List open ports, and where to connect to
    List(Print),
    /// Close a public port
    Remove(Remove),
}

#[derive(Clone, Copy, ValueEnum)]
enum Protocol {
    Tcp,
    Udp,
}

impl Protocol {
    fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

#[derive(Args)]
#[command(allow_negative_numbers = true)]
pub struct Add {
    /// The vnode, as VCLUSTER/host-0
    vnode: VnodeName,
    /// Its own port, on which something listens
    port: u16,
    #[arg(long, value_enum, default_value_t = Protocol::Tcp)]
    protocol: Protocol,
    /// The public port, from 20000 to 29999; one that is free if absent
    #[arg(long)]
    public: Option<u16>,
    #[command(flatten)]
    print: Print,
}

#[derive(Args)]
#[command(allow_negative_numbers = true)]
pub struct Remove {
    /// The public port
    public: u16,
    #[arg(long, value_enum, default_value_t = Protocol::Tcp)]
    protocol: Protocol,
    #[command(flatten)]
    print: Print,
}

pub async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let connection = Connection::open()?;
    match command {
        Command::Add(add) => open(&connection, add).await,
        Command::List(format) => {
            let views: Vec<PortView> = connection.list("/ports").await?;
            show(format, &views)
        }
        Command::Remove(remove) => {
            let path = format!("/ports/{}/{}", remove.protocol.word(), remove.public);
            let receipt = connection
                .receipt(Method::DELETE, &path, &Value::Null)
                .await?;
            print_receipt(remove.print.format, &receipt)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Opens it and shows where it is now.
async fn open(connection: &Connection, add: Add) -> anyhow::Result<ExitCode> {
    let (vcluster, vnode) = (&add.vnode.vcluster, &add.vnode.vnode);
    let body = json!({
        "vcluster": vcluster,
        "vnode": vnode,
        "number": add.port,
        "protocol": add.protocol.word(),
        "public": add.public,
    });
    connection.receipt(Method::POST, "/ports", &body).await?;
    let views: Vec<PortView> = connection.list("/ports").await?;
    let asked = |view: &PortView| {
        // A vcluster may be named by its number.
        view.vnode == *vnode
            && view.number.0 == add.port
            && view.protocol.word() == add.protocol.word()
            && (view.vcluster == *vcluster || vcluster.parse::<u64>().is_ok())
            && add.public.is_none_or(|public| view.public.0 == public)
    };
    let views: Vec<PortView> = views.into_iter().filter(asked).collect();
    show(add.print, &views)
}

fn show(format: Print, views: &Vec<PortView>) -> anyhow::Result<ExitCode> {
    print(format.format, views, |views| {
        let mut rows = Rows::new(&[
            "public",
            "protocol",
            "vnode",
            "port",
            "connect to",
            "worker",
            "owner",
            "since",
        ]);
        for view in views {
            rows.add([
                view.public.to_string(),
                view.protocol.to_string(),
                format!("{}/{}", view.vcluster, view.vnode),
                view.number.to_string(),
                view.address.clone().unwrap_or_else(|| "-".to_owned()),
                view.worker.clone().unwrap_or_else(|| "-".to_owned()),
                view.owner.clone(),
                instant(view.added_at),
            ]);
        }
        rows
    })?;
    Ok(ExitCode::SUCCESS)
}

#[derive(Subcommand)]
#[command(defer = true)]
pub enum BandwidthCommand {
    /// Show how much each vnode may send and receive
    Show(Print),
    /// Limit each vnode whose owner wishes no bandwidth of its own; a way that is not named is not limited
    #[command(allow_negative_numbers = true)]
    Limit {
        /// What each vnode sends at most, in Mbit/s
        #[arg(long, value_name = "MBIT")]
        sent: Option<u32>,
        /// What each vnode receives at most, in Mbit/s
        #[arg(long, value_name = "MBIT")]
        received: Option<u32>,
        #[command(flatten)]
        print: Print,
    },
    /// Show or set what no vnode gets more of, whatever its owner wishes
    #[command(allow_negative_numbers = true)]
    Ceiling {
        /// What a vnode may send at most, in Mbit/s
        #[arg(long, value_name = "MBIT")]
        sent: Option<u32>,
        /// What a vnode may receive at most, in Mbit/s
        #[arg(long, value_name = "MBIT")]
        received: Option<u32>,
        /// Whatever owners wish
        #[arg(long, conflicts_with_all = ["sent", "received"])]
        none: bool,
        #[command(flatten)]
        print: Print,
    },
}

pub async fn bandwidth(command: BandwidthCommand) -> anyhow::Result<ExitCode> {
    let connection = Connection::open()?;
    match command {
        BandwidthCommand::Show(format) => {
            show_bandwidth(&connection, "/bandwidth", "each vnode", format).await?;
        }
        BandwidthCommand::Limit {
            sent,
            received,
            print,
        } => {
            let bandwidth = of_mbit(sent, received);
            let receipt = connection
                .receipt(Method::PUT, "/bandwidth", &bandwidth)
                .await?;
            print_receipt(print.format, &receipt)?;
        }
        BandwidthCommand::Ceiling {
            sent: None,
            received: None,
            none: false,
            print,
        } => {
            let of = "each vnode, whatever its owner wishes";
            show_bandwidth(&connection, "/bandwidth-ceiling", of, print).await?;
        }
        BandwidthCommand::Ceiling {
            sent,
            received,
            print,
            ..
        } => {
            let ceiling = of_mbit(sent, received);
            let receipt = connection
                .receipt(Method::PUT, "/bandwidth-ceiling", &ceiling)
                .await?;
            print_receipt(print.format, &receipt)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn of_mbit(sent: Option<u32>, received: Option<u32>) -> Bandwidth {
    Bandwidth {
        sent: sent.map(kbit),
        received: received.map(kbit),
    }
}

async fn show_bandwidth(
    connection: &Connection,
    path: &str,
    of: &'static str,
    format: Print,
) -> anyhow::Result<()> {
    let bandwidth: Bandwidth = connection.get(path).await?;
    print(format.format, &bandwidth, |bandwidth| {
        let mut rows = Rows::new(&[of, "at most"]);
        rows.add(["sends".to_owned(), amount(bandwidth.sent)]);
        rows.add(["receives".to_owned(), amount(bandwidth.received)]);
        rows
    })
}

fn amount(rate: Option<KbitPerS>) -> String {
    rate.map_or_else(
        || "no limit".to_owned(),
        |rate| format!("{} kbit/s", rate.0),
    )
}
