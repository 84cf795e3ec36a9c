//! A connection to a vnode that somebody uses: what comes from outside is noted as use of the vnode, as what is typed into a
//! terminal is. It passes the vnode's loopback, so that no counter of its network sees it; and one connection, as that of an
//! open page, may last for days.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// So often at most it is noted.
const EVERY: Duration = Duration::from_secs(1);

/// The side from which somebody comes; calls `note` while bytes come.
pub(super) struct Noticed<S, N> {
    stream: S,
    note: N,
    noted_at: Option<Instant>,
}

impl<S, N: Fn()> Noticed<S, N> {
    pub(super) fn new(stream: S, note: N) -> Self {
        let noted_at = None;
        Self {
            stream,
            note,
            noted_at,
        }
    }

    fn came(&mut self) {
        let now = Instant::now();
        let is_news = |at| now.saturating_duration_since(at) >= EVERY;
        if self.noted_at.is_none_or(is_news) {
            self.noted_at = Some(now);
            (self.note)();
        }
    }
}

impl<S: AsyncRead + Unpin, N: Fn() + Unpin> AsyncRead for Noticed<S, N> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.came();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin, N: Unpin> AsyncWrite for Noticed<S, N> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn what_comes_is_noted_and_what_goes_is_not() {
        let noted = AtomicUsize::new(0);
        let (mut outside, inside) = duplex(64);
        let mut inside = Noticed::new(inside, || {
            noted.fetch_add(1, Ordering::Relaxed);
        });
        inside.write_all(b"news").await.expect("there is room");
        assert_eq!(noted.load(Ordering::Relaxed), 0);
        outside.write_all(b"a").await.expect("there is room");
        assert_eq!(inside.read_u8().await.expect("a byte"), b'a');
        assert_eq!(noted.load(Ordering::Relaxed), 1);
        outside.write_all(b"b").await.expect("there is room");
        assert_eq!(inside.read_u8().await.expect("a byte"), b'b');
        assert_eq!(noted.load(Ordering::Relaxed), 1, "once a second is enough");
        inside.noted_at = inside.noted_at.map(|at| at - EVERY);
        outside.write_all(b"c").await.expect("there is room");
        assert_eq!(inside.read_u8().await.expect("a byte"), b'c');
        assert_eq!(noted.load(Ordering::Relaxed), 2);
    }
}
