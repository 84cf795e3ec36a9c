//! Clusters that begin anew: `docklet restore` makes one from a backup, `docklet master recover` lets the master that
//! is left go on alone.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use docklet_control::id::{LogIndex, UnixMs};
use docklet_raft::offline::{self, NewMaster, OfflineFault, Survivor};
use serde::Serialize;

use super::master::{Addresses, failure};
use super::removed;
use crate::cli::Print;
use crate::client::backup;
use crate::client::output::{Rows, instant, line, print, remark};
use crate::exit::{Class, Failure};

#[derive(Args)]
pub struct Restore {
    /// The backup, from `docklet backup`
    file: PathBuf,
    /// Refuse it if it is of another cluster than the one with this id
    #[arg(long, value_name = "ID")]
    cluster: Option<String>,
    #[command(flatten)]
    addresses: Addresses,
    #[command(flatten)]
    print: Print,
}

/// Makes the first master of a new cluster.
pub async fn restore(ask: Restore) -> anyhow::Result<ExitCode> {
    if let Some(cluster) = &ask.cluster {
        backup::read_of(&ask.file, Some(cluster)).await?;
    }
    ask.addresses.refuse_unfit()?;
    let file = toml::to_string(&ask.addresses.file())?;
    let new = NewMaster {
        name: ask.addresses.name.clone(),
        cluster_addr: ask.addresses.cluster_addr.to_string(),
        public_addr: ask.addresses.public_addr.to_string(),
        files: vec![("master.toml".to_owned(), file.into_bytes())],
    };
    let dir = ask.addresses.dir();
    let restored = offline::restore(&ask.file, dir, new, now()).await;
    let restored = restored.map_err(|fault| told(fault, &ask.file))?;
    backup::show(ask.print, &ask.file, &restored.backup)?;
    remark(&format!(
        "Restored as new cluster {} of one master, whose log goes on with entry {}. Its name and accounts are as they \
         were; nobody is logged in, tokens of before admit nobody, and clients need the new {}. Workers join again: \
         `docklet agent join TOKEN --again` with the name and directory that they had. Run it with: docklet master run \
         --dir {}",
        restored.cluster,
        restored.index,
        dir.join("ca.pem").display(),
        dir.display(),
    ));
    Ok(ExitCode::SUCCESS)
}

#[derive(Args)]
pub struct Recover {
    /// Directory of a master that is left; of several, give all, and the best is named
    #[arg(long = "dir", value_name = "DIR", required = true)]
    dirs: Vec<PathBuf>,
    /// Go on from the last entry, which this must be; all that came after it elsewhere is lost for ever
    #[arg(long, value_name = "INDEX")]
    accept_loss_after: Option<LogIndex>,
    #[command(flatten)]
    print: Print,
}

/// Shows what the masters that are left have; lets one go on alone if its loss is accepted.
pub async fn recover(ask: Recover) -> anyhow::Result<ExitCode> {
    for dir in &ask.dirs {
        removed::refuse(dir)?;
    }
    match (ask.accept_loss_after, ask.dirs.as_slice()) {
        (None, dirs) => show(dirs, ask.print).await,
        (Some(accepted), [dir]) => go_on(dir, accepted).await,
        (Some(_), _) => {
            let text = "one master goes on, so give the one --dir that was named as the best";
            Err(Failure::new(Class::Invalid, text).into())
        }
    }
}

/// A survivor as programs see it.
#[derive(Serialize)]
struct Told<'s> {
    dir: &'s Path,
    name: &'s str,
    master: u64,
    term: u64,
    last: u64,
    at: Option<UnixMs>,
    voters: usize,
    best: bool,
}

async fn show(dirs: &[PathBuf], format: Print) -> anyhow::Result<ExitCode> {
    let mut survivors = Vec::new();
    let mut failed = None;
    for dir in dirs {
        match offline::inspect(dir).await {
            Ok(survivor) => survivors.push(survivor),
            Err(fault) => {
                let error = told(fault, dir);
                remark(&format!("{} cannot go on: {error:#}", dir.display()));
                failed.get_or_insert(error);
            }
        }
    }
    refuse_strangers(&survivors)?;
    let Some(best) = survivors.iter().max_by_key(|survivor| survivor.rank()) else {
        return Err(failed.context("no directory was given")?);
    };
    let told: Vec<_> = survivors.iter().map(|one| told_of(one, best)).collect();
    print(format.format, &told, |told| rows(told))?;
    remark(&what_next(best));
    Ok(ExitCode::SUCCESS)
}

