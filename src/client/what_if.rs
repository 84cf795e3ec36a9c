//! What would come of something that has not been done.

use std::process::ExitCode;

use clap::Subcommand;
use docklet_control::what_if::{Outlook, OverQuota};
use reqwest::Method;
use serde_json::{Value, json};

use super::connection::Connection;
use super::output::{Rows, print, remark};
use super::quota::{self, Items, Whose};
use super::vc::Create;
use crate::cli::Print;

/// Nothing is changed. Exits with 0 if every vnode would have a worker, and with 1 if some would wait.
#[derive(Subcommand)]
#[command(defer = true)]
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
    /// A vcluster is made: where its vnodes would be, and what the quota says
    Create(Box<Create>),
    /// A quota becomes another: who would have more than they may
    Quota {
        #[command(flatten)]
        of: Whose,
        #[command(flatten)]
        items: Box<Items>,
        #[command(flatten)]
        print: Print,
    },
}

pub async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let (question, format) = match command {
        Command::Drain { worker, print } => (json!({"drain": worker}), print),
        Command::Loss { worker, print } => (json!({"loss": worker}), print),
        Command::Create(create) => (json!({"create": create.body()?}), create.print()),
        Command::Quota { of, items, print } => {
            (json!({"quota": quota::command(of, *items)}), print)
        }
    };
    ask(&question, format).await
}

async fn ask(question: &Value, format: Print) -> anyhow::Result<ExitCode> {
    let connection = Connection::open()?;
    let outlook: Outlook = connection
        .change(Method::POST, "/what-if", question)
        .await?;
    print(format.format, &outlook, |outlook| {
        if !outlook.over.is_empty() {
            return too_much(&outlook.over);
        }
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
    if matches!(question, Value::Object(of) if of.contains_key("quota")) {
        let over = outlook.over.len();
        remark(&format!(
            "{over} limits would be below what somebody has: they would keep it, and get no more. Nothing was changed."
        ));
    } else {
        let (placed, pending) = (outlook.placed.len(), outlook.pending.len());
        let quota = Some(&outlook.quota).filter(|quota| !quota.is_empty());
        let quota = quota.map_or_else(String::new, |quota| format!("With it {quota} "));
        remark(&format!(
            "{placed} would have a worker, {pending} would wait. {quota}Nothing was changed."
        ));
    }
    Ok(if outlook.is_well() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn too_much(over: &[OverQuota]) -> Rows {
    let mut rows = Rows::new(&["user", "item", "has", "would be allowed", "by"]);
    for one in over {
        rows.add([
            one.user.clone(),
            one.item.word().to_owned(),
            one.item.words(one.used),
            one.item.words(one.limit),
            one.whence.clone(),
        ]);
    }
    rows
}
