//! The certificate that this master issues itself with the cluster's authority.

use std::time::Duration;

use docklet_link::Authority;

use super::fit::{Certified, Unfit};

/// What it is called in faults.
const NAME: &str = "the cluster's own certificate";

/// Issues certificates for this master's public names.
pub(super) struct Own {
    authority: Authority,
    names: Vec<String>,
    life: Duration,
}

/// None was issued.
#[derive(Debug, thiserror::Error)]
pub(super) enum IssueFault {
    #[error("a public name of this master is unfit, or its authority's key")]
    Link(#[from] docklet_link::LinkFault),
    #[error(transparent)]
    Unfit(#[from] Unfit),
}

impl Own {
    pub(super) fn new(authority: Authority, names: Vec<String>, life: Duration) -> Self {
        Self {
            authority,
            names,
            life,
        }
    }

    pub(super) fn life(&self) -> Duration {
        self.life
    }

    /// A fresh one.
    pub(super) fn issue(&self) -> Result<Certified, IssueFault> {
        let (certificate, key) = self.authority.sign_public(&self.names, self.life)?;
        Ok(Certified::of_pem(
            NAME,
            certificate.as_bytes(),
            NAME,
            key.as_bytes(),
        )?)
    }

    /// When the next one is issued: two thirds of this one's life have passed. How much is left counts, as it begins
    /// before it was made.
    pub(super) fn next_ms(&self, current: &Certified) -> u64 {
        let third = u64::try_from(self.life.as_millis() / 3).unwrap_or(u64::MAX);
        current.ends_ms.saturating_sub(third)
    }
}
