//! The giver's side: answers one taker, for as long as the vnode leaves to it.

use std::collections::BTreeMap;
use std::fs;
use std::future::Future;
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use docklet_control::id::LogIndex;
use futures_util::{SinkExt, StreamExt};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio_tungstenite::tungstenite::Message;

use super::SILENCE_MAX;
use super::chunks::{self, Chunks};
use super::departures::{Departures, Leave};
use super::names::{AHEAD, CHECKPOINT, CHECKPOINT_FILES_MAX, FileName};
use super::pace::Pace;
use super::scan::{Memory, Read, Work};
use super::wire::{self, Ask, Manifest, Part, Said};
use crate::checkpoint::chain;
use crate::door::Socket;
use crate::fault::AgentFault;

/// So often the taker hears of a giver that has nothing to send.
const SAY_EVERY: Duration = Duration::from_secs(1);
/// Messages that wait to be sent.
const WAITING_MAX: usize = 4;
/// Threads that read while the vnode runs, and while it stands still.
const THREADS_RUNNING: usize = 1;
const THREADS_STILL: usize = 2;
/// Files of which a taker may say at once what it has.
const LISTS_MAX: usize = 2;

/// How memory of the vnode is written ahead.
pub(crate) trait Ahead: Send + Sync {
    /// Writes the next round; answers its number, none if there is none.
    fn write(&self) -> Result<Option<u32>, AgentFault>;
}

/// Gives the files in `dir` to the worker to which they go, until it has them, or they do not go there any more.
pub(crate) async fn give(
    departures: &Departures,
    pace: &Pace,
    dir: PathBuf,
    leave: Leave,
    socket: Socket,
    ahead: Arc<dyn Ahead>,
) -> Result<(), AgentFault> {
    let mut giver = Giver {
        departures,
        pace,
        dir,
        leave,
        socket,
        memory: Some(Memory::new()),
        disk: None,
        ahead: Some(ahead),
        offered: 0,
        given: 0,
    };
    let ended = tokio::select! {
        ended = giver.answer_all() => ended,
        () = departures.end_of(leave) => Err(refused("the vnode does not leave to there any more")),
    };
    if let Err(fault) = &ended {
        // Whoever is gone does not hear it.
        drop(giver.say(&Said::Refused(fault.full_text())).await);
    }
    drop(tokio::time::timeout(SAY_EVERY, giver.socket.close(None)).await);
    ended
}

fn refused(cause: &str) -> AgentFault {
    AgentFault::Giver(cause.to_owned())
}

fn moves() -> AgentFault {
    refused("the vnode does not stand still any more")
}

/// One conversation.
struct Giver<'d> {
    departures: &'d Departures,
    pace: &'d Pace,
    dir: PathBuf,
    leave: Leave,
    socket: Socket,
    /// Taken while a part is read.
    memory: Option<Memory>,
    /// The disk as the taker has it, since a part of this conversation ended well.
    disk: Option<Chunks>,
    /// None once there was a round that could not be written: the next one would fail as well.
    ahead: Option<Arc<dyn Ahead>>,
    /// The last round of memory that was sent whole, and the last of which the taker found that it came so.
    offered: u32,
    given: u32,
}

