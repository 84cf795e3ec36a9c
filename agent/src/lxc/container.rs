//! One liblxc handle. Every unsafe call into liblxc is in this file.

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::io::Write;
use std::os::fd::{FromRawFd, OwnedFd};
use std::path::Path;
use std::ptr;

use nix::libc;

use super::checkpoint::Extent;
use super::library::{Liblxc, RunCommand, liblxc};
use super::session;
use crate::fault::AgentFault;

/// The largest file that was deleted, and is still open, that a checkpoint takes along.
const DELETED_BYTES_MAX: u64 = 64 << 20;

/// A container by name and directory; it need not exist. Neither `Send` nor `Sync`: liblxc's handles are neither.
pub struct Container {
    handle: ptr::NonNull<lxc_sys::lxc_container>,
    liblxc: &'static Liblxc,
}

/// Calls a function of the handle's table.
macro_rules! call {
    ($container:expr, $function:ident $(, $argument:expr)*) => {{
        let handle = $container.handle.as_ptr();
        // SAFETY: the handle is live until drop, liblxc fills its whole table, and every pointer argument outlives
        // the call because the caller still owns it.
        unsafe {
            ((*handle).$function.expect("liblxc fills its function table"))(handle $(, $argument)*)
        }
    }};
}

fn text(value: &str) -> Result<CString, AgentFault> {
    CString::new(value).map_err(|_| AgentFault::Lxc("a value contains a NUL byte".to_owned()))
}

impl Container {
    /// Opens container `name` below `lxc_path`, which must be absolute.
    ///
    /// # Errors
    /// liblxc has no memory, or its lock directory cannot be written.
    pub fn open(lxc_path: &Path, name: &str) -> Result<Self, AgentFault> {
        let (name_text, path) = (text(name)?, text(&lxc_path.to_string_lossy())?);
        let liblxc = liblxc()?;
        // SAFETY: both strings live until the call returns, and liblxc copies them.
        let handle = unsafe { (liblxc.container_new)(name_text.as_ptr(), path.as_ptr()) };
        ptr::NonNull::new(handle)
            .map(|handle| Self { handle, liblxc })
            .ok_or_else(|| AgentFault::Lxc(format!("container {name} cannot be opened")))
    }

    /// Sets one configuration item. Values are never pasted into a file, so a newline in one is just refused.
    ///
    /// # Errors
    /// The key is unknown or the value unfit.
    pub fn set(&self, key: &str, value: &str) -> Result<(), AgentFault> {
        let (key_text, value_text) = (text(key)?, text(value)?);
        let unfit = value.contains('\n');
        let set = !unfit
            && call!(
                self,
                set_config_item,
                key_text.as_ptr(),
                value_text.as_ptr()
            );
        set.then_some(())
            .ok_or_else(|| AgentFault::Lxc(format!("{key} cannot be {value:?}")))
    }

