//! The certificates of the public listener. Every master has one of the cluster's own authority, for its public names, and
//! issues itself the next before that one ends. Beside it there may be one that was given in files, which is looked at
//! again and again: what is fit is taken over for new connections, open ones stay; what is unfit leaves the old one in use.

mod challenge;
mod fit;
mod given;
mod own;
mod resolver;
mod view;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use docklet_control::view::AcmeView;
use docklet_link::Authority;
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use tokio::time::{MissedTickBehavior, interval};

pub(crate) use self::challenge::{challenge, shows};
pub(crate) use self::fit::Certified;
pub use self::fit::Unfit;
use self::given::{Given, Look};
use self::own::Own;
use self::resolver::Resolver;

pub use self::view::{CertificateView, TlsView};
use crate::asker::now;

/// How often files and clocks are looked at.
const EVERY: Duration = Duration::from_secs(2);
/// Who looks after a given certificate is told so long before it ends.
const ENDS_SOON_MS: u64 = 14 * DAY_MS;
const DAY_MS: u64 = 24 * 3_600_000;

/// Where the certificates of one master's public listener come from.
pub struct PublicConfig {
    /// The cluster's own authority.
    pub authority: Authority,
    /// Names and addresses that people use.
    pub names: Vec<String>,
    /// Names of services, for which a given one need not be good: the own one is.
    pub service_names: Vec<String>,
    /// How long what the authority issues is good for.
    pub life: Duration,
    /// What somebody else issued.
    pub given: Option<GivenFiles>,
}

/// Where a given certificate and its key are, as PEM.
#[derive(Clone, Debug)]
pub struct GivenFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// Says whether files could be used; nothing is kept of them.
///
/// # Errors
/// They could not.
pub fn check_given(files: &GivenFiles, names: &[String]) -> Result<(), Unfit> {
    let certified = given::read(files, names)?;
    certified.check_dates(now().0)
}

/// What an authority issued by ACME, for this key as PKCS#8.
///
/// # Errors
/// It is none, or not for that key.
pub(crate) fn certified_of_acme(chain: &str, key: &[u8]) -> Result<Certified, Unfit> {
    const NAME: &str = "the certificate by ACME";
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.to_vec()));
    Certified::of_parts(NAME, chain.as_bytes(), NAME, key)
}

/// The certificates, and who shows them.
#[derive(Clone)]
pub(crate) struct Public {
    resolver: Arc<Resolver>,
}

/// Keeps the certificates fit.
pub(crate) struct Keeper {
    own: Own,
    given: Option<Given>,
    resolver: Arc<Resolver>,
}

impl Public {
    /// Certificates to begin with.
    ///
    /// # Errors
    /// A given one is unfit, or a public name is none.
    pub(crate) fn begin(config: PublicConfig) -> std::io::Result<(Self, Keeper)> {
        let now_ms = now().0;
        let names = config.names.clone();
        let certified = [config.names, config.service_names].concat();
        let own = Own::new(config.authority, certified, config.life);
        let first = own.issue().map_err(std::io::Error::other)?;
        let next_ms = own.next_ms(&first);
        let resolver = Arc::new(Resolver::new(first, next_ms));
        let given = config.given.map(|files| Given::new(files, names));
        let mut keeper = Keeper {
            own,
            given,
            resolver: resolver.clone(),
        };
        keeper.begin(now_ms)?;
        Ok((Self { resolver }, keeper))
    }

    /// What the listener's handshakes go by.
    pub(crate) fn tls(&self) -> std::io::Result<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(std::io::Error::other)?
            .with_no_client_auth()
            .with_cert_resolver(self.resolver.clone());
        tls.alpn_protocols = vec![
            b"h2".to_vec(),
            b"http/1.1".to_vec(),
            challenge::PROTOCOL.to_vec(),
        ];
        Ok(tls)
    }

    /// Shows what came by ACME, and these answers to its challenges.
    pub(crate) fn follow(
        &self,
        certified: Option<Arc<Certified>>,
        answers: BTreeMap<String, Arc<CertifiedKey>>,
    ) {
        self.resolver.change(|held| {
            held.acme = certified;
            held.answers = answers;
        });
    }

    pub(crate) fn view(&self, master: &str, acme: Option<AcmeView>) -> TlsView {
        view::show(master, &self.resolver.held(), now().0, acme)
    }
}

impl Keeper {
    /// What was given must be fit when the master starts, but for its dates: a master that people cannot reach is less
    /// bad than one that does not vote.
    fn begin(&mut self, now_ms: u64) -> std::io::Result<()> {
        let Some(given) = &mut self.given else {
            return Ok(());
        };
        let certified = given.first().map_err(std::io::Error::other)?;
        let unfit = certified.check_dates(now_ms).err();
        if let Some(unfit) = &unfit {
            tracing::error!(%unfit, "the given public certificate is used nevertheless");
        }
        self.resolver.change(|held| {
            held.given = Some(Arc::new(certified));
            held.fault = unfit.map(|unfit| unfit.to_string());
        });
        Ok(())
    }

    /// Looks again and again, until dropped.
    pub(crate) async fn run(mut self) -> std::io::Result<()> {
        let mut ticks = interval(EVERY.min(self.own.life() / 12));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut warned_at_ms = 0;
        loop {
            ticks.tick().await;
            let looked = tokio::task::spawn_blocking(move || {
                self.look(now().0, &mut warned_at_ms);
                (self, warned_at_ms)
            });
            (self, warned_at_ms) = looked.await.map_err(std::io::Error::other)?;
        }
    }

    fn look(&mut self, now_ms: u64, warned_at_ms: &mut u64) {
        if now_ms >= self.resolver.held().own_next_ms {
            self.renew();
        }
        let Some(given) = &mut self.given else { return };
        match given.look(now_ms) {
            Look::Same => {}
            Look::Fit(next) => {
                let until_ms = next.ends_ms;
                tracing::info!(until_ms, "took over the given public certificate");
                self.resolver.change(|held| {
                    held.given = Some(Arc::new(*next));
                    held.fault = None;
                });
            }
            Look::Unfit(unfit) => {
                tracing::error!(%unfit, "the old public certificate stays in use");
                self.resolver
                    .change(|held| held.fault = Some(unfit.to_string()));
            }
        }
        self.warn(now_ms, warned_at_ms);
    }

    fn renew(&self) {
        match self.own.issue() {
            Ok(next) => {
                tracing::info!(
                    until_ms = next.ends_ms,
                    "issued the next public certificate"
                );
                let next_ms = self.own.next_ms(&next);
                self.resolver.change(|held| {
                    held.own = Arc::new(next);
                    held.own_next_ms = next_ms;
                });
            }
            Err(fault) => tracing::error!(%fault, "no next public certificate was issued"),
        }
    }

    /// Once a day.
    fn warn(&self, now_ms: u64, warned_at_ms: &mut u64) {
        let held = self.resolver.held();
        let Some(given) = held.given else { return };
        let soon = given.ends_ms < now_ms.saturating_add(ENDS_SOON_MS);
        if soon && now_ms >= warned_at_ms.saturating_add(DAY_MS) {
            *warned_at_ms = now_ms;
            let until_ms = given.ends_ms;
            tracing::warn!(
                until_ms,
                "the given public certificate ends: put its successor into its files"
            );
        }
    }
}

#[cfg(test)]
mod tests;
