//! TLS 1.3 between processes of one cluster. Whom the other side must be is part of the handshake.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring};
use rustls::server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError, CipherSuite, ClientConfig, DigitallySignedStruct, Error, RootCertStore,
    ServerConfig, SignatureScheme, SupportedCipherSuite,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::authority::fingerprint;
use crate::fault::LinkFault;
use crate::identity::{Identity, PeerRole};
use crate::own::Own;

/// Whom a connection must reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// This very process.
    Exactly(Identity),
    /// Any process of this role in the own cluster.
    Role(PeerRole),
}

/// Server side. A client without a certificate gets through the handshake, and then only to the join door. Nobody comes back
/// by a ticket: who a client is, and that its certificate has not ended, is proved at each connection.
///
/// # Errors
/// Key and certificate do not fit together.
pub fn server_config(own: impl Into<Own>) -> Result<Arc<ServerConfig>, LinkFault> {
    let own = own.into();
    own.check()?;
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(&own.ca)?, provider())
        .allow_unauthenticated()
        .build()
        .map_err(|error| Error::General(error.to_string()))?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(own));
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// Client side with a certificate.
///
/// # Errors
/// Key and certificate do not fit together.
pub fn client_config(own: &Own, expect: Expect) -> Result<Arc<ClientConfig>, LinkFault> {
    own.check()?;
    let verifier = PeerVerifier {
        trust: Trust::Authority(roots(&own.ca)?),
        expect,
        cluster: Some(own.identity.cluster),
        algorithms: provider().signature_verification_algorithms,
    };
    let mut config = builder(verifier)?.with_client_cert_resolver(Arc::new(own.clone()));
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// Client side before joining: trusts the one authority whose fingerprint the token carries.
///
/// # Errors
/// The TLS library refuses its own defaults.
pub fn join_config(ca_fingerprint: [u8; 32]) -> Result<Arc<ClientConfig>, LinkFault> {
    let verifier = PeerVerifier {
        trust: Trust::Fingerprint(ca_fingerprint),
        expect: Expect::Role(PeerRole::Master),
        cluster: None,
        algorithms: provider().signature_verification_algorithms,
    };
    Ok(Arc::new(builder(verifier)?.with_no_client_auth()))
}

fn builder(
    verifier: PeerVerifier,
) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>, LinkFault> {
    Ok(ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier)))
}

/// AES with keys of 128 bits first, where the client has the choice: both ends are this program, and everything that people read
/// and write in vnodes goes through it twice.
fn provider() -> Arc<CryptoProvider> {
    let mut provider = ring::default_provider();
    let is_first =
        |suite: &SupportedCipherSuite| suite.suite() == CipherSuite::TLS13_AES_128_GCM_SHA256;
    provider.cipher_suites.sort_by_key(|suite| !is_first(suite));
    Arc::new(provider)
}

fn roots(ca: &CertificateDer<'static>) -> Result<Arc<RootCertStore>, LinkFault> {
    let mut roots = RootCertStore::empty();
    roots.add(ca.clone())?;
    Ok(Arc::new(roots))
}

#[derive(Debug)]
enum Trust {
    Authority(Arc<RootCertStore>),
    Fingerprint([u8; 32]),
}

/// Checks the chain as usual, and the identity instead of a host name: processes are dialled by address.
#[derive(Debug)]
struct PeerVerifier {
    trust: Trust,
    expect: Expect,
    cluster: Option<[u8; 16]>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl PeerVerifier {
    fn roots(&self, chain: &[CertificateDer<'_>]) -> Result<Arc<RootCertStore>, Error> {
        match &self.trust {
            Trust::Authority(roots) => Ok(roots.clone()),
            Trust::Fingerprint(wanted) => {
                let ca = chain
                    .iter()
                    .find(|certificate| fingerprint(certificate) == *wanted)
                    .ok_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
                roots(&ca.clone().into_owned())
                    .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))
            }
        }
    }

    fn check_identity(&self, certificate: &CertificateDer<'_>) -> Result<(), Error> {
        let refused = || Error::InvalidCertificate(CertificateError::NotValidForName);
        let identity = Identity::of_certificate(certificate).map_err(|_| refused())?;
        let fits = match self.expect {
            Expect::Exactly(wanted) => identity == wanted,
            Expect::Role(role) => identity.role == role,
        };
        let same_cluster = self.cluster.is_none_or(|own| own == identity.cluster);
        if fits && same_cluster {
            Ok(())
        } else {
            Err(refused())
        }
    }
}

impl ServerCertVerifier for PeerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let roots = self.roots(intermediates)?;
        let parsed = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(&parsed, &roots, &[], now, self.algorithms.all)?;
        self.check_identity(end_entity)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