    /// The value of a configuration item, as liblxc has it; several are one a line. None if there is no such key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<String> {
        let key = text(key).ok()?;
        let length = call!(self, get_config_item, key.as_ptr(), ptr::null_mut(), 0);
        let room = usize::try_from(length).ok()? + 1;
        // One more than liblxc is told of: it may write one beyond.
        let mut buffer = vec![0_u8; room + 1];
        let into: *mut c_char = buffer.as_mut_ptr().cast();
        let written = call!(
            self,
            get_config_item,
            key.as_ptr(),
            into,
            c_int::try_from(room).ok()?
        );
        buffer.truncate(usize::try_from(written).ok()?);
        String::from_utf8(buffer).ok()
    }

    /// Forgets one configuration item, for this start only if it was saved before.
    ///
    /// # Errors
    /// The key is unknown.
    pub(super) fn unset(&self, key: &str) -> Result<(), AgentFault> {
        let key_text = text(key)?;
        call!(self, clear_config_item, key_text.as_ptr())
            .then_some(())
            .ok_or_else(|| AgentFault::Lxc(format!("{key} cannot be left out")))
    }

    /// Forgets what was loaded from the container's file.
    pub fn clear(&self) {
        call!(self, clear_config);
    }

    /// Writes the configuration to the container's file.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn save(&self) -> Result<(), AgentFault> {
        call!(self, save_config, ptr::null())
            .then_some(())
            .ok_or_else(|| AgentFault::Lxc("configuration cannot be saved".to_owned()))
    }

    /// Whether its monitor says that it runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        call!(self, is_running)
    }

    /// Lets all of it stand still.
    ///
    /// # Errors
    /// It does not.
    pub fn freeze(&self) -> Result<(), AgentFault> {
        call!(self, freeze)
            .then_some(())
            .ok_or_else(|| AgentFault::Lxc("it cannot be frozen".to_owned()))
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// It does not.
    pub fn thaw(&self) -> Result<(), AgentFault> {
        call!(self, unfreeze)
            .then_some(())
            .ok_or_else(|| AgentFault::Lxc("it stays frozen".to_owned()))
    }

    /// Whether it stands still.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        let state = call!(self, state);
        // SAFETY: liblxc answers a string of its own that lives as long as the program, or NULL.
        !state.is_null() && unsafe { CStr::from_ptr(state) } == c"FROZEN"
    }

    /// Process id of its init on the host; none if it does not run.
    #[must_use]
    pub fn init_pid(&self) -> Option<i32> {
        let pid = call!(self, init_pid);
        (pid > 0).then_some(pid)
    }

    /// Starts it in the background with this as its first process. For the helper only: liblxc moves the caller to
    /// another cgroup. The arguments are given here because liblxc splits those of its configuration at every space.
    ///
    /// # Errors
    /// It did not start; liblxc's log says why.
    pub(super) fn start(&self, argv: &[String]) -> Result<(), AgentFault> {
        let owned: Vec<CString> = argv.iter().map(|a| text(a)).collect::<Result<_, _>>()?;
        let arguments = pointers(&owned);
        call!(self, want_daemonize, true);
        call!(self, want_close_all_fds, true);
        call!(self, start, 0, arguments.as_ptr())
            .then_some(())
            .ok_or_else(|| AgentFault::Lxc("start failed".to_owned()))
    }

    /// Writes all that runs in it to files in a directory that is not there yet, and ends it; or its memory only, and it
    /// runs on. What was written `before`, seen from that directory, is not written again. For the helper only, as is all
    /// that CRIU does.
    ///
    /// # Errors
    /// CRIU cannot; then it runs on.
    pub(super) fn checkpoint(
        &self,
        directory: &Path,
        before: Option<&Path>,
        extent: Extent,
    ) -> Result<(), AgentFault> {
        let command = match extent {
            Extent::Memory => lxc_sys::MIGRATE_PRE_DUMP,
            Extent::All => lxc_sys::MIGRATE_DUMP,
        };
        self.migrate(command, directory, before)
            .then_some(())
            .ok_or_else(|| AgentFault::Lxc("checkpoint failed".to_owned()))
    }

    /// Lets what was written there go on, in the background.
    ///
    /// # Errors
    /// CRIU cannot.
    pub(super) fn restore(&self, directory: &Path) -> Result<(), AgentFault> {
        self.migrate(lxc_sys::MIGRATE_RESTORE, directory, None)
            .then_some(())
            .ok_or_else(|| AgentFault::Lxc("restore failed".to_owned()))
    }

    fn migrate(&self, command: c_uint, directory: &Path, before: Option<&Path>) -> bool {
        let as_text = |path: &Path| text(&path.to_string_lossy());
        let (Ok(directory), Ok(before)) = (as_text(directory), before.map(as_text).transpose())
        else {
            return false;
        };
        // SAFETY: all zeroes is a valid value of this plain C structure; every field that matters is set below.
        let mut options: lxc_sys::migrate_opts = unsafe { std::mem::zeroed() };
        options.directory = directory.as_ptr().cast_mut();
        let before = before.as_ref().map(|path| path.as_ptr().cast_mut());
        options.predump_dir = before.unwrap_or(ptr::null_mut());
        options.stop = true;
        // A disk is copied with its file system: files keep their numbers.
        options.preserves_inodes = true;
        options.ghost_limit = DELETED_BYTES_MAX;
        let Ok(size) = c_uint::try_from(size_of_val(&options)) else {
            return false;
        };
        call!(self, migrate, command, &raw mut options, size) == 0
    }

    /// Asks init to shut down and waits; answers whether it did.
    pub(super) fn shutdown(&self, timeout_s: c_int) -> bool {
        call!(self, shutdown, timeout_s)
    }

    /// Kills everything in it.
    pub(super) fn stop(&self) -> bool {
        call!(self, stop)
    }

    /// Writes to a cgroup file of the container that runs.
    ///
    /// # Errors
    /// The kernel does not take it.
    pub(super) fn set_cgroup_item(&self, file: &str, value: &str) -> Result<(), AgentFault> {
        let (file_text, value_text) = (text(file)?, text(value)?);
        call!(
            self,
            set_cgroup_item,
            file_text.as_ptr(),
            value_text.as_ptr()
        )
        .then_some(())
        .ok_or_else(|| AgentFault::Lxc(format!("{file} cannot be {value:?}")))
    }

    /// The container's own devpts, so that a terminal opened there is one inside too; none if liblxc does not hold it, as of
    /// one that came back from a checkpoint.
    #[must_use]
    pub fn devpts(&self) -> Option<OwnedFd> {
        let fd = call!(self, devpts_fd);
        // SAFETY: liblxc hands over a descriptor that nobody else owns.
        (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd) })
    }

    /// Runs a program inside with the helper's standard streams, in a session of its own; answers the process id. For the
    /// helper only.
    pub(super) fn attach(
        &self,
        argv: &[String],
        environment: &[String],
        directory: &str,
        terminal: bool,
    ) -> Result<i32, AgentFault> {
        let program = argv
            .first()
            .ok_or_else(|| AgentFault::Lxc("no program given".to_owned()))?;
        let owned: Vec<CString> = argv.iter().map(|a| text(a)).collect::<Result<_, _>>()?;
        let variables: Vec<CString> = environment
            .iter()
            .map(|v| text(v))
            .collect::<Result<_, _>>()?;
        let mut arguments = pointers(&owned);
        let mut variables = pointers(&variables);
        let (program, directory) = (text(program)?, text(directory)?);
        let mut begun = Begun {
            command: lxc_sys::lxc_attach_command_t {
                program: program.as_ptr().cast_mut(),
                argv: arguments.as_mut_ptr(),
            },
            terminal,
            run: self.liblxc.attach_run_command,
        };
        let payload: *mut Begun = &raw mut begun;
        self.attach_to(
            Some(run_or_say_why_not),
            payload.cast(),
            &directory,
            &mut variables,
        )
    }

    /// Does some work of this program inside, with the helper's standard streams; answers the process id. For the helper only.
    pub(super) fn attach_work(&self, mut work: impl FnMut() -> c_int) -> Result<i32, AgentFault> {
        let mut work: &mut dyn FnMut() -> c_int = &mut work;
        let payload: *mut &mut dyn FnMut() -> c_int = &raw mut work;
        self.attach_to(Some(do_work), payload.cast(), c"/", &mut pointers(&[]))
    }

    /// The payload must be what `run` takes it for.
    fn attach_to(
        &self,
        run: lxc::attach::ExecFn,
        payload: *mut c_void,
        directory: &CStr,
        variables: &mut [*mut c_char],
    ) -> Result<i32, AgentFault> {
        // SAFETY: all zeroes is a valid value of this plain C structure; every field that matters is set below.
        let mut options: lxc::attach::Options = unsafe { std::mem::zeroed() };
        options.attach_flags = i32::try_from(lxc_sys::LXC_ATTACH_DEFAULT).unwrap_or_default();
        options.namespaces = -1;
        options.personality = -1;
        options.initial_cwd = directory.as_ptr().cast_mut();
        options.uid = u32::MAX;
        options.gid = u32::MAX;
        options.env_policy = lxc_sys::lxc_attach_env_policy_t_LXC_ATTACH_CLEAR_ENV;
        options.extra_env_vars = variables.as_mut_ptr();
        options.stdin_fd = 0;
        options.stdout_fd = 1;
        options.stderr_fd = 2;
        options.log_fd = -libc::EBADF;
        let mut pid = -1;
        let code = call!(self, attach, run, payload, &raw mut options, &raw mut pid);
        if code == 0 && pid > 0 {
            return Ok(pid);
        }
        Err(AgentFault::Lxc(format!("attach failed with {code}")))
    }
}