impl Giver<'_> {
    async fn answer_all(&mut self) -> Result<(), AgentFault> {
        // Until the next question comes, it may take as long as the masters need.
        while let Some(message) = self.socket.next().await {
            match message? {
                Message::Text(text) => {
                    let ask = serde_json::from_str(&text)?;
                    self.answer(ask).await?;
                }
                Message::Close(_) => break,
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
                Message::Binary(_) => {
                    return Err(AgentFault::Protocol("a list unasked".to_owned()));
                }
            }
        }
        Ok(())
    }

    async fn answer(&mut self, ask: Ask) -> Result<(), AgentFault> {
        let theirs = self.lists(&ask.has).await?;
        // Whoever finds that something else came ends the conversation.
        self.given = self.offered;
        if ask.part == Part::Memory {
            return self.memory().await;
        }
        if ask.part != Part::Rest {
            return self.part(ask.part, theirs).await;
        }
        let (departures, leave) = (self.departures, self.leave);
        self.patiently(|| 0, departures.stillness_of(leave)).await?;
        tokio::select! {
            answered = self.part(ask.part, theirs) => answered,
            () = departures.motion_of(leave) => Err(moves()),
        }
    }

    /// Writes and gives a round of memory. What is known of the disk stays.
    async fn memory(&mut self) -> Result<(), AgentFault> {
        let round = self.write_ahead().await?.unwrap_or(0);
        let (memory, disk) = (self.memory.take(), self.disk.take());
        let names = rounds(&self.dir, self.given + 1..=round)?;
        self.read(names, round, BTreeMap::new(), Memory::new(), false)
            .await?;
        (self.memory, self.disk) = (memory, disk);
        self.offered = round.max(self.offered);
        Ok(())
    }

    /// Writes the next round; answers its number, none if there is none, or no more in this conversation.
    async fn write_ahead(&mut self) -> Result<Option<u32>, AgentFault> {
        let (departures, leave) = (self.departures, self.leave);
        let ahead = self.ahead.take();
        let Some(ahead) = ahead.filter(|_| departures.begins_round(leave)) else {
            return Ok(None);
        };
        let writer = ahead.clone();
        let write = spawn_blocking(move || writer.write());
        let written = self.patiently(|| 0, write).await?;
        let written = written.map_err(io::Error::other)?;
        // The taker goes on without; why, this worker knows.
        let round = written.unwrap_or_else(|fault| {
            tracing::warn!(fault = fault.full_text(), "memory is not written ahead");
            None
        });
        self.ahead = round.and(Some(ahead));
        Ok(round)
    }

    async fn part(
        &mut self,
        part: Part,
        mut theirs: BTreeMap<FileName, Chunks>,
    ) -> Result<(), AgentFault> {
        let still = part == Part::Rest;
        let disk = self.disk.take();
        if let Some(disk) = disk.filter(|_| !matches!(part, Part::Snapshot(_))) {
            theirs.entry(FileName::Disk).or_insert(disk);
        }
        let memory = self.memory.take().unwrap_or_else(Memory::new);
        let mut names = names(&self.dir, &part)?;
        let mut length = 0;
        if still {
            length = chain::length(&self.dir)?;
            names.extend(rounds(&self.dir, self.given + 1..=length)?);
        }
        self.read(names, length, theirs, memory, still).await
    }

    /// Reads these files, and gives what the taker does not have of them.
    async fn read(
        &mut self,
        names: Vec<FileName>,
        rounds: u32,
        theirs: BTreeMap<FileName, Chunks>,
        memory: Memory,
        still: bool,
    ) -> Result<(), AgentFault> {
        let dir = self.dir.clone();
        let open = spawn_blocking(move || Work::open(&dir, names, theirs, memory));
        let work = self.patiently(|| 0, open).await?;
        let work = Arc::new(work.map_err(io::Error::other)??);
        let manifest = Manifest {
            rounds,
            ..work.manifest()
        };
        self.say(&Said::Manifest(manifest)).await?;
        let read = self.send(&work, still).await?;
        let work =
            Arc::into_inner(work).ok_or_else(|| refused("its files are still being read"))?;
        let scanned = spawn_blocking(move || work.end(read));
        let scanned = scanned.await.map_err(io::Error::other)??;
        self.memory = Some(scanned.memory);
        self.disk = scanned.disk;
        // Stillness is taken back before anything writes: what was read until now is one moment.
        if still && !self.departures.is_still(self.leave) {
            return Err(moves());
        }
        self.say(&Said::End(scanned.root)).await
    }

    /// What the taker says that it has. No more of it is kept than the files have here.
    async fn lists(
        &mut self,
        has: &[(FileName, u64)],
    ) -> Result<BTreeMap<FileName, Chunks>, AgentFault> {
        let mut lists = BTreeMap::new();
        if has.len() > LISTS_MAX {
            return Err(AgentFault::Protocol(
                "a question about many files".to_owned(),
            ));
        }
        for (name, length) in has {
            if !name.is_disk() {
                return Err(AgentFault::Protocol(format!("a list of {name}")));
            }
            let here = fs::metadata(name.within(&self.dir)).map_or(0, |found| found.len());
            let (all, kept) = (chunks::count(*length)?, chunks::count(here)?);
            let mut list = Chunks::unknown(*length);
            let mut at = 0;
            while at < all {
                let message = self.hear_list().await?;
                for hash in wire::read_hashes(&message)? {
                    if at < kept {
                        list.push(hash);
                    }
                    at = at.saturating_add(1);
                }
            }
            if at != all {
                return Err(AgentFault::Protocol(format!(
                    "a list of {name} of another length"
                )));
            }
            lists.insert(name.clone(), list);
        }
        Ok(lists)
    }

    async fn hear_list(&mut self) -> Result<Vec<u8>, AgentFault> {
        loop {
            let message = tokio::time::timeout(SILENCE_MAX, self.socket.next()).await;
            let silent = || AgentFault::Protocol("a list that does not go on".to_owned());
            match message.map_err(|_| silent())?.ok_or_else(silent)?? {
                Message::Binary(list) => return Ok(list.to_vec()),
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
                Message::Text(_) | Message::Close(_) => return Err(silent()),
            }
        }
    }

    /// Reads, and sends what is found.
    async fn send(&mut self, work: &Arc<Work>, still: bool) -> Result<Vec<Read>, AgentFault> {
        let (send, mut found) = mpsc::channel(WAITING_MAX);
        let threads = if still {
            THREADS_STILL
        } else {
            THREADS_RUNNING
        };
        let scans: Vec<_> = (0..threads)
            .map(|_| {
                let (work, send) = (work.clone(), send.clone());
                spawn_blocking(move || work.scan(&send))
            })
            .collect();
        drop(send);
        for message in work.holes()? {
            self.message(Message::binary(message)).await?;
        }
        while let Some(message) = self.patiently(|| work.scanned(), found.recv()).await? {
            if !still {
                let pace = self.pace;
                self.patiently(|| work.scanned(), pace.turn(message.len()))
                    .await?;
            }
            self.message(Message::binary(message)).await?;
        }
        let mut read = Vec::new();
        for scan in scans {
            read.extend(scan.await.map_err(io::Error::other)??);
        }
        Ok(read)
    }

    /// Waits, and lets the taker know meanwhile that nobody is dead.
    async fn patiently<T>(
        &mut self,
        at: impl Fn() -> u64,
        future: impl Future<Output = T>,
    ) -> Result<T, AgentFault> {
        let mut future = pin!(future);
        loop {
            if let Ok(came) = tokio::time::timeout(SAY_EVERY, &mut future).await {
                return Ok(came);
            }
            self.say(&Said::At(at())).await?;
        }
    }

    async fn say(&mut self, said: &Said) -> Result<(), AgentFault> {
        let text = serde_json::to_string(said)?;
        self.message(Message::text(text)).await
    }

    async fn message(&mut self, message: Message) -> Result<(), AgentFault> {
        let silent = || AgentFault::Protocol("a taker that takes nothing in".to_owned());
        let sent = tokio::time::timeout(SILENCE_MAX, self.socket.send(message)).await;
        Ok(sent.map_err(|_| silent())??)
    }
}

