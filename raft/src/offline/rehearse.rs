//! Trying out a backup: it is taken of a running cluster, restored beside it as a cluster of one master that nobody
//! can reach, and must have the same state and accept a write.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use docklet_control::id::{LogIndex, RequestId, SecretHash, UnixMs};
use docklet_control::model::{ClusterVersion, JoinRole, Role};
use docklet_control::rows::StateHash;
use docklet_control::{Actor, Command, State};
use docklet_link::Credentials;

use super::{NewMaster, OfflineFault, Restored, restore};
use crate::backup::{self, Backup};
use crate::master::{Master, MasterConfig};
use crate::settings::Timing;
use crate::store::rows::HistoryLimits;
use crate::store::{Frozen, blocking};

/// How often it is looked whether the rehearsal is to end early.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// A cluster of one elects itself and answers within this.
const ANSWER_DEADLINE: Duration = Duration::from_secs(20);

/// What came of it. The file and the cluster are gone again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rehearsal {
    /// The entry that the backup is of.
    pub index: LogIndex,
    /// Length of the file.
    pub bytes: u64,
    pub backup_ms: u64,
    /// From the file to a cluster that answers.
    pub restore_ms: u64,
    /// Until it had accepted a write.
    pub write_ms: u64,
    /// Whether file and restored cluster have the state that the backup was made of.
    pub same_state: bool,
}

/// Ends a rehearsal early when it is dropped.
#[derive(Debug, Default)]
pub struct Leash(Arc<AtomicBool>);

/// The rehearsal's end of it.
#[derive(Clone, Debug)]
pub struct Leashed(Arc<AtomicBool>);

impl Leash {
    /// What the rehearsal gets.
    #[must_use]
    pub fn end(&self) -> Leashed {
        Leashed(self.0.clone())
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Leashed {
    /// # Errors
    /// Nobody holds the leash any more.
    fn check(&self) -> Result<(), OfflineFault> {
        if self.0.load(Ordering::Relaxed) {
            return Err(OfflineFault::EndedEarly);
        }
        Ok(())
    }

    async fn is_let_go(&self) -> OfflineFault {
        loop {
            if let Err(fault) = self.check() {
                return fault;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// Takes a backup of what `master` has now into `scratch`, which must not be there, restores it in there, and lets the
/// cluster that comes of it accept a write. Removes `scratch`, whatever came of it: so it must not be dropped before it
/// has ended, which it does soon after the leash was let go.
///
/// # Errors
/// The first step that failed.
pub async fn rehearse(
    master: &Master,
    scratch: &Path,
    leash: &Leashed,
) -> Result<Rehearsal, OfflineFault> {
    let made = docklet_link::credentials::private_dir(scratch);
    let rehearsed = match made {
        Ok(()) => rehearse_in(master, scratch, leash).await,
        Err(fault) => Err(fault.into()),
    };
    let path = scratch.to_owned();
    let removed = blocking(move || Ok(std::fs::remove_dir_all(path)?)).await;
    let rehearsal = rehearsed?;
    removed.map_err(OfflineFault::file("remove", scratch))?;
    Ok(rehearsal)
}

async fn rehearse_in(
    master: &Master,
    scratch: &Path,
    leash: &Leashed,
) -> Result<Rehearsal, OfflineFault> {
    let (frozen, at) = (master.local(), master.now());
    let file = scratch.join("rehearsal.backup");
    let begun = Instant::now();
    let taken = take(frozen.clone(), at, &file, leash.clone()).await?;
    let backup_ms = ms(begun);
    let begun = Instant::now();
    let dir = scratch.join("master");
    let new = NewMaster {
        name: "rehearsal".to_owned(),
        cluster_addr: "127.0.0.1:1".to_owned(),
        public_addr: "127.0.0.1:2".to_owned(),
        files: Vec::new(),
    };
    leash.check()?;
    let restored = restore(&file, &dir, new, at).await?;
    leash.check()?;
    let alone = start(&dir).await?;
    let answered = tokio::select! {
        answered = answer(&alone, &restored, begun) => answered,
        fault = leash.is_let_go() => Err(fault),
    };
    alone.shutdown().await;
    let (restore_ms, write_ms) = answered?;
    let (wanted, found) = (frozen.hash(), restored.backup.header.hash);
    Ok(Rehearsal {
        index: taken.header.index,
        bytes: taken.bytes,
        backup_ms,
        restore_ms,
        write_ms,
        same_state: found == wanted && restored.backup == taken,
    })
}

fn ms(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// A file that cannot be written to when the leash is let go.
struct OnLeash {
    file: std::fs::File,
    leash: Leashed,
}

impl Write for OnLeash {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.leash.check().map_err(std::io::Error::other)?;
        self.file.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

async fn take(
    frozen: Frozen,
    at: UnixMs,
    file: &Path,
    leash: Leashed,
) -> Result<Backup, OfflineFault> {
    let path = file.to_owned();
    let write = move || {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let file = options.open(&path)?;
        let mut out = OnLeash { file, leash };
        let taken = backup::write(&frozen, at, &mut out);
        out.file.sync_all()?;
        Ok(taken)
    };
    let taken = blocking(write).await;
    Ok(taken.map_err(OfflineFault::file("write", file))??)
}

async fn start(dir: &Path) -> Result<Master, OfflineFault> {
    let config = MasterConfig {
        data_dir: dir.to_owned(),
        credentials: Credentials::load(dir)?.into(),
        timing: Timing::default(),
        history: HistoryLimits::default(),
        knows: ClusterVersion::CURRENT,
    };
    Ok(Master::start(config).await?)
}

/// The restored cluster must have its state, answer, and accept a write. Milliseconds from `begun` to the answer, and
/// from there to the write.
async fn answer(
    alone: &Master,
    restored: &Restored,
    begun: Instant,
) -> Result<(u64, u64), OfflineFault> {
    let first = alone.local();
    if (first.index, StateHash::of(&first.state)) != (restored.index, restored.hash) {
        let text = format!("its rows give another state after entry {}", first.index);
        return Err(OfflineFault::Differs(text));
    }
    let frozen = alone.read(ANSWER_DEADLINE).await?;
    let restore_ms = ms(begun);
    let begun = Instant::now();
    let (actor, command) = write_of(&frozen.state)?;
    let request = RequestId(rand::random());
    let written = alone.propose(actor, request, command, ANSWER_DEADLINE);
    let refused = |fault| OfflineFault::Differs(format!("it accepts no write ({fault})"));
    let receipt = written.await.map_err(refused)?;
    let after = alone.wait_applied(receipt.index, ANSWER_DEADLINE).await?;
    if after.state.join_tokens.len() != frozen.state.join_tokens.len() + 1 {
        let text = "it accepted a write that had no effect".to_owned();
        return Err(OfflineFault::Differs(text));
    }
    Ok((restore_ms, ms(begun)))
}

/// An invitation that nobody gets, from whoever may make one.
fn write_of(state: &State) -> Result<(Actor, Command), OfflineFault> {
    let admin = state.users.values().find(|user| user.role == Role::Admin);
    let nobody = || OfflineFault::Differs("it has no admin".to_owned());
    let command = Command::CreateJoinToken {
        secret_hash: SecretHash(rand::random()),
        role: JoinRole::Agent,
        ttl_ms: 3_600_000,
        uses: 1,
    };
    Ok((Actor::User(admin.ok_or_else(nobody)?.id), command))
}