/// Only masters of one cluster can be compared.
fn refuse_strangers(survivors: &[Survivor]) -> anyhow::Result<()> {
    let clusters = survivors.iter().map(|survivor| survivor.cluster);
    if clusters
        .clone()
        .all(|cluster| Some(cluster) == clusters.clone().next())
    {
        return Ok(());
    }
    let text = "these directories are of different clusters: give those of one";
    Err(Failure::new(Class::Invalid, text).into())
}

fn told_of<'s>(survivor: &'s Survivor, best: &Survivor) -> Told<'s> {
    Told {
        dir: &survivor.dir,
        name: &survivor.name,
        master: survivor.master.0,
        term: survivor.term,
        last: survivor.last.0,
        at: survivor.at,
        voters: survivor.voters.len(),
        best: survivor.rank() == best.rank(),
    }
}

fn rows(survivors: &[Told<'_>]) -> Rows {
    let mut rows = Rows::new(&[
        "directory",
        "master",
        "id",
        "term",
        "last entry",
        "of",
        "best",
    ]);
    for survivor in survivors {
        rows.add([
            survivor.dir.display().to_string(),
            survivor.name.to_owned(),
            survivor.master.to_string(),
            survivor.term.to_string(),
            survivor.last.to_string(),
            survivor.at.map_or_else(|| "-".to_owned(), instant),
            if survivor.best { "yes" } else { "" }.to_owned(),
        ]);
    }
    rows
}

fn what_next(best: &Survivor) -> String {
    let others: Vec<String> = best.others.iter().map(|m| m.name.to_string()).collect();
    format!(
        "Nothing was changed. If {} are lost for ever, and no directory of theirs can be read: what was written after \
         entry {} is lost with them. Go on without them, and they can never come back, with: docklet master recover \
         --dir {} --accept-loss-after {}",
        others.join(" and "),
        best.last,
        best.dir.display(),
        best.last,
    )
}

async fn go_on(dir: &Path, accepted: LogIndex) -> anyhow::Result<ExitCode> {
    let recovered = offline::recover(dir, accepted, now()).await;
    let (survivor, begun) = recovered.map_err(|fault| told(fault, dir))?;
    line(&begun.to_string());
    remark(&format!(
        "Master {} goes on alone with entry {begun}. Everybody must log in again. Run it with: docklet master run --dir \
         {}. Then let new masters join: `docklet token create --role master`; the old ones need an empty directory.",
        survivor.name,
        dir.display(),
    ));
    Ok(ExitCode::SUCCESS)
}

fn now() -> UnixMs {
    let now = jiff::Timestamp::now().as_millisecond();
    UnixMs(u64::try_from(now).unwrap_or(0))
}

/// A fault with its exit code, naming the file that it is about.
fn told(fault: OfflineFault, about: &Path) -> anyhow::Error {
    let class = match fault {
        OfflineFault::Backup(fault) => return backup::refused(about, &fault),
        OfflineFault::Refused(refusal) => return failure(refusal.into()),
        OfflineFault::Used { .. }
        | OfflineFault::Staged { .. }
        | OfflineFault::NotNeeded { .. }
        | OfflineFault::Answers { .. }
        | OfflineFault::NotAMember { .. }
        | OfflineFault::Changed => Class::Conflict,
        OfflineFault::Nameless { .. } | OfflineFault::AcceptDiffers { .. } => Class::Invalid,
        OfflineFault::NoMaster { .. } => Class::NotFound,
        OfflineFault::Empty
        | OfflineFault::EndedEarly
        | OfflineFault::Store(_)
        | OfflineFault::Link(_)
        | OfflineFault::File { .. }
        | OfflineFault::Differs(_) => Class::Fault,
    };
    if class == Class::Fault {
        return anyhow::Error::new(fault);
    }
    Failure::new(class, fault.to_string()).into()
}
