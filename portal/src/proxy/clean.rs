//! Headers on their way through: what is this cluster's own never goes in, nothing from inside sets it, and what one
//! connection says of itself is not passed on to the next.

use std::net::IpAddr;

use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// What this cluster's cookies begin with, in small letters.
const OWN_COOKIES: &str = "__host-docklet";

/// Of one connection, by RFC 9110 section 7.6.1 and older custom. `Expect` is answered here, and lengths are told anew.
const OF_A_CONNECTION: [&str; 11] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
    "content-length",
];

/// By which others say who somebody is or where they come from. Only this door does.
const CLAIMS: [&str; 20] = [
    "forwarded",
    "via",
    "x-real-ip",
    "x-client-ip",
    "client-ip",
    "true-client-ip",
    "x-cluster-client-ip",
    "cf-connecting-ip",
    "fastly-client-ip",
    "x-remote-user",
    "remote-user",
    "x-webauth-user",
    "x-authenticated-user",
    "x-user",
    "x-original-url",
    "x-original-uri",
    "x-original-host",
    "x-rewrite-url",
    "x-host",
    "x-http-host-override",
];
const CLAIM_FAMILIES: [&str; 6] = [
    "x-forwarded",
    "x-auth-request",
    "x-remote-",
    "remote-",
    "x-docklet",
    "docklet",
];

/// What a service may not say for the whole of its domain, or of this cluster's connections.
const NOT_ITS_OWN: [&str; 4] = [
    "strict-transport-security",
    "clear-site-data",
    "alt-svc",
    "public-key-pins",
];

/// Who comes, as services are told.
pub(crate) struct Comer<'c> {
    pub(crate) address: IpAddr,
    /// The service's own authority.
    pub(crate) host: &'c str,
    /// Their name, if the service is told.
    pub(crate) user: Option<&'c str>,
}

/// Headers of a request as they go in.
pub(crate) fn inward(headers: &HeaderMap, comer: &Comer<'_>) -> HeaderMap {
    let named = named_by_connection(headers);
    let mut clean = HeaderMap::with_capacity(headers.len() + 4);
    for (name, value) in headers {
        let kept = !is_of_connection(name, &named) && !is_claim(name.as_str());
        if kept && *name != header::COOKIE && *name != header::HOST {
            clean.append(name, value.clone());
        }
    }
    if let Some(cookies) = cookies_of_others(headers) {
        clean.insert(header::COOKIE, cookies);
    }
    let own = [
        ("host", Some(comer.host.to_owned())),
        ("x-forwarded-for", Some(comer.address.to_string())),
        ("x-forwarded-proto", Some("https".to_owned())),
        ("x-forwarded-host", Some(comer.host.to_owned())),
        ("x-docklet-user", comer.user.map(str::to_owned)),
    ];
    for (name, value) in own {
        let value = value.and_then(|value| HeaderValue::try_from(value).ok());
        if let Some(value) = value {
            clean.insert(HeaderName::from_static(name), value);
        }
    }
    clean
}

/// Headers of an answer as they go out.
pub(crate) fn outward(headers: &HeaderMap) -> HeaderMap {
    let named = named_by_connection(headers);
    let encoded = headers.contains_key(header::TRANSFER_ENCODING);
    let mut clean = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        // Beside another encoding a length means nothing (RFC 9112 section 6.3), or something else to somebody else.
        let length = *name == header::CONTENT_LENGTH && !encoded;
        let kept = (length || !is_of_connection(name, &named))
            && !NOT_ITS_OWN.contains(&name.as_str())
            && !is_family(name.as_str(), "docklet");
        let foreign = *name == header::SET_COOKIE && !may_set(value.as_bytes());
        if kept && !foreign {
            clean.append(name, value.clone());
        }
    }
    clean
}

/// What `Connection` names is of that connection, too.
fn named_by_connection(headers: &HeaderMap) -> Vec<&str> {
    let values = headers.get_all(header::CONNECTION).iter();
    let words = values.filter_map(|value| value.to_str().ok());
    let words = words.flat_map(|value| value.split(','));
    words.map(str::trim).collect()
}

