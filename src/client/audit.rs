//! The audit trail: what one may see of it, a copy of all of it, and whether a copy is what was written.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use docklet_control::audit::chain::Chain;
use docklet_control::audit::record::Record;
use docklet_control::id::Digest;
use futures_util::TryStreamExt;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufRead, AsyncBufReadExt};
use tokio_util::io::StreamReader;

use super::connection::Connection;
use super::output::{Rows, instant, line, print, reader_gone, remark};
use crate::cli::Print;
use crate::exit::{Class, Failure};

/// A master that sends nothing for so long is taken for gone.
const SILENCE_MAX: Duration = Duration::from_secs(20);

#[derive(Subcommand)]
#[command(defer = true)]
pub enum Command {
    /// Who asked for what and what came of it: yourself, and whoever touched what is yours; for admins everybody
    List(List),
    /// Write all of it on standard output, as lines that `verify` checks
    Export {
        /// Records after this one only
        #[arg(long, value_name = "NUMBER", default_value_t = 0)]
        after: u64,
    },
    /// Check a copy, line by line, and that it is of this cluster; without a file, what the cluster has now
    Verify(Verify),
}

#[derive(Args)]
pub struct List {
    /// Who asked: a person, or `cluster` for what it did by itself
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    who: String,
    /// A part of a thing's path, as alice/lab
    #[arg(
        long,
        value_name = "PATH",
        default_value = "",
        hide_default_value = true
    )]
    thing: String,
    /// A command, or the beginning of its name, as Stop
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    command: String,
    /// Records before this one
    #[arg(long, value_name = "NUMBER")]
    before: Option<u64>,
    /// So many, the newest first
    #[arg(long, default_value_t = 50)]
    limit: usize,
    #[command(flatten)]
    print: Print,
}

#[derive(Args)]
pub struct Verify {
    /// A copy that `export` wrote; `-` for standard input
    file: Option<PathBuf>,
    /// Check the copy in itself only, without asking the cluster
    #[arg(long, requires = "file")]
    offline: bool,
}

#[derive(Deserialize, Serialize)]
struct Shown {
    records: Vec<Record>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<u64>,
}

pub async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::List(list) => show(list).await?,
        Command::Export { after } => export(after).await?,
        Command::Verify(verify) => check(verify).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn show(list: List) -> anyhow::Result<()> {
    let connection = Connection::open()?;
    let before = list.before.map(|before| before.to_string());
    let limit = list.limit.to_string();
    let fields = [
        ("who", Some(list.who)),
        ("thing", Some(list.thing)),
        ("command", Some(list.command)),
        ("before", before),
        ("limit", Some(limit)),
    ];
    let fields: Vec<_> = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.filter(|value| !value.is_empty())?)))
        .collect();
    let response = connection
        .send(Method::GET, "/audit", |request| request.query(&fields))
        .await?;
    let shown: Shown = response.json().await.context("read the answer")?;
    print(list.print.format, &shown, |shown| table(&shown.records))?;
    if let Some(before) = shown.before {
        remark(&format!("There may be older ones: --before {before}"));
    }
    Ok(())
}

fn table(records: &[Record]) -> Rows {
    let mut rows = Rows::new(&[
        "record", "entry", "at", "who", "from", "command", "things", "effect",
    ]);
    for record in records {
        let mut things = record.things.join(", ");
        if record.more_things > 0 {
            things.push_str(&format!(" and {} more", record.more_things));
        }
        let effects = record.effects.iter();
        let effects: Vec<String> = effects
            .map(|(kind, count)| match count {
                1 => kind.clone(),
                count => format!("{kind} x{count}"),
            })
            .collect();
        let who = record.who.label();
        rows.add([
            record.number.to_string(),
            record.index.to_string(),
            instant(record.at),
            match &record.token {
                Some(token) => format!("{who} (token {token})"),
                None => who,
            },
            record.from.map(|from| from.to_string()).unwrap_or_default(),
            record.command.clone(),
            things,
            match &record.refused {
                Some(code) => format!("refused: {code}"),
                None => effects.join(", "),
            },
        ]);
    }
    rows
}

async fn export(after: u64) -> anyhow::Result<()> {
    let connection = Connection::open()?;
    let mut lines = sent(&connection, after).await?;
    let mut reading = Reading::default();
    let mut output = io::stdout().lock();
    while let Some(text) = next(&mut lines).await? {
        // Whoever keeps it should not have to find out later.
        reading.take(&text).map_err(broken)?;
        writeln!(output, "{text}").map_err(reader_gone)?;
    }
    let end = reading.end().map_err(broken)?;
    output.flush().map_err(reader_gone)?;
    remark(&format!("{} records, up to {}", end.records, end.number));
    Ok(())
}

