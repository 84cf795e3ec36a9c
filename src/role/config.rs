//! Configuration files. An unknown or wrong key is an error that names file, line and what is allowed; each key can
//! be overridden by the environment, as `DOCKLET_` and its name in capitals.

pub mod bounds;
mod certificates;
mod services;

pub use certificates::{cluster_certificate_s, own_certificate_s};

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use docklet_agent::gpu::GpuSettings;
use docklet_agent::home::Homes;
use docklet_agent::limits::IoLimit;
use docklet_raft::{HistoryLimits, Timing};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::exit::{Class, Failure};

/// `master.toml`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MasterFile {
    /// Name for people.
    pub name: String,
    /// Where masters and agents connect.
    pub cluster_listen: SocketAddr,
    /// Where people and programs connect; several masters of one machine may share one address.
    pub public_listen: Vec<SocketAddr>,
    /// Names and addresses that the public certificate is good for.
    pub public_names: Vec<String>,
    /// Services of vnodes have names below this one, as `s7.apps.example.org`; they are not opened in browsers if absent.
    pub proxy_domain: Option<String>,
    /// Where browsers connect for services; where they connect for the portal if empty.
    #[serde(default)]
    pub proxy_listen: Vec<SocketAddr>,
    /// Port of services' links; that of the first listener for them if absent.
    pub proxy_port: Option<u16>,
    /// Where the portal is for browsers, as `https://cloud.example.org`; its last listener if absent.
    pub portal_url: Option<String>,
    /// PEM file with a certificate that somebody else issued for the public names, and those that lead to its
    /// authority; looked at again and again.
    #[serde(default)]
    pub public_certificate: Option<PathBuf>,
    /// PEM file with its key.
    #[serde(default)]
    pub public_key: Option<PathBuf>,
    /// How long public certificates of the cluster's own authority are good for, in seconds.
    #[serde(default = "own_certificate_s")]
    pub own_certificate_s: u64,
    /// How long certificates between masters and workers are good for that this master issues, in seconds.
    #[serde(default = "cluster_certificate_s")]
    pub cluster_certificate_s: u64,
    /// Raft's heartbeat.
    #[serde(default = "heartbeat_ms")]
    pub heartbeat_ms: u64,
    /// Shortest election timeout.
    #[serde(default = "election_min_ms")]
    pub election_min_ms: u64,
    /// Longest election timeout. Must be well above what a disk sync takes.
    #[serde(default = "election_max_ms")]
    pub election_max_ms: u64,
    /// How much of the past is kept for looking back, in MiB; the oldest goes first.
    #[serde(default = "history_mib")]
    pub history_mib: u64,
    /// How far the past is kept for looking back, in days.
    #[serde(default = "history_days")]
    pub history_days: u64,
    /// Live pages and streams of events that one person may have open at this master.
    #[serde(default = "bounds::streams_per_person")]
    pub streams_per_person: u32,
    /// Terminals and running programs of one person.
    #[serde(default = "bounds::terminals_per_person")]
    pub terminals_per_person: u32,
    /// Files and images that one person has on their way.
    #[serde(default = "bounds::transfers_per_person")]
    pub transfers_per_person: u32,
    /// Connections of one person to ports and services of vnodes.
    #[serde(default = "bounds::tunnels_per_person")]
    pub tunnels_per_person: u32,
    /// From one address comes at most what so many persons may have.
    #[serde(default = "bounds::persons_per_address")]
    pub persons_per_address: u32,
    /// Connections from one address, also of who has not logged in.
    #[serde(default = "bounds::connections_per_address")]
    pub connections_per_address: u32,
    /// Connections from everywhere.
    #[serde(default = "bounds::connections_max")]
    pub connections_max: u32,
}

impl MasterFile {
    pub fn timing(&self) -> Timing {
        Timing {
            heartbeat_ms: self.heartbeat_ms,
            election_min_ms: self.election_min_ms,
            election_max_ms: self.election_max_ms,
        }
    }

