//! One try, in a process of its own: what it changed of itself is gone with it.

use std::ffi::CString;
use std::io;
use std::path::Path;

use nix::libc;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};

/// A way out. It succeeds if the way is open.
pub struct Try {
    pub name: &'static str,
    pub go: Box<dyn Fn() -> io::Result<()>>,
}

pub fn way(name: &'static str, go: impl Fn() -> io::Result<()> + 'static) -> Try {
    Try {
        name,
        go: Box::new(go),
    }
}

/// Prints `NAME: refused, ERROR`, or `NAME: OPEN`.
#[expect(clippy::print_stdout, reason = "the test reads it")]
pub fn run(one: &Try) {
    // SAFETY: the probe has one thread.
    let verdict = match unsafe { fork() }.expect("a process") {
        ForkResult::Child => {
            let code = match (one.go)() {
                Ok(()) => 0,
                Err(error) => error.raw_os_error().unwrap_or(libc::EPROTO),
            };
            // SAFETY: ends the child at once.
            unsafe { libc::_exit(code) }
        }
        ForkResult::Parent { child } => {
            let status = waitpid(child, None).expect("a child");
            if let WaitStatus::Exited(_, 0) = status {
                "OPEN".to_owned()
            } else if let WaitStatus::Exited(_, errno) = status {
                format!("refused, {}", io::Error::from_raw_os_error(errno))
            } else {
                format!("broken, {status:?}")
            }
        }
    };
    println!("{}: {verdict}", one.name);
}

/// A raw system call with up to five numbers or pointers.
pub fn call(number: libc::c_long, arguments: &[usize]) -> io::Result<i64> {
    let at = |index: usize| arguments.get(index).copied().unwrap_or(0);
    // SAFETY: pointers among the arguments are to values that the callers keep; the kernel refuses all others.
    let result = unsafe { libc::syscall(number, at(0), at(1), at(2), at(3), at(4)) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}

pub fn text(value: &str) -> CString {
    CString::new(value).expect("no zero in it")
}

/// Mounts something new at a directory that is made for it.
pub fn mount(kind: &str, at: &str, options: &str) -> io::Result<()> {
    std::fs::create_dir_all(at)?;
    let options = (!options.is_empty()).then_some(options);
    let flags = nix::mount::MsFlags::empty();
    Ok(nix::mount::mount(
        Some(kind),
        at,
        Some(kind),
        flags,
        options,
    )?)
}

/// Takes away whatever covers a file, as root of the vnode may.
pub fn uncover(path: &str) {
    while nix::mount::umount2(path, nix::mount::MntFlags::MNT_DETACH).is_ok() {}
}

/// Makes a mount writable again, as root of the vnode may for what was mounted in its own namespaces.
pub fn remount_writable(path: &str) {
    use nix::mount::MsFlags;
    let plain = MsFlags::MS_REMOUNT;
    for flags in [plain, plain | MsFlags::MS_BIND] {
        // Often refused, which is as well.
        let _ = nix::mount::mount(None::<&str>, path, None::<&str>, flags, None::<&str>);
    }
    uncover(path);
}

pub fn write(path: impl AsRef<Path>, value: &str) -> io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).open(path)?;
    io::Write::write_all(&mut file, value.as_bytes())
}

/// An open way that no error tells of.
pub fn open_if(open: bool) -> io::Result<()> {
    if open {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(libc::ENOENT))
    }
}
