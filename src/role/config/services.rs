//! Where services of vnodes are, as `master.toml` says.

use std::net::{IpAddr, SocketAddr};

use docklet_portal::ProxyPlace;

use super::MasterFile;
use crate::exit::{Class, Failure};

impl MasterFile {
    /// Where services are; none if they have no names.
    ///
    /// # Errors
    /// A key cannot be what it is, or is missing.
    pub fn proxy(&self) -> anyhow::Result<Option<ProxyPlace>> {
        let invalid = |text: String| Failure::new(Class::Invalid, format!("master.toml: {text}"));
        let Some(domain) = &self.proxy_domain else {
            return match self.proxy_listen.first() {
                None => Ok(None),
                Some(_) => Err(invalid(
                    "proxy_listen without proxy_domain: say below which name services are"
                        .to_owned(),
                )
                .into()),
            };
        };
        let label = |label: &str| {
            let inner =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            (1..=63).contains(&label.len()) && label.bytes().all(inner)
        };
        let named = domain.split('.').all(label) && domain.parse::<IpAddr>().is_err();
        if !named || !domain.contains('.') {
            return Err(invalid(format!(
                "proxy_domain \"{domain}\" is no name below which there can be others: give one as apps.example.org, in small letters"
            ))
            .into());
        }
        let listens = self.proxy_listen.first().or(self.public_listen.first());
        let port = self.proxy_port.or(listens.map(SocketAddr::port));
        let last = self
            .public_listen
            .last()
            .filter(|last| !last.ip().is_unspecified());
        let portal = self
            .portal_url
            .clone()
            .or(last.map(|last| format!("https://{last}")));
        let portal = portal.filter(|url| url.starts_with("https://"));
        let portal = portal.ok_or_else(|| invalid("proxy_domain without portal_url: say there where browsers find the portal, as https://cloud.example.org".to_owned()))?;
        Ok(Some(ProxyPlace {
            domain: domain.clone(),
            port: port.ok_or_else(|| invalid("public_listen is empty".to_owned()))?,
            portal: portal.trim_end_matches('/').to_owned(),
            apart: !self.proxy_listen.is_empty(),
        }))
    }

    /// As what services of vnodes are asked for.
    pub fn service_names(&self) -> Vec<String> {
        let below = self.proxy_domain.iter();
        below.map(|domain| format!("*.{domain}")).collect()
    }
}
