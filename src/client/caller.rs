//! Who connects from this machine: the kernel's tables of connections say whose each end is.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The user whose end of a connection is at `there`, if that end is on this machine; `here` is the end that was accepted.
///
/// # Errors
/// The tables cannot be read.
pub fn user_at(there: SocketAddr, here: SocketAddr) -> io::Result<Option<u32>> {
    // Whoever connects by a socket of IPv6 to an address of IPv4 stands in the table of the former.
    let mapped = (as_ipv6(there), as_ipv6(here));
    let as_written = [("/proc/net/tcp", (there, here)), ("/proc/net/tcp6", mapped)];
    for (table, (local, remote)) in as_written {
        let wanted = (written(local), written(remote));
        let text = fs::read_to_string(table)?;
        if let Some(user) = text.lines().find_map(|line| user_of(line, &wanted)) {
            return Ok(Some(user));
        }
    }
    Ok(None)
}

fn as_ipv6(address: SocketAddr) -> SocketAddr {
    let ip: Ipv6Addr = match address.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    (ip, address.port()).into()
}

/// As proc_pid_net(5) has it: words of 32 bits as they lie in memory.
fn written(address: SocketAddr) -> String {
    let octets = match address.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let (words, _) = octets.as_chunks::<4>();
    let words = words.iter().map(|word| u32::from_ne_bytes(*word));
    let text: String = words.map(|word| format!("{word:08X}")).collect();
    format!("{text}:{:04X}", address.port())
}

/// A line has its number, both ends, the state, queues, timers, retransmissions, and then the user.
fn user_of(line: &str, wanted: &(String, String)) -> Option<u32> {
    let mut words = line.split_whitespace().skip(1);
    let ends = (words.next()?, words.next()?);
    if ends != (&wanted.0, &wanted.1) {
        return None;
    }
    words.nth(4)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn one_knows_ones_own_end_and_nobody_elses() {
        let me = nix::unistd::geteuid().as_raw();
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else {
                continue;
            };
            let here = listener.local_addr().expect("an address");
            let _stream = TcpStream::connect(here).expect("a connection");
            let (_accepted, there) = listener.accept().expect("accepted");
            assert_eq!(user_at(there, here).expect("tables"), Some(me));
            let elsewhere = SocketAddr::new(there.ip(), here.port());
            assert_eq!(user_at(elsewhere, here).expect("tables"), None);
        }
    }

    #[test]
    fn lines_are_read_as_the_kernel_writes_them() {
        let line = "   1: 0100007F:9C40 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1000        0 123 1 0 20 4 30 10 -1";
        let ends = ("0100007F:9C40".to_owned(), "0100007F:1F90".to_owned());
        assert_eq!(user_of(line, &ends), Some(1_000));
        let other = ("0100007F:9C41".to_owned(), "0100007F:1F90".to_owned());
        assert_eq!(user_of(line, &other), None);
        assert_eq!(user_of("  sl  local_address rem_address   st", &ends), None);
    }
}
