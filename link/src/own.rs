//! Who this process is, as of now: certificate and key, which are replaced while it runs. Listeners and dialers hold this
//! and take what is current in each handshake; connections that are open stay as they are.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use rustls::client::ResolvesClientCert;
use rustls::crypto::ring;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{Error, SignatureScheme};
use rustls_pki_types::CertificateDer;

use crate::authority::{Authority, SigningRequest};
use crate::credentials::Credentials;
use crate::fault::LinkFault;
use crate::identity::{Identity, Proof};

/// Clones are the same.
#[derive(Clone)]
pub struct Own {
    /// Who this process is: that never changes.
    pub identity: Identity,
    /// The cluster's authority.
    pub ca: CertificateDer<'static>,
    dir: Option<Arc<PathBuf>>,
    held: Arc<RwLock<Arc<Held>>>,
}

/// What is held at a time.
struct Held {
    credentials: Credentials,
    /// The same as TLS wants it, once somebody asked.
    certified: OnceLock<Option<Arc<CertifiedKey>>>,
}

impl Held {
    fn new(credentials: Credentials) -> Arc<Self> {
        Arc::new(Self {
            credentials,
            certified: OnceLock::new(),
        })
    }

    fn certified(&self) -> Option<Arc<CertifiedKey>> {
        let made = self.certified.get_or_init(|| {
            let own = &self.credentials;
            let chain = vec![own.certificate.clone(), own.ca.clone()];
            let made = CertifiedKey::from_der(chain, own.key(), &ring::default_provider());
            made.ok().map(Arc::new)
        });
        made.clone()
    }
}

impl From<Credentials> for Own {
    fn from(credentials: Credentials) -> Self {
        Self {
            identity: credentials.identity,
            ca: credentials.ca.clone(),
            dir: None,
            held: Arc::new(RwLock::new(Held::new(credentials))),
        }
    }
}

impl From<&Credentials> for Own {
    fn from(credentials: &Credentials) -> Self {
        credentials.clone().into()
    }
}

impl From<&Self> for Own {
    fn from(own: &Self) -> Self {
        own.clone()
    }
}

impl fmt::Debug for Own {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Own({})", self.identity)
    }
}

impl Own {
    /// Reads a directory; what replaces it is kept there, too.
    ///
    /// # Errors
    /// As [`Credentials::load`].
    pub fn load(dir: &Path) -> Result<Self, LinkFault> {
        Ok(Self {
            dir: Some(Arc::new(dir.to_owned())),
            ..Credentials::load(dir)?.into()
        })
    }

    fn held(&self) -> Arc<Held> {
        self.held
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// What is current.
    #[must_use]
    pub fn now(&self) -> Credentials {
        self.held().credentials.clone()
    }

    /// What the current certificate says.
    ///
    /// # Errors
    /// It cannot be read: it was read before.
    pub fn proof(&self) -> Result<Proof, LinkFault> {
        Proof::of_certificate(&self.held().credentials.certificate)
    }

    /// Takes this certificate over, first on the disk and then in all listeners and dialers that hold this.
    ///
    /// # Errors
    /// It names another process or is of another authority, does not fit the key, or cannot be kept: then what was before
    /// stays in use.
    pub fn replace(&self, certificate_pem: &str, key_pem: &str) -> Result<(), LinkFault> {
        let before = self.now();
        let next = before.with(certificate_pem, key_pem)?;
        next.check_authority()?;
        if next.identity != self.identity {
            return Err(LinkFault::Identity(next.identity.to_string()));
        }
        let held = Held::new(next);
        if held.certified().is_none() {
            let text = "the key is that of another certificate";
            return Err(Error::General(text.to_owned()).into());
        }
        if let Some(dir) = &self.dir {
            Credentials::store_next(dir, certificate_pem, key_pem)?;
        }
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = held;
        Ok(())
    }

    /// On a master, which has the authority's key: issues itself the next certificate if it is time for that, with a new
    /// key. Answers whether it did.
    ///
    /// # Errors
    /// It cannot be made or kept.
    pub fn renew_if_due(&self, authority: &Authority, now_ms: u64) -> Result<bool, LinkFault> {
        let proof = self.proof()?;
        // One that begins later is of a time when the clock was wrong.
        let timely = (proof.begins_ms..proof.due_ms(Duration::ZERO)).contains(&now_ms);
        // A shorter life that somebody has set holds at once.
        if timely && proof.life() <= authority.life() {
            return Ok(false);
        }
        let signing = SigningRequest::new()?;
        let certificate = authority.sign(&signing.csr_pem, self.identity)?;
        self.replace(&certificate, &signing.key_pem)?;
        Ok(true)
    }

    /// Whether what is held can be shown at all.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let held = self.held();
        if held.certified().is_some() {
            return Ok(());
        }
        let own = &held.credentials;
        let chain = vec![own.certificate.clone(), own.ca.clone()];
        CertifiedKey::from_der(chain, own.key(), &ring::default_provider()).map(drop)
    }
}

impl ResolvesServerCert for Own {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.held().certified()
    }
}

impl ResolvesClientCert for Own {
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        _schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        self.held().certified()
    }

    fn has_certs(&self) -> bool {
        true
    }
}
