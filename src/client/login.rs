//! Logging in; accounts.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use docklet_control::model::Role;
use docklet_control::name::Name;
use reqwest::{Method, StatusCode};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use serde_json::json;

use super::connection::{Connection, http_client, refusal, unreachable};
use super::context::Context;
use super::output::{print_receipt, remark};
use crate::cli::Print;
use crate::exit::{Class, Failure};

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
    let ca_pem = login.ca.as_deref().map(read_certificate).transpose()?;
    for server in &login.servers {
        refuse_no_server(server)?;
    }
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
    let mut last = Failure::new(
        Class::Invalid,
        "no server was given: name one with --server",
    );
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
            // Another master may have a quorum at hand where this one has none.
            Ok(response) if response.status() == StatusCode::SERVICE_UNAVAILABLE => {
                last = refusal(response).await;
            }
            Ok(response) => return Err(refusal(response).await.into()),
            Err(error) => last = unreachable(server, &error),
        }
    }
    Err(last.into())
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).map_err(|error| {
        let text = format!(
            "{} cannot be read ({error}): check the path",
            path.display()
        );
        Failure::new(Class::Invalid, text).into()
    })
}

fn read_certificate(path: &Path) -> anyhow::Result<String> {
    let text = read(path)?;
    if CertificateDer::from_pem_slice(text.as_bytes()).is_err() {
        let text = format!(
            "{} holds no certificate: give the authority's ca.pem, as a master's directory has it",
            path.display()
        );
        return Err(Failure::new(Class::Invalid, text).into());
    }
    Ok(text)
}

/// Servers are named by scheme, host and port alone.
fn refuse_no_server(server: &str) -> anyhow::Result<()> {
    let authority = server.strip_prefix("https://").unwrap_or_default();
    let unfit = |c: char| c.is_whitespace() || c.is_control() || "/?#@\\".contains(c);
    if authority.is_empty() || authority.contains(unfit) {
        let text = format!(
            "\"{}\" is no server: give it as https://HOST:PORT",
            server.escape_debug()
        );
        return Err(Failure::new(Class::Invalid, text).into());
    }
    Ok(())
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
        /// Let it look after masters and workers
        #[arg(long, conflicts_with = "admin")]
        operator: bool,
        #[command(flatten)]
        print: Print,
    },
    /// Say what somebody may do beyond using their own things; it holds at once; for admins
    Role {
        name: String,
        role: RoleWord,
        #[command(flatten)]
        print: Print,
    },
}

/// Each may do all that those before it may.
#[derive(Clone, Copy, ValueEnum)]
pub enum RoleWord {
    /// Uses their own vclusters
    User,
    /// Looks after masters and workers, and enters nobody's vnodes
    Operator,
    /// Sees and changes everything
    Admin,
}

impl From<RoleWord> for Role {
    fn from(word: RoleWord) -> Self {
        match word {
            RoleWord::User => Self::User,
            RoleWord::Operator => Self::Operator,
            RoleWord::Admin => Self::Admin,
        }
    }
}

pub async fn user(command: UserCommand) -> anyhow::Result<ExitCode> {
    match command {
        UserCommand::Create {
            name,
            password_file,
            admin,
            operator,
            print,
        } => {
            let role = match (admin, operator) {
                (true, _) => Role::Admin,
                (false, true) => Role::Operator,
                (false, false) => Role::User,
            };
            let password = password(password_file.as_deref())?;
            let body = json!({"name": name, "password": password, "role": role});
            let connection = Connection::open()?;
            let receipt = connection.receipt(Method::POST, "/users", &body).await?;
            print_receipt(print.format, &receipt)?;
        }
        UserCommand::Role { name, role, print } => set_role(&name, role.into(), print).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn set_role(name: &str, role: Role, format: Print) -> anyhow::Result<()> {
    // What is no name could be another path.
    let name = Name::parse("user", name);
    let name = name.map_err(|refusal| Failure::new(Class::Invalid, refusal.to_string()))?;
    let path = format!("/users/{name}/role");
    let body = json!({"role": role});
    let receipt = Connection::open()?
        .receipt(Method::PUT, &path, &body)
        .await?;
    print_receipt(format.format, &receipt)
}
