//! Files of vnodes by command: looked at, copied, moved and deleted, through the public port and nothing else. What a server
//! says of names is a stranger's word: no name of it is a path here, and none acts on a terminal.

pub mod copy;
mod delete;
mod fetch;
pub mod remote;
mod send;

use std::process::ExitCode;

use clap::Subcommand;
use docklet_control::file_path::plain;
use docklet_control::file_wire::{FileFacts, FileKind, FileListing};
use docklet_control::id::UnixMs;
use reqwest::Method;
use serde_json::{Value, json};

use self::remote::Remote;
use super::connection::Connection;
use super::output::{Format, Rows, instant, line, print};
use crate::cli::Print;
use crate::exit::{Class, Failure};

#[derive(Subcommand)]
#[command(defer = true)]
pub enum Command {
    /// List what is in a directory
    Ls {
        /// VCLUSTER/host-0:/PATH; its home without a path
        at: Remote,
        #[command(flatten)]
        print: Print,
    },
    /// Make a directory
    Mkdir {
        at: Remote,
        /// Fine if it is there already
        #[arg(long)]
        may_exist: bool,
    },
    /// Give a file or directory another path, on the same vnode
    Mv {
        from: Remote,
        /// Where to: a path of the same vnode
        to: String,
        /// Replace what is there
        #[arg(long)]
        force: bool,
    },
    /// Delete a file, or a directory
    Rm {
        at: Remote,
        /// A directory with all in it
        #[arg(short, long)]
        recursive: bool,
    },
}

pub async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let connection = Connection::open()?;
    match command {
        Command::Ls { at, print } => list(&connection, &at, print.format).await?,
        Command::Mkdir { at, may_exist } => {
            let path = at.absolute(&connection).await?;
            let body = json!({"path": path, "may_exist": may_exist});
            let made: Value = connection
                .change(Method::POST, &at.address("/directories", &[]), &body)
                .await?;
            drop(made);
        }
        Command::Mv { from, to, force } => {
            let target = Remote {
                vnode: from.vnode.clone(),
                path: to,
            };
            let (old, new) = (
                from.absolute(&connection).await?,
                target.absolute(&connection).await?,
            );
            let body = json!({"from": old, "to": new, "replace": force});
            let moved: Value = connection
                .change(Method::POST, &from.address("/move", &[]), &body)
                .await?;
            drop(moved);
        }
        Command::Rm { at, recursive } => {
            delete::run(&connection, &at, recursive).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(connection: &Connection, at: &Remote, format: Format) -> anyhow::Result<()> {
    let path = at.path_or_home(connection).await?;
    let mut whole = remote::look(connection, at, path.as_ref(), None).await?;
    while whole.more {
        let last = whole.entries.as_ref().and_then(|entries| entries.last());
        let Some(last) = last.map(|entry| entry.name.clone()) else {
            break;
        };
        let next = remote::look(connection, at, path.as_ref(), Some(&last)).await?;
        whole.more = next.more;
        if let Some(entries) = &mut whole.entries {
            entries.extend(next.entries.unwrap_or_default());
        }
    }
    if format == Format::Table && whole.entries.as_ref().is_some_and(Vec::is_empty) {
        line("empty");
        return Ok(());
    }
    print(format, &whole, table)
}

fn table(listing: &FileListing) -> Rows {
    let mut rows = Rows::new(&["mode", "owner", "bytes", "changed", "name"]);
    let alone = [listing.file.clone()];
    for entry in listing.entries.as_deref().unwrap_or(&alone) {
        rows.add([
            format!("{}{:04o}", letter(entry.kind), entry.mode),
            format!("{}:{}", entry.uid, entry.gid),
            entry.bytes.to_string(),
            instant(UnixMs(entry.changed_ms)),
            shown(entry),
        ]);
    }
    rows
}

fn letter(kind: FileKind) -> char {
    match kind {
        FileKind::Directory => 'd',
        FileKind::File => '-',
        FileKind::Link => 'l',
        FileKind::Other => '?',
    }
}

fn shown(entry: &FileFacts) -> String {
    let name = plain(&entry.name);
    match &entry.target {
        Some(target) => format!("{name} -> {}", plain(target)),
        None => name,
    }
}

fn invalid(text: impl Into<String>) -> Failure {
    Failure::new(Class::Invalid, text)
}
