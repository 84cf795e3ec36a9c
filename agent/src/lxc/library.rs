//! The functions that liblxc exports, loaded when they are asked for: the program starts without liblxc, and sooner, wherever no
//! container is.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::OnceLock;

use libloading::{Library, Symbol};
use lxc_sys::lxc_container;

use crate::fault::AgentFault;

/// Its name for programs that know its interface of today.
const NAME: &str = "liblxc.so.1";

type New = unsafe extern "C" fn(*const c_char, *const c_char) -> *mut lxc_container;
type Put = unsafe extern "C" fn(*mut lxc_container) -> c_int;
pub(super) type RunCommand = unsafe extern "C" fn(*mut c_void) -> c_int;
type GetVersion = unsafe extern "C" fn() -> *const c_char;

/// By their names in `lxc/lxccontainer.h` and `lxc/attach_options.h`.
pub(super) struct Liblxc {
    pub(super) container_new: New,
    pub(super) container_put: Put,
    pub(super) attach_run_command: RunCommand,
    get_version: GetVersion,
}

/// The library, which stays as long as the process.
///
/// # Errors
/// It is not here.
pub(super) fn liblxc() -> Result<&'static Liblxc, AgentFault> {
    static LOADED: OnceLock<Result<Liblxc, String>> = OnceLock::new();
    let loaded = LOADED.get_or_init(|| load().map_err(|error| error.to_string()));
    loaded.as_ref().map_err(|cause| {
        AgentFault::Lxc(format!(
            "liblxc cannot be loaded: install Debian's package liblxc1, which is liblxc1t64 on Debian 13 ({cause})"
        ))
    })
}

fn load() -> Result<Liblxc, libloading::Error> {
    // SAFETY: what liblxc does when it is loaded asks nothing of whoever loads it.
    let library = unsafe { Library::new(NAME) }?;
    let library: &'static Library = Box::leak(Box::new(library));
    // SAFETY: each has the type that liblxc's headers give it.
    unsafe {
        Ok(Liblxc {
            container_new: *function(library, c"lxc_container_new")?,
            container_put: *function(library, c"lxc_container_put")?,
            attach_run_command: *function(library, c"lxc_attach_run_command")?,
            get_version: *function(library, c"lxc_get_version")?,
        })
    }
}

/// # Safety
/// The library's function must be of this type.
unsafe fn function<'l, F>(
    library: &'l Library,
    name: &CStr,
) -> Result<Symbol<'l, F>, libloading::Error> {
    // SAFETY: as the caller says.
    unsafe { library.get(name.to_bytes_with_nul()) }
}

/// liblxc's version.
///
/// # Errors
/// It is not here.
pub fn version() -> Result<String, AgentFault> {
    // SAFETY: it answers a string that is part of the library, which stays.
    let version = unsafe { CStr::from_ptr((liblxc()?.get_version)()) };
    Ok(version.to_string_lossy().into_owned())
}
