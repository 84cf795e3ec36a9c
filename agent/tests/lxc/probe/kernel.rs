//! System calls that change the kernel or reach into it.

use std::os::fd::AsRawFd;

use nix::libc;

use crate::try_it::{Try, call, open_if, text, way};

pub fn tries() -> Vec<Try> {
    let mut tries = code();
    tries.extend(time_and_power());
    tries.extend(attack_surface());
    tries.extend(sockets());
    tries
}

fn code() -> Vec<Try> {
    vec![
        way("kexec_load", || {
            call(libc::SYS_kexec_load, &[0, 0, 0, 0]).map(drop)
        }),
        way("kexec_file_load", || {
            call(libc::SYS_kexec_file_load, &[0, 0, 0, 0, 0]).map(drop)
        }),
        way("init_module", || {
            let (image, options) = ([0_u8; 64], text(""));
            call(
                libc::SYS_init_module,
                &[image.as_ptr() as usize, 64, options.as_ptr() as usize],
            )
            .map(drop)
        }),
        way("finit_module", || {
            call(libc::SYS_finit_module, &[0, 0, 0]).map(drop)
        }),
        way("delete_module", || {
            let name = text("no_such_module");
            call(libc::SYS_delete_module, &[name.as_ptr() as usize, 0]).map(drop)
        }),
        way("iopl", || call(libc::SYS_iopl, &[3]).map(drop)),
        way("ioperm", || call(libc::SYS_ioperm, &[0x80, 1, 1]).map(drop)),
        way("kernel log", || {
            let mut room = [0_u8; 4_096];
            call(
                libc::SYS_syslog,
                &[3, room.as_mut_ptr() as usize, room.len()],
            )
            .map(drop)
        }),
    ]
}

fn time_and_power() -> Vec<Try> {
    vec![
        way("settimeofday", || {
            let time = [1_000_000_000_i64, 0];
            call(libc::SYS_settimeofday, &[time.as_ptr() as usize, 0]).map(drop)
        }),
        way("clock_settime", || {
            let time = [1_000_000_000_i64, 0];
            call(libc::SYS_clock_settime, &[0, time.as_ptr() as usize]).map(drop)
        }),
        way("adjtimex", || {
            // SAFETY: all zeroes is a valid value of this plain C structure.
            let mut change: libc::timex = unsafe { std::mem::zeroed() };
            change.modes = libc::ADJ_TICK;
            change.tick = 10_000;
            call(libc::SYS_adjtimex, &[(&raw mut change) as usize]).map(drop)
        }),
        // Restarting is the vnode's own affair; the rest is the machine's.
        way("reboot: Ctrl-Alt-Del", || reboot(0x89ab_cdef)),
        way("reboot: suspend", || reboot(0xd000_fce2)),
        way("reboot: kexec", || reboot(0x4558_4543)),
        way("swapon", || {
            let path = text("/dev/zero");
            call(libc::SYS_swapon, &[path.as_ptr() as usize, 0]).map(drop)
        }),
        way("acct", || call(libc::SYS_acct, &[0]).map(drop)),
        way("quotactl", || {
            call(libc::SYS_quotactl, &[0x0080_0000 << 8, 0, 0, 0]).map(drop)
        }),
        way("sched_setscheduler: real time", || {
            let priority = [10_i32];
            call(
                libc::SYS_sched_setscheduler,
                &[0, 1, priority.as_ptr() as usize],
            )
            .map(drop)
        }),
        way("setpriority: before others", || {
            call(libc::SYS_setpriority, &[0, 0, (-20_isize).cast_unsigned()]).map(drop)
        }),
    ]
}

fn reboot(command: usize) -> std::io::Result<()> {
    call(libc::SYS_reboot, &[0xfee1_dead, 0x2812_1969, command, 0]).map(drop)
}

