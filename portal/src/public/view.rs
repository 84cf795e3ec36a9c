//! What admins are shown of the public certificates of one master.

use docklet_control::id::UnixMs;
use docklet_control::view::AcmeView;
use serde::{Deserialize, Serialize};

use crate::between::ClusterCertificates;

use super::fit::Certified;
use super::resolver::Held;

/// The certificates of the master that was asked.
#[derive(Serialize, Deserialize, schemars::JsonSchema)]
pub struct TlsView {
    pub master: String,
    pub certificates: Vec<CertificateView>,
    /// What is set for ACME, and how far it has come; none if nothing is.
    pub acme: Option<AcmeView>,
    /// Those between masters and workers.
    #[serde(default)]
    pub cluster: Option<ClusterCertificates>,
}

/// One that is in use.
#[derive(Serialize, Deserialize, schemars::JsonSchema)]
pub struct CertificateView {
    /// `own` for the cluster's authority, `given` for files, `acme` for what the cluster got itself.
    pub source: String,
    pub names: Vec<String>,
    pub issuer: String,
    /// SHA-256 of the certificate.
    pub fingerprint: String,
    pub from: UnixMs,
    pub until: UnixMs,
    pub ended: bool,
    /// When the cluster gets itself the next one; absent if people have to.
    pub renewed_at: Option<UnixMs>,
    /// Why the next one is not in use.
    pub fault: Option<String>,
}

pub(super) fn show(master: &str, held: &Held, now_ms: u64, set: Option<AcmeView>) -> TlsView {
    let given = held
        .given
        .as_ref()
        .map(|given| one("given", given, now_ms, None, held.fault.clone()));
    let acme = held
        .acme
        .as_ref()
        .map(|acme| one("acme", acme, now_ms, Some(UnixMs(acme.renewed_ms())), None));
    let own_next = Some(UnixMs(held.own_next_ms));
    let own = one("own", &held.own, now_ms, own_next, None);
    TlsView {
        master: master.to_owned(),
        certificates: given.into_iter().chain(acme).chain([own]).collect(),
        acme: set,
        cluster: None,
    }
}

fn one(
    source: &str,
    shown: &Certified,
    now_ms: u64,
    renewed_at: Option<UnixMs>,
    fault: Option<String>,
) -> CertificateView {
    CertificateView {
        source: source.to_owned(),
        names: shown.names.clone(),
        issuer: shown.issuer.clone(),
        fingerprint: shown.fingerprint.clone(),
        from: UnixMs(shown.begins_ms),
        until: UnixMs(shown.ends_ms),
        ended: now_ms >= shown.ends_ms,
        renewed_at,
        fault,
    }
}
