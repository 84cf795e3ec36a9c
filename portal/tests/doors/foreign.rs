//! Pages of other sites, with the cookie of somebody who is logged in here: they change nothing and open nothing, whatever
//! they send and however.

use docklet_control::State;
use docklet_control::rows::{self, Table};

use crate::client::{FORM, Site};
use crate::routes::{self, Route};

/// No cookie counts there: whoever asks names a password, or what they want to be called. Pages among them refuse forms of
/// other sites, too, if they are forms at all.
const WITHOUT_A_LOGIN: [&str; 7] = [
    "/api/v1/login",
    "/api/v1/register",
    "/login",
    "/login/code",
    "/login/oidc",
    "/login/oidc/name",
    "/register",
];

const CONTENT_TYPES: [&str; 5] = [
    "application/json",
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/octet-stream",
];

/// What browsers say of pages that are not this site's own.
fn foreign(own: &str) -> Vec<Vec<(&'static str, String)>> {
    let origin = |text: &str| ("origin", text.to_owned());
    let site = |text: &str| ("sec-fetch-site", text.to_owned());
    let sibling = own.replace("localhost", "s1.apps.localhost");
    vec![
        vec![origin("https://evil.example"), site("cross-site")],
        vec![origin("https://evil.example")],
        vec![origin("null")],
        vec![],
        vec![origin(&sibling), site("same-site")],
        vec![origin(&sibling)],
        vec![origin(own), site("same-site")],
        vec![origin(own), site("cross-site")],
        vec![origin(own), site("none")],
        vec![origin(&own.replace("https", "http"))],
        vec![origin("https://localhost")],
        vec![site("same-origin")],
    ]
}

/// What people have and are; duties change other things at any time.
const OF_PEOPLE: [Table; 10] = [
    Table::Users,
    Table::Applications,
    Table::Sessions,
    Table::Vclusters,
    Table::Groups,
    Table::Ports,
    Table::Services,
    Table::ImageTitles,
    Table::JoinTokens,
    Table::Shares,
];

/// Tables of these whose rows are others than before.
fn changed(before: &State, after: &State) -> Vec<Table> {
    let all = |state: &State| {
        let rows = rows::iter(state);
        rows.collect::<Vec<_>>()
    };
    let (before, after) = (all(before), all(after));
    let differing = after.iter().filter(|row| !before.contains(row));
    let gone = before.iter().filter(|row| !after.contains(row));
    let tables = differing.chain(gone).map(|(table, ..)| *table);
    tables.filter(|table| OF_PEOPLE.contains(table)).collect()
}

async fn refused(site: &Site, cookie: &str, (method, route): (&str, &Route), nth: usize) {
    let own = site.origin();
    let all = foreign(&own);
    let foreign = &all[nth % all.len()];
    let mut headers = vec![
        ("cookie", cookie),
        ("content-type", CONTENT_TYPES[nth % CONTENT_TYPES.len()]),
    ];
    headers.extend(foreign.iter().map(|(name, value)| (*name, value.as_str())));
    let answer = site.ask((method, &route.filled()), &headers, "{}").await;
    if WITHOUT_A_LOGIN.contains(&route.path.as_str()) {
        assert!(answer.status >= 400, "{answer:?}");
        assert_eq!(answer.header("set-cookie"), None, "{answer:?}");
        return;
    }
    assert_eq!(
        answer.status, 403,
        "{method} {} {foreign:?}: {answer:?}",
        route.path
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_page_of_another_site_changes_anything() {
    let site = Site::start().await;
    let cookie = site.log_in("ada").await;
    let before = site.state();
    let mut tried = 0;
    for route in routes::all() {
        for method in route.changes() {
            refused(&site, &cookie, (method, &route), tried).await;
            tried += 1;
        }
    }
    assert!(tried > 150, "only {tried} were tried");
    for path in ["/vclusters", "/api/v1/vclusters"] {
        let (path, methods) = (path.to_owned(), vec!["POST"]);
        let route = Route { path, methods };
        for nth in 0..foreign("").len() * CONTENT_TYPES.len() {
            refused(&site, &cookie, ("POST", &route), nth).await;
        }
    }
    assert_eq!(changed(&before, &site.state()), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_without_its_proof_is_none() {
    let site = Site::start().await;
    let (ada, bob) = (site.log_in("ada").await, site.log_in("bob").await);
    let origin = site.origin();
    let headers = |cookie| [("cookie", cookie), ("origin", origin.as_str()), FORM];
    let page = site.ask(("GET", "/account"), &headers(&bob)[..1], "").await;
    let proof = page.body.split_once("name=\"csrf\" value=\"");
    let (proof, _) = proof
        .and_then(|(_, rest)| rest.split_once('"'))
        .expect("a proof");
    for given in [
        "csrf=",
        "csrf=00",
        &format!("csrf={}", "0".repeat(128)),
        &format!("csrf={proof}"),
    ] {
        let answer = site.ask(("POST", "/logout"), &headers(&ada), given).await;
        assert_eq!(answer.status, 403, "{given}: {answer:?}");
    }
    let home = site.ask(("GET", "/"), &headers(&ada)[..1], "").await;
    assert_eq!(home.status, 200, "ada is logged in still");
    let left = site
        .ask(
            ("POST", "/logout"),
            &headers(&bob),
            &format!("csrf={proof}"),
        )
        .await;
    assert_eq!(
        left.status, 303,
        "with the proof of their own page one leaves"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_look_changes_anything() {
    let site = Site::start().await;
    let cookie = site.log_in("admin").await;
    let before = site.state();
    // Also of what is only there to be changed.
    for route in routes::all() {
        let headers = [
            ("cookie", cookie.as_str()),
            ("sec-fetch-site", "cross-site"),
        ];
        site.ask(("GET", &route.filled()), &headers, "").await;
    }
    assert_eq!(changed(&before, &site.state()), []);
    let home = site.ask(("GET", "/"), &[("cookie", &cookie)], "").await;
    assert_eq!(home.status, 200, "the login is there still");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_site_logs_nobody_in() {
    let site = Site::start().await;
    let own = site.origin();
    for given in foreign(&own) {
        let mut headers = vec![FORM];
        headers.extend(given.iter().map(|(name, value)| (*name, value.as_str())));
        let body = "user=bob&password=a+long+password";
        let answer = site.ask(("POST", "/login"), &headers, body).await;
        assert_eq!(answer.status, 403, "{given:?}: {answer:?}");
        assert_eq!(answer.header("set-cookie"), None);
    }
}
