//! Loop devices: a file as a disk.
//!
//! A device that is attached here detaches by itself as soon as nothing has it open or mounted, so a process that dies
//! between attaching and mounting leaves none. What is left of others is known by its backing file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::libc;

use crate::fault::AgentFault;

// From linux/loop.h.
const LOOP_CONFIGURE: libc::Ioctl = 0x4c0a;
const LOOP_CLR_FD: libc::Ioctl = 0x4c01;
const LOOP_SET_CAPACITY: libc::Ioctl = 0x4c07;
const LOOP_CTL_GET_FREE: libc::Ioctl = 0x4c82;
const LO_FLAGS_AUTOCLEAR: u32 = 4;
/// Past the page cache of the file: the disk's own file system caches already, and what a vnode writes is charged to it.
const LO_FLAGS_DIRECT_IO: u32 = 16;
// From asm-generic/fcntl.h.
const F_SETSIG: libc::c_int = 10;

/// Another process may take the free device first; so many may be unlucky at once.
const ATTEMPTS: u32 = 256;
/// A file system lets go of its disk a moment after it was unmounted.
const DETACH_DEADLINE: Duration = Duration::from_secs(1);

/// `struct loop_info64`
#[repr(C)]
struct LoopInfo {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

/// `struct loop_config`
#[repr(C)]
struct LoopConfig {
    fd: u32,
    block_size: u32,
    info: LoopInfo,
    reserved: [u64; 8],
}

/// A file attached as a disk. Dropped, the disk stays as long as it is mounted.
pub(crate) struct LoopDevice {
    pub(crate) path: PathBuf,
    _open: File,
}

/// Attaches a file as a disk with blocks of `block_size` bytes.
pub(crate) fn attach(backing: &Path, block_size: u32) -> Result<LoopDevice, AgentFault> {
    let named = || AgentFault::file("attach as a disk", backing);
    let file = OpenOptions::new().read(true).write(true).open(backing);
    let file = file.map_err(AgentFault::file("open", backing))?;
    let control = Path::new("/dev/loop-control");
    let control = File::open(control).map_err(AgentFault::file("open", control))?;
    for _ in 0..ATTEMPTS {
        let path = free_device(&control).map_err(named())?;
        let device = OpenOptions::new().read(true).write(true).open(&path);
        let device = device.map_err(AgentFault::file("open", &path))?;
        match configure(&device, &file, block_size) {
            Ok(()) => {
                return Ok(LoopDevice {
                    path,
                    _open: device,
                });
            }
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {}
            Err(error) => return Err(named()(error)),
        }
    }
    Err(named()(io::ErrorKind::ResourceBusy.into()))
}

fn free_device(control: &File) -> io::Result<PathBuf> {
    // SAFETY: the descriptor is open, and the call takes no argument.
    let number = unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_GET_FREE) };
    if number < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(PathBuf::from(format!("/dev/loop{number}")))
}

fn configure(device: &File, backing: &File, block_size: u32) -> io::Result<()> {
    let config = LoopConfig {
        fd: backing.as_raw_fd().cast_unsigned(),
        block_size,
        info: LoopInfo {
            device: 0,
            inode: 0,
            rdevice: 0,
            offset: 0,
            size_limit: 0,
            number: 0,
            encrypt_type: 0,
            encrypt_key_size: 0,
            flags: LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO,
            file_name: [0; 64],
            crypt_name: [0; 64],
            encrypt_key: [0; 32],
            init: [0; 2],
        },
        reserved: [0; 8],
    };
    // SAFETY: both descriptors are open, and the kernel only reads the structure, which outlives the call.
    done(unsafe { libc::ioctl(device.as_raw_fd(), LOOP_CONFIGURE, &raw const config) })
}

/// Lets a device become as large as the file that it is, which has `length` bytes by now.
pub(crate) fn extend(device: &Path, length: u64) -> Result<(), AgentFault> {
    let named = || AgentFault::file("enlarge", device);
    let mut open = File::open(device).map_err(AgentFault::file("open", device))?;
    if open.seek(SeekFrom::End(0)).map_err(named())? >= length {
        return Ok(());
    }
    // SAFETY: the descriptor is open, and the call takes no argument.
    done(unsafe { libc::ioctl(open.as_raw_fd(), LOOP_SET_CAPACITY) }).map_err(named())
}

fn done(result: libc::c_int) -> io::Result<()> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The devices to which a file is attached.
///
/// # Errors
/// `/sys` cannot be read.
pub fn attached_to(backing: &Path) -> Result<Vec<PathBuf>, AgentFault> {
    let block = Path::new("/sys/block");
    let mut devices = Vec::new();
    for entry in fs::read_dir(block).map_err(AgentFault::file("list", block))? {
        let name = entry.map_err(AgentFault::file("list", block))?.file_name();
        let shown = block.join(&name).join("loop/backing_file");
        // Only loop devices have such a file, and only while something is attached.
        let file = fs::read_to_string(shown).unwrap_or_default();
        if Path::new(file.trim_end_matches('\n')) == backing {
            devices.push(Path::new("/dev").join(name));
        }
    }
    Ok(devices)
}

/// Whether somebody has a file open to write to it: then it is not what it will be. A device to which it is attached has, for as
/// long as its file system is mounted anywhere, also where nobody of this mount namespace sees it. A lease for reading is to be
/// had of no such file (fcntl(2)); that costs the same however many devices there are.
///
/// # Errors
/// It cannot be opened; its file system knows no leases.
pub fn is_open_to_write(path: &Path) -> Result<bool, AgentFault> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(AgentFault::file("open", path)(error)),
    };
    // Who opens it to write meanwhile waits for the end of the lease, and its holder is sent a signal: one that does nothing.
    // SAFETY: the descriptor is open, and both end with it.
    let quiet = unsafe { libc::fcntl(file.as_raw_fd(), F_SETSIG, libc::SIGURG) };
    done(quiet).map_err(AgentFault::file("choose a signal for", path))?;
    // SAFETY: as above.
    let lease = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_RDLCK) };
    match done(lease) {
        Ok(()) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
        Err(error) => Err(AgentFault::file("take a lease on", path)(error)),
    }
}

/// Waits a moment until a file is attached nowhere, after its disk was unmounted; answers whether it is. Who made a mount
/// namespace of its own meanwhile has a copy of the mount, and the device goes with that.
pub(crate) fn wait_detached(backing: &Path) -> Result<bool, AgentFault> {
    let begun = Instant::now();
    loop {
        let devices = attached_to(backing)?;
        if devices.is_empty() {
            return Ok(true);
        }
        if begun.elapsed() > DETACH_DEADLINE {
            return Ok(false);
        }
        for device in devices {
            detach(&device);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Asks a device to let its file go: at once, or as soon as nobody uses it. Whether it did shows in `/sys`.
fn detach(device: &Path) {
    if let Ok(open) = File::open(device) {
        // SAFETY: the descriptor is open, and the call takes no argument.
        let _ = unsafe { libc::ioctl(open.as_raw_fd(), LOOP_CLR_FD) };
    }
}
