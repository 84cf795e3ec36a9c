//! Names, addresses and files of a dev cluster: everything follows from its directory and its number.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// A dev cluster.
pub struct Layout {
    pub dir: PathBuf,
    instance: u8,
}

/// One of its masters.
pub struct DevMaster {
    pub name: String,
    pub dir: PathBuf,
    pub cluster: SocketAddr,
    pub public: SocketAddr,
}

/// One of its workers.
pub struct DevWorker {
    pub name: String,
    pub dir: PathBuf,
    /// Its network namespace.
    pub namespace: String,
    /// Its device in the namespace of the machine, on the bridge between workers.
    pub device: String,
    pub address: Ipv4Addr,
    pub data: SocketAddr,
    pub cgroup: String,
}

impl Layout {
    /// Browsers take every name below it for this machine.
    pub const SERVICES: &str = "apps.localhost";

    /// Its processes run in directories of their own, so the path is made whole here.
    pub fn new(dir: &Path, instance: u8) -> std::io::Result<Self> {
        let dir = std::path::absolute(dir)?;
        Ok(Self { dir, instance })
    }

    fn port(&self, base: u16, number: u8) -> u16 {
        base + u16::from(self.instance) * 10 + u16::from(number)
    }

    fn address(&self, host: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 211, self.instance, host)
    }

    /// The bridge that stands for the network between machines; the masters are on its own address.
    pub fn bridge(&self) -> String {
        format!("dkdev{}", self.instance)
    }

    pub fn bridge_address(&self) -> Ipv4Addr {
        self.address(1)
    }

    /// The address that all masters share.
    pub fn portal(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port(8_440, 3)).into()
    }

    /// The address at which all masters serve what is opened in browsers.
    pub fn services(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port(8_440, 7)).into()
    }

    pub fn masters(&self) -> Vec<DevMaster> {
        let master = |number: u8| DevMaster {
            name: format!("m{number}"),
            dir: self.dir.join(format!("m{number}")),
            cluster: (self.bridge_address(), self.port(7_000, number)).into(),
            public: (Ipv4Addr::LOCALHOST, self.port(8_440, 3 + number)).into(),
        };
        (1..=3).map(master).collect()
    }

    pub fn workers(&self) -> Vec<DevWorker> {
        let worker = |number: u8| {
            let address = self.address(10 + number);
            DevWorker {
                name: format!("w{number}"),
                dir: self.dir.join(format!("w{number}")),
                namespace: format!("dkdev{}-w{number}", self.instance),
                device: format!("dkdev{}w{number}", self.instance),
                address,
                data: (address, 7_443).into(),
                cgroup: format!("dkdev{}-w{number}", self.instance),
            }
        };
        (1..=2).map(worker).collect()
    }

    pub fn process_names(&self) -> Vec<String> {
        let masters = self.masters().into_iter().map(|master| master.name);
        masters
            .chain(self.workers().into_iter().map(|worker| worker.name))
            .collect()
    }

    pub fn pid_file(&self, name: &str) -> PathBuf {
        self.dir.join("run").join(format!("{name}.pid"))
    }

    pub fn log_file(&self, name: &str) -> PathBuf {
        self.dir.join("log").join(format!("{name}.log"))
    }

    pub fn password_file(&self) -> PathBuf {
        self.dir.join("admin-password")
    }

    pub fn ca_file(&self) -> PathBuf {
        self.dir.join("ca.pem")
    }
}