    pub fn history(&self) -> HistoryLimits {
        HistoryLimits {
            bytes_max: self.history_mib.saturating_mul(1 << 20),
            age_ms_max: self.history_days.saturating_mul(DAY_MS),
        }
    }
}

const DAY_MS: u64 = 24 * 3_600_000;

pub fn history_mib() -> u64 {
    HistoryLimits::default().bytes_max >> 20
}

pub fn history_days() -> u64 {
    HistoryLimits::default().age_ms_max / DAY_MS
}

fn heartbeat_ms() -> u64 {
    Timing::default().heartbeat_ms
}

fn election_min_ms() -> u64 {
    Timing::default().election_min_ms
}

fn election_max_ms() -> u64 {
    Timing::default().election_max_ms
}

/// `agent.toml`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentFile {
    /// Cluster listeners of masters to begin with.
    pub masters: Vec<String>,
    /// Where terminals, exec and images are served.
    pub data_listen: SocketAddr,
    /// Local end of VXLAN tunnels.
    pub underlay: IpAddr,
    /// First component of the containers' cgroups.
    #[serde(default = "cgroup_prefix")]
    pub cgroup_prefix: String,
    /// Lets this machine's processes move between cgroups without waiting, for a little more at each fork and exit.
    #[serde(default = "favour_cgroup_moves")]
    pub favour_cgroup_moves: bool,
    /// Memory to offer; all that there is if absent.
    pub memory_mib: Option<u32>,
    /// CPU to offer, in thousandths of a core; all that there is if absent.
    pub cpu_milli: Option<u32>,
    /// Disk to offer, in MiB; the whole file system of the agent's files if absent.
    pub disk_mib: Option<u64>,
    /// What each vnode may read from and write to this machine's disk, each way, in MiB a second.
    #[serde(default = "vnode_io_mib_per_s")]
    pub vnode_io_mib_per_s: u64,
    /// The same in operations a second.
    #[serde(default = "vnode_io_operations_per_s")]
    pub vnode_io_operations_per_s: u64,
    /// A terminal at which nobody has looked for so long is ended, in seconds: a week if absent.
    #[serde(default = "terminal_alone_s")]
    pub terminal_alone_s: u64,
    /// What is left of an upload with which nobody went on for so long is deleted, in seconds: a day if absent.
    #[serde(default = "uploads_kept_s")]
    pub uploads_kept_s: u64,
    /// What files of vnodes may take on their way to other workers while the vnodes run, all together, in MiB a second; as much as there is if absent.
    pub move_mib_per_s: Option<NonZeroU64>,
    /// Where users' shared homes are; a directory of this worker's own if absent.
    #[serde(default)]
    pub home_dir: Option<PathBuf>,
    /// A file system must be mounted right there: vnodes do not start while it is not.
    #[serde(default)]
    pub home_mounted: bool,
    /// NVIDIA's management library, by name or whole path; empty for a worker that offers no GPUs.
    #[serde(default = "nvml_library")]
    pub nvml_library: PathBuf,
    /// Where the device nodes of GPUs are.
    #[serde(default = "gpu_dev_dir")]
    pub gpu_dev_dir: PathBuf,
    /// Where the driver's libraries and `nvidia-smi` are that vnodes see; wherever this machine's loader finds them if absent.
    #[serde(default)]
    pub gpu_driver_dir: Option<PathBuf>,
}

impl AgentFile {
    /// Where homes are, for an agent whose files are in `dir`.
    ///
    /// # Errors
    /// The keys contradict each other.
    pub fn homes(&self, dir: &Path) -> anyhow::Result<Homes> {
        let invalid = |text: String| Err(Failure::new(Class::Invalid, text).into());
        match &self.home_dir {
            None if self.home_mounted => invalid(
                "agent.toml: home_mounted without home_dir: say in home_dir where it is mounted"
                    .to_owned(),
            ),
            Some(home) if !home.is_absolute() => invalid(format!(
                "agent.toml: home_dir {} is not absolute",
                home.display()
            )),
            Some(home) => Ok(Homes {
                dir: home.clone(),
                mounted: self.home_mounted,
            }),
            None => Ok(Homes {
                dir: dir.join("state").join("homes"),
                mounted: false,
            }),
        }
    }
}