async fn check(verify: Verify) -> anyhow::Result<()> {
    let Some(file) = verify.file else {
        let connection = Connection::open()?;
        let mut lines = sent(&connection, 0).await?;
        let mut reading = Reading::default();
        while let Some(text) = next(&mut lines).await? {
            reading.take(&text).map_err(broken)?;
        }
        return confirm(&connection, reading.end().map_err(broken)?).await;
    };
    let name = file.display().to_string();
    let reader: Box<dyn BufRead> = if name == "-" {
        Box::new(BufReader::new(io::stdin()))
    } else {
        let opened = File::open(&file).with_context(|| format!("read {name}"))?;
        Box::new(BufReader::new(opened))
    };
    let mut reading = Reading::default();
    for text in reader.lines() {
        reading
            .take(&text.with_context(|| format!("read {name}"))?)
            .map_err(broken)?;
    }
    let end = reading.end().map_err(broken)?;
    if verify.offline {
        line(&format!(
            "{} records, {} to {}: each follows the one before. Whether they are this cluster's was not asked.",
            end.records, end.first, end.number
        ));
        return Ok(());
    }
    confirm(&Connection::open()?, end).await
}

/// Asks the cluster whether what was read is its own trail.
async fn confirm(connection: &Connection, end: Whole) -> anyhow::Result<()> {
    #[derive(Deserialize)]
    struct Mark {
        hash: Digest,
    }
    let path = format!("/audit/records/{}", end.number);
    let mark: Mark = connection.get(&path).await.with_context(|| {
        format!(
            "the cluster does not know record {}, with which this ends",
            end.number
        )
    })?;
    if mark.hash != end.hash {
        return Err(broken(format!(
            "record {} has another hash in the cluster: this is not its trail, or one of them was changed",
            end.number
        )));
    }
    line(&format!(
        "{} records, {} to {}: each follows the one before, and the cluster has the same.",
        end.records, end.first, end.number
    ));
    Ok(())
}

fn broken(cause: impl ToString) -> anyhow::Error {
    Failure::new(Class::Fault, cause.to_string()).into()
}

/// A trail that was read from its first line to its end.
struct Whole {
    records: u64,
    first: u64,
    number: u64,
    hash: Digest,
}

/// A copy while it is read.
#[derive(Default)]
enum Reading {
    #[default]
    Begins,
    Follows {
        chain: Chain,
        first: u64,
    },
    Ended(Whole),
}

#[derive(Deserialize)]
struct Head {
    docklet_audit_trail: u32,
    after: u64,
    hash: Digest,
}

#[derive(Deserialize)]
struct End {
    end: u64,
    hash: Digest,
}

impl Reading {
    fn take(&mut self, text: &str) -> Result<(), String> {
        match self {
            Self::Begins => {
                let head: Head = serde_json::from_str(text)
                    .map_err(|fault| format!("this is no copy of an audit trail: {fault}"))?;
                if head.docklet_audit_trail != 1 {
                    return Err("a newer Docklet wrote this copy".to_owned());
                }
                *self = Self::Follows {
                    chain: Chain::after(head.after, head.hash),
                    first: head.after + 1,
                };
                Ok(())
            }
            Self::Follows { chain, first } => match serde_json::from_str::<End>(text) {
                Ok(end) if (end.end, end.hash) == (chain.number(), chain.hash()) => {
                    *self = Self::Ended(Whole {
                        records: chain.number() + 1 - *first,
                        first: *first,
                        number: chain.number(),
                        hash: chain.hash(),
                    });
                    Ok(())
                }
                Ok(end) => Err(format!(
                    "the copy says that it ends with record {}, but the last one is {}",
                    end.end,
                    chain.number()
                )),
                Err(_) => chain
                    .follow(text)
                    .map(drop)
                    .map_err(|fault| fault.to_string()),
            },
            Self::Ended(_) => Err("something comes after the end".to_owned()),
        }
    }

    fn end(self) -> Result<Whole, String> {
        match self {
            Self::Ended(whole) => Ok(whole),
            Self::Begins => Err("the copy is empty".to_owned()),
            Self::Follows { chain, .. } => Err(format!(
                "the copy breaks off after record {}: its last line is missing",
                chain.number()
            )),
        }
    }
}

/// Lines as a master sends them.
type Sent = tokio::io::Lines<Box<dyn AsyncBufRead + Send + Unpin>>;

async fn sent(connection: &Connection, after: u64) -> anyhow::Result<Sent> {
    let path = format!("/audit/export?after={after}");
    let response = connection
        .send(Method::GET, &path, |request| request)
        .await?;
    let parts = response.bytes_stream().map_err(io::Error::other);
    let reader: Box<dyn AsyncBufRead + Send + Unpin> = Box::new(StreamReader::new(parts));
    Ok(reader.lines())
}

/// The next line; a master that falls silent is none any more.
async fn next(lines: &mut Sent) -> anyhow::Result<Option<String>> {
    let next = tokio::time::timeout(SILENCE_MAX, lines.next_line()).await;
    let next = next.context("the master sends nothing any more")?;
    next.context("the master stopped in the middle of it")
}