fn is_of_connection(name: &HeaderName, named: &[&str]) -> bool {
    let is_it = |word: &&str| word.eq_ignore_ascii_case(name.as_str());
    // Without its host a request would be another one.
    let by_name = named.iter().any(is_it) && *name != header::HOST;
    OF_A_CONNECTION.contains(&name.as_str()) || name.as_str().starts_with("proxy-") || by_name
}

/// Programs read `X_Forwarded_For` as `X-Forwarded-For`: a name with an underscore is none that a browser sends.
fn is_claim(name: &str) -> bool {
    name.contains('_')
        || CLAIMS.contains(&name)
        || CLAIM_FAMILIES.iter().any(|family| name.starts_with(family))
}

fn is_family(name: &str, family: &str) -> bool {
    name.strip_prefix(family)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// All cookies but this cluster's own, in one header.
fn cookies_of_others(headers: &HeaderMap) -> Option<HeaderValue> {
    let values = headers.get_all(header::COOKIE).iter();
    let pairs = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b';'));
    let others = pairs
        .map(<[u8]>::trim_ascii)
        .filter(|pair| !pair.is_empty());
    let others: Vec<&[u8]> = others.filter(|pair| !is_own(pair)).collect();
    if others.is_empty() {
        return None;
    }
    HeaderValue::from_bytes(&others.join(&b"; "[..])).ok()
}

/// Whether a `name=value` is one of this cluster's. Browsers that take a cookie without a name send its value where the
/// name would be.
fn is_own(pair: &[u8]) -> bool {
    let pair = pair.strip_prefix(b"=").unwrap_or(pair).trim_ascii_start();
    pair.get(..OWN_COOKIES.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(OWN_COOKIES.as_bytes()))
}

