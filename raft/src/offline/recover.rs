//! The one master that is left when the others are lost for ever: what it has, and letting it go on alone.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use docklet_control::id::{LogIndex, MasterId, UnixMs};
use docklet_control::model::{ClusterId, Master};
use docklet_link::identity::{Identity, PeerRole};
use docklet_link::tls::Expect;
use docklet_link::{Credentials, Dialer, Own, Purpose};

use super::OfflineFault;
use super::stopped::Stopped;
use crate::disk::HostDisk;
use crate::master::STORE_DIR;
use crate::store::blocking;
use crate::store::rows;
use crate::world::machine_clock;

/// Another master that lives answers within this.
const ANSWER_DEADLINE: Duration = Duration::from_secs(2);

/// A master that does not run, and what it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survivor {
    pub dir: PathBuf,
    pub cluster: ClusterId,
    pub cluster_name: String,
    pub master: MasterId,
    pub name: String,
    /// The term and the index of its last entry: the survivor in which they are highest has everything that any of
    /// the others has.
    pub term: u64,
    pub last: LogIndex,
    /// When the last entry was stamped; none if no entry since the last checkpoint says so.
    pub at: Option<UnixMs>,
    /// The entry up to which its state is on disk. The entries after it are taken from the log.
    pub checkpoint: LogIndex,
    /// The other masters that it knows.
    pub others: Vec<Master>,
    /// Who votes, as far as it knows.
    pub voters: Vec<MasterId>,
}

impl Survivor {
    /// What decides which of several survivors has most.
    #[must_use]
    pub fn rank(&self) -> (u64, LogIndex) {
        (self.term, self.last)
    }
}

/// Looks at the master in `dir`, which must not run, and changes nothing.
///
/// # Errors
/// There is none, it runs, or its files are damaged.
pub async fn inspect(dir: &Path) -> Result<Survivor, OfflineFault> {
    let (identity, mut stopped) = open(dir).await?;
    look(dir, identity, &mut stopped).await
}

/// Lets the master in `dir`, which must not run, go on alone for ever: what the others had after the entry
/// `accepted`, its last, is lost. Answers the entry with which it goes on.
///
/// # Errors
/// As [`inspect`]; it need not be recovered; another master answers; or its log does not end with `accepted`.
pub async fn recover(
    dir: &Path,
    accepted: LogIndex,
    at: UnixMs,
) -> Result<(Survivor, LogIndex), OfflineFault> {
    let (identity, mut stopped) = open(dir).await?;
    let survivor = look(dir, identity, &mut stopped).await?;
    if survivor.voters == [survivor.master] {
        let name = survivor.name;
        return Err(OfflineFault::NotNeeded { name });
    }
    if survivor.last != accepted {
        return Err(OfflineFault::AcceptDiffers {
            given: accepted,
            last: survivor.last,
        });
    }
    refuse_the_living(dir, identity, &survivor.others).await?;
    let begun = stopped.go_on_alone(survivor.master, at).await?;
    Ok((survivor, begun))
}

async fn open(dir: &Path) -> Result<(Identity, Stopped), OfflineFault> {
    let store = dir.join(STORE_DIR);
    let there = dir.join("own.key").is_file() && store.join(rows::FILE).is_file();
    let identity = there.then(|| Credentials::load(dir)).transpose()?;
    let identity = identity.map(|own| own.identity);
    let identity = identity.filter(|own| own.role == PeerRole::Master);
    let identity = identity.ok_or_else(|| OfflineFault::NoMaster {
        dir: dir.to_owned(),
    })?;
    let path = store.clone();
    let disk = blocking(move || Ok(HostDisk::open(&path)?)).await;
    let disk = disk.map_err(OfflineFault::file("open", store))?;
    Ok((identity, Stopped::open(Arc::new(disk)).await?))
}

async fn look(
    dir: &Path,
    identity: Identity,
    stopped: &mut Stopped,
) -> Result<Survivor, OfflineFault> {
    let tail = stopped.tail().await?;
    let (dir, master) = (dir.to_owned(), MasterId(identity.id));
    let own = tail.state.masters.get(&master);
    let (Some(own), Some(settings)) = (own, &tail.state.settings) else {
        let master = identity.id;
        return Err(OfflineFault::NotAMember { dir, master });
    };
    let others = tail.state.masters.values().filter(|m| m.id != master);
    let voters = tail.membership.membership().voter_ids().map(MasterId);
    Ok(Survivor {
        dir,
        cluster: settings.cluster,
        cluster_name: settings.name.to_string(),
        master,
        name: own.name.to_string(),
        term: stopped.last.committed_leader_id().term,
        last: LogIndex(stopped.last.index()),
        at: tail.at,
        checkpoint: stopped.checkpoint(),
        others: others.cloned().collect(),
        voters: voters.collect(),
    })
}

/// A master that answers is not lost: going on without it would make two clusters of one.
async fn refuse_the_living(
    dir: &Path,
    own: Identity,
    others: &[Master],
) -> Result<(), OfflineFault> {
    let own_now = Own::load(dir)?;
    // With one that has ended nobody would answer, however alive.
    own_now.renew_if_due(&Credentials::authority(dir)?, machine_clock()().0)?;
    let dialer = Dialer::new(own_now);
    let asked = others.iter().map(async |other| {
        let expect = Expect::Exactly(Identity {
            id: other.id.0,
            ..own
        });
        let dialled = dialer.dial(&other.cluster_addr, expect, Purpose::Standing);
        match tokio::time::timeout(ANSWER_DEADLINE, dialled).await {
            Ok(Ok(_)) => Some(other),
            Ok(Err(_)) | Err(_) => None,
        }
    });
    let answered = futures_util::future::join_all(asked).await;
    match answered.into_iter().flatten().next() {
        None => Ok(()),
        Some(living) => Err(OfflineFault::Answers {
            name: living.name.to_string(),
            addr: living.cluster_addr.clone(),
        }),
    }
}
