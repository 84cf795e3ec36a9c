//! Groups of people.

use std::process::ExitCode;

use clap::Subcommand;
use docklet_control::model::Receipt;
use docklet_control::view::PeopleView;
use reqwest::Method;
use serde_json::{Value, json};

use super::connection::Connection;
use super::name;
use super::output::{Rows, instant, print, print_receipt};
use crate::cli::Print;

#[derive(Subcommand)]
#[command(defer = true)]
pub enum Command {
    /// Make a group; for admins
    Create {
        name: String,
        /// One line for people
        #[arg(long, default_value = "")]
        description: String,
        #[command(flatten)]
        print: Print,
    },
    /// List the groups that you are in or manage; all groups, for admins
    List(Print),
    /// Show one group: who is in it, and which images are shared with it
    Show {
        group: String,
        #[command(flatten)]
        print: Print,
    },
    /// Add people to a group: they see and use what is shared with it, and may have what it gives; for its managers and admins
    Add {
        group: String,
        #[arg(required = true)]
        user: Vec<String>,
        #[command(flatten)]
        print: Print,
    },
    /// Take people out of a group; vnodes that they have stay; for its managers and admins
    Remove {
        group: String,
        #[arg(required = true)]
        user: Vec<String>,
        #[command(flatten)]
        print: Print,
    },
    /// Managers, who say who is in the group and how much of what it gives each has
    #[command(subcommand)]
    Manager(ManagerCommand),
    /// Delete a group: nothing is shared with it any more; for admins
    Delete {
        group: String,
        /// For good, without the time in which `docklet trash restore` undoes it
        #[arg(long)]
        now: bool,
        #[command(flatten)]
        print: Print,
    },
}

#[derive(Subcommand)]
#[command(defer = true)]
pub enum ManagerCommand {
    /// Let people manage a group; for admins
    Add {
        group: String,
        #[arg(required = true)]
        user: Vec<String>,
        #[command(flatten)]
        print: Print,
    },
    /// Let them manage it no more; for admins
    Remove {
        group: String,
        #[arg(required = true)]
        user: Vec<String>,
        #[command(flatten)]
        print: Print,
    },
}

pub async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let connection = Connection::open()?;
    match command {
        Command::Create {
            name,
            description,
            print,
        } => {
            let body = json!({"name": name, "description": description});
            let receipt = connection.receipt(Method::POST, "/groups", &body).await?;
            print_receipt(print.format, &receipt)?;
        }
        Command::List(print) => list(&connection, print).await?,
        Command::Show { group, print } => show(&connection, &group, print).await?,
        Command::Add { group, user, print } => {
            let receipt = change(&connection, &group, &json!({"add": user})).await?;
            print_receipt(print.format, &receipt)?;
        }
        Command::Remove { group, user, print } => {
            let receipt = change(&connection, &group, &json!({"remove": user})).await?;
            print_receipt(print.format, &receipt)?;
        }
        Command::Manager(ManagerCommand::Add { group, user, print }) => {
            let receipt = change(&connection, &group, &json!({"manage": user})).await?;
            print_receipt(print.format, &receipt)?;
        }
        Command::Manager(ManagerCommand::Remove { group, user, print }) => {
            let receipt = change(&connection, &group, &json!({"unmanage": user})).await?;
            print_receipt(print.format, &receipt)?;
        }
        Command::Delete { group, now, print } => {
            let path = format!("{}?now={now}", path(&group)?);
            let receipt = connection
                .receipt(Method::DELETE, &path, &Value::Null)
                .await?;
            print_receipt(print.format, &receipt)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn path(group: &str) -> anyhow::Result<String> {
    Ok(format!("/groups/{}", name("group", group)?))
}

async fn change(connection: &Connection, group: &str, change: &Value) -> anyhow::Result<Receipt> {
    connection
        .receipt(Method::POST, &path(group)?, change)
        .await
}

async fn list(connection: &Connection, format: Print) -> anyhow::Result<()> {
    let groups: Vec<PeopleView> = connection.get("/groups").await?;
    print(format.format, &groups, |groups| {
        let mut rows = Rows::new(&["name", "members", "images", "description"]);
        for group in groups {
            rows.add([
                group.name.clone(),
                group.members.len().to_string(),
                group.images.len().to_string(),
                group.description.clone(),
            ]);
        }
        rows
    })
}

async fn show(connection: &Connection, group: &str, format: Print) -> anyhow::Result<()> {
    let group: PeopleView = connection.get(&path(group)?).await?;
    print(format.format, &group, |group| {
        let mut rows = Rows::new(&["what", "value"]);
        let mut add = |what: &str, value: String| rows.add([what.to_owned(), value]);
        add("name", group.name.clone());
        add("description", group.description.clone());
        add("members", group.members.join(", "));
        add("managers", group.managers.join(", "));
        add("images", group.images.join(", "));
        add("made", instant(group.created_at));
        rows
    })
}
