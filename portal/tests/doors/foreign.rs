//! Pages of other sites, with the cookie of somebody who is logged in here: they change nothing and open nothing, whatever
//! they send and however.

use std::collections::BTreeMap;

use docklet_control::State;
use docklet_control::rows::{self, Table};

use crate::client::{Answer, FORM, Line, Site};
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

/// What browsers say of pages that are not this site's own: each origin with each word of Fetch metadata, but for the two
/// pairs of an own page.
fn foreign(own: &str) -> Vec<Vec<(&'static str, String)>> {
    let sibling = own.replace("localhost", "s1.apps.localhost");
    let origins = [
        None,
        Some(own.to_owned()),
        Some("null".to_owned()),
        Some("https://evil.example".to_owned()),
        Some(sibling),
        Some(own.replace("https", "http")),
        Some("https://localhost".to_owned()),
        Some(format!("{own}.evil.example")),
        Some(format!("{own} {own}")),
        Some(own.to_uppercase()),
        Some(String::new()),
    ];
    let sites = [
        None,
        Some("same-origin"),
        Some("same-site"),
        Some("cross-site"),
        Some("none"),
        Some("Same-Origin"),
        Some(""),
    ];
    let mut found = Vec::new();
    for origin in &origins {
        for site in sites {
            let is_own =
                origin.as_deref() == Some(own) && matches!(site, None | Some("same-origin"));
            if !is_own {
                let origin = origin.clone().map(|origin| ("origin", origin));
                let site = site.map(|site| ("sec-fetch-site", site.to_owned()));
                found.push(origin.into_iter().chain(site).collect());
            }
        }
    }
    found
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

/// The proof that stands in the forms of whose cookie it is.
async fn proof(site: &Site, cookie: &str) -> String {
    let page = site
        .ask(("GET", "/account"), &[("cookie", cookie)], "")
        .await;
    let proof = page.body.split_once("name=\"csrf\" value=\"");
    let proof = proof.and_then(|(_, rest)| rest.split_once('"'));
    let (proof, _) = proof.expect("a proof");
    proof.to_owned()
}

/// Each word by which somebody may want to change something.
const CHANGING: [&str; 6] = ["POST", "PUT", "PATCH", "DELETE", "PROPFIND", "post"];

fn is_refused(answer: &Answer, method: &str, route: &Route) -> bool {
    if !route.methods.contains(&method) {
        return matches!(answer.status, 403 | 405);
    }
    if WITHOUT_A_LOGIN.contains(&route.path.as_str()) {
        return answer.status >= 400 && answer.header("set-cookie").is_none();
    }
    answer.status == 403
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_page_of_another_site_changes_anything() {
    let site = Site::start().await;
    let cookie = site.log_in("ada").await;
    let proof = format!("csrf={}", proof(&site, &cookie).await);
    let bodies = ["{}", proof.as_str(), "csrf=00", ""];
    let before = site.state();
    let foreign = foreign(&site.origin());
    let mut line = Line::of(&site);
    let mut tried = 0;
    for route in routes::all() {
        let path = route.filled();
        for given in &foreign {
            // Beside what it takes, one that it does not.
            let methods = route.changes().chain([CHANGING[tried % CHANGING.len()]]);
            for method in methods {
                let mut headers = vec![
                    ("cookie", cookie.as_str()),
                    ("content-type", CONTENT_TYPES[tried % CONTENT_TYPES.len()]),
                ];
                headers.extend(given.iter().map(|(name, value)| (*name, value.as_str())));
                let body = bodies[tried / CONTENT_TYPES.len() % bodies.len()];
                let answer = line.ask((method, &path), &headers, body).await;
                let refused = is_refused(&answer, method, &route);
                assert!(refused, "{method} {path} {given:?} {body}: {answer:?}");
                tried += 1;
            }
        }
    }
    assert!(tried > 15_000, "only {tried} were tried");
    assert_eq!(changed(&before, &site.state()), []);
}

/// Its files are looked for before the form is read.
const WANTS_A_RUNNING_VNODE: [&str; 2] = [
    "/vclusters/{name}/vnodes/{vnode}/files/edit",
    "/vclusters/{name}/vnodes/{vnode}/files/upload",
];

/// A form with these fields, one that can bring files or one that cannot.
fn form(fields: &BTreeMap<String, String>, with_files: bool) -> String {
    let mut written = String::new();
    for (name, value) in fields {
        written.push_str(&match with_files {
            true => {
                format!("--x\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
            }
            false => format!("&{name}={value}"),
        });
    }
    match with_files {
        true => format!(
            "{written}--x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\nx\r\n--x--\r\n"
        ),
        false => written.split_off(1),
    }
}

/// What of a form an answer says is missing or not understood, and a value that is.
fn wanted(body: &str) -> Option<(String, String)> {
    let (_, rest) = body.split_once("Failed to deserialize form body: ")?;
    let quoted: Vec<&str> = rest.split('<').next()?.split('`').collect();
    match quoted.first()?.split(' ').next()? {
        "missing" => Some(((*quoted.get(1)?).to_owned(), "1".to_owned())),
        // The field's name, what was given, and the words that there are.
        _ => {
            let (field, _) = rest.split_once(": ")?;
            Some((field.to_owned(), (*quoted.get(3)?).to_owned()))
        }
    }
}

/// What comes of a form with this proof and all other fields that it wants.
async fn sent(line: &mut Line<'_>, path: &str, headers: &[(&str, &str)], proof: &str) -> Answer {
    let mut fields = BTreeMap::from([("csrf".to_owned(), proof.to_owned())]);
    let of_form = [headers, &[FORM]].concat();
    let of_files = [
        headers,
        &[("content-type", "multipart/form-data; boundary=x")],
    ]
    .concat();
    for _ in 0..40 {
        let answer = line
            .ask(("POST", path), &of_form, &form(&fields, false))
            .await;
        match wanted(&answer.body) {
            Some((name, value)) => drop(fields.insert(name, value)),
            None if answer.status == 400 => {
                let body = form(&fields, true);
                return line.ask(("POST", path), &of_files, &body).await;
            }
            None => return answer,
        }
    }
    panic!("{path} wants other fields again and again: {fields:?}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_form_of_a_page_wants_its_proof() {
    let site = Site::start().await;
    let (ada, bob) = (site.log_in("ada").await, site.log_in("bob").await);
    let of_bob = proof(&site, &bob).await;
    let zeros = "0".repeat(128);
    let before = site.state();
    let origin = site.origin();
    let headers = [
        ("cookie", ada.as_str()),
        ("origin", origin.as_str()),
        ("sec-fetch-site", "same-origin"),
    ];
    let mut line = Line::of(&site);
    let mut tried = 0;
    for route in routes::all() {
        let is_form = !route.is_of_programs() && route.methods.contains(&"POST");
        if !is_form || WITHOUT_A_LOGIN.contains(&route.path.as_str()) {
            continue;
        }
        for proof in ["", "00", &zeros, &of_bob] {
            let answer = sent(&mut line, &route.filled(), &headers, proof).await;
            let refused = match WANTS_A_RUNNING_VNODE.contains(&route.path.as_str()) {
                true => 409,
                false => 403,
            };
            assert_eq!(answer.status, refused, "{} {proof}: {answer:?}", route.path);
            tried += 1;
        }
    }
    assert!(tried > 200, "only {tried} were tried");
    assert_eq!(changed(&before, &site.state()), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_without_its_proof_is_none() {
    let site = Site::start().await;
    let (ada, bob) = (site.log_in("ada").await, site.log_in("bob").await);
    let origin = site.origin();
    let headers = |cookie| [("cookie", cookie), ("origin", origin.as_str()), FORM];
    let proof = proof(&site, &bob).await;
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
