//! Peers that vanish without a word: a closed lid, a lost network, a machine without power.

use std::os::fd::AsFd;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

/// Silence after which the kernel asks whether the peer is still there.
const ASK_AFTER: Duration = Duration::from_secs(20);
/// It asks again this often, and gives the connection up after so many questions without an answer.
const ASK_EVERY: Duration = Duration::from_secs(5);
const ASKS_MAX: u32 = 4;

/// Lets the kernel end connections whose peer has vanished. Set on a listener it holds for all that it accepts.
///
/// # Errors
/// The socket is no TCP socket.
pub fn set(socket: &impl AsFd) -> std::io::Result<()> {
    let keepalive = TcpKeepalive::new()
        .with_time(ASK_AFTER)
        .with_interval(ASK_EVERY)
        .with_retries(ASKS_MAX);
    SockRef::from(socket).set_tcp_keepalive(&keepalive)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn what_a_listener_accepts_is_watched_too() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        set(&listener).expect("set");
        let dialled = TcpStream::connect(listener.local_addr().expect("an address"));
        let (accepted, _) = listener.accept().expect("accepted");
        let accepted = SockRef::from(&accepted);
        assert!(accepted.keepalive().expect("asked"));
        assert_eq!(accepted.tcp_keepalive_time().expect("asked"), ASK_AFTER);
        drop(dialled);
    }
}
