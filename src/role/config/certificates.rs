//! Certificates: where those that somebody gave are, and how long those are good for that a master issues.

use std::ops::RangeInclusive;
use std::time::Duration;

use docklet_portal::public::GivenFiles;

use super::MasterFile;
use crate::exit::{Class, Failure};

impl MasterFile {
    /// Where a given public certificate is.
    ///
    /// # Errors
    /// One of the two files is not told, or not by its whole path.
    pub fn given(&self) -> anyhow::Result<Option<GivenFiles>> {
        let invalid = |text: String| Err(Failure::new(Class::Invalid, text).into());
        let (certificate, key) = match (&self.public_certificate, &self.public_key) {
            (None, None) => return Ok(None),
            (Some(certificate), Some(key)) => (certificate, key),
            (Some(_), None) => {
                let text =
                    "public_certificate without public_key: say in master.toml where its key is";
                return invalid(text.to_owned());
            }
            (None, Some(_)) => {
                let text = "public_key without public_certificate: say in master.toml where its certificate is";
                return invalid(text.to_owned());
            }
        };
        if let Some(path) = [certificate, key].into_iter().find(|it| !it.is_absolute()) {
            return invalid(format!(
                "{} is not absolute: say in master.toml the whole path of the public certificate and its key",
                path.display()
            ));
        }
        Ok(Some(GivenFiles {
            certificate: certificate.clone(),
            key: key.clone(),
        }))
    }

    /// How long an own public certificate is good for.
    ///
    /// # Errors
    /// So short a life cannot be kept up.
    pub fn own_life(&self) -> anyhow::Result<Duration> {
        let range = OWN_CERTIFICATE_S_MIN..=OWN_CERTIFICATE_S_MAX;
        life("own_certificate_s", self.own_certificate_s, range)
    }

    /// How long certificates between masters and workers are good for.
    ///
    /// # Errors
    /// So short a life cannot be kept up, and a longer one is no use.
    pub fn cluster_life(&self) -> anyhow::Result<Duration> {
        let range = CLUSTER_CERTIFICATE_S_MIN..=CLUSTER_CERTIFICATE_S_MAX;
        life("cluster_certificate_s", self.cluster_certificate_s, range)
    }
}

fn life(key: &str, seconds: u64, range: RangeInclusive<u64>) -> anyhow::Result<Duration> {
    if range.contains(&seconds) {
        return Ok(Duration::from_secs(seconds));
    }
    let (least, most) = (range.start(), range.end());
    let text = format!("{key} is {seconds}: between {least} and {most} can be kept up");
    Err(Failure::new(Class::Invalid, text).into())
}

const CLUSTER_CERTIFICATE_S_MIN: u64 = 10;
/// A year: what was stolen is of no use afterwards.
const CLUSTER_CERTIFICATE_S_MAX: u64 = 366 * 24 * 3_600;
const OWN_CERTIFICATE_S_MIN: u64 = 3;
/// What clients accept at most of public authorities, and a little less.
const OWN_CERTIFICATE_S_MAX: u64 = 397 * 24 * 3_600;

pub fn cluster_certificate_s() -> u64 {
    docklet_link::authority::CERTIFICATE_TTL.as_secs()
}

pub fn own_certificate_s() -> u64 {
    docklet_link::authority::CERTIFICATE_TTL.as_secs()
}
