//! Bug reports: what people found wrong, and what is said to it.

use std::process::ExitCode;

use clap::Subcommand;
use docklet_control::id::BugId;
use docklet_control::view::BugView;
use reqwest::Method;
use serde_json::{Value, json};

use super::connection::Connection;
use super::output::{Rows, instant, print, print_receipt};
use crate::cli::Print;

#[derive(Subcommand)]
#[command(defer = true)]
pub enum Command {
    /// Say what you found wrong; admins are told
    Report {
        text: String,
        #[command(flatten)]
        print: Print,
    },
    /// List what you told; all, for admins
    List(Print),
    /// Show one
    Show {
        bug: BugId,
        #[command(flatten)]
        print: Print,
    },
    /// Answer one; for admins. Whoever told it gets a notice
    Answer {
        bug: BugId,
        text: String,
        /// Nothing more is to be done
        #[arg(long)]
        close: bool,
        #[command(flatten)]
        print: Print,
    },
    /// Close one without a word; for admins
    Close {
        bug: BugId,
        #[command(flatten)]
        print: Print,
    },
    /// Keep one no longer; for admins
    Forget {
        bug: BugId,
        #[command(flatten)]
        print: Print,
    },
}

pub async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let connection = Connection::open()?;
    match command {
        Command::Report { text, print } => {
            let body = json!({"text": text});
            let receipt = connection.receipt(Method::POST, "/bugs", &body).await?;
            print_receipt(print.format, &receipt)?;
        }
        Command::List(ask) => {
            let bugs: Vec<BugView> = connection.get("/bugs").await?;
            print(ask.format, &bugs, |bugs| table(bugs))?;
        }
        Command::Show { bug, print: ask } => {
            let found: BugView = connection.get(&format!("/bugs/{bug}")).await?;
            print(ask.format, &found, |found| {
                table(std::slice::from_ref(found))
            })?;
        }
        Command::Answer {
            bug,
            text,
            close,
            print,
        } => answer(&connection, bug, Some(text), close, print).await?,
        Command::Close { bug, print } => answer(&connection, bug, None, true, print).await?,
        Command::Forget { bug, print } => {
            let path = format!("/bugs/{bug}");
            let receipt = connection
                .receipt(Method::DELETE, &path, &Value::Null)
                .await?;
            print_receipt(print.format, &receipt)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn answer(
    connection: &Connection,
    bug: BugId,
    text: Option<String>,
    close: bool,
    ask: Print,
) -> anyhow::Result<()> {
    let path = format!("/bugs/{bug}/answer");
    let body = json!({"text": text, "close": close});
    let receipt = connection.receipt(Method::POST, &path, &body).await?;
    print_receipt(ask.format, &receipt)
}

fn table(bugs: &[BugView]) -> Rows {
    let mut rows = Rows::new(&["number", "by", "since", "state", "what", "answer"]);
    for bug in bugs {
        let state = match (bug.closed, bug.answer.is_empty()) {
            (true, _) => "closed",
            (false, true) => "open",
            (false, false) => "answered",
        };
        rows.add([
            bug.id.to_string(),
            bug.by.clone(),
            instant(bug.at),
            state.to_owned(),
            bug.text.clone(),
            bug.answer.clone(),
        ]);
    }
    rows
}
