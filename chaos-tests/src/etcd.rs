//! The peer: Debian's etcd-server with its defaults, three members in namespaces like our masters, without TLS.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, bail};

use crate::cluster::PATIENCE;
use crate::etcd_client::EtcdClient;
use crate::members::{Members, target_dir};

/// Some etcd members, numbered from 0.
pub struct Etcd {
    program: PathBuf,
    members: Members,
}

impl Etcd {
    /// Three members with a leader.
    pub async fn start() -> anyhow::Result<Self> {
        let program = target_dir()?.join("peers/usr/bin/etcd");
        if !program.is_file() {
            bail!("etcd is missing: run scripts/setup-bench first");
        }
        let mut etcd = Self {
            program,
            members: Members::prepare(3)?,
        };
        for member in 0..3 {
            etcd.run(member)?;
        }
        etcd.leader().await?;
        Ok(etcd)
    }

    fn url(&self, member: usize, port: u16) -> String {
        format!("http://{}:{port}", self.members.network().address(member))
    }

    /// Starts a member that does not run.
    pub fn run(&mut self, member: usize) -> anyhow::Result<()> {
        let all: Vec<String> = (0..self.members.count())
            .map(|other| format!("e{other}={}", self.url(other, 2380)))
            .collect();
        let data = self.members.dir().join(format!("e{member}"));
        let mut command = self.members.command(member, &self.program);
        command.arg("--name").arg(format!("e{member}"));
        command.arg("--data-dir").arg(data);
        let (clients, peers) = (self.url(member, 2379), self.url(member, 2380));
        for (flag, value) in [
            ("--listen-client-urls", &clients),
            ("--advertise-client-urls", &clients),
            ("--listen-peer-urls", &peers),
            ("--initial-advertise-peer-urls", &peers),
            ("--initial-cluster", &all.join(",")),
        ] {
            command.arg(flag).arg(value);
        }
        command.args(["--initial-cluster-state", "new", "--log-level", "error"]);
        self.members.start(member, command)
    }

    /// Its processes.
    pub fn processes(&mut self) -> &mut Members {
        &mut self.members
    }

    /// Where a member serves clients.
    #[must_use]
    pub fn addr(&self, member: usize) -> String {
        format!("{}:2379", self.members.network().address(member))
    }

    /// A client of one member, with one connection.
    pub async fn client_of(&self, member: usize) -> anyhow::Result<EtcdClient> {
        EtcdClient::connect(&self.addr(member)).await
    }

    /// Waits until a member says that it leads.
    pub async fn leader(&self) -> anyhow::Result<usize> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            for member in self.members.running() {
                if self.leads(member).await.unwrap_or(false) {
                    return Ok(member);
                }
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        bail!(
            "no leader of etcd within {PATIENCE:?}{}",
            self.members.logs()
        )
    }

    async fn leads(&self, member: usize) -> anyhow::Result<bool> {
        let ask = async { self.client_of(member).await?.leads().await };
        let within = std::time::Duration::from_millis(500);
        tokio::time::timeout(within, ask)
            .await
            .context("no answer")?
    }

    /// Waits until every member that should run answers a read that needs a quorum.
    pub async fn healthy(&self) -> anyhow::Result<()> {
        for member in self.members.running() {
            let begun = Instant::now();
            loop {
                let read = async { self.client_of(member).await?.get(b"health").await };
                let within = std::time::Duration::from_secs(1);
                match tokio::time::timeout(within, read).await {
                    Ok(Ok(_)) => break,
                    Ok(Err(_)) | Err(_) if begun.elapsed() < PATIENCE => {
                        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                    }
                    Ok(Err(error)) => return Err(error),
                    Err(_) => bail!("member {member} of etcd does not answer"),
                }
            }
        }
        Ok(())
    }
}
