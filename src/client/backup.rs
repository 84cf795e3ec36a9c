//! Taking backups and reading them.

use std::fs::File;
use std::io::{BufReader, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use docklet_control::id::UnixMs;
use docklet_control::model::ClusterId;
use docklet_control::rows::Table;
use docklet_raft::backup::{self, Backup, BackupFault};
use futures_util::StreamExt;
use reqwest::{Method, Response};
use serde::Serialize;

use super::connection::Connection;
use super::output::{Rows, instant, print, remark};
use crate::cli::Print;
use crate::exit::{Class, Failure};

/// A master that sends nothing for so long is given up.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// So many masters may fail in the middle of it.
const ATTEMPTS: usize = 3;
/// Progress is shown this often.
const SHOW_EVERY: Duration = Duration::from_millis(200);

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Command {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// The file to write; there must be none of this name yet
    #[arg(required = true)]
    file: Option<PathBuf>,
    #[command(flatten)]
    print: Print,
}

#[derive(Subcommand)]
#[command(defer = true)]
enum Verb {
    /// Read a whole backup and say what is in it
    Verify(Verify),
}

#[derive(Args)]
struct Verify {
    /// The file to read
    file: PathBuf,
    /// Refuse it if it is of another cluster than the one with this id
    #[arg(long, value_name = "ID")]
    cluster: Option<String>,
    #[command(flatten)]
    print: Print,
}

pub async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match (command.verb, command.file) {
        (Some(Verb::Verify(ask)), _) => verify(ask).await,
        (None, Some(file)) => take(&file, command.print).await,
        (None, None) => Err(Failure::new(Class::Invalid, "name the file to write").into()),
    }
}

async fn verify(ask: Verify) -> anyhow::Result<ExitCode> {
    let backup = read_of(&ask.file, ask.cluster.as_deref()).await?;
    show(ask.print, &ask.file, &backup)?;
    Ok(ExitCode::SUCCESS)
}

/// Reads a whole backup, and refuses it if it is of another cluster than the wanted one.
pub async fn read_of(file: &Path, cluster: Option<&str>) -> anyhow::Result<Backup> {
    let wanted = cluster.map(cluster_id).transpose()?;
    let path = file.to_owned();
    let backup = tokio::task::spawn_blocking(move || read(&path)).await??;
    let found = backup.header.cluster;
    match wanted {
        Some(wanted) if wanted != found => {
            Err(refused(file, &BackupFault::OtherCluster { found, wanted }))
        }
        Some(_) | None => Ok(backup),
    }
}

fn cluster_id(text: &str) -> anyhow::Result<ClusterId> {
    let mut id = [0; 16];
    hex::decode_to_slice(text, &mut id).map_err(|_| {
        let text =
            "a cluster's id has 32 hexadecimal digits: `docklet backup verify FILE` shows it";
        Failure::new(Class::Invalid, text)
    })?;
    Ok(ClusterId(id))
}

/// Reads a whole backup.
fn read(file: &Path) -> anyhow::Result<Backup> {
    let opened = File::open(file).with_context(|| format!("read {}", file.display()))?;
    backup::verify(BufReader::with_capacity(1 << 16, opened)).map_err(|fault| refused(file, &fault))
}

/// Says which file is refused, and why.
pub fn refused(file: &Path, fault: &BackupFault) -> anyhow::Error {
    let class = match fault {
        BackupFault::Read(_) | BackupFault::Write(_) => Class::Fault,
        BackupFault::OtherCluster { .. } | BackupFault::NoCluster => Class::Conflict,
        BackupFault::NotABackup
        | BackupFault::FormatNewer { .. }
        | BackupFault::FormatOlder { .. }
        | BackupFault::ClusterNewer { .. }
        | BackupFault::Truncated { .. }
        | BackupFault::Damaged { .. }
        | BackupFault::TooLong { .. }
        | BackupFault::Row { .. }
        | BackupFault::UnknownTable { .. }
        | BackupFault::Unsound { .. } => Class::Invalid,
    };
    let mut text = format!("{} is refused: {fault}", file.display());
    if let Some(source) = std::error::Error::source(fault) {
        text = format!("{text} ({source})");
    }
    Failure::new(class, text).into()
}

async fn take(file: &Path, print: Print) -> anyhow::Result<ExitCode> {
    refuse_existing(file)?;
    let part = part_of(file);
    let connection = Connection::open()?;
    let taken = fetch(&connection, &part).await;
    let backup = match taken {
        Ok(backup) => backup,
        Err(error) => {
            // Half a backup is of no use; there is none if it could not be made.
            drop(std::fs::remove_file(&part));
            return Err(error);
        }
    };
    keep(&part, file)?;
    show(print, file, &backup)?;
    remark(
        "It holds password hashes and all that the cluster knows: keep it where only you can read it (its mode is 0600).",
    );
    Ok(ExitCode::SUCCESS)
}

fn part_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

/// Fetches a backup into `part` and reads it back; goes on with another master if one fails in the middle.
async fn fetch(connection: &Connection, part: &Path) -> anyhow::Result<Backup> {
    let mut attempt = 1;
    loop {
        let response = connection.send(Method::POST, "/backup", |r| r).await?;
        match receive(response, part).await {
            Ok(()) => break,
            Err(error) if attempt == ATTEMPTS => return Err(error),
            Err(error) => remark(&format!("Beginning anew: {error:#}")),
        }
        attempt += 1;
    }
    let part = part.to_owned();
    tokio::task::spawn_blocking(move || read(&part)).await?
}

