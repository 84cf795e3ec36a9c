//! Which certificate a handshake is shown.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::challenge::PROTOCOL;
use super::fit::Certified;

/// Everything that may be shown now.
#[derive(Clone)]
pub(super) struct Held {
    pub(super) own: Arc<Certified>,
    /// When the next of its kind is issued.
    pub(super) own_next_ms: u64,
    pub(super) given: Option<Arc<Certified>>,
    /// What came by ACME.
    pub(super) acme: Option<Arc<Certified>>,
    /// What an authority is shown that asks whether a name leads here.
    pub(super) answers: BTreeMap<String, Arc<CertifiedKey>>,
    /// Why what is in the files is not used.
    pub(super) fault: Option<String>,
}

impl Held {
    /// A certificate of others is for the names in it, one that was given before one by ACME. Whoever comes by an address, or by a name that is not in it, gets
    /// the cluster's own: so do the command line and other masters of one machine.
    fn pick(&self, name: Option<&str>) -> Arc<CertifiedKey> {
        let fits = |others: &&Arc<Certified>| match name {
            Some(name) => others.is_for(name),
            None => others
                .names
                .iter()
                .any(|name| name.parse::<IpAddr>().is_ok()),
        };
        let mut others = self.given.iter().chain(&self.acme);
        others.find(fits).unwrap_or(&self.own).key.clone()
    }
}

/// Shows what is held.
pub(super) struct Resolver(RwLock<Held>);

impl Resolver {
    pub(super) fn new(own: Certified, own_next_ms: u64) -> Self {
        Self(RwLock::new(Held {
            own: Arc::new(own),
            own_next_ms,
            given: None,
            acme: None,
            answers: BTreeMap::new(),
            fault: None,
        }))
    }

    pub(super) fn held(&self) -> Held {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Held)) {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner));
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
        // Whoever speaks of challenges is shown answers to them, and nothing else.
        let mut protocols = hello.alpn().into_iter().flatten();
        if protocols.any(|protocol| protocol == PROTOCOL) {
            let name = hello.server_name()?.to_ascii_lowercase();
            return held.answers.get(&name).cloned();
        }
        Some(held.pick(hello.server_name()))
    }
}
