//! A gate that all of a process's connections on the cluster network go through. While it is shut no byte passes, in
//! one or both directions: connections stay open and stall, as they do when every packet is dropped, and what waited
//! goes on afterwards, as TCP does. It is what a drill's partition is made of.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;

use crate::ahead::ReadAhead;

/// Which ways are barred.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Barred {
    /// Nothing comes in.
    pub inward: bool,
    /// Nothing goes out.
    pub outward: bool,
}

impl Barred {
    /// Neither way.
    pub const NEITHER: Self = Self {
        inward: false,
        outward: false,
    };
    /// Both ways.
    pub const BOTH: Self = Self {
        inward: true,
        outward: true,
    };

    fn bars(self, way: Way) -> bool {
        match way {
            Way::Inward => self.inward,
            Way::Outward => self.outward,
        }
    }
}

#[derive(Clone, Copy)]
enum Way {
    Inward,
    Outward,
}

/// The gate; clones are the same one. Open unless somebody holds it shut.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<Bars>);

#[derive(Debug, Default)]
struct Bars {
    barred: watch::Sender<Barred>,
    /// Whether any way is; it changes with the other, and is all that most of those who pass have to look at.
    any: AtomicBool,
}

impl Bars {
    fn set(&self, barred: Barred) {
        self.barred.send_modify(|now| {
            *now = barred;
            self.any.store(barred != Barred::NEITHER, Ordering::Release);
        });
    }
}

/// Holds a gate shut; it opens when this is dropped, whatever the reason.
#[must_use]
#[derive(Debug)]
pub struct HeldShut(Gate);

impl Drop for HeldShut {
    fn drop(&mut self) {
        self.0.0.set(Barred::NEITHER);
    }
}

impl Gate {
    /// Shuts the gate in these directions until the answer is dropped.
    pub fn shut(&self, barred: Barred) -> HeldShut {
        self.0.set(barred);
        HeldShut(self.clone())
    }

    /// Which ways are barred now.
    #[must_use]
    pub fn barred(&self) -> Barred {
        if !self.0.any.load(Ordering::Acquire) {
            return Barred::NEITHER;
        }
        *self.0.barred.borrow()
    }

    /// Waits until both ways are open.
    pub async fn passable(&self) {
        self.wait(|barred| barred == Barred::NEITHER).await;
    }

    async fn wait(&self, until: impl Fn(Barred) -> bool) {
        let mut barred = self.0.barred.subscribe();
        // The sender lives in this very gate: waiting can't fail.
        let _ = barred.wait_for(|barred| until(*barred)).await;
    }

    /// Lets a stream through the gate from now on.
    pub fn through<S>(&self, stream: S) -> Gated<S> {
        Gated {
            stream: ReadAhead::new(stream),
            gate: self.clone(),
            reading: None,
            writing: None,
        }
    }
}

type Waiting = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

/// A stream that goes through a gate.
pub struct Gated<S> {
    stream: ReadAhead<S>,
    gate: Gate,
    /// There while the gate was found shut; costs nothing otherwise.
    reading: Option<Waiting>,
    writing: Option<Waiting>,
}

fn poll_open(
    gate: &Gate,
    way: Way,
    waiting: &mut Option<Waiting>,
    context: &mut Context<'_>,
) -> Poll<()> {
    while gate.barred().bars(way) {
        let wait = waiting.get_or_insert_with(|| {
            let gate = gate.clone();
            Box::pin(async move { gate.wait(|barred| !barred.bars(way)).await })
        });
        ready!(wait.as_mut().poll(context));
        *waiting = None;
    }
    *waiting = None;
    Poll::Ready(())
}

impl<S: AsyncRead + Unpin> AsyncRead for Gated<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(poll_open(
            &this.gate,
            Way::Inward,
            &mut this.reading,
            context
        ));
        Pin::new(&mut this.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gated<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(poll_open(
            &this.gate,
            Way::Outward,
            &mut this.writing,
            context
        ));
        Pin::new(&mut this.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(poll_open(
            &this.gate,
            Way::Outward,
            &mut this.writing,
            context
        ));
        Pin::new(&mut this.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(poll_open(
            &this.gate,
            Way::Outward,
            &mut this.writing,
            context
        ));
        Pin::new(&mut this.stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::{Barred, Gate, Gated};

    /// Long enough for a byte that may pass to have passed.
    const MOMENT: Duration = Duration::from_millis(20);

    fn pair() -> (Gate, Gated<DuplexStream>, DuplexStream) {
        let (near, far) = duplex(64);
        let gate = Gate::default();
        let near = gate.through(near);
        (gate, near, far)
    }

    async fn arrives(stream: &mut (impl AsyncReadExt + Unpin)) -> Option<u8> {
        let read = tokio::time::timeout(MOMENT, stream.read_u8()).await;
        read.ok().map(|byte| byte.expect("the other end is open"))
    }

    #[tokio::test]
    async fn a_shut_gate_stalls_and_what_waited_goes_on_when_it_opens() {
        let (gate, mut near, mut far) = pair();
        let shut = gate.shut(Barred::BOTH);
        far.write_u8(1).await.expect("there is room");
        assert_eq!(arrives(&mut near).await, None);
        let writing = tokio::spawn(async move {
            near.write_u8(2).await.expect("the other end is open");
            near
        });
        assert_eq!(arrives(&mut far).await, None);
        drop(shut);
        assert_eq!(far.read_u8().await.expect("open"), 2);
        let mut near = writing.await.expect("written");
        assert_eq!(near.read_u8().await.expect("open"), 1);
    }

    #[tokio::test]
    async fn one_way_may_be_barred_alone() {
        let (gate, mut near, mut far) = pair();
        let inward = Barred {
            inward: true,
            outward: false,
        };
        let shut = gate.shut(inward);
        near.write_u8(2).await.expect("the way out is open");
        assert_eq!(arrives(&mut far).await, Some(2));
        far.write_u8(1).await.expect("there is room");
        assert_eq!(arrives(&mut near).await, None);
        drop(shut);
        assert_eq!(arrives(&mut near).await, Some(1));
    }

    #[tokio::test]
    async fn a_read_that_waits_already_is_stalled_too() {
        let (gate, mut near, mut far) = pair();
        let reading = tokio::spawn(async move { arrives(&mut near).await });
        tokio::task::yield_now().await;
        let shut = gate.shut(Barred::BOTH);
        far.write_u8(1).await.expect("there is room");
        assert_eq!(reading.await.expect("no panic"), None);
        drop(shut);
    }
}
