//! What people's homes may hold.

use std::process::ExitCode;

use clap::Subcommand;
use docklet_control::amount::DiskMib;
use docklet_control::model::HomeUsual;
use docklet_control::view::HomeView;
use reqwest::Method;
use serde_json::{Value, json};

use super::amount;
use super::connection::Connection;
use super::output::{Rows, print, print_receipt};
use crate::cli::Print;
use crate::exit::{Class, Failure};

#[derive(Subcommand)]
#[command(defer = true)]
pub enum Command {
    /// List what homes may hold
    List(Print),
    /// Say what a home may hold: everybody's who has no size of their own, or one person's
    Limit {
        /// Whose; everybody's who has no size of their own if absent
        user: Option<String>,
        /// What it may hold, as 20GiB; never less than is in it
        #[arg(long, value_name = "SIZE", value_parser = amount::disk, required_unless_present = "usual")]
        size: Option<DiskMib>,
        /// What everybody's holds
        #[arg(long, conflicts_with = "size", requires = "user")]
        usual: bool,
        #[command(flatten)]
        print: Print,
    },
}

pub async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let connection = Connection::open()?;
    match command {
        Command::List(format) => list(&connection, format).await?,
        Command::Limit {
            user, size, print, ..
        } => {
            let (method, path, body) = match (user, size) {
                (None, size) => {
                    let disk_mib = size.unwrap_or(HomeUsual::DEFAULT.disk_mib);
                    (
                        Method::PUT,
                        "/homes".to_owned(),
                        json!(HomeUsual { disk_mib }),
                    )
                }
                (Some(user), Some(size)) => {
                    (Method::PUT, of_user(&user)?, json!({"disk_mib": size}))
                }
                (Some(user), None) => (Method::DELETE, of_user(&user)?, Value::Null),
            };
            let receipt = connection.receipt(method, &path, &body).await?;
            print_receipt(print.format, &receipt)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Path of a person's home. What could mean another path is refused here.
fn of_user(user: &str) -> anyhow::Result<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if user.is_empty() || !user.chars().all(plain) {
        let message = format!(
            "\"{}\" is no user's name: use a-z, 0-9 and -",
            user.escape_debug()
        );
        return Err(Failure::new(Class::Invalid, message).into());
    }
    Ok(format!("/homes/{user}"))
}

async fn list(connection: &Connection, format: Print) -> anyhow::Result<()> {
    let views: Vec<HomeView> = connection.list("/homes").await?;
    print(format.format, &views, |views| {
        let mut rows = Rows::new(&["user", "home", "by"]);
        for view in views {
            rows.add([
                view.user.clone(),
                amount::of_disk(view.disk_mib),
                view.whence.clone(),
            ]);
        }
        rows
    })
}
