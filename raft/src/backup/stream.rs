//! A backup as it leaves a master: written by a thread of its own as fast as it is taken away.

use std::io;
use std::time::Duration;

use docklet_control::id::UnixMs;
use futures_util::Stream;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};

use super::BackupFault;
use crate::store::Frozen;

/// Backups that leave this process at once: each compresses as fast as it can.
const AT_ONCE_MAX: usize = 2;
static TURNS: Semaphore = Semaphore::const_new(AT_ONCE_MAX);
/// Parts made ready ahead of the one that is sent.
const PARTS_AHEAD: usize = 2;
/// Who takes nothing for so long is cut off: a frozen state that is held costs memory as the cluster goes on.
const STALL_MAX: Duration = Duration::from_secs(60);

type Part = Result<Vec<u8>, io::Error>;

/// The parts of a backup of `frozen`, begun at `at`, or none if so many are under way already that this one must wait.
/// An error is its last part: then what came is no backup, and does not read as one.
///
/// # Errors
/// There is no cluster yet.
pub fn stream(frozen: Frozen, at: UnixMs) -> Result<Option<impl Stream<Item = Part>>, BackupFault> {
    if frozen.state.settings.is_none() {
        return Err(BackupFault::NoCluster);
    }
    let Ok(turn) = TURNS.try_acquire() else {
        return Ok(None);
    };
    let (sender, receiver) = mpsc::channel(PARTS_AHEAD);
    let handle = Handle::current();
    tokio::task::spawn_blocking(move || run(&frozen, at, sender, handle, turn));
    let parts = futures_util::stream::unfold(receiver, |mut receiver| async move {
        let part = receiver.recv().await?;
        Some((part, receiver))
    });
    Ok(Some(parts))
}

fn run(
    frozen: &Frozen,
    at: UnixMs,
    sender: mpsc::Sender<Part>,
    handle: Handle,
    turn: SemaphorePermit<'_>,
) {
    let mut out = Outlet { sender, handle };
    match super::write(frozen, at, &mut out) {
        Ok(backup) => {
            tracing::info!(index = %backup.header.index, bytes = backup.bytes, "backup sent")
        }
        Err(fault) => {
            tracing::warn!(%fault, "backup not sent");
            // Nobody listens any more if this fails.
            drop(out.give(Err(io::Error::other(fault))));
        }
    }
    drop(turn);
}

/// Passes on what is written, and waits for who takes it.
struct Outlet {
    sender: mpsc::Sender<Part>,
    handle: Handle,
}

impl Outlet {
    fn give(&self, part: Part) -> io::Result<()> {
        let sent = async { tokio::time::timeout(STALL_MAX, self.sender.send(part)).await };
        match self.handle.block_on(sent) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(io::Error::other("whoever asked for it has gone")),
            Err(_) => Err(io::Error::other("whoever asked for it takes nothing")),
        }
    }
}

impl io::Write for Outlet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.give(Ok(bytes.to_vec()))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
