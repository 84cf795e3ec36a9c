//! A big state, made by the commands that would make it in life: workers, an image, accounts, their vclusters, and a
//! place for each vnode.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use docklet_control::amount::{CpuMilli, DiskMib, MemoryMib, VnodeSize};
use docklet_control::id::{Digest, MasterId, SecretHash, UserId, VnodeId, WorkerId};
use docklet_control::model::receipt::Subject;
use docklet_control::model::{ImageSpec, JoinRole, Role, Vcluster, WorkerCapacity, WorkerStatus};
use docklet_control::{Actor, Command};
use docklet_raft::StoreClient;

use crate::cluster::ADMIN;

/// An entry with a thousand vnodes may take a while where others build.
const PATIENCE: Duration = Duration::from_secs(60);
/// Vnodes that one entry places.
const PLACED_AT_ONCE: usize = 500;
const IMAGE: &str = "base";

/// Smallest of all, so that any worker takes many.
const SIZE: VnodeSize = VnodeSize {
    cpu_milli: CpuMilli(10),
    memory_mib: MemoryMib(4),
    pids_max: 8,
};

/// Puts things into a cluster that has none yet.
pub struct Fixture<'c> {
    client: &'c StoreClient,
}

impl<'c> Fixture<'c> {
    #[must_use]
    pub fn of(client: &'c StoreClient) -> Self {
        Self { client }
    }

    /// Makes so many vnodes and places them, a thousand for each account and worker.
    pub async fn vnodes(&self, count: u64) -> anyhow::Result<()> {
        let each = u64::from(Vcluster::VNODES_MAX);
        let sets = count.div_ceil(each);
        let token = self.token(u32::try_from(sets)?).await?;
        let mut first = 1;
        for set in 0..sets {
            let worker = self.worker(set, token).await?;
            if set == 0 {
                self.image(worker).await?;
            }
            let some = each.min(count - set * each);
            let owner = self.user(&format!("owner-{set}")).await?;
            self.vcluster(owner, u32::try_from(some)?).await?;
            self.place(first..first + some, worker).await?;
            first += some;
        }
        Ok(())
    }

    async fn propose(&self, actor: Actor, command: Command) -> anyhow::Result<Subject> {
        let (request, name) = (self.client.new_request().await?, command.name());
        let proposed = self.client.propose(actor, request, command, PATIENCE).await;
        let receipt = proposed.context(name)?;
        match receipt.accepted() {
            Ok(subject) => Ok(subject.clone()),
            Err(refusal) => Err(refusal.clone()).context(name),
        }
    }

    async fn token(&self, uses: u32) -> anyhow::Result<SecretHash> {
        let secret_hash = SecretHash(rand::random());
        let command = Command::CreateJoinToken {
            secret_hash,
            role: JoinRole::Agent,
            ttl_ms: 24 * 3_600_000,
            uses,
        };
        self.propose(ADMIN, command).await?;
        Ok(secret_hash)
    }

    /// A worker that is up until its lease ends: nobody speaks for it.
    async fn worker(&self, number: u64, secret_hash: SecretHash) -> anyhow::Result<WorkerId> {
        let command = Command::JoinWorker {
            secret_hash,
            name: format!("worker-{number}"),
            data_addr: "10.0.0.1:7443".to_owned(),
            underlay: IpAddr::from([10, 0, 0, 1]),
            capacity: WorkerCapacity {
                cpu_milli: CpuMilli(256_000),
                memory_mib: MemoryMib(1 << 20),
                disk_mib: DiskMib(1 << 20),
                gpus: Vec::new(),
            },
        };
        let door = Actor::Door(MasterId(1));
        let Subject::Worker(worker) = self.propose(door, command).await? else {
            bail!("joining made no worker");
        };
        let status = WorkerStatus::Up;
        let command = Command::MarkWorker {
            worker: worker.id,
            status,
        };
        self.propose(Actor::Duty, command).await?;
        Ok(worker.id)
    }

    async fn image(&self, held_by: WorkerId) -> anyhow::Result<()> {
        let command = Command::RegisterImage {
            name: IMAGE.to_owned(),
            digest: Digest([7; 32]),
            blob_bytes: 1,
            spec: ImageSpec::default(),
            description: String::new(),
            held_by,
        };
        self.propose(ADMIN, command).await?;
        Ok(())
    }

    /// An account.
    pub async fn user(&self, name: &str) -> anyhow::Result<UserId> {
        let command = Command::CreateUser {
            name: name.to_owned(),
            role: Role::User,
            password_hash: "x".repeat(97),
        };
        let Subject::User(id) = self.propose(ADMIN, command).await? else {
            bail!("making an account made none");
        };
        Ok(id)
    }

    async fn vcluster(&self, owner: UserId, vnodes: u32) -> anyhow::Result<()> {
        let command = Command::CreateVcluster {
            name: "many".to_owned(),
            image: IMAGE.to_owned(),
            vnodes,
            size: SIZE,
        };
        self.propose(Actor::User(owner), command).await?;
        Ok(())
    }

    async fn place(&self, ids: std::ops::Range<u64>, worker: WorkerId) -> anyhow::Result<()> {
        let all: Vec<(VnodeId, WorkerId)> = ids.map(|id| (VnodeId(id), worker)).collect();
        for placed in all.chunks(PLACED_AT_ONCE) {
            let command = Command::PlaceVnodes {
                placed: placed.to_vec(),
                unplaced: Vec::new(),
            };
            self.propose(Actor::Duty, command).await?;
        }
        Ok(())
    }
}