/// Whether a service may set this cookie: for its own host, under a name that is not this cluster's.
fn may_set(value: &[u8]) -> bool {
    let mut parts = value.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let pair = parts.next().unwrap_or_default();
    let named = pair.contains(&b'=') && !pair.starts_with(b"=");
    let domain = |part: &[u8]| {
        let name = part.split(|byte| *byte == b'=').next().unwrap_or_default();
        name.trim_ascii().eq_ignore_ascii_case(b"domain")
    };
    named && !is_own(pair) && !parts.any(domain)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            headers.append(name, HeaderValue::from_str(value).expect("a value"));
        }
        headers
    }

    fn comer(user: Option<&str>) -> Comer<'_> {
        Comer {
            address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)),
            host: "s1.apps.example.org",
            user,
        }
    }

    fn text(headers: &HeaderMap, name: &str) -> Vec<String> {
        let values = headers.get_all(name).iter();
        values
            .map(|value| value.to_str().expect("text").to_owned())
            .collect()
    }

    #[test]
    fn own_cookies_do_not_go_in_in_whatever_form() {
        let given = headers(&[
            ("cookie", "a=1; __Host-docklet-session=secret;b=2"),
            ("cookie", "__host-Docklet-visit=secret; c=x=__Host-docklet"),
            ("cookie", "=__Host-docklet-session=secret"),
            ("cookie", " ;;  "),
        ]);
        let clean = inward(&given, &comer(None));
        assert_eq!(text(&clean, "cookie"), ["a=1; b=2; c=x=__Host-docklet"]);
        let none = headers(&[("cookie", "__Host-docklet-session=secret")]);
        assert_eq!(inward(&none, &comer(None)).get("cookie"), None);
    }

    #[test]
    fn nobody_says_for_somebody_else_who_they_are_or_whence_they_come() {
        let claims = [
            "Forwarded",
            "Via",
            "X-Forwarded-For",
            "X-Forwarded-Host",
            "X-Forwarded-Proto",
            "X-Forwarded-Prefix",
            "X-Forwarded",
            "X-Real-IP",
            "X-Remote-User",
            "Remote-User",
            "Remote-Groups",
            "X-Docklet-User",
            "Docklet-Index",
            "X_Forwarded_For",
            "X_Docklet_User",
            "Remote_User",
            "X-Auth-Request-Email",
            "X-WEBAUTH-USER",
            "X-Original-URL",
            "X-Rewrite-URL",
            "True-Client-IP",
        ];
        let given: Vec<(&str, &str)> = claims.iter().map(|name| (*name, "evil")).collect();
        let clean = inward(&headers(&given), &comer(Some("ada")));
        let evil: Vec<_> = clean.iter().filter(|(_, value)| *value == "evil").collect();
        assert!(evil.is_empty(), "{evil:?}");
        assert_eq!(text(&clean, "x-forwarded-for"), ["192.0.2.7"]);
        assert_eq!(text(&clean, "x-forwarded-host"), ["s1.apps.example.org"]);
        assert_eq!(text(&clean, "x-docklet-user"), ["ada"]);
        let clean = inward(&headers(&given), &comer(None));
        assert_eq!(clean.get("x-docklet-user"), None);
    }

    #[test]
    fn what_is_of_one_connection_stays_there() {
        let given = headers(&[
            ("Connection", "close, X-Secret-Hop"),
            ("Connection", "Host, X-Forwarded-For"),
            ("X-Secret-Hop", "1"),
            ("Keep-Alive", "timeout=5"),
            ("TE", "trailers"),
            ("Trailer", "X-Sum"),
            ("Transfer-Encoding", "chunked"),
            ("Upgrade", "h2c"),
            ("Proxy-Authorization", "Basic x"),
            ("Proxy-Anything", "x"),
            ("Expect", "100-continue"),
            ("Content-Length", "7"),
            ("Host", "elsewhere"),
            ("Accept", "text/html"),
            ("Authorization", "token its-own"),
        ]);
        let clean = inward(&given, &comer(None));
        let names: Vec<&str> = clean.keys().map(HeaderName::as_str).collect();
        let wanted = [
            "accept",
            "authorization",
            "host",
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-forwarded-host",
        ];
        assert_eq!(names, wanted);
        assert_eq!(text(&clean, "host"), ["s1.apps.example.org"]);
    }

    #[test]
    fn nothing_from_inside_sets_what_is_not_the_service_s_own() {
        let given = headers(&[
            ("Set-Cookie", "a=1; Path=/; HttpOnly"),
            ("Set-Cookie", "b=1; Domain=apps.example.org"),
            ("Set-Cookie", "b=1; path=/;DOMAIN =.example.org"),
            ("Set-Cookie", "b=1; domain"),
            ("Set-Cookie", "__Host-docklet-session=mine; Path=/; Secure"),
            ("Set-Cookie", "__HOST-DOCKLET-VISIT=mine; Path=/; Secure"),
            ("Set-Cookie", "=__Host-docklet-visit=mine; Path=/; Secure"),
            ("Set-Cookie", "__Host-docklet-visit"),
            ("Set-Cookie", "__Host-own=1; Path=/; Secure"),
            ("Strict-Transport-Security", "max-age=0"),
            ("Clear-Site-Data", "\"*\""),
            ("Alt-Svc", "h3=\":443\""),
            ("Docklet-Index", "5"),
            ("Connection", "close"),
            ("Transfer-Encoding", "chunked"),
            ("Content-Length", "5"),
            ("Content-Security-Policy", "default-src 'self'"),
        ]);
        let clean = outward(&given);
        let cookies = ["a=1; Path=/; HttpOnly", "__Host-own=1; Path=/; Secure"];
        assert_eq!(text(&clean, "set-cookie"), cookies);
        let mut names: Vec<&str> = clean.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-security-policy", "set-cookie"]);
        let told = outward(&headers(&[("Content-Length", "5")]));
        assert_eq!(text(&told, "content-length"), ["5"]);
    }
}
