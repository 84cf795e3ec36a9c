//! Which requests are let through: each has one meaning, and comes from the service's own pages or from somebody who goes
//! there.

use axum::http::header::{self, HeaderMap};
use axum::http::{Method, Version, request};
use hyper::ext::Protocol;

use super::place::{Host, ProxyPlace};
use docklet_control::id::ServiceId;

/// Why a request is not passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// It could mean two things.
    Ambiguous(&'static str),
    /// It is for nobody here.
    Misdirected,
    /// Another site's page has sent it.
    Foreign(&'static str),
}

impl Unfit {
    /// Stable code for programs.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Ambiguous(_) => "ambiguous",
            Self::Misdirected => "misdirected",
            Self::Foreign(_) => "foreign",
        }
    }
}

/// For which service a request is, if it means one thing.
pub(crate) fn service_of(place: &ProxyPlace, parts: &request::Parts) -> Result<ServiceId, Unfit> {
    let host = host(parts)?;
    match place.host(host) {
        Host::Service(service) => Ok(service),
        Host::Nobody | Host::Other => Err(Unfit::Misdirected),
    }
}

/// The host that a request names, if it names one, in all places where it does.
pub(crate) fn host(parts: &request::Parts) -> Result<&str, Unfit> {
    let mut named = parts.headers.get_all(header::HOST).iter();
    let header = named.next();
    if named.next().is_some() {
        return Err(Unfit::Ambiguous("it names its host twice"));
    }
    let header = header.map(|value| value.to_str());
    let header = header
        .transpose()
        .map_err(|_| Unfit::Ambiguous("its host is no text"))?;
    let target = parts.uri.authority().map(|authority| authority.as_str());
    match (header, target) {
        (Some(header), Some(target)) if !header.eq_ignore_ascii_case(target) => {
            Err(Unfit::Ambiguous("it names two hosts"))
        }
        (_, Some(host)) | (Some(host), None) if !host.contains('@') => Ok(host),
        (_, Some(_)) | (Some(_), None) => Err(Unfit::Ambiguous("its host has a user")),
        (None, None) => Err(Unfit::Ambiguous("it names no host")),
    }
}

/// Refuses what a server behind this one could read otherwise.
pub(crate) fn check(parts: &request::Parts) -> Result<(), Unfit> {
    let headers = &parts.headers;
    // Over HTTP/2 a WebSocket is asked for by CONNECT; that it is one, the connection has made sure of.
    let socket = parts.method == Method::CONNECT && asks_by_connect(parts);
    if parts.method == Method::TRACE || parts.method == Method::CONNECT && !socket {
        return Err(Unfit::Ambiguous("its method is none for services"));
    }
    let encodings = headers.get_all(header::TRANSFER_ENCODING);
    let mut encodings = encodings.iter().map(|value| value.as_bytes());
    let chunked = encodings.next();
    if chunked.is_some_and(|value| !value.eq_ignore_ascii_case(b"chunked"))
        || encodings.next().is_some()
    {
        return Err(Unfit::Ambiguous(
            "its transfer encoding is not just chunked",
        ));
    }
    if chunked.is_some() && headers.contains_key(header::CONTENT_LENGTH) {
        return Err(Unfit::Ambiguous("it tells its length in two ways"));
    }
    if headers.get_all(header::CONTENT_LENGTH).iter().count() > 1 {
        return Err(Unfit::Ambiguous("it tells its length twice"));
    }
    let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
    if !(path.starts_with('/') && path.bytes().all(plain)) {
        return Err(Unfit::Ambiguous(
            "its path has characters that must be written as %XX",
        ));
    }
    Ok(())
}

/// How a WebSocket is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Socket {
    /// By a GET that goes over to another protocol, over HTTP/1.1.
    Upgrade,
    /// By a CONNECT to a path, over HTTP/2 (RFC 8441).
    Connect,
}

fn asks_by_connect(parts: &request::Parts) -> bool {
    let protocol = parts.extensions.get::<Protocol>();
    parts.version == Version::HTTP_2
        && protocol.is_some_and(|protocol| protocol.as_str() == "websocket")
}

