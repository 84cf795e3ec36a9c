//! What an authority is shown that asks, in a handshake, whether a name leads here (TLS-ALPN-01, RFC 8737).

use std::sync::Arc;

use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer,
    UnixTime,
};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, PeerIncompatible, SignatureScheme,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use x509_parser::oid_registry::{Oid, asn1_rs::oid};
use x509_parser::prelude::{FromDer, X509Certificate};

/// The extension acmeIdentifier.
const IDENTIFIER: Oid<'static> = oid!(1.3.6.1.5.5.7.1.31);

/// The protocol by which it asks.
pub(super) const PROTOCOL: &[u8] = b"acme-tls/1";

/// It cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChallengeFault {
    #[error("the certificate cannot be made")]
    Certificate(#[from] rcgen::Error),
    #[error("its key cannot be used")]
    Key(#[from] rustls::Error),
}

/// A certificate for this name that shows the digest, signed by itself.
pub(crate) fn challenge(
    name: &str,
    digest: &[u8; 32],
) -> Result<Arc<CertifiedKey>, ChallengeFault> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new([name.to_owned()])?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let certificate: CertificateDer<'static> = params.self_signed(&key)?.der().clone();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = rustls::crypto::ring::default_provider();
    let key = provider.key_provider.load_private_key(key)?;
    Ok(Arc::new(CertifiedKey::new(vec![certificate], key)))
}

/// Whether who listens there answers as the authority wants it, asked the way it asks.
pub(crate) async fn shows(addr: &str, name: &str, digest: &[u8; 32]) -> bool {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let wanted = Wanted {
        digest: *digest,
        algorithms: provider.signature_verification_algorithms,
    };
    let versions = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13]);
    let (Ok(builder), Ok(name)) = (versions, ServerName::try_from(name.to_owned())) else {
        return false;
    };
    let mut config = builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(wanted))
        .with_no_client_auth();
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    let Ok(stream) = TcpStream::connect(addr).await else {
        return false;
    };
    let connector = TlsConnector::from(Arc::new(config));
    connector.connect(name, stream).await.is_ok()
}

/// Takes a certificate that shows this digest, whoever signed it.
#[derive(Debug)]
struct Wanted {
    digest: [u8; 32],
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Wanted {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let parsed = parsed(end_entity)?;
        let shown = parsed.get_extension_unique(&IDENTIFIER);
        let shown = shown.map_err(|_| CertificateError::BadEncoding)?;
        // An OCTET STRING of 32 bytes.
        let is_wanted = shown.is_some_and(|shown| {
            shown.value.strip_prefix(&[4, 32]) == Some(self.digest.as_slice())
        });
        if is_wanted {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(PeerIncompatible::Tls12NotOffered.into())
    }

    /// With the key alone: the extension is critical, and who judges whole certificates does not know it.
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let parsed = parsed(certificate)?;
        let key = SubjectPublicKeyInfoDer::from(parsed.public_key().raw);
        verify_tls13_signature_with_raw_key(message, &key, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn parsed<'c>(
    certificate: &'c CertificateDer<'_>,
) -> Result<X509Certificate<'c>, CertificateError> {
    let parsed = X509Certificate::from_der(certificate);
    parsed
        .map(|(_, it)| it)
        .map_err(|_| CertificateError::BadEncoding)
}
