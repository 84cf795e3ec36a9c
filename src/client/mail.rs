//! Mails and the server by which they go, for admins.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use docklet_control::id::MailId;
use docklet_control::view::{MailServerView, MailView};
use reqwest::Method;
use serde_json::{Value, json};

use super::connection::Connection;
use super::login::{password, read_certificate};
use super::output::{Rows, instant, print, print_receipt, remark};
use crate::cli::Print;
use crate::exit::{Class, Failure};

/// A test mail that is not gone by then waits for something.
const TEST_LIMIT: Duration = Duration::from_secs(30);

#[derive(Subcommand)]
#[command(defer = true)]
pub enum Command {
    /// Say by which server mails go
    Set(Set),
    /// Send no mails any more; those that wait go on waiting
    Off(Print),
    /// Show by which server mails go
    Show(Print),
    /// Send a mail to your own address, and wait for what comes of it
    Test(Print),
    /// List mails that wait, that may have been delivered, and that were given up
    Queue(Print),
    /// Send one that was given up, or may have been delivered, once more
    Resend {
        /// Its number, as `docklet mail queue` shows it
        mail: MailId,
        #[command(flatten)]
        print: Print,
    },
}

#[derive(Args)]
pub struct Set {
    #[arg(long)]
    host: String,
    /// [default: 465 with --tls tls, else 587]
    #[arg(long)]
    port: Option<u16>,
    #[arg(long, value_enum, default_value_t = Encryption::Starttls)]
    tls: Encryption,
    /// As whom to log in to it; not at all if absent
    #[arg(long, default_value = "")]
    user: String,
    /// File with what it is shown; asked for if absent
    #[arg(long, value_name = "FILE", requires = "user")]
    secret_file: Option<PathBuf>,
    /// Keep what it is shown: for the same host and user
    #[arg(long, conflicts_with = "secret_file")]
    keep_secret: bool,
    /// As which address mails are sent
    #[arg(long)]
    from: String,
    /// File with certificates of authorities; those that the masters' machines trust if absent
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Where the portal is for people, as https://cloud.example.org; without it there are no links in mails
    #[arg(long, default_value = "")]
    portal: String,
    #[command(flatten)]
    print: Print,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Encryption {
    /// From the first byte on
    Tls,
    /// Before anything is said
    Starttls,
    /// Not at all: for a server on the master's own machine
    None,
}

impl Encryption {
    fn word(self) -> &'static str {
        match self {
            Self::Tls => "tls",
            Self::Starttls => "starttls",
            Self::None => "none",
        }
    }
}

pub async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let connection = Connection::open()?;
    match command {
        Command::Set(set) => run_set(&connection, set).await?,
        Command::Off(print) => {
            let receipt = connection
                .receipt(Method::DELETE, "/mail", &Value::Null)
                .await?;
            print_receipt(print.format, &receipt)?;
        }
        Command::Show(ask) => show(&connection, ask).await?,
        Command::Test(print) => test(&connection, print).await?,
        Command::Queue(ask) => {
            let mails: Vec<MailView> = connection.list("/mail/queue").await?;
            print(ask.format, &mails, |mails| table(mails))?;
        }
        Command::Resend { mail, print } => {
            let path = format!("/mail/queue/{mail}/resend");
            let receipt = connection
                .receipt(Method::POST, &path, &Value::Null)
                .await?;
            print_receipt(print.format, &receipt)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn run_set(connection: &Connection, set: Set) -> anyhow::Result<()> {
    let secret = if set.user.is_empty() || set.keep_secret {
        String::new()
    } else {
        password(set.secret_file.as_deref())?
    };
    let port = set.port.unwrap_or(match set.tls {
        Encryption::Tls => 465,
        Encryption::Starttls | Encryption::None => 587,
    });
    let authorities = set.ca.as_deref().map(read_certificate).transpose()?;
    let body = json!({
        "host": set.host,
        "port": port,
        "tls": set.tls.word(),
        "user": set.user,
        "secret": secret,
        "from": set.from,
        "authorities": authorities.unwrap_or_default(),
        "portal": set.portal,
    });
    let receipt = connection.receipt(Method::PUT, "/mail", &body).await?;
    print_receipt(set.print.format, &receipt)
}

async fn show(connection: &Connection, ask: Print) -> anyhow::Result<()> {
    let server: Option<MailServerView> = connection.get("/mail").await?;
    print(ask.format, &server, |server| {
        let mut rows = Rows::new(&["what", "value"]);
        let mut add = |what: &str, value: String| rows.add([what.to_owned(), value]);
        let Some(server) = server else {
            add("server", "none: no mails are sent".to_owned());
            return rows;
        };
        let yes = |there: bool| if there { "yes" } else { "no" }.to_owned();
        add("host", server.host.clone());
        add("port", server.port.to_string());
        add("tls", server.tls.word().to_owned());
        add("user", server.user.clone());
        add("secret", yes(server.secret));
        add("from", server.from.clone());
        add("own authorities", yes(server.authorities));
        add("portal", server.portal.clone());
        rows
    })
}

fn table(mails: &[MailView]) -> Rows {
    let mut rows = Rows::new(&[
        "number", "to", "stage", "tries", "since", "subject", "cause",
    ]);
    for mail in mails {
        rows.add([
            mail.id.to_string(),
            mail.address.clone(),
            mail.stage.clone(),
            mail.tries.to_string(),
            instant(mail.made_at),
            mail.subject.clone(),
            mail.cause.clone(),
        ]);
    }
    rows
}

/// It is delivered when it is in the queue no more; the first failure is told.
async fn test(connection: &Connection, print: Print) -> anyhow::Result<()> {
    let receipt = connection
        .receipt(Method::POST, "/mail/test", &Value::Null)
        .await?;
    let id = MailId {
        entry: receipt.index,
        part: 0,
    };
    let mut last = String::new();
    let begun = std::time::Instant::now();
    while begun.elapsed() < TEST_LIMIT {
        let this = format!("/mail/queue?from={id}&limit=1");
        let mails: Vec<MailView> = connection.get(&this).await?;
        let Some(mail) = mails.into_iter().find(|mail| mail.id == id) else {
            remark("The server took it.");
            return print_receipt(print.format, &receipt);
        };
        last = mail.cause;
        if !last.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let cause = match last.as_str() {
        "" => "it waits: no master leads, or the server does not answer",
        cause => cause,
    };
    let text = format!(
        "the test mail {id} was not delivered: {cause}; `docklet mail queue` shows it, and it is tried again"
    );
    Err(Failure::new(Class::Conflict, text).into())
}
