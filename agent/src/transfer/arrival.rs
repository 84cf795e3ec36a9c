//! The taker's side: lets a vnode's files come, most of them while the vnode runs on the other worker.
//!
//! An arrival may be dropped or killed at any moment, and another one of the same vnode and move goes on with what came.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use docklet_control::id::LogIndex;
use docklet_link::Dialer;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio_tungstenite::tungstenite::Message;

use super::MEMORY_ROUNDS_MAX;
use super::adopt::Whole;
use super::chunks::Root;
use super::incoming::{self, Incoming, lock};
use super::link::{Heard, Link};
use super::moving::{Moving, Source};
use super::names::{AHEAD, FileName};
use super::staging::Staging;
use super::wire::{self, Manifest, Part, Said};
use crate::checkpoint::chain;
use crate::fault::AgentFault;
use crate::snapshot::spare_bytes;
use crate::vnode_dir::StateDir;

/// The copy is near when a round had no more to send than this, or took no longer.
const NEAR_BYTES: u64 = 8 << 20;
const NEAR_AFTER: Duration = Duration::from_millis(500);
/// After so many rounds it will not come nearer.
const ROUNDS_MAX: u32 = 10;
/// Memory is near when a round had no more than this: the vnode writes as much while it is let stand still.
const MEMORY_NEAR_BYTES: u64 = 2 << 20;
/// Messages that wait to be written, and threads that write them.
const WAITING_MAX: usize = 4;
const THREADS: usize = 2;

/// What is coming.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    #[default]
    Begun,
    Snapshot(LogIndex),
    /// The disk, for the so manyeth time.
    Round(u32),
    /// What was written to of memory, for the so manyeth time.
    Memory(u32),
    /// The last round, or the wait until the vnode stands still.
    Rest,
    Whole,
}

/// How far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    pub stage: Stage,
    /// Bytes looked at or received, of this stage.
    pub done_bytes: u64,
    /// Bytes that there are to be looked at in this stage; 0 until it is known.
    pub all_bytes: u64,
    /// Bytes that the last round had to bring.
    pub last_round_bytes: u64,
    /// Bytes that came, of all stages.
    pub came_bytes: u64,
    /// Those of them that are memory which came while the vnode ran.
    pub memory_bytes: u64,
}

/// A vnode that arrives.
pub struct Arrival {
    state: StateDir,
    dialer: Dialer,
    source: Source,
    moving: Moving,
    staging: Arc<Staging>,
    link: Option<Link>,
    /// Held by whoever works on the files: what was begun for somebody who does not wait any more ends before the next begins.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// Those of the last part, of whom the same holds.
    writers: Vec<JoinHandle<Result<(), AgentFault>>>,
    progress: watch::Sender<Progress>,
    /// Snapshots that came, and those that the other worker does not have.
    came: BTreeSet<LogIndex>,
    missing: BTreeSet<LogIndex>,
    /// Rounds of memory that came in this conversation.
    rounds: u32,
}

/// What one part brought.
struct Brought {
    incoming: Arc<Incoming>,
    root: Root,
    bytes: u64,
    /// Of memory, as the manifest says.
    rounds: u32,
}

impl Arrival {
    /// Prepares to let a vnode come. What came before by the same move is kept, and one that is under way there ends first.
    ///
    /// # Errors
    /// The directory cannot be made, or somebody else holds it.
    pub async fn begin(
        state: StateDir,
        dialer: Dialer,
        source: Source,
        moving: Moving,
    ) -> Result<Self, AgentFault> {
        let (within, vnode, number) = (state.clone(), moving.vnode, moving.number);
        let staging = spawn_blocking(move || Staging::open(&within, vnode, number));
        Ok(Self {
            staging: Arc::new(staging.await.map_err(io::Error::other)??),
            state,
            dialer,
            source,
            moving,
            link: None,
            turn: Arc::default(),
            writers: Vec::new(),
            progress: watch::Sender::default(),
            came: BTreeSet::new(),
            missing: BTreeSet::new(),
            rounds: 0,
        })
    }

