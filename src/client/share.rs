//! Terminals that are shared by a link.

use std::process::ExitCode;

use clap::Subcommand;
use docklet_control::id::LogIndex;
use docklet_control::view::ShareView;
use reqwest::Method;
use serde_json::Value;

use super::connection::Connection;
use super::output::{Rows, instant, print, print_receipt};
use crate::cli::Print;

#[derive(Subcommand)]
#[command(defer = true)]
pub enum Command {
    /// List links to terminals of your vnodes: what guests may, until when, and who has come by them
    List(Print),
    /// End one: whoever looks at the terminal by it is cut off
    Revoke {
        /// Its number, as `list` shows it
        share: LogIndex,
        #[command(flatten)]
        print: Print,
    },
}

pub async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let connection = Connection::open()?;
    match command {
        Command::List(ask) => {
            let shares: Vec<ShareView> = connection.get("/shares").await?;
            print(ask.format, &shares, |shares| table(shares))?;
        }
        Command::Revoke { share, print } => {
            let path = format!("/shares/{share}");
            let receipt = connection.receipt(Method::DELETE, &path, &Value::Null);
            print_receipt(print.format, &receipt.await?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn table(shares: &[ShareView]) -> Rows {
    let mut rows = Rows::new(&[
        "id",
        "vnode",
        "owner",
        "by",
        "guests may",
        "until",
        "came by it",
    ]);
    for share in shares {
        rows.add([
            share.id.to_string(),
            format!("{}/{}", share.vcluster, share.vnode),
            share.owner.clone(),
            share.by.clone(),
            if share.types { "type" } else { "look on" }.to_owned(),
            instant(share.until),
            share.guests.join(", "),
        ]);
    }
    rows
}
