//! One connection to one master. It is dialled in the background, when first needed and again when it broke: dialling
//! has a deadline of its own, however little time the call has that waits for it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use docklet_link::LinkFault;
use docklet_link::identity::{Identity, PeerRole};
use docklet_link::rpc::{Begun, Caller, within};
use docklet_link::tls::Expect;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::world::Dial;

/// A connection on which calls wait and nothing has been answered for so long is given up: what went lost on the way
/// to a master that was cut off comes late, if ever. Twice the longest election timeout.
const SILENCE_MAX: Duration = Duration::from_secs(1);
/// Three round trips and two signatures, over any distance; a packet that was lost while a master was cut off is not
/// waited for longer.
const DIAL_DEADLINE: Duration = Duration::from_secs(1);

/// Whom to reach, and what there is of a connection.
pub struct Line {
    dial: Arc<dyn Dial>,
    expect: Expect,
    addr: String,
    slot: Arc<Mutex<Slot>>,
}

enum Slot {
    Down,
    Dialling(watch::Receiver<Option<Dialled>>),
    Up(Caller),
}

/// A connection, or why there is none.
type Dialled = Result<Caller, String>;

impl Line {
    /// A line to this very master.
    pub fn to(dial: Arc<dyn Dial>, own: Identity, id: u64, addr: String) -> Self {
        let expect = Expect::Exactly(Identity {
            role: PeerRole::Master,
            id,
            cluster: own.cluster,
        });
        Self::new(dial, expect, addr)
    }

    /// A line to whichever master of the own cluster is at this address.
    pub fn any(dial: Arc<dyn Dial>, addr: String) -> Self {
        Self::new(dial, Expect::Role(PeerRole::Master), addr)
    }

    fn new(dial: Arc<dyn Dial>, expect: Expect, addr: String) -> Self {
        Self {
            dial,
            expect,
            addr,
            slot: Arc::new(Mutex::new(Slot::Down)),
        }
    }

    /// Calls `method`. The deadline covers the wait for a connection; dialling goes on after it.
    pub async fn call<A: Serialize, R: DeserializeOwned>(
        &self,
        method: u8,
        body: &A,
        deadline: Duration,
    ) -> Result<R, LinkFault> {
        let exchange = async { self.begin(method, body).await?.answer().await };
        let bytes = within(deadline, exchange).await?;
        Ok(postcard::from_bytes(&bytes)?)
    }

    /// Sends a call of `method`, when there is a connection. Calls that are sent one after the other begin in that
    /// order there too.
    pub async fn begin<A: Serialize>(&self, method: u8, body: &A) -> Result<Begun, LinkFault> {
        let body = postcard::to_stdvec(body)?;
        self.caller().await?.begin(method, &body).await
    }

    /// Dials if there is no connection, and waits for nothing.
    pub fn warm(&self) {
        let mut slot = lock(&self.slot);
        if !slot.is_fine() {
            self.dial(&mut slot);
        }
    }

    /// Whether there is a connection.
    pub fn is_up(&self) -> bool {
        matches!(&*lock(&self.slot), Slot::Up(caller) if !caller.is_dead())
    }

    async fn caller(&self) -> Result<Caller, LinkFault> {
        let mut dialled = {
            let mut slot = lock(&self.slot);
            match &*slot {
                Slot::Up(caller) if slot.is_fine() => return Ok(caller.clone()),
                Slot::Dialling(dialled) => dialled.clone(),
                Slot::Down | Slot::Up(_) => self.dial(&mut slot),
            }
        };
        let unreachable = |cause| LinkFault::Unreachable {
            addr: self.addr.clone(),
            cause,
        };
        let answer = dialled.wait_for(Option::is_some).await;
        let answer = answer.ok().and_then(|answer| answer.clone());
        let gone = || Err("dialling was given up".to_owned());
        answer.unwrap_or_else(gone).map_err(unreachable)
    }

    fn dial(&self, slot: &mut Slot) -> watch::Receiver<Option<Dialled>> {
        let (told, dialled) = watch::channel(None);
        *slot = Slot::Dialling(dialled.clone());
        let (dial, addr, expect) = (self.dial.clone(), self.addr.clone(), self.expect);
        let kept = Arc::downgrade(&self.slot);
        tokio::spawn(async move {
            let dialling = dial.dial(&addr, expect);
            let reached = match tokio::time::timeout(DIAL_DEADLINE, dialling).await {
                Ok(reached) => reached.map_err(|fault| full_text(&fault)),
                Err(_) => Err("no answer to dialling".to_owned()),
            };
            // Without the line nobody needs the connection.
            if let Some(slot) = kept.upgrade() {
                *lock(&slot) = match &reached {
                    Ok(caller) => Slot::Up(caller.clone()),
                    Err(_) => Slot::Down,
                };
            }
            told.send_replace(Some(reached));
        });
        dialled
    }
}

impl Slot {
    fn is_fine(&self) -> bool {
        match self {
            Self::Up(caller) => !caller.is_dead() && caller.unanswered_for() < SILENCE_MAX,
            Self::Dialling(_) => true,
            Self::Down => false,
        }
    }
}

fn lock(slot: &Mutex<Slot>) -> std::sync::MutexGuard<'_, Slot> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The fault with its causes.
fn full_text(fault: &LinkFault) -> String {
    let mut text = fault.to_string();
    let mut cause = std::error::Error::source(fault);
    while let Some(source) = cause {
        text = format!("{text}: {source}");
        cause = source.source();
    }
    text
}
