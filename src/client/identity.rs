//! Who else says who people are, for admins: an OpenID provider, the masters' PAM.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use docklet_control::id::IdentityId;
use docklet_control::model::identity::{Newcomers, PamDoor};
use docklet_control::view::identity::ProviderView;
use reqwest::Method;
use serde_json::{Value, json};

use super::account::path;
use super::connection::Connection;
use super::login::{password, read_certificate};
use super::output::{Rows, print, print_receipt};
use crate::cli::Print;

#[derive(Subcommand)]
#[command(defer = true)]
pub enum OidcCommand {
    /// Say by which OpenID provider people log in
    Set(Box<Set>),
    /// Log nobody in by a provider any more; who has a password logs in with that
    Off(Print),
    /// Show by which provider people log in
    Show(Print),
    /// Let go of a connection of your account, or of NAME's for admins
    Disconnect {
        /// Its number, as `docklet user show --format json` has it
        identity: IdentityId,
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
        #[command(flatten)]
        print: Print,
    },
}

#[derive(Subcommand)]
#[command(defer = true)]
pub enum PamCommand {
    /// Let the masters' own people log in by PAM
    Set {
        /// File below /etc/pam.d of every master; its name begins with "docklet"
        #[arg(long, default_value = "docklet")]
        service: String,
        #[command(flatten)]
        newcomers: Welcome,
        #[command(flatten)]
        print: Print,
    },
    /// Ask PAM no more
    Off(Print),
    /// Show who logs in by PAM
    Show(Print),
}

// What becomes of those of whom nobody here knows.
#[derive(Args)]
pub struct Welcome {
    /// What becomes of people without an account
    #[arg(long, value_enum, default_value_t = NewcomerWord::Refused)]
    newcomers: NewcomerWord,
    /// Into which group they come, if they have an account at once
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum NewcomerWord {
    /// They are sent away
    Refused,
    /// They have asked for an account by it
    Request,
    /// They have an account at once
    Active,
}

impl Welcome {
    fn value(&self) -> Value {
        match self.newcomers {
            NewcomerWord::Refused => json!("refused"),
            NewcomerWord::Request => json!("request"),
            NewcomerWord::Active => json!({"active": {"group": self.group}}),
        }
    }
}

#[derive(Args)]
pub struct Set {
    /// What people call it
    #[arg(long)]
    label: String,
    /// As it names itself, as https://id.example.org
    #[arg(long)]
    issuer: String,
    #[arg(long)]
    client_id: String,
    /// File with the client's secret; asked for if absent
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Keep the secret: for the same issuer and client
    #[arg(long, conflicts_with = "secret_file")]
    keep_secret: bool,
    /// The client has no secret
    #[arg(long, conflicts_with_all = ["secret_file", "keep_secret"])]
    no_secret: bool,
    /// Admit only verified mail addresses of this domain; may be given several times
    #[arg(long = "domain", value_name = "DOMAIN")]
    domains: Vec<String>,
    #[command(flatten)]
    newcomers: Welcome,
    /// File with certificates of authorities; those that the masters' machines trust if absent
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Where the portal is for people, as https://cloud.example.org; the address by which each comes if absent
    #[arg(long, default_value = "")]
    portal: String,
    #[command(flatten)]
    print: Print,
}

// By what somebody's name and password are checked from now on.
#[derive(Args)]
pub struct Way {
    name: String,
    way: WayWord,
    #[command(flatten)]
    print: Print,
}

/// By what a password is checked.
#[derive(Clone, Copy, ValueEnum)]
pub enum WayWord {
    /// A password of this cluster; `docklet user passwd` sets one
    Local,
    /// The PAM of the masters' machines
    Pam,
    /// None: only the OpenID provider to which the account is connected
    Oidc,
}

impl WayWord {
    fn word(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Pam => "pam",
            Self::Oidc => "oidc",
        }
    }
}

pub async fn set_way(connection: &Connection, way: Way) -> anyhow::Result<()> {
    let at = format!("{}/way", path(&way.name)?);
    let body = json!({"way": way.way.word()});
    let receipt = connection.receipt(Method::PUT, &at, &body).await?;
    print_receipt(way.print.format, &receipt)
}

