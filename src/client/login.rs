//! Logging in.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use reqwest::{Method, StatusCode};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use serde_json::{Value, json};

use super::connection::{http_client, refused, unreachable};
use super::context::Context;
use super::operation;
use super::output::remark;
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
    /// What your device shows, or a recovery code; asked for if the account has a second factor
    #[arg(long, value_name = "CODE")]
    totp_code: Option<String>,
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
    let code = login.totp_code.as_deref();
    let context = log_in(servers, ca_pem, user, &password, code).await?;
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
    code: Option<&str>,
) -> anyhow::Result<Context> {
    let client = http_client(ca_pem.as_deref())?;
    let mut body = json!({"user": user, "password": password, "code": code});
    let mut last = Failure::new(
        Class::Invalid,
        "no server was given: name one with --server",
    );
    let address = operation::address(&Method::POST, "/login");
    for server in &servers {
        let ask = async |body: &Value| {
            let request = client.post(format!("{server}{address}"));
            request.json(body).send().await
        };
        let mut sent = ask(&body).await;
        if let Ok(response) = &sent
            && response.status() == StatusCode::UNAUTHORIZED
            && code.is_none()
        {
            let problem = refused(sent?).await;
            if problem.code != "code_needed" {
                return Err(problem.failure.into());
            }
            body["code"] = ask_code()?.into();
            sent = ask(&body).await;
        }
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
                last = refused(response).await.failure;
            }
            Ok(response) => return Err(refused(response).await.failure.into()),
            Err(error) => last = unreachable(server, &error),
        }
    }
    Err(last.into())
}

/// From standard input: it is worth nothing in half a minute, so it may be seen.
fn ask_code() -> anyhow::Result<String> {
    remark("Code that your device shows, or a recovery code:");
    let mut line = String::new();
    let read = std::io::stdin().read_line(&mut line);
    read.context("read the code")?;
    Ok(line.trim().to_owned())
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

pub fn read_certificate(path: &Path) -> anyhow::Result<String> {
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
pub fn refuse_no_server(server: &str) -> anyhow::Result<()> {
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
pub fn password(file: Option<&Path>) -> anyhow::Result<String> {
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