    /// How far it is, from now on.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Snapshots that were asked for, and that the other worker does not have.
    #[must_use]
    pub fn missing(&self) -> &BTreeSet<LogIndex> {
        &self.missing
    }

    /// Lets come what can come while the vnode runs, until no more than a little is left, or it does not get less.
    ///
    /// # Errors
    /// The other worker cannot be reached, refuses or breaks off, or there is no room. What came is kept, and it may be tried again.
    pub async fn near(&mut self) -> Result<(), AgentFault> {
        self.snapshots().await?;
        let mut before = u64::MAX;
        for round in 1..=ROUNDS_MAX {
            let begun = Instant::now();
            let brought = self.part(Part::Disk, Stage::Round(round)).await?;
            self.sync(brought.incoming).await?;
            let now = brought.bytes;
            self.progress
                .send_modify(|progress| progress.last_round_bytes = now);
            if now <= NEAR_BYTES || begun.elapsed() <= NEAR_AFTER || now >= before {
                break;
            }
            before = now;
        }
        if self.moving.live
            && let Err(fault) = self.memory().await
        {
            // All of it comes with the rest then.
            tracing::warn!(fault = fault.full_text(), "memory does not come ahead");
        }
        Ok(())
    }

    /// Lets memory come round by round, until no more than a little is left, or it does not get less.
    async fn memory(&mut self) -> Result<(), AgentFault> {
        let mut before = u64::MAX;
        while self.rounds < MEMORY_ROUNDS_MAX {
            let number = self.rounds + 1;
            let brought = self.part(Part::Memory, Stage::Memory(number)).await?;
            let now = brought.bytes;
            self.progress
                .send_modify(|progress| progress.memory_bytes += now);
            if brought.rounds == 0 || now <= MEMORY_NEAR_BYTES || now >= before {
                break;
            }
            before = now;
        }
        Ok(())
    }

    async fn snapshots(&mut self) -> Result<(), AgentFault> {
        let wanted = self.moving.snapshots.clone();
        for number in wanted {
            if self.came.contains(&number) || self.missing.contains(&number) {
                continue;
            }
            let brought = self
                .part(Part::Snapshot(number), Stage::Snapshot(number))
                .await?;
            let is_there = brought
                .incoming
                .names()
                .contains(&FileName::Snapshot(number));
            self.sync(brought.incoming).await?;
            self.staging.forget_one(&FileName::Snapshot(number));
            let whose = if is_there {
                &mut self.came
            } else {
                &mut self.missing
            };
            whose.insert(number);
        }
        Ok(())
    }

    /// Lets the rest come, which the other worker gives as soon as the vnode stands still there. All of it is here for good afterwards, and
    /// that is noted.
    ///
    /// # Errors
    /// As those of [`Self::near`]; and what came is not what was sent. It may be tried again.
    pub async fn rest(&mut self) -> Result<Whole, AgentFault> {
        self.snapshots().await?;
        // Why an earlier attempt failed is not this one's concern, here and below.
        drop(self.writers_end().await);
        let staging = self.staging.clone();
        self.blocking(move || staging.forget_checkpoint()).await?;
        let brought = self.part(Part::Rest, Stage::Rest).await?;
        let mut entries: BTreeSet<String> = ["snapshots".to_owned()].into();
        for name in brought.incoming.names() {
            let name = name.to_string();
            entries.insert(name.split('/').next().unwrap_or(&name).to_owned());
        }
        let rounds = brought.rounds;
        if rounds > 0 {
            entries.insert(AHEAD.to_owned());
            let staging = self.staging.clone();
            self.blocking(move || chain::link(&staging.dir, rounds))
                .await?;
        }
        let whole = Whole::new(self.moving.vnode, self.moving.number, brought.root, entries)?;
        self.sync(brought.incoming).await?;
        let (staging, state, note) = (self.staging.clone(), self.state.clone(), whole.clone());
        self.blocking(move || staging.sync().and_then(|()| note.write(&state)))
            .await?;
        self.stage(Stage::Whole);
        Ok(whole)
    }

