//! What was deleted and can be had back.

use std::process::ExitCode;

use clap::Subcommand;
use docklet_control::view::trash::TrashView;
use reqwest::Method;
use serde_json::{Value, json};

use super::connection::Connection;
use super::name_or_number;
use super::output::{Rows, instant, print, print_receipt};
use crate::cli::Print;

#[derive(Subcommand)]
pub enum Command {
    /// List vclusters that were deleted, and when each goes for good
    List(Print),
    /// Undo deleting one: it is as it was, and runs if it ran
    Restore {
        /// Its name, or its number as `list` shows it
        vcluster: String,
        /// Under another name
        #[arg(long = "as", value_name = "NAME")]
        name: Option<String>,
        #[command(flatten)]
        print: Print,
    },
    /// Delete one for good now
    Purge {
        /// Its name, or its number as `list` shows it
        vcluster: String,
        #[command(flatten)]
        print: Print,
    },
}

pub async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let connection = Connection::open()?;
    match command {
        Command::List(ask) => {
            let trashed: Vec<TrashView> = connection.get("/trash").await?;
            print(ask.format, &trashed, |trashed| table(trashed))?;
        }
        Command::Restore {
            vcluster,
            name: other,
            print,
        } => {
            let path = format!("{}/restore", path(&vcluster)?);
            let body = json!({ "name": other });
            let receipt = connection.receipt(Method::POST, &path, &body).await?;
            print_receipt(print.format, &receipt)?;
        }
        Command::Purge { vcluster, print } => {
            let path = path(&vcluster)?;
            let receipt = connection.receipt(Method::DELETE, &path, &Value::Null);
            print_receipt(print.format, &receipt.await?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn path(vcluster: &str) -> anyhow::Result<String> {
    Ok(format!("/trash/{}", name_or_number("vcluster", vcluster)?))
}

fn table(trashed: &[TrashView]) -> Rows {
    let mut rows = Rows::new(&[
        "id",
        "name",
        "vnodes",
        "owner",
        "deleted",
        "by",
        "gone for good",
    ]);
    for view in trashed {
        rows.add([
            view.id.to_string(),
            view.name.clone(),
            view.vnodes.to_string(),
            view.owner.clone(),
            instant(view.at),
            match &view.by {
                Some(by) => by.clone(),
                None => "nobody started it".to_owned(),
            },
            instant(view.until),
        ]);
    }
    rows
}