/// The files that belong to a part.
fn names(dir: &Path, part: &Part) -> Result<Vec<FileName>, AgentFault> {
    let there = |name: &FileName| name.within(dir).exists();
    let names = match part {
        Part::Snapshot(number) => snapshot(*number),
        Part::Disk => vec![FileName::Disk],
        Part::Rest => {
            let mut names = vec![FileName::Disk, FileName::Restored, FileName::Meter];
            names.extend(files_in(dir, CHECKPOINT)?);
            names
        }
        Part::Memory => Vec::new(),
    };
    let names: Vec<FileName> = names.into_iter().filter(there).collect();
    if !matches!(part, Part::Snapshot(_)) && names.first() != Some(&FileName::Disk) {
        return Err(refused("the vnode has no disk of its own here"));
    }
    Ok(names)
}

fn snapshot(number: LogIndex) -> Vec<FileName> {
    vec![FileName::Snapshot(number), FileName::SnapshotNote(number)]
}

/// The files of these rounds of memory.
fn rounds(dir: &Path, numbers: RangeInclusive<u32>) -> Result<Vec<FileName>, AgentFault> {
    let of_each = numbers.map(|number| files_in(dir, &format!("{AHEAD}/{number}")));
    Ok(of_each.collect::<Result<Vec<_>, _>>()?.concat())
}

/// What is in a directory of images by CRIU. Whoever takes it makes the link to what was before.
fn files_in(dir: &Path, below: &str) -> Result<Vec<FileName>, AgentFault> {
    let dir = &dir.join(below);
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(AgentFault::file("list", dir))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(AgentFault::file("list", dir))?.file_name();
        if name != chain::PARENT {
            names.push(format!("{below}/{}", name.to_string_lossy()).parse()?);
        }
    }
    if names.len() > CHECKPOINT_FILES_MAX {
        return Err(refused("the image of its processes has too many files"));
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests;