    fn stage(&self, stage: Stage) {
        self.progress.send_modify(|progress| {
            *progress = Progress {
                stage,
                last_round_bytes: progress.last_round_bytes,
                came_bytes: progress.came_bytes,
                memory_bytes: progress.memory_bytes,
                ..Progress::default()
            };
        });
    }

    async fn blocking<T: Send + 'static>(
        &self,
        act: impl FnOnce() -> Result<T, AgentFault> + Send + 'static,
    ) -> Result<T, AgentFault> {
        let turn = self.turn.clone().lock_owned().await;
        let act = spawn_blocking(move || {
            let _turn = turn;
            act()
        });
        act.await.map_err(io::Error::other)?
    }

    async fn sync(&self, incoming: Arc<Incoming>) -> Result<(), AgentFault> {
        self.blocking(move || incoming.sync()).await
    }

    /// Waits for those who still write for an attempt that nobody waits for any more.
    async fn writers_end(&mut self) -> Result<(), AgentFault> {
        let mut ended = Ok(());
        while let Some(writer) = self.writers.last_mut() {
            let written = writer.await;
            self.writers.pop();
            let written = written.map_err(io::Error::other)?;
            ended = ended.and(written);
        }
        ended
    }

    /// Lets one part come. Whatever breaks, the connection goes with it, and what came stays.
    async fn part(&mut self, part: Part, stage: Stage) -> Result<Brought, AgentFault> {
        drop(self.writers_end().await);
        if part != Part::Memory {
            self.stage(stage);
        }
        let mut link = match self.link.take() {
            Some(link) => link,
            None => {
                self.rounds = 0;
                let staging = self.staging.clone();
                self.blocking(move || staging.forget_rounds()).await?;
                Link::open(&self.dialer, &self.source, &self.moving).await?
            }
        };
        let brought = self.exchange(&mut link, &part, stage).await?;
        self.progress
            .send_modify(|progress| progress.came_bytes += brought.bytes);
        match part {
            Part::Snapshot(_) => link.knows_disk = false,
            Part::Disk | Part::Rest => link.knows_disk = true,
            Part::Memory => self.rounds = self.rounds.max(brought.rounds),
        }
        self.link = Some(link);
        Ok(brought)
    }

    async fn exchange(
        &mut self,
        link: &mut Link,
        part: &Part,
        stage: Stage,
    ) -> Result<Brought, AgentFault> {
        self.ask(link, part).await?;
        let manifest = self.manifest(link).await?;
        // Many kernels do not say what was written to: then there is no such stage.
        if *part == Part::Memory && manifest.rounds > 0 {
            self.stage(stage);
        }
        let (staging, checked) = (self.staging.clone(), manifest.clone());
        self.moving.check(part, &manifest, self.rounds)?;
        let begun = self.blocking(move || {
            room(&staging, &checked)?;
            Incoming::begin(&staging, &checked).inspect_err(|_| staging.forget())
        });
        let incoming = Arc::new(begun.await?);
        self.progress
            .send_modify(|progress| progress.all_bytes = manifest.data_bytes);
        let root = self.receive(link, &incoming).await?;
        let counted = incoming.clone();
        if self.blocking(move || Ok(counted.root())).await? != root {
            self.staging.forget();
            return Err(AgentFault::Differs);
        }
        Ok(Brought {
            bytes: incoming.received(),
            incoming,
            root,
            rounds: manifest.rounds,
        })
    }

    /// Asks for a part, and says what is here if the giver does not know it.
    async fn ask(&self, link: &mut Link, part: &Part) -> Result<(), AgentFault> {
        let name = match part {
            Part::Snapshot(number) => FileName::Snapshot(*number),
            Part::Disk | Part::Rest => FileName::Disk,
            Part::Memory => return link.ask(part, None).await,
        };
        let (staging, looked_at) = (self.staging.clone(), name.clone());
        let gone = Gone::default();
        let heard = gone.0.clone();
        // Whoever gave this up does not wait for gigabytes to be read.
        self.blocking(move || staging.look_at(&looked_at, &heard))
            .await?;
        let chunks = lock(&self.staging.known(&name)).chunks.clone();
        let known = link.knows_disk && name == FileName::Disk;
        let told = !known && !chunks.hashes().is_empty();
        let has = told.then(|| (name, chunks.length()));
        link.ask(part, has).await?;
        if told {
            for list in wire::hashes(chunks.hashes()) {
                link.send(Message::binary(list)).await?;
            }
        }
        Ok(())
    }

    async fn manifest(&self, link: &mut Link) -> Result<Manifest, AgentFault> {
        loop {
            match link.hear().await? {
                Heard::Said(Said::Manifest(manifest)) => return Ok(manifest),
                Heard::Said(Said::At(bytes)) => self.done(bytes),
                Heard::Said(Said::End(_)) | Heard::Bytes(_) => {
                    return Err(AgentFault::Protocol(
                        "an answer without a beginning".to_owned(),
                    ));
                }
                Heard::Said(Said::Refused(cause)) => return Err(AgentFault::Giver(cause)),
            }
        }
    }

    /// Lets chunks come until all have come; answers what the giver finds them to be.
    async fn receive(
        &mut self,
        link: &mut Link,
        incoming: &Arc<Incoming>,
    ) -> Result<Root, AgentFault> {
        let (send, messages) = mpsc::channel(WAITING_MAX);
        let messages = Arc::new(Mutex::new(messages));
        for _ in 0..THREADS {
            let (incoming, messages) = (incoming.clone(), messages.clone());
            self.writers
                .push(spawn_blocking(move || incoming.write(&messages)));
        }
        let heard = self.pass_on(link, incoming, &send).await;
        drop(send);
        // Why they could not write is the reason for whatever came after it.
        self.writers_end().await?;
        heard
    }

    async fn pass_on(
        &self,
        link: &mut Link,
        incoming: &Incoming,
        send: &mpsc::Sender<Vec<u8>>,
    ) -> Result<Root, AgentFault> {
        loop {
            match link.hear().await? {
                Heard::Bytes(bytes) => {
                    let closed = |_| AgentFault::Protocol("what cannot be written".to_owned());
                    send.send(bytes).await.map_err(closed)?;
                    self.done(incoming.received());
                }
                Heard::Said(Said::At(bytes)) => self.done(bytes),
                Heard::Said(Said::End(root)) => return Ok(root),
                Heard::Said(Said::Refused(cause)) => return Err(AgentFault::Giver(cause)),
                Heard::Said(Said::Manifest(_)) => {
                    return Err(AgentFault::Protocol("a second manifest".to_owned()));
                }
            }
        }
    }

    fn done(&self, bytes: u64) {
        self.progress.send_modify(|progress| {
            progress.done_bytes = progress.done_bytes.max(bytes.min(progress.all_bytes));
        });
    }
}

/// Says, when it is dropped, that nobody waits any more.
#[derive(Default)]
struct Gone(Arc<AtomicBool>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Refuses what there is no room for, before any of it comes.
fn room(staging: &Staging, manifest: &Manifest) -> Result<(), AgentFault> {
    let needed = incoming::needed(&staging.dir, manifest);
    let spare = spare_bytes(&staging.dir)?;
    if needed > spare {
        return Err(AgentFault::NoRoom {
            needed_mib: needed.div_ceil(1 << 20),
            spare_mib: spare >> 20,
        });
    }
    Ok(())
}