fn attack_surface() -> Vec<Try> {
    vec![
        way("bpf: map", || {
            let attributes = [2_u32, 4, 8, 1, 0, 0, 0, 0, 0, 0, 0, 0];
            call(libc::SYS_bpf, &[0, attributes.as_ptr() as usize, 48]).map(drop)
        }),
        way("bpf: program", || {
            // return 0, as a socket filter
            let program = [0xb7_u64, 0x95];
            let licence = text("GPL");
            let attributes = [
                1_u64 | 2 << 32,
                program.as_ptr() as u64,
                licence.as_ptr() as u64,
                0,
                0,
                0,
            ];
            call(libc::SYS_bpf, &[5, attributes.as_ptr() as usize, 48]).map(drop)
        }),
        way("userfaultfd", || {
            call(libc::SYS_userfaultfd, &[1]).map(drop)
        }),
        way("io_uring_setup", || {
            let parameters = [0_u32; 30];
            call(libc::SYS_io_uring_setup, &[1, parameters.as_ptr() as usize]).map(drop)
        }),
        way("perf_event_open", || {
            // A software clock of this process, user space only.
            let mut attributes = [0_u64; 16];
            attributes[0] = 1 | 128 << 32;
            attributes[5] = 1 << 5 | 1 << 6;
            let everywhere = (-1_isize).cast_unsigned();
            call(
                libc::SYS_perf_event_open,
                &[attributes.as_ptr() as usize, 0, everywhere, everywhere, 0],
            )
            .map(drop)
        }),
        way("keyctl", || {
            call(libc::SYS_keyctl, &[0, (-3_isize).cast_unsigned(), 1]).map(drop)
        }),
        way("add_key", || {
            let (kind, name, value) = (text("user"), text("probe"), text("x"));
            let keyring = (-2_isize).cast_unsigned();
            call(
                libc::SYS_add_key,
                &[
                    kind.as_ptr() as usize,
                    name.as_ptr() as usize,
                    value.as_ptr() as usize,
                    1,
                    keyring,
                ],
            )
            .map(drop)
        }),
        way("request_key", || {
            let (kind, name) = (text("user"), text("probe"));
            call(
                libc::SYS_request_key,
                &[kind.as_ptr() as usize, name.as_ptr() as usize, 0, 0],
            )
            .map(drop)
        }),
        way("fsopen", || {
            let kind = text("tmpfs");
            call(libc::SYS_fsopen, &[kind.as_ptr() as usize, 0]).map(drop)
        }),
        way("open_tree", || {
            let root = text("/");
            call(
                libc::SYS_open_tree,
                &[libc::AT_FDCWD as usize, root.as_ptr() as usize, 1],
            )
            .map(drop)
        }),
        way("open_by_handle_at", shocker),
        way("name_to_handle_at", || {
            let root = text("/");
            let mut handle = [128_u32; 40];
            handle[1] = 0;
            let mut mount = 0_i32;
            let into = (&raw mut mount) as usize;
            call(
                libc::SYS_name_to_handle_at,
                &[
                    libc::AT_FDCWD as usize,
                    root.as_ptr() as usize,
                    handle.as_mut_ptr() as usize,
                    into,
                    0,
                ],
            )
            .map(drop)
        }),
        way("ioctl: typing into the terminal", || type_in(0x5412)),
        way("ioctl: the same, its number disguised", || {
            type_in(0x1_0000_5412)
        }),
    ]
}

/// The root of the file system below a file that the worker put into the vnode, by its usual inode.
fn shocker() -> std::io::Result<()> {
    let hosts = std::fs::File::open("/etc/hosts")?;
    let handle = [8_u32, 1, 2, 0];
    let mount = usize::try_from(hosts.as_raw_fd()).expect("a descriptor");
    call(
        libc::SYS_open_by_handle_at,
        &[mount, handle.as_ptr() as usize, 0],
    )
    .map(drop)
}

/// Puts a key into the input of a terminal that is this process's own.
fn type_in(number: usize) -> std::io::Result<()> {
    let multiplexer = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/ptmx")?;
    let terminal = usize::try_from(multiplexer.as_raw_fd()).expect("a descriptor");
    let unlocked = 0_i32;
    call(
        libc::SYS_ioctl,
        &[terminal, 0x4004_5431, (&raw const unlocked) as usize],
    )?;
    let peer = call(libc::SYS_ioctl, &[terminal, 0x5441, 0x102])?;
    let peer = usize::try_from(peer).expect("a descriptor");
    nix::unistd::setsid()?;
    call(libc::SYS_ioctl, &[peer, 0x540e, 0])?;
    let key = [b'#'];
    let typed = call(libc::SYS_ioctl, &[peer, number, key.as_ptr() as usize]);
    // Closed, it would hang up on this process.
    std::mem::forget(multiplexer);
    typed.map(drop)
}

fn sockets() -> Vec<Try> {
    let family = |family: usize, kind: usize, protocol: usize| {
        move || call(libc::SYS_socket, &[family, kind, protocol]).map(drop)
    };
    vec![
        way("socket: netfilter", family(16, 3, 12)),
        way(
            "socket: netfilter, its family disguised",
            family(0x1_0000_0010, 3, 0x1_0000_000c),
        ),
        way("socket: ciphers of the kernel", family(38, 5, 0)),
        way("socket: virtual machines' host", family(40, 1, 0)),
        way("socket: XDP", family(44, 3, 0)),
        way("liblxc's own socket", || {
            let sockets = std::fs::read_to_string("/proc/net/unix")?;
            open_if(sockets.contains("@/"))
        }),
    ]
}
