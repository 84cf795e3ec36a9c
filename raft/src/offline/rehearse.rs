//! Trying out a backup: it is taken of a running cluster, restored beside it as a cluster of one master that nobody
//! can reach, and must have the same state and accept a write.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use docklet_control::id::{LogIndex, RequestId, SecretHash, UnixMs};
use docklet_control::model::{JoinRole, Role};
use docklet_control::rows::StateHash;
use docklet_control::{Actor, Command, State};
use docklet_link::Credentials;

use super::{NewMaster, OfflineFault, Restored, restore};
use crate::backup::{self, Backup};
use crate::master::{Master, MasterConfig};
use crate::settings::Timing;
use crate::store::rows::HistoryLimits;
use crate::store::{Frozen, blocking};

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

/// Takes a backup of what `master` has now into `scratch`, which must not be there, restores it in there, and lets the
/// cluster that comes of it accept a write. Removes `scratch`.
///
/// # Errors
/// The first step that failed.
pub async fn rehearse(master: &Master, scratch: &Path) -> Result<Rehearsal, OfflineFault> {
    let made = docklet_link::credentials::private_dir(scratch);
    let rehearsed = match made {
        Ok(()) => rehearse_in(master, scratch).await,
        Err(fault) => Err(fault.into()),
    };
    let path = scratch.to_owned();
    let removed = blocking(move || Ok(std::fs::remove_dir_all(path)?)).await;
    let rehearsal = rehearsed?;
    removed.map_err(OfflineFault::file("remove", scratch))?;
    Ok(rehearsal)
}

async fn rehearse_in(master: &Master, scratch: &Path) -> Result<Rehearsal, OfflineFault> {
    let (frozen, at) = (master.local(), master.now());
    let file = scratch.join("rehearsal.backup");
    let begun = Instant::now();
    let taken = take(frozen.clone(), at, &file).await?;
    let backup_ms = ms(begun);
    let begun = Instant::now();
    let dir = scratch.join("master");
    let new = NewMaster {
        name: "rehearsal".to_owned(),
        cluster_addr: "127.0.0.1:1".to_owned(),
        public_addr: "127.0.0.1:2".to_owned(),
        files: Vec::new(),
    };
    let restored = restore(&file, &dir, new, at).await?;
    let alone = start(&dir).await?;
    let answered = answer(&alone, &restored, begun).await;
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

async fn take(frozen: Frozen, at: UnixMs, file: &Path) -> Result<Backup, OfflineFault> {
    let path = file.to_owned();
    let write = move || {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let mut out = options.open(&path)?;
        let taken = backup::write(&frozen, at, &mut out);
        out.sync_all()?;
        Ok(taken)
    };
    let taken = blocking(write).await;
    Ok(taken.map_err(OfflineFault::file("write", file))??)
}

async fn start(dir: &Path) -> Result<Master, OfflineFault> {
    let config = MasterConfig {
        data_dir: dir.to_owned(),
        credentials: Credentials::load(dir)?,
        timing: Timing::default(),
        history: HistoryLimits::default(),
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
