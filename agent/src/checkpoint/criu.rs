//! How CRIU is called: what it finds in its environment, and what it can do here.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use docklet_control::id::VnodeId;
use docklet_link::credentials::write_private;

use crate::boot;
use crate::command::run;
use crate::fault::AgentFault;
use crate::lxc::helper::PROGRAMS;
use crate::network::guard;
use crate::vnode_dir::{StateDir, make_dir, remove_file};

/// What CRIU is told beside what liblxc tells it. It holds packets back while there is no process to answer them: by nftables,
/// in the vnode's own network. It says at which program it is.
const SETTINGS: &str = "network-lock nftables\nverbosity 3\n";

/// Of cgroups' files CRIU does not take those along that say which processors there are: another worker has others.
const FILES_OF_CGROUPS: &str =
    "\"cpuset\":\n - \"strategy\": \"replace\"\n - \"properties\": [ ]\n";

/// Programs that CRIU runs, by name, and where Debian has them. Nothing else is to be found: liblxc would ask `newuidmap`.
const TOOLS: [(&str, &str); 2] = [("tar", "/bin/tar"), ("gzip", "/bin/gzip")];

const IP: &str = "/sbin/ip";
const NFT: &str = "/usr/sbin/nft";

/// What CRIU runs at each stage of bringing a vnode back. It gives a vnode its network before it restores what holds packets
/// back there, and then the sockets: the worker's bridge keeps from the vnode what is sent to it until they are there.
fn at_each_stage(id: VnodeId) -> String {
    let let_in = guard::let_in(id);
    format!(
        "\
#!/bin/sh
[ \"$CRTOOLS_SCRIPT_ACTION\" = network-unlock ] || exit 0
exec {NFT} '{}'
",
        let_in.trim_end()
    )
}

/// What a helper finds in its environment that is to call CRIU.
pub(super) struct Environment {
    programs: PathBuf,
    settings: PathBuf,
    kernel: PathBuf,
}

impl Environment {
    /// Lets the vnode that is brought back go to this cgroup, in each hierarchy for which liblxc says nothing, and get
    /// packets once it can answer them. Beside the hierarchies of version 1 there is one without controllers: CRIU would put
    /// processes where they were in it, and whoever clears up there would end them.
    ///
    /// # Errors
    /// The directory cannot be written to.
    pub(super) fn settle(
        mut self,
        id: VnodeId,
        cgroup: &str,
        dir: &Path,
    ) -> Result<Self, AgentFault> {
        let of_all =
            fs::read_to_string(&self.settings).map_err(AgentFault::file("read", &self.settings))?;
        let script = dir.join("at-each-stage");
        write_private(&script, at_each_stage(id).as_bytes())?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o700))
            .map_err(AgentFault::file("make executable", &script))?;
        let settings = dir.join("criu.conf");
        let text = format!(
            "{of_all}cgroup-root {cgroup}\naction-script {}\n",
            script.display()
        );
        write_private(&settings, text.as_bytes())?;
        self.settings = settings;
        Ok(self)
    }

    pub(super) fn pairs(&self) -> [(&'static str, &Path); 4] {
        [
            ("PATH", &self.programs),
            ("CRIU_CONFIG_FILE", &self.settings),
            ("CR_IP_TOOL", Path::new(IP)),
            ("CRIU_KERNDAT_CACHE", &self.kernel),
        ]
    }
}

/// Earlier ones do not know kernels of today: CRIU 4.1 fails on each network socket from kernel 6.16 on.
const OLDEST: (u32, u32) = (4, 2);
/// What to do where it is missing.
const NEXT_STEP: &str = "`scripts/setup-criu` in Docklet's sources builds and installs it";

/// What CRIU can do on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ability {
    /// CRIU's own.
    pub version: String,
    /// Whether the kernel says which memory was written to since it was asked last: then most of it is copied while the
    /// vnode runs, and it stands still for the rest only.
    pub tracks_memory: bool,
}

