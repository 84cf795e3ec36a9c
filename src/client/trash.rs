//! What was deleted and can be had back.

use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use docklet_control::id::UnixMs;
use docklet_control::model::kept::KeptKind;
use docklet_control::view::kept::KeptView;
use docklet_control::view::trash::TrashView;
use reqwest::Method;
use serde::Serialize;
use serde_json::{Value, json};

use super::connection::Connection;
use super::output::{Rows, instant, print, print_receipt};
use crate::cli::Print;
use crate::exit::{Class, Failure};

#[derive(Subcommand)]
#[command(defer = true)]
pub enum Command {
    /// List what was deleted, and when each goes for good
    List(Print),
    /// Undo deleting something: it is as it was, and a vcluster runs if it ran
    Restore {
        /// Its name, or its number as `list` shows it
        thing: String,
        /// What it is, if several have that name or number
        #[arg(long, value_enum)]
        kind: Option<Kind>,
        /// Under another name
        #[arg(long = "as", value_name = "NAME")]
        name: Option<String>,
        #[command(flatten)]
        print: Print,
    },
    /// Delete something for good now
    Purge {
        /// Its name, or its number as `list` shows it
        thing: String,
        /// What it is, if several have that name or number
        #[arg(long, value_enum)]
        kind: Option<Kind>,
        #[command(flatten)]
        print: Print,
    },
}

/// What was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    Vcluster,
    Image,
    ImageVersion,
    Snapshot,
    Group,
    Template,
    Account,
    Notice,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Vcluster => "vcluster",
            Self::Image => KeptKind::Image.word(),
            Self::ImageVersion => KeptKind::ImageVersion.word(),
            Self::Snapshot => KeptKind::Snapshot.word(),
            Self::Group => KeptKind::Group.word(),
            Self::Template => KeptKind::Template.word(),
            Self::Account => KeptKind::Account.word(),
            Self::Notice => KeptKind::Notice.word(),
        }
    }
}

/// One thing in the trash, of whichever kind.
#[derive(Serialize)]
struct Deleted {
    id: u64,
    kind: &'static str,
    name: String,
    about: String,
    owner: String,
    /// None if it was released because nobody started it.
    by: Option<String>,
    at: UnixMs,
    until: UnixMs,
    /// Of vclusters.
    #[serde(skip_serializing_if = "Option::is_none")]
    vnodes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ran: Option<bool>,
}

impl From<TrashView> for Deleted {
    fn from(view: TrashView) -> Self {
        let vnodes = match view.vnodes {
            1 => "1 vnode".to_owned(),
            count => format!("{count} vnodes"),
        };
        Self {
            id: view.id.0,
            kind: "vcluster",
            name: view.name,
            about: vnodes,
            owner: view.owner,
            by: view.by,
            at: view.at,
            until: view.until,
            vnodes: Some(view.vnodes),
            ran: Some(view.ran),
        }
    }
}

impl From<KeptView> for Deleted {
    fn from(view: KeptView) -> Self {
        Self {
            id: view.number.0,
            kind: view.kind.word(),
            name: view.name,
            about: view.about,
            owner: view.owner,
            by: Some(view.by),
            at: view.at,
            until: view.until,
            vnodes: None,
            ran: None,
        }
    }
}

impl Deleted {
    fn path(&self) -> String {
        let of = if self.kind == "vcluster" {
            "trash"
        } else {
            "deleted"
        };
        format!("/{of}/{}", self.id)
    }
}

/// The newest first.
async fn all(connection: &Connection) -> anyhow::Result<Vec<Deleted>> {
    let vclusters: Vec<TrashView> = connection.get("/trash").await?;
    let others: Vec<KeptView> = connection.get("/deleted").await?;
    let vclusters = vclusters.into_iter().map(Deleted::from);
    let mut all: Vec<Deleted> = vclusters
        .chain(others.into_iter().map(Deleted::from))
        .collect();
    all.sort_by_key(|deleted| std::cmp::Reverse(deleted.at));
    Ok(all)
}

/// The one that is meant; of several of one kind and name the one that was deleted last.
async fn find(connection: &Connection, text: &str, kind: Option<Kind>) -> anyhow::Result<Deleted> {
    let mut found = all(connection).await?;
    found.retain(|deleted| {
        let of_kind = kind.is_none_or(|kind| kind.word() == deleted.kind);
        of_kind && (deleted.name == text || deleted.id.to_string() == text)
    });
    let text = text.escape_debug();
    if found.iter().any(|other| other.kind != found[0].kind) {
        let message = format!("several things of the trash are \"{text}\": say which with --kind");
        return Err(Failure::new(Class::Invalid, message).into());
    }
    let Some(first) = found.into_iter().next() else {
        let message = format!(
            "there is nothing \"{text}\" in the trash that you may have back: see `docklet trash list`"
        );
        return Err(Failure::new(Class::NotFound, message).into());
    };
    Ok(first)
}

pub async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let connection = Connection::open()?;
    match command {
        Command::List(ask) => {
            let deleted = all(&connection).await?;
            print(ask.format, &deleted, |deleted| table(deleted))?;
        }
        Command::Restore {
            thing,
            kind,
            name,
            print,
        } => {
            let path = find(&connection, &thing, kind).await?.path();
            let (path, body) = (format!("{path}/restore"), json!({ "name": name }));
            let receipt = connection.receipt(Method::POST, &path, &body).await?;
            print_receipt(print.format, &receipt)?;
        }
        Command::Purge { thing, kind, print } => {
            let path = find(&connection, &thing, kind).await?.path();
            let receipt = connection.receipt(Method::DELETE, &path, &Value::Null);
            print_receipt(print.format, &receipt.await?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn table(all: &[Deleted]) -> Rows {
    let mut rows = Rows::new(&[
        "id",
        "kind",
        "name",
        "what",
        "owner",
        "deleted",
        "by",
        "gone for good",
    ]);
    for deleted in all {
        rows.add([
            deleted.id.to_string(),
            deleted.kind.to_owned(),
            deleted.name.clone(),
            deleted.about.clone(),
            deleted.owner.clone(),
            instant(deleted.at),
            match &deleted.by {
                Some(by) => by.clone(),
                None => "nobody started it".to_owned(),
            },
            instant(deleted.until),
        ]);
    }
    rows
}
