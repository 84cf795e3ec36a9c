//! Pages show what people wrote as text, run nothing but this site's own scripts, and are in nobody's frame.

use docklet_control::Command;
use docklet_control::account::command::AccountCommand;
use docklet_control::group::command::GroupCommand;
use docklet_control::id::UserId;
use docklet_control::model::account::Profile;
use docklet_control::notice::bug::BugCommand;
use docklet_control::notice::command::{Audience, NewNotice, NoticeCommand};

use crate::client::{Answer, Site};
use crate::routes;
use crate::support::ADMIN;

const SCRIPT: &str = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>";

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
async fn what_people_wrote_is_text() {
    let site = Site::start().await;
    let text = || SCRIPT.to_owned();
    let notice = NewNotice {
        to: Audience::User("admin".to_owned()),
        severity: Default::default(),
        title: text(),
        body: text(),
        link: String::new(),
        ttl_ms: None,
        mail: false,
    };
    let group = GroupCommand::Create {
        name: "course".to_owned(),
        description: text(),
    };
    let profile = AccountCommand::SetProfile {
        user: UserId(1),
        profile: Profile {
            real_name: text(),
            mail: String::new(),
            affiliation: text(),
        },
    };
    for command in [
        Command::Notice(NoticeCommand::Announce(notice)),
        Command::Notice(NoticeCommand::Bug(BugCommand::Report { text: text() })),
        Command::Group(group),
        Command::Account(profile),
    ] {
        site.alone.propose(ADMIN, command).await;
    }
    let cookie = site.log_in("admin").await;
    let mut shown = 0;
    for (path, answer) in pages(&site, &cookie).await {
        assert!(!answer.body.contains("<script>"), "{path} runs it");
        assert!(!answer.body.contains("<img src=x"), "{path} has it");
        shown += usize::from(answer.body.contains("&lt;script&gt;"));
    }
    assert!(shown >= 4, "it is shown on {shown} pages");
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