/// Whether it asks for a WebSocket, and asks soundly.
pub(crate) fn wants_socket(parts: &request::Parts) -> Result<Option<Socket>, Unfit> {
    let headers = &parts.headers;
    if parts.method == Method::CONNECT && asks_by_connect(parts) {
        return Ok(Some(Socket::Connect));
    }
    let Some(upgrade) = headers.get(header::UPGRADE) else {
        return Ok(None);
    };
    // Other protocols are not gone over to: then the request is an ordinary one, as RFC 9110 has it.
    if parts.version != Version::HTTP_11 || !upgrade.as_bytes().eq_ignore_ascii_case(b"websocket") {
        return Ok(None);
    }
    let with_body = headers.contains_key(header::TRANSFER_ENCODING)
        || headers
            .get(header::CONTENT_LENGTH)
            .is_some_and(|length| length != "0");
    if parts.method != Method::GET || with_body {
        return Err(Unfit::Ambiguous("it asks for a socket and has a body"));
    }
    Ok(Some(Socket::Upgrade))
}

/// Refuses what another site's page has sent with the browser's cookie: siblings below the domain are other sites' pages, too.
/// Whoever goes to the service from elsewhere does so by a link, in the whole window.
pub(crate) fn refuse_foreign(
    parts: &request::Parts,
    own_origin: &str,
    socket: bool,
) -> Result<(), Unfit> {
    let text = |name: &str| {
        let value = parts.headers.get(name);
        value.map(|value| value.to_str().unwrap_or("?"))
    };
    let origin = text("origin").map(|origin| origin.eq_ignore_ascii_case(own_origin));
    if socket {
        let own = origin == Some(true);
        return own.then_some(()).ok_or(Unfit::Foreign("a socket"));
    }
    let site = text("sec-fetch-site");
    let from_here = matches!(site, None | Some("same-origin" | "none"));
    if !parts.method.is_safe() {
        let sound = origin.unwrap_or(true) && from_here;
        return sound.then_some(()).ok_or(Unfit::Foreign("a change"));
    }
    let goes_there =
        text("sec-fetch-mode") == Some("navigate") && text("sec-fetch-dest") == Some("document");
    let sound = from_here || goes_there;
    sound
        .then_some(())
        .ok_or(Unfit::Foreign("a part of a page"))
}

/// Whether a person waits for a page.
pub(crate) fn is_for_a_person(method: &Method, headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let page = text("accept").is_some_and(|accept| accept.contains("text/html"));
    let window = text("sec-fetch-mode").is_none_or(|mode| mode == "navigate");
    *method == Method::GET && page && window
}

