//! The first master of a new cluster, from a backup. All is made beside the directory and gets its name at the end:
//! so there is a whole master or none.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use docklet_control::id::{LogIndex, MasterId, UnixMs};
use docklet_control::model::ClusterId;
use docklet_control::rows::StateHash;
use docklet_control::{Command, State, generation};
use docklet_link::authority::SigningRequest;
use docklet_link::credentials::{private_dir, write_private};
use docklet_link::identity::{Identity, PeerRole};
use docklet_link::{Authority, Credentials};

use super::stopped::make;
use super::{OfflineFault, begin};
use crate::backup::{self, Backup, BackupFault};
use crate::disk::HostDisk;
use crate::master::STORE_DIR;
use crate::store::blocking;

/// What the new cluster's only master is.
#[derive(Clone, Debug)]
pub struct NewMaster {
    pub name: String,
    pub cluster_addr: String,
    pub public_addr: String,
    /// Further files of its directory, with their names.
    pub files: Vec<(String, Vec<u8>)>,
}

/// A cluster that was made.
#[derive(Clone, Debug)]
pub struct Restored {
    pub backup: Backup,
    pub cluster: ClusterId,
    pub master: MasterId,
    /// The entry with which it begins.
    pub index: LogIndex,
    /// Fingerprint of its state after that.
    pub hash: StateHash,
}

/// Makes the first master of a new cluster in `dir`, which must be empty or not there, from the backup in `file`.
///
/// # Errors
/// The file is refused, or the directory cannot be used. Nothing is made then.
pub async fn restore(
    file: &Path,
    dir: &Path,
    new: NewMaster,
    at: UnixMs,
) -> Result<Restored, OfflineFault> {
    let (file, dir) = (file.to_owned(), dir.to_owned());
    let handle = tokio::runtime::Handle::current();
    let restoring = move || Ok(restore_blocking(&file, &dir, &new, at, &handle));
    let made = blocking(restoring).await;
    made.map_err(OfflineFault::file("restore in a thread", ""))?
}

fn restore_blocking(
    file: &Path,
    dir: &Path,
    new: &NewMaster,
    at: UnixMs,
    handle: &tokio::runtime::Handle,
) -> Result<Restored, OfflineFault> {
    refuse_used(dir)?;
    let (backup, state) = read(file)?;
    let index = generation::next(backup.header.index);
    let cluster = ClusterId(rand::random());
    let command = Command::RestoreCluster {
        cluster,
        last: backup.header.index,
        master_name: new.name.clone(),
        cluster_addr: new.cluster_addr.clone(),
        public_addr: new.public_addr.clone(),
    };
    let state = begin(&state, index, at, command)?.state;
    let staging = Staging::make(dir)?;
    let identity = Identity {
        role: PeerRole::Master,
        id: index.0,
        cluster: cluster.0,
    };
    write_credentials(&staging.path, identity)?;
    for (name, content) in &new.files {
        write_private(&staging.path.join(name), content)?;
    }
    let hash = handle.block_on(write_store(&staging.path, new, index, state))?;
    staging.name_it(dir)?;
    Ok(Restored {
        backup,
        cluster,
        master: MasterId(index.0),
        index,
        hash,
    })
}

/// Reads the file twice: first all of it, keeping nothing, then the state.
fn read(file: &Path) -> Result<(Backup, State), OfflineFault> {
    let open = || {
        let opened = File::open(file).map_err(OfflineFault::file("read", file))?;
        Ok::<_, OfflineFault>(BufReader::with_capacity(1 << 16, opened))
    };
    let verified = backup::verify(open()?)?;
    let (loaded, state) = match backup::load(open()?) {
        Err(BackupFault::Unsound { broken }) => return Err(BackupFault::Unsound { broken }.into()),
        Err(_) => return Err(OfflineFault::Changed),
        Ok(loaded) => loaded,
    };
    if loaded != verified {
        return Err(OfflineFault::Changed);
    }
    Ok((loaded, state))
}

fn refuse_used(dir: &Path) -> Result<(), OfflineFault> {
    match fs::read_dir(dir) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(OfflineFault::Used {
                dir: dir.to_owned(),
            }),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(OfflineFault::file("look into", dir)(error)),
    }
}

fn write_credentials(dir: &Path, identity: Identity) -> Result<(), OfflineFault> {
    let authority = Authority::create(identity.cluster)?;
    let signing = SigningRequest::new()?;
    let own = authority.sign(&signing.csr_pem, identity)?;
    let (ca, ca_key) = (authority.certificate_pem(), Some(authority.key_pem()));
    Ok(Credentials::store(dir, ca, &own, &signing.key_pem, ca_key)?)
}

async fn write_store(
    dir: &Path,
    new: &NewMaster,
    index: LogIndex,
    state: State,
) -> Result<StateHash, OfflineFault> {
    let store = dir.join(STORE_DIR);
    let disk = HostDisk::open(&store).map_err(OfflineFault::file("make", &store))?;
    let master = MasterId(index.0);
    let address = new.cluster_addr.clone();
    let frozen = make(Arc::new(disk), master, address, index, state).await?;
    Ok(frozen.hash())
}

/// Where a master is made; removed again unless it gets its name.
struct Staging {
    path: PathBuf,
    named: bool,
}

impl Staging {
    fn make(dir: &Path) -> Result<Self, OfflineFault> {
        let nameless = || OfflineFault::Nameless {
            dir: dir.to_owned(),
        };
        let mut name = dir.file_name().ok_or_else(nameless)?.to_owned();
        name.push(".restoring");
        let path = dir.with_file_name(name);
        if let Some(parent) = parent(dir) {
            private_dir(parent)?;
        }
        match fs::create_dir(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(OfflineFault::Staged { dir: path });
            }
            Err(error) => return Err(OfflineFault::file("make", &path)(error)),
        }
        let staging = Self { path, named: false };
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        fs::set_permissions(&staging.path, private)
            .map_err(OfflineFault::file("protect", &staging.path))?;
        Ok(staging)
    }

    /// Gives what was made the name of `dir`, for good. An empty directory of that name gives way; one in which
    /// something appeared meanwhile does not.
    fn name_it(mut self, dir: &Path) -> Result<(), OfflineFault> {
        let sync = |path: &Path| File::open(path).and_then(|opened| opened.sync_all());
        sync(&self.path).map_err(OfflineFault::file("sync", &self.path))?;
        fs::rename(&self.path, dir).map_err(OfflineFault::file("make", dir))?;
        self.named = true;
        let parent = parent(dir).unwrap_or(Path::new("."));
        sync(parent).map_err(OfflineFault::file("sync", parent))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.named {
            // What cannot be removed stays, under a name that nobody takes for a master's.
            drop(fs::remove_dir_all(&self.path));
        }
    }
}

fn parent(dir: &Path) -> Option<&Path> {
    dir.parent().filter(|parent| !parent.as_os_str().is_empty())
}