pub async fn oidc(command: OidcCommand) -> anyhow::Result<ExitCode> {
    let connection = Connection::open()?;
    match command {
        OidcCommand::Set(set) => set_provider(&connection, *set).await?,
        OidcCommand::Off(print) => off(&connection, "/oidc", print).await?,
        OidcCommand::Show(print) => show_provider(&connection, print).await?,
        OidcCommand::Disconnect {
            identity,
            user,
            print,
        } => {
            let user = user.unwrap_or_else(|| connection.context.user.clone());
            let path = format!("{}/identities/{identity}", path(&user)?);
            let receipt = connection
                .receipt(Method::DELETE, &path, &Value::Null)
                .await?;
            print_receipt(print.format, &receipt)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub async fn pam(command: PamCommand) -> anyhow::Result<ExitCode> {
    let connection = Connection::open()?;
    match command {
        PamCommand::Set {
            service,
            newcomers,
            print,
        } => {
            let body = json!({"service": service, "newcomers": newcomers.value()});
            let receipt = connection.receipt(Method::PUT, "/pam", &body).await?;
            print_receipt(print.format, &receipt)?;
        }
        PamCommand::Off(print) => off(&connection, "/pam", print).await?,
        PamCommand::Show(print) => show_pam(&connection, print).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn off(connection: &Connection, path: &str, print: Print) -> anyhow::Result<()> {
    let receipt = connection
        .receipt(Method::DELETE, path, &Value::Null)
        .await?;
    print_receipt(print.format, &receipt)
}

async fn set_provider(connection: &Connection, set: Set) -> anyhow::Result<()> {
    let secret = if set.no_secret || set.keep_secret {
        String::new()
    } else {
        password(set.secret_file.as_deref())?
    };
    let authorities = set.ca.as_deref().map(read_certificate).transpose()?;
    let body = json!({
        "label": set.label,
        "issuer": set.issuer,
        "client_id": set.client_id,
        "secret": secret,
        "domains": set.domains,
        "newcomers": set.newcomers.value(),
        "authorities": authorities.unwrap_or_default(),
        "portal": set.portal,
    });
    let receipt = connection.receipt(Method::PUT, "/oidc", &body).await?;
    print_receipt(set.print.format, &receipt)
}

async fn show_provider(connection: &Connection, ask: Print) -> anyhow::Result<()> {
    let provider: Option<ProviderView> = connection.get("/oidc").await?;
    print(ask.format, &provider, |provider| {
        let mut rows = Rows::new(&["what", "value"]);
        let mut add = |what: &str, value: String| rows.add([what.to_owned(), value]);
        let Some(provider) = provider else {
            add("provider", "none".to_owned());
            return rows;
        };
        let yes = |there: bool| if there { "yes" } else { "no" }.to_owned();
        add("label", provider.label.clone());
        add("issuer", provider.issuer.clone());
        add("client id", provider.client_id.clone());
        add("secret", yes(provider.secret));
        let domains: Vec<&str> = provider.domains.iter().map(String::as_str).collect();
        add("mail domains", domains.join(", "));
        add("newcomers", newcomers(&provider.newcomers));
        add("own authorities", yes(provider.authorities));
        add("portal", provider.portal.clone());
        rows
    })
}

async fn show_pam(connection: &Connection, ask: Print) -> anyhow::Result<()> {
    let pam: Option<PamDoor> = connection.get("/pam").await?;
    print(ask.format, &pam, |pam| {
        let mut rows = Rows::new(&["what", "value"]);
        let mut add = |what: &str, value: String| rows.add([what.to_owned(), value]);
        match pam {
            None => add("service", "none: PAM is not asked".to_owned()),
            Some(pam) => {
                add("service", pam.service.clone());
                add("newcomers", newcomers(&pam.newcomers));
            }
        }
        rows
    })
}

fn newcomers(newcomers: &Newcomers) -> String {
    match newcomers {
        Newcomers::Refused | Newcomers::Request | Newcomers::Active { group: None } => {
            newcomers.word().to_owned()
        }
        Newcomers::Active { group: Some(group) } => format!("active, in group {group}"),
    }
}
