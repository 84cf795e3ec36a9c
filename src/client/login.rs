//! Logging in; accounts.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::connection::{Connection, http_client, refusal};
use super::context::Context;
use super::output::remark;

/// Log in to a cluster and remember it.
#[derive(Args)]
pub struct Login {
    /// A master's public address, as https://host:port; may be given several times
    #[arg(long = "server", required = true)]
    servers: Vec<String>,
    #[arg(long)]
    user: String,
    /// File with the cluster's authority certificate
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// File with the password; asked for if absent
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

#[derive(Deserialize)]
struct LoggedIn {
    token: String,
}

pub async fn run(login: Login) -> anyhow::Result<ExitCode> {
    let ca_pem = login.ca.as_deref().map(read).transpose()?;
    let password = password(login.password_file.as_deref())?;
    let (servers, user) = (login.servers, login.user);
    let context = log_in(servers, ca_pem, user, &password).await?;
    let path = context.store()?;
    remark(&format!(
        "Logged in as {}; remembered in {}.",
        context.user,
        path.display()
    ));
    Ok(ExitCode::SUCCESS)
}

/// Opens a session at the first server that answers.
pub async fn log_in(
    servers: Vec<String>,
    ca_pem: Option<String>,
    user: String,
    password: &str,
) -> anyhow::Result<Context> {
    let client = http_client(ca_pem.as_deref())?;
    let body = json!({"user": user, "password": password});
    let mut last = None;
    for server in &servers {
        let sent = client
            .post(format!("{server}/api/v1/login"))
            .json(&body)
            .send()
            .await;
        match sent {
            Ok(response) if response.status().is_success() => {
                let opened: LoggedIn = response.json().await.context("read the answer")?;
                let token = opened.token;
                return Ok(Context {
                    servers,
                    ca_pem,
                    user,
                    token,
                });
            }
            Ok(response) => return Err(refusal(response).await.into()),
            Err(error) => last = Some(error),
        }
    }
    Err(last.map_or_else(|| anyhow::anyhow!("no server given"), Into::into)).context("log in")
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))
}

/// From a file, or from standard input without echo.
fn password(file: Option<&Path>) -> anyhow::Result<String> {
    let text = match file {
        Some(path) => read(path)?,
        None => {
            remark("Password:");
            let _quiet = super::shell::RawMode::no_echo();
            let mut line = String::new();
            std::io::stdin()
                .read_line(&mut line)
                .context("read the password")?;
            line
        }
    };
    Ok(text.trim_end_matches('\n').to_owned())
}

#[derive(Subcommand)]
pub enum UserCommand {
    /// Make an account
    Create {
        name: String,
        /// File with the password; asked for if absent
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// Let it see and change everything
        #[arg(long)]
        admin: bool,
    },
}

pub async fn user(command: UserCommand) -> anyhow::Result<ExitCode> {
    let UserCommand::Create {
        name,
        password_file,
        admin,
    } = command;
    let password = password(password_file.as_deref())?;
    let role = if admin { "admin" } else { "user" };
    let body = json!({"name": name, "password": password, "role": role});
    let receipt = Connection::open()?
        .receipt(Method::POST, "/users", &body)
        .await?;
    remark(&format!("User {name} made at entry {}.", receipt.index));
    Ok(ExitCode::SUCCESS)
}
