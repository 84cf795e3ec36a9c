//! The files by which a process proves who it is: `ca.pem`, `own.pem`, `own.key`, on masters `ca.key`.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::authority::Authority;
use crate::fault::LinkFault;
use crate::identity::Identity;

/// Certificates and keys of one process, read and checked.
#[derive(Debug)]
pub struct Credentials {
    /// Who this process is.
    pub identity: Identity,
    /// The cluster's authority.
    pub ca: CertificateDer<'static>,
    /// Own certificate.
    pub certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Clone for Credentials {
    fn clone(&self) -> Self {
        Self {
            identity: self.identity,
            ca: self.ca.clone(),
            certificate: self.certificate.clone(),
            key: self.key.clone_key(),
        }
    }
}

impl Credentials {
    /// Writes what a process got when it joined; `ca_key_pem` on masters only.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn store(
        dir: &Path,
        ca_pem: &str,
        own_pem: &str,
        own_key_pem: &str,
        ca_key_pem: Option<&str>,
    ) -> Result<(), LinkFault> {
        private_dir(dir)?;
        write_private(&dir.join("ca.pem"), ca_pem.as_bytes())?;
        write_private(&dir.join("own.pem"), own_pem.as_bytes())?;
        if let Some(key) = ca_key_pem {
            write_private(&dir.join("ca.key"), key.as_bytes())?;
        }
        // The key comes last: with it the set is complete.
        write_private(&dir.join("own.key"), own_key_pem.as_bytes())
    }

    /// Writes the next certificate and its key, so that a crash leaves the old pair or the new one: both are one file. That
    /// of the certificate is for people, and for programs from before.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn store_next(dir: &Path, own_pem: &str, own_key_pem: &str) -> Result<(), LinkFault> {
        let both = format!("{}\n{}\n", own_key_pem.trim_end(), own_pem.trim_end());
        write_private(&dir.join("own.key"), both.as_bytes())?;
        write_private(&dir.join("own.pem"), own_pem.as_bytes())
    }

    /// Deletes the private keys: whoever was removed from a cluster keeps no way to speak for it.
    ///
    /// # Errors
    /// A file is there and cannot be deleted.
    pub fn forget_keys(dir: &Path) -> Result<(), LinkFault> {
        for name in ["own.key", "ca.key"] {
            let path = dir.join(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(LinkFault::file(path)(error));
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Reads a directory that [`Self::store`] or [`Self::store_next`] wrote.
    ///
    /// # Errors
    /// A file is missing, unreadable or no PEM, or the certificate has no identity.
    pub fn load(dir: &Path) -> Result<Self, LinkFault> {
        let key_path = dir.join("own.key");
        let held = read(&key_path)?;
        let own = match CertificateDer::from_pem_slice(&held) {
            Ok(own) => own,
            Err(_) => certificate(&dir.join("own.pem"))?,
        };
        let key = PrivateKeyDer::from_pem_slice(&held);
        Ok(Self {
            identity: Identity::of_certificate(&own)?,
            ca: certificate(&dir.join("ca.pem"))?,
            certificate: own,
            key: key.map_err(|_| LinkFault::Pem { path: key_path })?,
        })
    }

    /// The same process with another certificate and key.
    ///
    /// # Errors
    /// One is no PEM, or the certificate has no identity.
    pub fn with(&self, own: &str, own_key: &str) -> Result<Self, LinkFault> {
        let certificate = parsed(Path::new("own.pem"), own.as_bytes())?;
        let path = PathBuf::from("own.key");
        let key = PrivateKeyDer::from_pem_slice(own_key.as_bytes());
        Ok(Self {
            identity: Identity::of_certificate(&certificate)?,
            ca: self.ca.clone(),
            certificate,
            key: key.map_err(|_| LinkFault::Pem { path })?,
        })
    }

    /// Whether the authority has signed the certificate.
    ///
    /// # Errors
    /// It has not.
    pub fn check_authority(&self) -> Result<(), LinkFault> {
        let unfit = |_| LinkFault::Identity("not a certificate".to_owned());
        let (_, ca) = X509Certificate::from_der(&self.ca).map_err(unfit)?;
        let (_, own) = X509Certificate::from_der(&self.certificate).map_err(unfit)?;
        let signed = own.verify_signature(Some(ca.public_key()));
        signed.map_err(|_| LinkFault::Identity("signed by another authority".to_owned()))
    }

    /// What [`Self::load`] would read if these were the files.
    ///
    /// # Errors
    /// One is no PEM, or the certificate has no identity.
    pub fn of_pem(ca: &str, own: &str, own_key: &str) -> Result<Self, LinkFault> {
        let certificate = parsed(Path::new("own.pem"), own.as_bytes())?;
        let path = PathBuf::from("own.key");
        let key = PrivateKeyDer::from_pem_slice(own_key.as_bytes());
        Ok(Self {
            identity: Identity::of_certificate(&certificate)?,
            ca: parsed(Path::new("ca.pem"), ca.as_bytes())?,
            certificate,
            key: key.map_err(|_| LinkFault::Pem { path })?,
        })
    }

    /// The authority with its key, on a master.
    ///
    /// # Errors
    /// This is no master's directory.
    pub fn authority(dir: &Path) -> Result<Authority, LinkFault> {
        let text =
            |path: PathBuf| String::from_utf8(read(&path)?).map_err(|_| LinkFault::Pem { path });
        Ok(Authority::load(
            text(dir.join("ca.pem"))?,
            text(dir.join("ca.key"))?,
        ))
    }

    /// A copy of the private key, for a TLS configuration.
    #[must_use]
    pub fn key(&self) -> PrivateKeyDer<'static> {
        self.key.clone_key()
    }
}

fn certificate(path: &Path) -> Result<CertificateDer<'static>, LinkFault> {
    parsed(path, &read(path)?)
}

fn parsed(path: &Path, pem: &[u8]) -> Result<CertificateDer<'static>, LinkFault> {
    CertificateDer::from_pem_slice(pem).map_err(|_| LinkFault::Pem {
        path: path.to_owned(),
    })
}

fn read(path: &Path) -> Result<Vec<u8>, LinkFault> {
    fs::read(path).map_err(LinkFault::file(path))
}

/// Makes a directory that only its owner can enter.
///
/// # Errors
/// It cannot be made.
pub fn private_dir(dir: &Path) -> Result<(), LinkFault> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(LinkFault::file(dir))
}

/// Writes a file that only its owner can read, so that a crash leaves the old or the new content.
///
/// # Errors
/// The directory cannot be written.
pub fn write_private(path: &Path, content: &[u8]) -> Result<(), LinkFault> {
    let parent = path.parent().unwrap_or(Path::new("."));
    let staged = path.with_extension("new");
    let write = || {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&staged)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&staged, path)?;
        fs::File::open(parent)?.sync_all()
    };
    write().map_err(LinkFault::file(path))
}