async fn receive(response: Response, part: &Path) -> anyhow::Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(part)
        .with_context(|| format!("write {}", part.display()))?;
    let mut progress = Progress::default();
    let mut parts = response.bytes_stream();
    loop {
        let next = tokio::time::timeout(SILENCE_MAX, parts.next()).await;
        let Some(bytes) = next.context("the master sends nothing any more")? else {
            break;
        };
        let bytes = bytes.context("the master stopped in the middle of it")?;
        file.write_all(&bytes)
            .with_context(|| format!("write {}", part.display()))?;
        progress.add(bytes.len());
    }
    progress.end();
    file.sync_all()
        .with_context(|| format!("sync {}", part.display()))
}

/// Gives a whole backup its name, for good. Never instead of a file that has come meanwhile.
fn keep(part: &Path, file: &Path) -> anyhow::Result<()> {
    refuse_existing(file)?;
    let name = || format!("name it {}", file.display());
    std::fs::rename(part, file).with_context(name)?;
    let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty());
    let dir = File::open(dir.unwrap_or(Path::new("."))).with_context(name)?;
    dir.sync_all().with_context(name)
}

fn refuse_existing(file: &Path) -> anyhow::Result<()> {
    if !file.exists() {
        return Ok(());
    }
    let text = format!("{} is there already: choose another name", file.display());
    Err(Failure::new(Class::Conflict, text).into())
}

/// How much has come, for people at a terminal.
struct Progress {
    bytes: usize,
    shown_at: Option<Instant>,
}

impl Default for Progress {
    fn default() -> Self {
        let shown_at = std::io::stderr().is_terminal().then(Instant::now);
        Self { bytes: 0, shown_at }
    }
}

impl Progress {
    fn add(&mut self, bytes: usize) {
        self.bytes += bytes;
        let due = self.shown_at.filter(|at| at.elapsed() >= SHOW_EVERY);
        if due.is_some() {
            self.shown_at = Some(Instant::now());
            self.show();
        }
    }

    fn end(&self) {
        if self.shown_at.is_some() {
            self.show();
            remark("");
        }
    }

    #[expect(clippy::print_stderr, reason = "progress overwrites its own line")]
    fn show(&self) {
        eprint!("\r{:>8} KiB received", self.bytes >> 10);
    }
}

/// A backup as programs see it.
#[derive(Serialize)]
struct Told<'b> {
    file: &'b Path,
    cluster: String,
    cluster_name: &'b str,
    index: u64,
    at: UnixMs,
    state_hash: String,
    rows: u64,
    bytes: u64,
    raw_bytes: u64,
    sha256: String,
    cluster_version: u16,
    program: &'b str,
    masters: u64,
    workers: u64,
    users: u64,
    vclusters: u64,
    vnodes: u64,
    images: u64,
}

impl<'b> Told<'b> {
    fn of(file: &'b Path, backup: &'b Backup) -> Self {
        let header = &backup.header;
        let rows_of = |table| backup.tables.get(&table).copied().unwrap_or(0);
        Self {
            file,
            cluster: header.cluster.to_string(),
            cluster_name: &header.cluster_name,
            index: header.index.0,
            at: header.at,
            state_hash: header.hash.to_string(),
            rows: header.rows,
            bytes: backup.bytes,
            raw_bytes: backup.raw_bytes,
            sha256: hex::encode(backup.sha256),
            cluster_version: header.cluster_version,
            program: &header.program,
            masters: rows_of(Table::Masters),
            workers: rows_of(Table::Workers),
            users: rows_of(Table::Users),
            vclusters: rows_of(Table::Vclusters),
            vnodes: rows_of(Table::Vnodes),
            images: rows_of(Table::Images),
        }
    }
}

/// Says what is in a whole backup.
pub fn show(format: Print, file: &Path, backup: &Backup) -> anyhow::Result<()> {
    print(format.format, &Told::of(file, backup), |told| {
        let mut rows = Rows::new(&["what", "value"]);
        let mut add = |what: &str, value: String| rows.add([what.to_owned(), value]);
        add("file", told.file.display().to_string());
        add(
            "cluster",
            format!("{} ({})", told.cluster_name, told.cluster),
        );
        add("after entry", told.index.to_string());
        add("taken", instant(told.at));
        add("state hash", told.state_hash.clone());
        add("rows", told.rows.to_string());
        add(
            "bytes",
            format!("{} ({} unpacked)", told.bytes, told.raw_bytes),
        );
        add("sha256", told.sha256.clone());
        add(
            "written by",
            format!(
                "docklet {}, cluster version {}",
                told.program, told.cluster_version
            ),
        );
        let counted = [
            ("masters", told.masters),
            ("workers", told.workers),
            ("users", told.users),
            ("vclusters", told.vclusters),
            ("vnodes", told.vnodes),
            ("images", told.images),
        ];
        for (what, count) in counted {
            add(what, count.to_string());
        }
        rows
    })
}