/// Whether it may be where somebody goes on after entering: a path of this origin and of no other.
pub(crate) fn is_next(text: &str) -> bool {
    let mut bytes = text.bytes();
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
    text.len() <= 2_000
        && bytes.next() == Some(b'/')
        && bytes.next() != Some(b'/')
        && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    const ORIGIN: &str = "https://s1.apps.example.org";

    fn parts(method: &str, uri: &str, headers: &[(&str, &str)]) -> request::Parts {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).expect("a request").into_parts().0
    }

    #[test]
    fn a_request_names_one_host() {
        let (one, other) = (
            ("host", "s1.apps.example.org"),
            ("host", "s2.apps.example.org"),
        );
        let absolute = "https://s1.apps.example.org/x";
        for (uri, headers, fits) in [
            ("/x", vec![one], true),
            (absolute, vec![one], true),
            (absolute, vec![], true),
            (absolute, vec![other], false),
            ("/x", vec![one, other], false),
            ("/x", vec![one, one], false),
            ("/x", vec![], false),
            ("https://ada@s1.apps.example.org/", vec![], false),
        ] {
            let parts = parts("GET", uri, &headers);
            let host = host(&parts);
            let name = host == Ok("s1.apps.example.org");
            assert_eq!(name, fits, "{uri} {headers:?}: {host:?}");
        }
    }

    #[test]
    fn what_could_be_read_otherwise_is_refused() {
        for (method, uri, headers) in [
            ("CONNECT", "/x", vec![]),
            ("TRACE", "/x", vec![]),
            ("POST", "/x", vec![("transfer-encoding", "gzip, chunked")]),
            ("POST", "/x", vec![("transfer-encoding", "xchunked")]),
            (
                "POST",
                "/x",
                vec![
                    ("transfer-encoding", "chunked"),
                    ("transfer-encoding", "identity"),
                ],
            ),
            (
                "POST",
                "/x",
                vec![("transfer-encoding", "chunked"), ("content-length", "3")],
            ),
            (
                "POST",
                "/x",
                vec![("content-length", "3"), ("content-length", "3")],
            ),
            ("OPTIONS", "*", vec![]),
            ("GET", "/a\\b", vec![]),
        ] {
            let Ok(uri) = uri.parse::<axum::http::Uri>() else {
                continue;
            };
            let mut parts = parts(method, "/", &headers);
            parts.uri = uri;
            assert!(
                check(&parts).is_err(),
                "{method} {:?} {headers:?}",
                parts.uri
            );
        }
        for uri in ["/", "/a%2fb/..;/x", "//double", "/%2e%2e/etc", "/x?y=//z"] {
            assert_eq!(
                check(&parts("GET", uri, &[])),
                Ok(()),
                "{uri} means the same to everybody who passes it on"
            );
        }
    }

    #[test]
    fn sockets_are_for_the_service_s_own_pages() {
        let own = parts(
            "GET",
            "/",
            &[("origin", ORIGIN), ("sec-fetch-site", "same-origin")],
        );
        assert_eq!(refuse_foreign(&own, ORIGIN, true), Ok(()));
        for origin in [
            Some("null"),
            Some("https://s2.apps.example.org"),
            Some("https://s1.apps.example.org.evil.example"),
            Some("http://s1.apps.example.org"),
            Some("https://s1.apps.example.org:8447"),
            Some(""),
            None,
        ] {
            let headers: Vec<_> = origin
                .map(|origin| ("origin", origin))
                .into_iter()
                .collect();
            let foreign = refuse_foreign(&parts("GET", "/", &headers), ORIGIN, true);
            assert!(foreign.is_err(), "{origin:?}");
        }
    }

    #[test]
    fn siblings_are_strangers() {
        let (same, cross) = (
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-site", "cross-site"),
        );
        let sibling = ("origin", "https://s2.apps.example.org");
        let whole = [
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ];
        let frame = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")];
        for (method, headers, fits) in [
            ("GET", vec![same], false),
            ("GET", vec![cross, ("sec-fetch-mode", "no-cors")], false),
            ("GET", vec![same, frame[0], frame[1]], false),
            ("GET", vec![same, whole[0], whole[1]], true),
            ("GET", vec![], true),
            ("POST", vec![same, whole[0], whole[1], sibling], false),
            ("POST", vec![sibling], false),
            ("POST", vec![("origin", "null")], false),
            ("POST", vec![("origin", ORIGIN), same], false),
            (
                "POST",
                vec![("origin", ORIGIN), ("sec-fetch-site", "same-origin")],
                true,
            ),
            ("DELETE", vec![], true),
        ] {
            let sound = refuse_foreign(&parts(method, "/", &headers), ORIGIN, false);
            assert_eq!(sound.is_ok(), fits, "{method} {headers:?}");
        }
    }

    #[test]
    fn a_socket_is_asked_for_soundly_or_not_at_all() {
        let asks = [("upgrade", "WebSocket"), ("connection", "upgrade")];
        let upgrades = wants_socket(&parts("GET", "/", &asks));
        assert_eq!(upgrades, Ok(Some(Socket::Upgrade)));
        let other = wants_socket(&parts("GET", "/", &[("upgrade", "h2c")]));
        assert_eq!(other, Ok(None));
        assert!(wants_socket(&parts("POST", "/", &asks)).is_err());
        let body = [asks[0], ("content-length", "5")];
        assert!(wants_socket(&parts("GET", "/", &body)).is_err());
    }

    #[test]
    fn over_http2_a_socket_is_asked_for_by_connect_and_nothing_else_is() {
        let connect = |version, protocol: Option<&'static str>| {
            let mut parts = parts("CONNECT", "/ws", &[]);
            parts.version = version;
            let protocol = protocol.map(Protocol::from_static);
            protocol.map(|protocol| parts.extensions.insert(protocol));
            parts
        };
        let sound = connect(Version::HTTP_2, Some("websocket"));
        assert_eq!(check(&sound), Ok(()));
        assert_eq!(wants_socket(&sound), Ok(Some(Socket::Connect)));
        for (version, protocol) in [
            (Version::HTTP_2, None),
            (Version::HTTP_2, Some("connect-udp")),
            (Version::HTTP_11, Some("websocket")),
        ] {
            let other = connect(version, protocol);
            assert!(check(&other).is_err(), "{version:?} {protocol:?}");
            assert_eq!(wants_socket(&other), Ok(None));
        }
    }

    #[test]
    fn nobody_is_sent_elsewhere() {
        for good in ["/", "/lab", "/lab/tree/a%20b?x=1#y", "/a//b"] {
            assert!(is_next(good), "{good}");
        }
        for bad in [
            "",
            "lab",
            "//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "https://evil.example",
            "/\tevil",
            "\t//evil.example",
            "/ /evil",
            "javascript:alert(1)",
            "/\u{e9}",
            "?x",
        ] {
            assert!(!is_next(bad), "{bad:?}");
        }
        assert!(!is_next(&format!("/{}", "x".repeat(2_000))));
    }
}
