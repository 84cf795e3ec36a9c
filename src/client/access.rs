//! How one gets in: logins, tokens of programs, second factors.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use docklet_control::id::LogIndex;
use docklet_control::model::SessionKind;
use docklet_control::model::account::Scope;
use docklet_control::view::account::LoginView;
use reqwest::Method;
use serde_json::{Value, json};

use super::account::path;
use super::connection::Connection;
use super::login::password;
use super::output::{Rows, instant, line, print, print_data, print_receipt, remark};
use crate::cli::Print;

const DAY_S: u64 = 24 * 3_600;

#[derive(Subcommand)]
#[command(defer = true)]
pub enum SessionCommand {
    /// List where you are logged in; for admins also somebody else
    List {
        /// Whose; yours if not given
        #[arg(long)]
        user: Option<String>,
        #[command(flatten)]
        print: Print,
    },
    /// End one login, or all others with all tokens
    End {
        /// Its number, as `docklet session list` shows it
        #[arg(required_unless_present = "others")]
        number: Option<LogIndex>,
        /// All but this one, and all tokens
        #[arg(long, conflicts_with = "number")]
        others: bool,
        /// Whose; yours if not given
        #[arg(long)]
        user: Option<String>,
        #[command(flatten)]
        print: Print,
    },
}

pub async fn session(command: SessionCommand) -> anyhow::Result<ExitCode> {
    let connection = Connection::open()?;
    match command {
        SessionCommand::List { user, print } => {
            let logins = logins(&connection, user.as_deref()).await?;
            let others = logins
                .into_iter()
                .filter(|view| view.kind != SessionKind::Api);
            list(others, print)?;
        }
        SessionCommand::End {
            number,
            user,
            print,
            ..
        } => {
            let place = number.map_or_else(String::new, |number| format!("/{number}"));
            let path = format!("/logins{place}{}", whose(user.as_deref())?);
            let receipt = connection
                .receipt(Method::DELETE, &path, &Value::Null)
                .await?;
            print_receipt(print.format, &receipt)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn whose(user: Option<&str>) -> anyhow::Result<String> {
    let Some(user) = user else {
        return Ok(String::new());
    };
    Ok(format!("?user={}", super::name("user", user)?))
}

async fn logins(connection: &Connection, user: Option<&str>) -> anyhow::Result<Vec<LoginView>> {
    let path = format!("/logins{}", whose(user)?);
    connection.get(&path).await
}

fn list(logins: impl Iterator<Item = LoginView>, format: Print) -> anyhow::Result<()> {
    let logins: Vec<LoginView> = logins.collect();
    print(format.format, &logins, |logins| {
        let mut rows = Rows::new(&["login", "kind", "from", "since", "until", ""]);
        for view in logins {
            let kind = match view.kind {
                SessionKind::Browser => "browser",
                SessionKind::Token => "command line",
                SessionKind::Api => "token",
                SessionKind::Unproven => "waits for a code",
            };
            rows.add([
                number(view),
                kind.to_owned(),
                view.from.clone(),
                instant(view.opened_at),
                instant(view.expires_at),
                if view.this { "this one" } else { "" }.to_owned(),
            ]);
        }
        rows
    })
}

fn number(view: &LoginView) -> String {
    view.number
        .map_or_else(|| "-".to_owned(), |number| number.to_string())
}

/// As [`Scope`], for the command line.
#[derive(Clone, Copy, ValueEnum)]
pub enum Allowed {
    /// Look at everything that you see
    Read,
    /// Make, change and delete vclusters, ports, snapshots, moves
    Vclusters,
    /// Run programs and open terminals in vnodes
    Terminals,
    /// Add, change, share and delete images
    Images,
    /// Read /metrics; of admins
    Metrics,
    /// Your role counts; of admins
    Admin,
    /// Look at files in vnodes, and fetch them
    ReadFiles,
    /// Bring files to vnodes, move and delete them
    WriteFiles,
}

impl Allowed {
    fn scope(self) -> Scope {
        match self {
            Self::Read => Scope::Read,
            Self::Vclusters => Scope::Vclusters,
            Self::Terminals => Scope::Terminals,
            Self::Images => Scope::Images,
            Self::Metrics => Scope::Metrics,
            Self::Admin => Scope::Admin,
            Self::ReadFiles => Scope::ReadFiles,
            Self::WriteFiles => Scope::WriteFiles,
        }
    }
}

#[derive(Subcommand)]
#[command(defer = true)]
pub enum TokenCommand {
    /// Make a token for a program that works for you; it is printed this once
    Create {
        name: String,
        /// What it may do; may be given several times
        #[arg(long = "scope", value_enum, required = true)]
        scopes: Vec<Allowed>,
        /// Days for which it is good, at most 366
        #[arg(long, default_value_t = 30)]
        days: u64,
        #[command(flatten)]
        print: Print,
    },
    /// List your tokens; for admins also somebody else's
    List {
        /// Whose; yours if not given
        #[arg(long)]
        user: Option<String>,
        #[command(flatten)]
        print: Print,
    },
    /// End a token of yours
    Revoke {
        name: String,
        #[command(flatten)]
        print: Print,
    },
}

pub async fn token(command: TokenCommand) -> anyhow::Result<ExitCode> {
    let connection = Connection::open()?;
    match command {
        TokenCommand::Create {
            name,
            scopes,
            days,
            print,
        } => {
            let scopes: Vec<Scope> = scopes.into_iter().map(Allowed::scope).collect();
            let ttl_s = days.saturating_mul(DAY_S);
            let body = json!({"name": name, "scopes": scopes, "ttl_s": ttl_s});
            let made: Value = connection
                .change(Method::POST, "/access-tokens", &body)
                .await?;
            let token = made["token"].as_str().unwrap_or_default();
            if !print_data(print.format, &made, |_| one("token", [token]))? {
                // Alone on its line, so that it can be handed to a program as it is.
                line(token);
            }
            remark("This token is shown this once: keep it where only the program finds it.");
        }
        TokenCommand::List { user, print } => {
            let logins = logins(&connection, user.as_deref()).await?;
            let tokens = logins
                .into_iter()
                .filter(|view| view.kind == SessionKind::Api);
            tokens_table(tokens, print)?;
        }
        TokenCommand::Revoke { name, print } => {
            let path = format!("/access-tokens/{}", super::name("token", &name)?);
            let receipt = connection
                .receipt(Method::DELETE, &path, &Value::Null)
                .await?;
            print_receipt(print.format, &receipt)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Rows of one column.
fn one<'t>(head: &'static str, cells: impl IntoIterator<Item = &'t str>) -> Rows {
    let mut rows = Rows::new(&[head]);
    for cell in cells {
        rows.add([cell.to_owned()]);
    }
    rows
}

fn tokens_table(tokens: impl Iterator<Item = LoginView>, format: Print) -> anyhow::Result<()> {
    let tokens: Vec<LoginView> = tokens.collect();
    print(format.format, &tokens, |tokens| {
        let mut rows = Rows::new(&["token", "scopes", "made", "until", "last used"]);
        for view in tokens {
            let scopes: Vec<&str> = view.scopes.iter().map(|scope| scope.word()).collect();
            rows.add([
                view.name.clone().unwrap_or_default(),
                scopes.join(", "),
                instant(view.opened_at),
                instant(view.expires_at),
                view.used_day.map_or_else(|| "never".to_owned(), day),
            ]);
        }
        rows
    })
}

fn day(day: u64) -> String {
    let at = docklet_control::id::UnixMs(day * DAY_S * 1_000);
    instant(at).split(' ').next().unwrap_or_default().to_owned()
}

#[derive(Subcommand)]
#[command(defer = true)]
pub enum FactorCommand {
    /// Get a secret for your device; it counts when you confirm it
    Begin(Print),
    /// Confirm it with a code that the device shows; prints recovery codes, this once
    Confirm {
        code: String,
        #[command(flatten)]
        print: Print,
    },
    /// Remove your second factor; for admins that of somebody who has lost the device
    Remove {
        /// Whose; yours if not given
        #[arg(long)]
        user: Option<String>,
        /// What your device shows, or a recovery code; of your own
        #[arg(long, value_name = "CODE")]
        totp_code: Option<String>,
        /// File with your password; asked for if absent
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        #[command(flatten)]
        print: Print,
    },
}

pub async fn factor(connection: &Connection, command: FactorCommand) -> anyhow::Result<()> {
    match command {
        FactorCommand::Begin(print) => {
            let begun: Value = connection
                .change(Method::POST, "/factor", &Value::Null)
                .await?;
            let uri = begun["uri"].as_str().unwrap_or_default();
            if !print_data(print.format, &begun, |_| one("uri", [uri]))? {
                line(uri);
            }
            remark("Give this to an authenticator app, then: docklet user factor confirm CODE");
            Ok(())
        }
        FactorCommand::Confirm { code, print } => {
            let body = json!({"code": code});
            let confirmed: Value = connection
                .change(Method::POST, "/factor/confirm", &body)
                .await?;
            let codes = confirmed["recovery"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let codes = || codes.iter().filter_map(Value::as_str);
            if !print_data(print.format, &confirmed, |_| one("code", codes()))? {
                codes().for_each(line);
            }
            remark(
                "Each of these is good for one login if the device is lost. They are shown this once.",
            );
            Ok(())
        }
        FactorCommand::Remove {
            user,
            totp_code,
            password_file,
            print,
        } => {
            let own = user
                .as_ref()
                .is_none_or(|user| *user == connection.context.user);
            let body = if own {
                json!({"password": password(password_file.as_deref())?, "code": totp_code})
            } else {
                json!({})
            };
            let user = user.unwrap_or_else(|| connection.context.user.clone());
            let path = format!("{}/factor", path(&user)?);
            let receipt = connection.receipt(Method::DELETE, &path, &body).await?;
            print_receipt(print.format, &receipt)
        }
    }
}