/// How a program ends that has not begun, as shells say it.
const CANNOT_RUN: c_int = 126;

/// A program that is begun.
struct Begun {
    command: lxc_sys::lxc_attach_command_t,
    /// Whether standard input is a terminal that shall control it.
    terminal: bool,
    /// What becomes it.
    run: RunCommand,
}

/// Becomes the program, in the process that liblxc made for it. liblxc itself tells a failure to its log only, and the
/// person who asked sees no log.
extern "C" fn run_or_say_why_not(payload: *mut c_void) -> c_int {
    // The program gets its standard streams and nothing else, whatever liblxc or the agent had open.
    // SAFETY: marking descriptors does not touch memory; the C code below opens its own.
    unsafe { libc::close_range(3, c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC.cast_signed()) };
    // SAFETY: the payload is what `attach` gave, which lives until the helper has waited for this process.
    let begun = unsafe { &mut *payload.cast::<Begun>() };
    let ran = session::lead(begun.terminal).map(|()| {
        // SAFETY: the command is whole.
        let code = unsafe { (begun.run)((&raw mut begun.command).cast()) };
        (code, std::io::Error::last_os_error())
    });
    let (code, cause) = ran.unwrap_or_else(|cause| (CANNOT_RUN, cause));
    // SAFETY: the program is a C string.
    let program = unsafe { CStr::from_ptr(begun.command.program) };
    // Without a standard error there is nobody to tell.
    let _ = writeln!(
        std::io::stderr(),
        "docklet: cannot run {program:?}: {cause}"
    );
    code
}

/// Does the work, in the process that liblxc made for it, and ends that.
extern "C" fn do_work(payload: *mut c_void) -> c_int {
    // It has its standard streams and nothing else, whatever liblxc or the helper had open.
    // SAFETY: nothing that owns a descriptor is used after this but the work, which opens its own.
    unsafe { libc::close_range(3, c_uint::MAX, 0) };
    let work: *mut &mut dyn FnMut() -> c_int = payload.cast();
    // SAFETY: the payload is what `attach_work` gave, which lives in this copy of the helper as it does in the helper.
    unsafe { (*work)() }
}

/// A list of C strings as C wants it: pointers, ended by NULL. The strings must outlive the list's use.
fn pointers(strings: &[CString]) -> Vec<*mut c_char> {
    let pointers = strings.iter().map(|s| s.as_ptr().cast_mut());
    pointers.chain([ptr::null_mut()]).collect()
}

impl Drop for Container {
    fn drop(&mut self) {
        // SAFETY: the handle came from lxc_container_new and is put back once.
        unsafe { (self.liblxc.container_put)(self.handle.as_ptr()) };
    }
}
