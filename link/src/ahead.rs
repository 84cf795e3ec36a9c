//! Reading ahead, for TLS. It asks the kernel for four KiB at a time, whatever is there: a record of sixteen costs five calls.
//! Where much comes, it is read in one call and given out in the pieces that are asked for. Where little comes, and where nothing
//! does, this has no memory and is not in the way.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::io::poll_read_buf;

/// Bytes of one look: four records of TLS.
const AHEAD_BYTES: usize = 64 << 10;
/// Who asks for more reads by themselves.
const PIECE_BYTES_MAX: usize = 16 << 10;

/// A stream of which much is read at once while much comes.
#[derive(Debug)]
pub struct ReadAhead<S> {
    stream: S,
    /// What was read and not asked for yet.
    held: BytesMut,
    /// Whether the last look brought all that it could.
    much: bool,
}

impl<S> ReadAhead<S> {
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            held: BytesMut::new(),
            much: false,
        }
    }

    fn give(&mut self, buffer: &mut ReadBuf<'_>) {
        let length = self.held.len().min(buffer.remaining());
        buffer.put_slice(&self.held[..length]);
        self.held.advance(length);
        if self.held.is_empty() && !self.much {
            self.held = BytesMut::new();
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadAhead<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let asked = buffer.remaining();
        if this.held.is_empty() && (!this.much || asked > PIECE_BYTES_MAX) {
            this.held = BytesMut::new();
            ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
            this.much = asked > 0 && buffer.remaining() == 0;
            return Poll::Ready(Ok(()));
        }
        if this.held.is_empty() {
            this.held.reserve(AHEAD_BYTES);
            let read = poll_read_buf(Pin::new(&mut this.stream), context, &mut this.held);
            if read.is_pending() {
                this.held = BytesMut::new();
                this.much = false;
            }
            let read = ready!(read)?;
            this.much = read > PIECE_BYTES_MAX;
        }
        this.give(buffer);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ReadAhead<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use tokio::io::AsyncReadExt;

    use super::*;

    /// Gives what is in it, and counts how often somebody looked.
    struct Counted {
        parts: VecDeque<Vec<u8>>,
        looks: usize,
    }

    impl AsyncRead for Counted {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            self.looks += 1;
            let Some(part) = self.parts.front_mut() else {
                return Poll::Ready(Ok(()));
            };
            let length = part.len().min(buffer.remaining());
            buffer.put_slice(&part[..length]);
            part.drain(..length);
            if part.is_empty() {
                self.parts.pop_front();
            }
            Poll::Ready(Ok(()))
        }
    }

    /// Reads all in pieces as TLS asks for them; answers how often the stream was looked at.
    async fn looks(parts: Vec<Vec<u8>>) -> (usize, Vec<u8>, usize) {
        let stream = Counted {
            parts: parts.into(),
            looks: 0,
        };
        let mut ahead = ReadAhead::new(stream);
        let (mut all, mut piece) = (Vec::new(), vec![0; 4 << 10]);
        loop {
            let length = ahead.read(&mut piece).await.expect("read");
            if length == 0 {
                return (ahead.stream.looks, all, ahead.held.capacity());
            }
            all.extend_from_slice(&piece[..length]);
        }
    }

    #[tokio::test]
    async fn much_is_read_in_few_looks_and_comes_in_order() {
        let bytes: Vec<u8> = (0..=250_u8).cycle().take(1 << 20).collect();
        let (looks, came, _) = looks(vec![bytes.clone()]).await;
        assert!(came == bytes, "other bytes");
        assert!(looks <= 20, "{looks} looks at sixteen times 64 KiB");
    }

    #[tokio::test]
    async fn little_is_read_as_it_comes_and_keeps_no_memory() {
        let parts: Vec<Vec<u8>> = (0..100).map(|part| vec![part; 300]).collect();
        let (looks, came, held) = looks(parts.clone()).await;
        assert_eq!(came, parts.concat());
        assert_eq!((looks, held), (101, 0));
    }

    #[tokio::test]
    async fn what_was_asked_for_in_large_pieces_is_not_copied() {
        let stream = Counted {
            parts: vec![vec![7; 1 << 20]].into(),
            looks: 0,
        };
        let mut ahead = ReadAhead::new(stream);
        let mut all = vec![0; 1 << 20];
        ahead.read_exact(&mut all).await.expect("read");
        assert_eq!((ahead.stream.looks, ahead.held.capacity()), (1, 0));
    }
}
