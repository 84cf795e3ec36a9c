//! Where services are: each has a name of its own below one domain, so that browsers keep them apart.

use docklet_control::id::ServiceId;

/// Where this cluster's services are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyPlace {
    /// Names of services end with it, as `apps.example.org`.
    pub domain: String,
    /// The port that browsers use.
    pub port: u16,
    /// Where the portal is for browsers, as `https://cloud.example.org`.
    pub portal: String,
    /// Whether services have listeners of their own; else they come by those of the portal.
    pub apart: bool,
}

/// Port that is not written.
const HTTPS: u16 = 443;

/// Whose a host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    Service(ServiceId),
    /// Below the domain, and no service's.
    Nobody,
    /// Not below the domain.
    Other,
}

impl ProxyPlace {
    /// Whose a host is, as the request names it, with its port.
    pub(crate) fn host(&self, text: &str) -> Host {
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) => (name, port.parse().ok()),
            None => (text, Some(HTTPS)),
        };
        let name = name.to_ascii_lowercase();
        let below = name
            .strip_suffix(self.domain.as_str())
            .and_then(|below| below.strip_suffix('.'));
        let Some(below) = below else {
            let itself = name == self.domain;
            return if itself { Host::Nobody } else { Host::Other };
        };
        let number = below.strip_prefix('s').and_then(number);
        match number.filter(|_| port == Some(self.port)) {
            Some(number) => Host::Service(ServiceId(number)),
            None => Host::Nobody,
        }
    }

    /// As browsers name it, and as they send it.
    pub(crate) fn authority(&self, service: ServiceId) -> String {
        let domain = &self.domain;
        match self.port {
            HTTPS => format!("s{service}.{domain}"),
            port => format!("s{service}.{domain}:{port}"),
        }
    }

    pub(crate) fn origin(&self, service: ServiceId) -> String {
        format!("https://{}", self.authority(service))
    }

    /// Where a browser opens a service.
    pub(crate) fn url(&self, service: ServiceId, path: &str) -> String {
        let path = if path.is_empty() { "/" } else { path };
        format!("{}{path}", self.origin(service))
    }
}

/// One way to write a number only, so that a service has one name.
fn number(text: &str) -> Option<u64> {
    let strict = text.bytes().all(|digit| digit.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| strict)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(port: u16) -> ProxyPlace {
        ProxyPlace {
            domain: "apps.example.org".to_owned(),
            port,
            portal: "https://cloud.example.org".to_owned(),
            apart: false,
        }
    }

    #[test]
    fn a_service_has_one_name() {
        let service = Host::Service(ServiceId(304));
        let (usual, other) = (place(443), place(8_447));
        assert_eq!(usual.host("s304.apps.example.org"), service);
        assert_eq!(usual.host("S304.Apps.Example.ORG:443"), service);
        assert_eq!(other.host("s304.apps.example.org:8447"), service);
        assert_eq!(
            other.authority(ServiceId(304)),
            "s304.apps.example.org:8447"
        );
        assert_eq!(
            usual.url(ServiceId(304), "/lab"),
            "https://s304.apps.example.org/lab"
        );
        for wrong in [
            "apps.example.org",
            ".apps.example.org",
            "s.apps.example.org",
            "s0304.apps.example.org",
            "s+304.apps.example.org",
            "s304.apps.example.org:8447",
            "s304.apps.example.org:",
            "x.s304.apps.example.org",
            "s99999999999999999999.apps.example.org",
        ] {
            assert_eq!(usual.host(wrong), Host::Nobody, "{wrong}");
        }
        for other in [
            "cloud.example.org",
            "s304.apps.example.org.",
            "s304.apps.example.org.evil.example",
            "s304apps.example.org",
            "[::1]:443",
            "",
        ] {
            assert_eq!(usual.host(other), Host::Other, "{other}");
        }
    }
}