impl AgentFile {
    /// Where the driver of GPUs is.
    ///
    /// # Errors
    /// A directory is not told by its whole path.
    pub fn gpus(&self) -> anyhow::Result<GpuSettings> {
        let dirs = [
            ("gpu_dev_dir", Some(&self.gpu_dev_dir)),
            ("gpu_driver_dir", self.gpu_driver_dir.as_ref()),
        ];
        for (key, dir) in dirs {
            if let Some(dir) = dir.filter(|dir| !dir.is_absolute()) {
                let text = format!("agent.toml: {key} {} is not absolute", dir.display());
                return Err(Failure::new(Class::Invalid, text).into());
            }
        }
        let library = &self.nvml_library;
        Ok(GpuSettings {
            library: (!library.as_os_str().is_empty()).then(|| library.clone()),
            dev_dir: self.gpu_dev_dir.clone(),
            driver_dir: self.gpu_driver_dir.clone(),
        })
    }
}

pub fn nvml_library() -> PathBuf {
    GpuSettings::LIBRARY.into()
}

pub fn gpu_dev_dir() -> PathBuf {
    GpuSettings::DEV_DIR.into()
}

pub fn terminal_alone_s() -> u64 {
    7 * 24 * 3_600
}

pub fn uploads_kept_s() -> u64 {
    24 * 3_600
}

pub fn vnode_io_mib_per_s() -> u64 {
    IoLimit::default().bytes_per_s >> 20
}

pub fn vnode_io_operations_per_s() -> u64 {
    IoLimit::default().operations_per_s
}

impl AgentFile {
    pub fn vnode_io(&self) -> IoLimit {
        IoLimit {
            bytes_per_s: self.vnode_io_mib_per_s.saturating_mul(1 << 20),
            operations_per_s: self.vnode_io_operations_per_s,
        }
    }
}

pub fn favour_cgroup_moves() -> bool {
    true
}

fn cgroup_prefix() -> String {
    "docklet".to_owned()
}

/// Reads a configuration file and lays the environment over it.
///
/// # Errors
/// The file is missing, or a key is unknown or wrong.
pub fn read<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        let text = format!(
            "{} cannot be read ({error}): give the --dir that `docklet master init`, `master join` or `agent join` made",
            path.display()
        );
        Failure::new(Class::NotFound, text)
    })?;
    let overrides = std::env::vars()
        .filter_map(|(key, value)| Some((key.strip_prefix("DOCKLET_")?.to_lowercase(), value)));
    parse(&text, overrides).map_err(|error| {
        let text = format!("{}: {error}", path.display());
        Failure::new(Class::Invalid, text).into()
    })
}

fn parse<T: DeserializeOwned>(
    text: &str,
    overrides: impl Iterator<Item = (String, String)>,
) -> Result<T, toml::de::Error> {
    // The file alone first: its errors carry lines.
    let _: T = toml::from_str(text)?;
    let mut table: toml::Table = toml::from_str(text)?;
    let known = keys_of::<T>();
    for (key, value) in overrides {
        // The environment has other words that begin so, as DOCKLET_CONTEXT.
        if known.contains(&key.as_str()) {
            let value = typed(value, table.get(&key));
            table.insert(key, value);
        }
    }
    table.try_into()
}

/// A value of the environment: a string where the file has one, else whatever TOML reads in it.
fn typed(value: String, old: Option<&toml::Value>) -> toml::Value {
    let read = toml::from_str::<toml::Table>(&format!("v = {value}")).ok();
    match read.and_then(|mut read| read.remove("v")) {
        Some(read) if !old.is_some_and(toml::Value::is_str) => read,
        Some(_) | None => toml::Value::String(value),
    }
}

/// The keys that a file of this kind may have, in it or not.
fn keys_of<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut keys: &'static [&'static str] = &[];
    // It is asked for its keys only, and gets no value.
    drop(T::deserialize(KeysAsked(&mut keys)));
    keys
}

