//! What a master has of the world around it: a disk, the way to other masters, a clock. In production these are a
//! directory, mutual TLS and the machine's clock; a simulation brings its own and runs everything else as it is.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use docklet_control::id::UnixMs;
use docklet_link::identity::PeerRole;
use docklet_link::rpc::Caller;
use docklet_link::tls::Expect;
use docklet_link::{Dialer, LinkFault, Purpose};

use crate::disk::Disk;
use crate::standing::Standing;

/// The world of one master.
#[derive(Clone)]
pub struct World {
    pub disk: Arc<dyn Disk>,
    pub dial: Arc<dyn Dial>,
    pub clock: Clock,
}

/// Milliseconds since 1970, as this master believes.
pub type Clock = Arc<dyn Fn() -> UnixMs + Send + Sync>;

/// The clock of this machine.
#[must_use]
pub fn machine_clock() -> Clock {
    Arc::new(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        UnixMs(since.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)))
    })
}

/// A connection in the making.
pub type Dialling<'d> = Pin<Box<dyn Future<Output = Result<Caller, LinkFault>> + Send + 'd>>;

/// The question for one's own standing.
pub type Asking<'d> = Pin<Box<dyn Future<Output = Result<Standing, LinkFault>> + Send + 'd>>;

/// Opens connections to other masters.
pub trait Dial: Send + Sync + 'static {
    /// Reaches the master at `addr`, which must be as expected.
    fn dial<'d>(&'d self, addr: &'d str, expect: Expect) -> Dialling<'d>;

    /// Asks the master at `addr` what it knows of this one. A world without that door does not tell.
    fn standing<'d>(&'d self, addr: &'d str) -> Asking<'d> {
        let _ = addr;
        Box::pin(async { Err(LinkFault::Closed) })
    }
}

impl Dial for Dialer {
    fn dial<'d>(&'d self, addr: &'d str, expect: Expect) -> Dialling<'d> {
        Box::pin(async move {
            let channel = Dialer::dial(self, addr, expect, Purpose::Raft).await?;
            Ok(Caller::new(channel))
        })
    }

    fn standing<'d>(&'d self, addr: &'d str) -> Asking<'d> {
        Box::pin(async move {
            let expect = Expect::Role(PeerRole::Master);
            let mut channel = Dialer::dial(self, addr, expect, Purpose::Standing).await?;
            channel.recv().await
        })
    }
}
