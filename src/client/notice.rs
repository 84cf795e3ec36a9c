//! Notices: what the cluster, operators and managers of groups tell people.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use docklet_control::id::NoticeId;
use docklet_control::model::notice::MailWish;
use docklet_control::view::{InboxView, NoticeView};
use reqwest::Method;
use serde_json::{Value, json};

use super::connection::Connection;
use super::output::{Rows, instant, line, print, print_receipt, remark};
use super::watch::{self, Shown};
use crate::cli::Print;

const DAY_MS: u64 = 24 * 3_600_000;

#[derive(Subcommand)]
#[command(defer = true)]
pub enum Command {
    /// List what you were told
    List {
        /// What you said to groups and everybody, or may take back, instead
        #[arg(long)]
        announced: bool,
        #[command(flatten)]
        ask: Shown,
    },
    /// Show one
    Show {
        notice: NoticeId,
        #[command(flatten)]
        print: Print,
    },
    /// Mark notices as read
    Read {
        #[arg(required_unless_present = "all")]
        notice: Vec<NoticeId>,
        /// All that there are now
        #[arg(long, conflicts_with = "notice")]
        all: bool,
        #[command(flatten)]
        print: Print,
    },
    /// Tell everybody or one person something, for operators; or a group, for its managers
    Announce(Announce),
    /// Take one back, or drop one that is to you
    Withdraw {
        notice: NoticeId,
        /// For good, without the time in which `docklet trash restore` undoes it
        #[arg(long)]
        now: bool,
        #[command(flatten)]
        print: Print,
    },
    /// Of which notices you want a mail, too: show, or set
    MailMe {
        wish: Option<Wish>,
        #[command(flatten)]
        print: Print,
    },
}

#[derive(Args)]
pub struct Announce {
    /// One line
    title: String,
    /// More about it
    #[arg(long, default_value = "")]
    body: String,
    /// For one person only
    #[arg(long, conflicts_with = "group")]
    user: Option<String>,
    /// For a group only
    #[arg(long)]
    group: Option<String>,
    /// A path of the portal, as /templates
    #[arg(long, default_value = "")]
    link: String,
    /// It is a warning
    #[arg(long)]
    warning: bool,
    /// Days for which it is there
    #[arg(long, default_value_t = 30)]
    days: u64,
    /// By mail, too, to whoever wants important ones
    #[arg(long)]
    mail: bool,
    #[command(flatten)]
    print: Print,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Wish {
    All,
    /// Of those for which whoever tells them asks for it
    Important,
    None,
}

impl From<Wish> for MailWish {
    fn from(wish: Wish) -> Self {
        match wish {
            Wish::All => Self::All,
            Wish::Important => Self::Important,
            Wish::None => Self::None,
        }
    }
}

pub async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let connection = Connection::open()?;
    match command {
        Command::List { announced, ask } => return list(&connection, announced, ask).await,
        Command::Show { notice, print: ask } => {
            let found: NoticeView = connection.get(&path(notice)).await?;
            print(ask.format, &found, shown)?;
        }
        Command::Read { notice, all, print } => read(&connection, notice, all, print).await?,
        Command::Announce(announce) => {
            let body = json!({
                "user": announce.user,
                "group": announce.group,
                "severity": if announce.warning { "warning" } else { "info" },
                "title": announce.title,
                "body": announce.body,
                "link": announce.link,
                "ttl_ms": announce.days.saturating_mul(DAY_MS),
                "mail": announce.mail,
            });
            let receipt = connection.receipt(Method::POST, "/notices", &body).await?;
            print_receipt(announce.print.format, &receipt)?;
        }
        Command::Withdraw { notice, now, print } => {
            let path = format!("{}?now={now}", path(notice));
            let receipt = connection
                .receipt(Method::DELETE, &path, &Value::Null)
                .await?;
            print_receipt(print.format, &receipt)?;
        }
        Command::MailMe { wish, print: ask } => match wish {
            Some(wish) => {
                let body = json!({"wish": MailWish::from(wish)});
                let receipt = connection
                    .receipt(Method::PUT, "/notices/wish", &body)
                    .await?;
                print_receipt(ask.format, &receipt)?;
            }
            None => {
                let inbox: InboxView = connection.get("/notices").await?;
                line(inbox.wish.word());
            }
        },
    }
    Ok(ExitCode::SUCCESS)
}

fn path(notice: NoticeId) -> String {
    format!("/notices/{notice}")
}

async fn list(connection: &Connection, announced: bool, ask: Shown) -> anyhow::Result<ExitCode> {
    if announced {
        let look = async || {
            connection
                .get::<Vec<NoticeView>>("/notices/announced")
                .await
        };
        let show = |format, all: &Vec<NoticeView>| print(format, all, |all| table(all));
        return watch::show(connection, ask, look, show).await;
    }
    let look = async || connection.get::<InboxView>("/notices").await;
    let show = |format, inbox: &InboxView| print(format, inbox, |inbox| table(&inbox.notices));
    watch::show(connection, ask, look, show).await
}

fn table(notices: &[NoticeView]) -> Rows {
    let mut rows = Rows::new(&["number", "read", "for", "by", "since", "what"]);
    for notice in notices {
        let read = if notice.read { "yes" } else { "no" };
        let by = match notice.by.as_str() {
            "" => "the cluster",
            by => by,
        };
        rows.add([
            notice.id.to_string(),
            read.to_owned(),
            notice.to.clone(),
            by.to_owned(),
            instant(notice.since),
            notice.title.clone(),
        ]);
    }
    rows
}

fn shown(notice: &NoticeView) -> Rows {
    let mut rows = Rows::new(&["what", "value"]);
    let mut add = |what: &str, value: String| rows.add([what.to_owned(), value]);
    add("number", notice.id.to_string());
    add("severity", notice.severity.word().to_owned());
    add("title", notice.title.clone());
    add("text", notice.body.clone());
    add("link", notice.link.clone());
    add("for", notice.to.clone());
    add("by", notice.by.clone());
    add("since", instant(notice.since));
    add("until", instant(notice.until));
    rows
}

async fn read(
    connection: &Connection,
    notices: Vec<NoticeId>,
    all: bool,
    ask: Print,
) -> anyhow::Result<()> {
    let body = if all {
        let inbox: InboxView = connection.get("/notices").await?;
        let Some(newest) = inbox.notices.first() else {
            remark("There is nothing to read.");
            return Ok(());
        };
        json!({"upto": newest.id})
    } else {
        json!({"notices": notices})
    };
    let receipt = connection
        .receipt(Method::POST, "/notices/read", &body)
        .await?;
    print_receipt(ask.format, &receipt)
}
