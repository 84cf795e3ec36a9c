//! Pages run nothing but this site's own scripts, and are in nobody's frame.

use crate::client::{Answer, Site};
use crate::routes;

async fn pages(site: &Site, cookie: &str) -> Vec<(String, Answer)> {
    let mut found = Vec::new();
    for route in routes::all() {
        if route.methods.contains(&"GET") && !route.is_of_programs() {
            let path = route.filled();
            let answer = site.ask(("GET", &path), &[("cookie", cookie)], "").await;
            found.push((path, answer));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_run_this_sites_own_scripts_only_and_are_in_no_frame() {
    let site = Site::start().await;
    let cookie = site.log_in("admin").await;
    for (path, answer) in pages(&site, &cookie).await {
        let policy = answer.header("content-security-policy").unwrap_or_default();
        for part in [
            "default-src 'none'",
            "script-src 'self';",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe-eval"), "{path}: {policy}");
        assert_eq!(
            answer.header("x-content-type-options"),
            Some("nosniff"),
            "{path}"
        );
        assert_eq!(
            answer.header("referrer-policy"),
            Some("same-origin"),
            "{path}"
        );
        assert!(
            answer.header("strict-transport-security").is_some(),
            "{path}"
        );
        if let Some(set) = answer.header("set-cookie") {
            let bound = set.starts_with("__Host-") && set.contains("; Secure; HttpOnly; SameSite=");
            assert!(bound, "{path}: {set}");
        }
    }
    let login = site.try_login("bob", crate::client::PASSWORD).await;
    let cookies = login
        .head
        .lines()
        .filter(|line| line.to_ascii_lowercase().starts_with("set-cookie"));
    for set in cookies {
        assert!(
            set.contains(": __Host-")
                && set.contains("; Path=/; Secure; HttpOnly; SameSite=Strict"),
            "{set}"
        );
    }
}
