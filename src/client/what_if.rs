//! What would come of something that has not been done.

use std::process::ExitCode;

use clap::Subcommand;
use docklet_control::what_if::Outlook;
use reqwest::Method;
use serde_json::{Value, json};

use super::connection::Connection;
use super::output::{Rows, print, remark};
use super::vc::Create;
use crate::cli::Print;

/// Nothing is changed. Exits with 0 if every vnode would have a worker, and with 1 if some would wait.
#[derive(Subcommand)]
pub enum Command {
    /// A worker is emptied: who would go where; for admins
    Drain {
        worker: String,
        #[command(flatten)]
        print: Print,
    },
    /// A worker is lost: who would find room elsewhere; for admins
    Loss {
        worker: String,
        #[command(flatten)]
        print: Print,
    },
    /// A vcluster is made: where its vnodes would be
    Create(Box<Create>),
}

pub async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let (question, format) = match command {
        Command::Drain { worker, print } => (json!({"drain": worker}), print),
        Command::Loss { worker, print } => (json!({"loss": worker}), print),
        Command::Create(create) => (json!({"create": create.body()?}), create.print()),
    };
    ask(&question, format).await
}

async fn ask(question: &Value, format: Print) -> anyhow::Result<ExitCode> {
    let connection = Connection::open()?;
    let outlook: Outlook = connection
        .change(Method::POST, "/what-if", question)
        .await?;
    print(format.format, &outlook, |outlook| {
        let mut rows = Rows::new(&["vnode", "from", "to", "why not"]);
        let from = |from: &Option<String>| from.clone().unwrap_or_else(|| "-".to_owned());
        for one in &outlook.placed {
            rows.add([
                one.vnode.clone(),
                from(&one.from),
                one.to.clone(),
                String::new(),
            ]);
        }
        for one in &outlook.pending {
            rows.add([
                one.vnode.clone(),
                from(&one.from),
                "pending".to_owned(),
                one.why.clone(),
            ]);
        }
        rows
    })?;
    let (placed, pending) = (outlook.placed.len(), outlook.pending.len());
    remark(&format!(
        "{placed} would have a worker, {pending} would wait. Nothing was changed."
    ));
    Ok(if outlook.is_well() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