/// Notes the fields that a structure asks for, and ends there.
struct KeysAsked<'k>(&'k mut &'static [&'static str]);

impl<'de> serde::Deserializer<'de> for KeysAsked<'_> {
    type Error = serde::de::value::Error;

    fn deserialize_any<V: serde::de::Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(serde::de::Error::custom("a file is a structure"))
    }

    fn deserialize_struct<V: serde::de::Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = fields;
        self.deserialize_any(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// Writes a configuration file.
///
/// # Errors
/// The directory cannot be written.
pub fn write<T: Serialize>(path: &Path, file: &T) -> anyhow::Result<()> {
    Ok(docklet_link::credentials::write_private(
        path,
        toml::to_string(file)?.as_bytes(),
    )?)
}

#[cfg(test)]
mod tests {
    use super::{MasterFile, parse};

    const GOOD: &str = "name = \"m1\"\ncluster_listen = \"10.0.0.1:7000\"\npublic_listen = [\"0.0.0.0:443\"]\npublic_names = [\"cloud\"]\n";

    fn read(text: &str, overrides: &[(&str, &str)]) -> Result<MasterFile, String> {
        let overrides = overrides
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        parse(text, overrides).map_err(|error| error.to_string())
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line_and_what_is_allowed() {
        let error = read(&format!("{GOOD}hartbeat_ms = 5\n"), &[]).expect_err("unknown key");
        assert!(error.contains("line 5"), "{error}");
        assert!(
            error.contains("hartbeat_ms") && error.contains("heartbeat_ms"),
            "{error}"
        );
    }

    #[test]
    fn a_wrong_value_is_refused_with_its_line() {
        let error = read(&GOOD.replace("10.0.0.1:7000", "nowhere"), &[]).expect_err("no address");
        assert!(error.contains("line 2"), "{error}");
    }

    #[test]
    fn services_are_below_a_name_and_know_the_way_to_the_portal() {
        let file = |more: &str| read(&format!("{GOOD}{more}"), &[]).expect("good keys");
        assert_eq!(file("").proxy().expect("none"), None);
        let domain = "proxy_domain = \"apps.example.org\"\n";
        let url = "portal_url = \"https://cloud.example.org/\"\n";
        let apart = "proxy_listen = [\"0.0.0.0:8444\"]\n";
        let place = file(&format!("{domain}{url}"))
            .proxy()
            .expect("good")
            .expect("some");
        assert_eq!((place.port, place.apart), (443, false));
        assert_eq!(place.portal, "https://cloud.example.org");
        let place = file(&format!("{domain}{url}{apart}"))
            .proxy()
            .expect("good")
            .expect("some");
        assert_eq!((place.port, place.apart), (8_444, true));
        let names = file(&format!("{domain}{url}")).service_names();
        assert_eq!(names, ["*.apps.example.org"]);
        for wrong in [
            domain.to_owned(),
            apart.to_owned(),
            format!("proxy_domain = \"192.0.2.7\"\n{url}"),
            format!("proxy_domain = \"localhost\"\n{url}"),
            format!("proxy_domain = \"Apps.example.org\"\n{url}"),
            format!("proxy_domain = \"apps..org\"\n{url}"),
            format!("{domain}portal_url = \"http://cloud.example.org\"\n"),
        ] {
            assert!(file(&wrong).proxy().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_environment_overrides_what_the_file_says() {
        let file = read(
            &format!("{GOOD}heartbeat_ms = 5\n"),
            &[("heartbeat_ms", "77"), ("name", "m9")],
        );
        let file = file.expect("good");
        assert_eq!((file.heartbeat_ms, file.name.as_str()), (77, "m9"));
    }

    #[test]
    fn the_environment_sets_what_the_file_leaves_out_and_nothing_that_is_no_key() {
        let others = [("heartbeat_ms", "77"), ("context", "/x"), ("dev_dir", "/y")];
        let file = read(GOOD, &others).expect("good");
        assert_eq!(file.heartbeat_ms, 77);
        assert!(read(GOOD, &[("heartbeat_ms", "soon")]).is_err());
    }
}