/// Whether vnodes that run can be written to files here and brought back; if not, why, and what to do. Asks CRIU to try, which
/// takes some tenths of a second.
///
/// # Errors
/// They cannot.
pub fn ability() -> Result<Ability, String> {
    let program = find()?;
    let said = ask(&program, &["--version"])?;
    let version = said.lines().find_map(|line| line.strip_prefix("Version: "));
    let version = version.unwrap_or_default().trim().to_owned();
    if number(&version) < Some(OLDEST) {
        let (major, minor) = OLDEST;
        return Err(format!(
            "CRIU {version} is too old, {major}.{minor} is needed: {NEXT_STEP}"
        ));
    }
    ask(&program, &["check"])?;
    Ok(Ability {
        version,
        tracks_memory: tracks_memory(),
    })
}

/// Whether the kernel says which memory was written to. Takes some tenths of a second.
pub(super) fn tracks_memory() -> bool {
    find().is_ok_and(|program| ask(&program, &["check", "--feature", "mem_dirty_track"]).is_ok())
}

/// CRIU's path, if it and what it needs are there; if not, what is missing.
pub(super) fn find() -> Result<PathBuf, String> {
    let program = program();
    if !program.exists() {
        let path = program.display();
        return Err(format!("CRIU is not at {path}: {NEXT_STEP}"));
    }
    let mut tools = TOOLS.iter().map(|(_, path)| *path).chain([IP, NFT]);
    match tools.find(|path| !Path::new(path).exists()) {
        Some(missing) => Err(format!("CRIU needs {missing}, which is not there")),
        None => Ok(program),
    }
}

fn ask(program: &Path, arguments: &[&str]) -> Result<String, String> {
    run(&program.to_string_lossy(), arguments, "").map_err(|fault| fault.full_text())
}

/// The first two numbers of a version.
fn number(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.').map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

/// Where CRIU is.
fn program() -> PathBuf {
    Path::new(PROGRAMS).join("criu")
}

/// Makes what is not there.
pub(super) fn environment(state: &StateDir) -> Result<Environment, AgentFault> {
    // Two vnodes that come at the same moment would take each other's half-written files away.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let programs = state.0.join("programs");
    make_dir(&programs, 0o711)?;
    let criu = program();
    let tools = TOOLS.map(|(name, path)| (name, PathBuf::from(path)));
    for (name, target) in tools.iter().chain([&("criu", criu)]) {
        let link = programs.join(name);
        match symlink(target, &link) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(AgentFault::file("link", link)(error));
            }
            Ok(()) | Err(_) => {}
        }
    }
    let (settings, files) = (programs.join("criu.conf"), programs.join("cgroups"));
    let all = format!("{SETTINGS}cgroup-props-file {}\n", files.display());
    for (path, text) in [(&files, FILES_OF_CGROUPS), (&settings, all.as_str())] {
        // Who reads at the same moment reads the whole of it.
        if fs::read_to_string(path).ok().as_deref() != Some(text) {
            write_private(path, text.as_bytes())?;
        }
    }
    Ok(Environment {
        kernel: kernel_notes(&programs)?,
        programs,
        settings,
    })
}

/// Where CRIU keeps what it found out about the kernel, for as long as the machine is not started anew.
fn kernel_notes(programs: &Path) -> Result<PathBuf, AgentFault> {
    const PREFIX: &str = "kernel-";
    let name = format!("{PREFIX}{}", boot::id()?);
    let entries = fs::read_dir(programs).map_err(AgentFault::file("list", programs))?;
    for entry in entries {
        let entry = entry.map_err(AgentFault::file("list", programs))?;
        let other = entry.file_name().to_string_lossy().into_owned();
        if other.starts_with(PREFIX) && !other.starts_with(&name) {
            remove_file(&entry.path())?;
        }
    }
    Ok(programs.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vnodes_that_come_at_the_same_moment_find_all_of_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let state = StateDir(dir.path().to_owned());
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| environment(&state).expect("made"));
            }
        });
        let files = dir.path().join("programs").join("cgroups");
        assert_eq!(fs::read_to_string(files).expect("there"), FILES_OF_CGROUPS);
    }

    #[test]
    fn versions_are_told_apart_by_number() {
        assert!(number("4.2.1") >= Some(OLDEST) && number("4.10") > Some(OLDEST));
        assert!(number("4.1.1") < Some(OLDEST) && number("3.17.1") < Some(OLDEST));
        assert!(number("odd") < Some(OLDEST));
    }
}
