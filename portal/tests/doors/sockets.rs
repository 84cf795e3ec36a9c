//! Sockets: for whoever is logged in, from this site's own pages or by a token, and for nobody else.

use std::collections::BTreeSet;

use docklet_control::Command;
use docklet_control::account::command::AccountCommand;
use docklet_control::id::SecretHash;
use docklet_control::model::account::Scope;
use sha2::{Digest as _, Sha256};

use crate::client::{SOCKET, Site};

const OF_PAGES: [&str; 2] = [
    "/terminal/ws?vcluster=lab&vnode=host-0&session=00112233445566778899aabbccddeeff",
    "/shared/0123456789012345678901234567890123456789/ws",
];
const OF_PROGRAMS: [&str; 3] = [
    "/api/v1/vclusters/lab/vnodes/host-0/terminal?session=00112233445566778899aabbccddeeff",
    "/api/v1/vclusters/lab/vnodes/host-0/exec",
    "/api/v1/vclusters/lab/vnodes/host-0/connect?port=80",
];

async fn open(site: &Site, path: &str, more: &[(&str, &str)]) -> u16 {
    let headers: Vec<_> = SOCKET.iter().chain(more).copied().collect();
    site.ask(("GET", path), &headers, "").await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_opens_one_without_a_login() {
    let site = Site::start().await;
    let origin = site.origin();
    for path in OF_PAGES.iter().chain(&OF_PROGRAMS) {
        for more in [
            vec![],
            vec![("origin", origin.as_str())],
            vec![
                ("origin", origin.as_str()),
                ("cookie", "__Host-docklet-session=00"),
            ],
            vec![("authorization", "Bearer 00")],
        ] {
            let status = open(&site, path, &more).await;
            // Pages send whoever is nobody to the login.
            assert!(matches!(status, 401 | 303), "{path} {more:?}: {status}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_page_of_another_site_opens_one() {
    let site = Site::start().await;
    let (cookie, own) = (site.log_in("ada").await, site.origin());
    let sibling = own.replace("localhost", "s1.apps.localhost");
    let of_cookie = ("cookie", cookie.as_str());
    for path in OF_PAGES.iter().chain(&OF_PROGRAMS) {
        for origin in [
            "https://evil.example",
            "null",
            "",
            "https://localhost",
            &sibling,
        ] {
            let status = open(&site, path, &[of_cookie, ("origin", origin)]).await;
            assert_eq!(status, 403, "{path} of {origin:?}");
        }
        assert_eq!(open(&site, path, &[of_cookie]).await, 403, "{path} of none");
        let same_site = [of_cookie, ("origin", &own), ("sec-fetch-site", "same-site")];
        assert_eq!(
            open(&site, path, &same_site).await,
            403,
            "{path} of a sibling"
        );
        // Nothing runs there, and no link is good: but that is all.
        let status = open(&site, path, &[of_cookie, ("origin", &own)]).await;
        assert!(matches!(status, 404 | 409), "{path}: {status}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_opens_what_its_scopes_say_however_that_is_written() {
    let site = Site::start().await;
    for (name, scope) in [("looks", Scope::Read), ("enters", Scope::Terminals)] {
        let command = Command::Account(AccountCommand::CreateToken {
            id: SecretHash(Sha256::digest(name).into()),
            name: name.to_owned(),
            scopes: BTreeSet::from([scope]),
            ttl_ms: 3_600_000,
        });
        site.alone.propose(site.actor("ada"), command).await;
    }
    let bearer = |name| [("authorization", name)];
    for path in OF_PROGRAMS {
        assert_eq!(
            open(&site, path, &bearer("Bearer looks")).await,
            403,
            "{path}"
        );
        let status = open(&site, path, &bearer("Bearer enters")).await;
        assert!(matches!(status, 404 | 409), "{path}: {status}");
        // Another way to write a path is another path, or is refused as that one is.
        for (part, other) in [
            ("/exec", "/%65xec"),
            ("/connect", "/%63onnect"),
            ("/vnodes/", "/vnodes//"),
            ("/vnodes/", "/vnodes/./"),
            ("/lab/", "/x/../lab/"),
            ("/lab/", "/lab/..;/lab/"),
            ("/api/v1/", "/API/v1/"),
            ("/api/v1/", "//api/v1/"),
            ("host-0/", "host-0%2f"),
            ("host-0/", "host-0\\"),
            ("/lab/", "/l%61b/"),
        ] {
            let path = path.replacen(part, other, 1);
            let status = open(&site, &path, &bearer("Bearer looks")).await;
            assert!(matches!(status, 400 | 403 | 404), "{path}: {status}");
        }
    }
    let look = bearer("Bearer enters");
    let listed = site.ask(("GET", "/api/v1/vclusters"), &look, "").await;
    assert_eq!(listed.status, 403, "{listed:?}");
}
