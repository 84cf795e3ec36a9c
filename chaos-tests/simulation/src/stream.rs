//! One end of a connection of the simulated network, as tokio wants it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use docklet_link::rpc::Caller;
use docklet_link::tls::Expect;
use docklet_link::{Channel, Identity, LinkFault};
use docklet_raft::{Dial, Dialling};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::network::{Network, Place};

/// An end; closes when dropped.
pub struct SimStream {
    network: Network,
    connection: u64,
    side: usize,
    /// Arrived and not yet read.
    rest: Vec<u8>,
    forgotten: bool,
}

impl SimStream {
    pub(crate) fn new(network: Network, connection: u64, side: usize) -> Self {
        Self {
            network,
            connection,
            side,
            rest: Vec::new(),
            forgotten: false,
        }
    }

    /// Which end it is; it does not close any more when dropped.
    pub(crate) fn into_parts(mut self) -> (u64, usize) {
        self.forgotten = true;
        (self.connection, self.side)
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        if !self.forgotten {
            self.network.close(self.connection, self.side);
        }
    }
}

impl AsyncRead for SimStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.rest.is_empty() {
            let arrived = this
                .network
                .read(this.connection, this.side, context.waker());
            let Some(arrived) = arrived else {
                return Poll::Pending;
            };
            this.rest = arrived;
        }
        let count = this.rest.len().min(buffer.remaining());
        buffer.put_slice(&this.rest[..count]);
        this.rest.drain(..count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for SimStream {
    fn poll_write(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.network.write(self.connection, self.side, bytes) {
            Poll::Ready(Ok(bytes.len()))
        } else {
            Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The way of one machine to the masters.
pub struct SimDial {
    pub network: Network,
    pub from: Place,
    pub identity: Identity,
}

impl Dial for SimDial {
    fn dial<'d>(&'d self, addr: &'d str, expect: Expect) -> Dialling<'d> {
        let dialled = self.network.dial(self.from, addr, self.identity, expect);
        Box::pin(async move {
            match dialled.await {
                Ok(stream) => Ok::<_, LinkFault>(Caller::new(Channel::new(stream?))),
                // Lost on the way: silence, until whoever dials gives up.
                Err(_) => std::future::pending().await,
            }
        })
    }
}
