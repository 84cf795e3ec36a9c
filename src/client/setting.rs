//! Settings of the whole cluster: what they are and were, and going back.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use docklet_control::view::setting::SettingView;
use reqwest::Method;
use serde_json::{Value, json};

use super::connection::Connection;
use super::name;
use super::output::{Rows, instant, print, print_receipt};
use crate::cli::Print;

#[derive(Subcommand)]
#[command(defer = true)]
pub enum Command {
    /// List all settings, with who changed them last
    List(Print),
    /// Show what one is, and how it came to be so
    History {
        setting: String,
        #[command(flatten)]
        print: Print,
    },
    /// Set one, as JSON; each has a command of its own as well, such as `docklet quota set --usual`
    Set {
        setting: String,
        /// As `list` shows it, for example '{"percent":150}'
        value: String,
        #[command(flatten)]
        print: Print,
    },
    /// Go back to what it was before the last change, or to what it was after an earlier one
    Undo {
        setting: String,
        /// The change, as `history` shows it
        #[arg(long, value_name = "CHANGE")]
        to: Option<u64>,
        #[command(flatten)]
        print: Print,
    },
}

pub async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let connection = Connection::open()?;
    match command {
        Command::List(ask) => {
            let settings: Vec<SettingView> = connection.get("/settings").await?;
            print(ask.format, &settings, |settings| table(settings))?;
        }
        Command::History {
            setting,
            print: ask,
        } => {
            let found: SettingView = connection.get(&path(&setting, "")?).await?;
            print(ask.format, &found, history)?;
        }
        Command::Set {
            setting,
            value,
            print,
        } => {
            let value: Value = serde_json::from_str(&value).context("the value is no JSON")?;
            let path = path(&setting, "")?;
            let receipt = connection.receipt(Method::PUT, &path, &value).await?;
            print_receipt(print.format, &receipt)?;
        }
        Command::Undo { setting, to, print } => {
            let path = path(&setting, "/undo")?;
            let body = json!({ "to": to });
            let receipt = connection.receipt(Method::POST, &path, &body).await?;
            print_receipt(print.format, &receipt)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn path(setting: &str, rest: &str) -> anyhow::Result<String> {
    Ok(format!("/settings/{}{rest}", name("setting", setting)?))
}

fn table(settings: &[SettingView]) -> Rows {
    let mut rows = Rows::new(&["setting", "value", "changed", "by"]);
    for setting in settings {
        let last = setting.changes.first();
        rows.add([
            setting.name.word().to_owned(),
            setting.value.to_string(),
            last.map(|change| instant(change.at)).unwrap_or_default(),
            last.and_then(|change| change.by.clone())
                .unwrap_or_default(),
        ]);
    }
    rows
}

fn history(setting: &SettingView) -> Rows {
    let mut rows = Rows::new(&["change", "at", "by", "from", "to"]);
    for change in &setting.changes {
        rows.add([
            change.change.to_string(),
            instant(change.at),
            change.by.clone().unwrap_or_default(),
            change.before.to_string(),
            change.after.to_string(),
        ]);
    }
    rows
}
