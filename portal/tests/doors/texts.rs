//! What people wrote, and what an address says, is text on each page that shows it: it makes no element, no attribute and no
//! address of one.

use std::collections::{BTreeSet, VecDeque};

use docklet_control::account::command::AccountCommand;
use docklet_control::amount::VnodeSize;
use docklet_control::audit::command::AuditCommand;
use docklet_control::bean::command::{BeanCommand, SettingsChange};
use docklet_control::group::command::GroupCommand;
use docklet_control::id::{Digest, MasterId, UserId, WorkerId};
use docklet_control::model::account::Profile;
use docklet_control::model::{ImageSpec, Role, Rules, Wishes};
use docklet_control::notice::bug::BugCommand;
use docklet_control::notice::command::{Audience, NewNotice, NoticeCommand};
use docklet_control::schedule::command::ScheduleCommand;
use docklet_control::template::command::{NewRecipe, TemplateCommand};
use docklet_control::{Actor, Command};

use crate::client::{Line, Site};
use crate::routes::{self, Route};
use crate::support::ADMIN;

/// Ways out of text, of an attribute, of an element that has text only, and of an address.
const SCRIPTS: [&str; 18] = [
    "<script>alert(1)</script>",
    "\"'><script>alert(1)</script><img src=x onerror=alert(1)>",
    "</textarea><script>alert(1)</script>",
    "</title></style><script>alert(1)</script>",
    "<svg/onload=alert(1)>",
    "<svg><script>alert(1)</script>",
    "\" onmouseover=\"alert(1)",
    "' autofocus onfocus='alert(1)",
    "` onclick=`alert(1)`",
    "<!--<script>",
    "]]><script>alert(1)</script>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)&#60;/script&#62;",
    "<iframe srcdoc=\"<script>alert(1)</script>\">",
    "<base href=https://evil.example/>",
    "<meta http-equiv=refresh content=0;url=https://evil.example>",
    "</form><form action=https://evil.example><button>x",
    "javascript:alert(1)",
];

/// The one that leads out of an attribute and of text alike.
const OUT_OF_ALL: usize = 1;

/// What is asked of the tags of a page, and why a page fails.
fn fault(html: &str) -> Option<String> {
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let (tag, after) = match tag(rest) {
            Ok(tag) => tag,
            Err(fault) => return Some(fault),
        };
        if let Some(fault) = tag.fault() {
            return Some(fault);
        }
        rest = after;
    }
    None
}

/// As this site writes them: small letters, and values in double quotes.
struct Tag<'h> {
    name: &'h str,
    attributes: Vec<(&'h str, &'h str)>,
}

fn tag(html: &str) -> Result<(Tag<'_>, &str), String> {
    let shown = || html.chars().take(60).collect::<String>();
    if let Some(rest) = html.strip_prefix("!DOCTYPE html>") {
        let (name, attributes) = ("!doctype", Vec::new());
        return Ok((Tag { name, attributes }, rest));
    }
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || "-:/_".contains(letter);
    let end = html.find(|letter| !is_name(letter)).unwrap_or(0);
    let (name, mut rest) = html.split_at(end);
    if name.is_empty() || name.contains(char::is_uppercase) {
        return Err(format!("no tag of this site: {}", shown()));
    }
    let mut attributes = Vec::new();
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix('>') {
            return Ok((Tag { name, attributes }, after));
        }
        let end = rest.find(|letter| !is_name(letter)).unwrap_or(0);
        let (attribute, after) = rest.split_at(end);
        if attribute.is_empty() {
            return Err(format!("no attribute of this site: {}", shown()));
        }
        let value = after.strip_prefix("=\"").map(|after| after.split_once('"'));
        match value {
            Some(Some((value, after))) => {
                attributes.push((attribute, value));
                rest = after;
            }
            Some(None) => return Err(format!("no end: {}", shown())),
            None => {
                attributes.push((attribute, ""));
                rest = after;
            }
        }
    }
}

impl Tag<'_> {
    fn value(&self, wanted: &str) -> Option<&str> {
        let mut attributes = self.attributes.iter();
        let found = attributes.find(|(name, _)| *name == wanted);
        found.map(|(_, value)| *value)
    }

    fn fault(&self) -> Option<String> {
        let refused = [
            "iframe", "object", "embed", "base", "style", "frame", "math",
        ];
        if refused.contains(&self.name) {
            return Some(format!("an element <{}>", self.name));
        }
        if self.name == "script"
            && !self
                .value("src")
                .is_some_and(|src| src.starts_with("/assets/"))
        {
            return Some("a script of its own".to_owned());
        }
        let refreshes = self.value("http-equiv").is_some();
        if self.name == "meta" && refreshes {
            return Some("another address by itself".to_owned());
        }
        let mut names = self.attributes.iter().map(|(name, _)| *name);
        if let Some(name) = names.find(|name| name.starts_with("on") || *name == "style") {
            return Some(format!("an attribute {name} of <{}>", self.name));
        }
        let addresses = [
            "href",
            "src",
            "action",
            "formaction",
            "data",
            "poster",
            "xlink:href",
        ];
        let mut elsewhere = addresses.into_iter().filter_map(|name| self.value(name));
        let elsewhere = elsewhere
            .find(|to| !(to.starts_with(['/', '#', '?']) || to.is_empty()) || to.starts_with("//"));
        elsewhere.map(|to| format!("an address of <{}>: {to}", self.name))
    }
}

/// What is written where.
struct Field {
    mark: &'static str,
    write: fn(&Written) -> Command,
}

/// One script, and of whom it is.
struct Written {
    nth: u8,
    text: String,
    user: UserId,
    worker: WorkerId,
}

fn profile(text: &str) -> Profile {
    Profile {
        real_name: text.to_owned(),
        mail: "somebody@example.org".to_owned(),
        affiliation: text.to_owned(),
    }
}

const FIELDS: [Field; 11] = [
    Field {
        mark: "profile",
        write: |of| {
            let (user, profile) = (of.user, profile(&of.text));
            Command::Account(AccountCommand::SetProfile { user, profile })
        },
    },
    Field {
        mark: "notice",
        write: |of| {
            Command::Notice(NoticeCommand::Announce(NewNotice {
                to: Audience::User("admin".to_owned()),
                severity: Default::default(),
                title: of.text.clone(),
                body: of.text.clone(),
                link: String::new(),
                ttl_ms: None,
                mail: false,
            }))
        },
    },
    Field {
        mark: "bug",
        write: |of| {
            let text = of.text.clone();
            Command::Notice(NoticeCommand::Bug(BugCommand::Report { text }))
        },
    },
    Field {
        mark: "group",
        write: |of| {
            let (name, description) = (format!("g{}", of.nth), of.text.clone());
            Command::Group(GroupCommand::Create { name, description })
        },
    },
    Field {
        mark: "template",
        write: |of| {
            Command::Template(TemplateCommand::Publish {
                name: format!("t{}", of.nth),
                description: of.text.clone(),
                group: None,
                recipe: NewRecipe {
                    image: "busybox".to_owned(),
                    vnodes: 1,
                    size: VnodeSize::default(),
                    wishes: Wishes::default(),
                    bandwidth: None,
                    rules: Rules::default(),
                },
            })
        },
    },
    Field {
        mark: "image",
        write: |of| Command::RegisterImage {
            name: format!("i{}", of.nth),
            digest: Digest([1; 32]),
            blob_bytes: 1,
            spec: ImageSpec::default(),
            description: of.text.clone(),
            held_by: of.worker,
        },
    },
    Field {
        mark: "request",
        write: |of| {
            let (beans, reason) = (100, of.text.clone());
            Command::Bean(BeanCommand::Request { beans, reason })
        },
    },
    Field {
        mark: "cordon",
        write: |of| {
            let (worker, reason) = (of.worker, of.text.clone());
            Command::Schedule(ScheduleCommand::Cordon { worker, reason })
        },
    },
    Field {
        mark: "label",
        write: |of| {
            let (worker, value) = (of.worker, Some(of.text.clone()));
            let labels = [("zone".to_owned(), value)].into();
            Command::Schedule(ScheduleCommand::Label { worker, labels })
        },
    },
    Field {
        mark: "application",
        write: |of| {
            Command::Account(AccountCommand::Apply {
                name: format!("p{}", of.nth),
                password_hash: "x".to_owned(),
                profile: profile(&of.text),
                reason: of.text.clone(),
            })
        },
    },
    Field {
        mark: "lock",
        write: |of| {
            let (user, reason) = (of.user, of.text.clone());
            Command::Account(AccountCommand::Lock { user, reason })
        },
    },
];

/// Who may write it.
fn writer(mark: &str, user: UserId) -> Actor {
    match mark {
        "request" => Actor::User(user),
        "application" => Actor::Door(MasterId(1)),
        _ => ADMIN,
    }
}

/// All that can be written, each script once in each field.
async fn write_all(site: &Site) {
    let accepted = async |actor, command: Command| {
        let shown = format!("{command:?}");
        let proposed = site.alone.try_propose(actor, command).await;
        proposed.unwrap_or_else(|fault| panic!("{shown}: {fault}"));
    };
    let on = SettingsChange {
        on: Some(true),
        ..SettingsChange::default()
    };
    accepted(ADMIN, Command::Bean(BeanCommand::Set(on))).await;
    let open = AccountCommand::SetRegistration { open: true };
    accepted(ADMIN, Command::Account(open)).await;
    for (nth, script) in SCRIPTS.iter().enumerate() {
        let nth = u8::try_from(nth).expect("few");
        let user = Command::CreateUser {
            name: format!("u{nth}"),
            role: Role::User,
            password_hash: "x".to_owned(),
        };
        accepted(ADMIN, user).await;
        let name = format!("u{nth}");
        let Actor::User(user) = site.actor(&name) else {
            panic!("no user {name}")
        };
        let worker = site.alone.worker(&format!("w-{nth}")).await.id;
        for Field { mark, write } in &FIELDS {
            if *mark == "label" && script.contains([' ', ',', '=']) {
                // No label has one of them.
                continue;
            }
            let written = Written {
                nth,
                text: format!("{mark}{script}"),
                user,
                worker,
            };
            accepted(writer(mark, user), write(&written)).await;
        }
    }
    let ada = site.actor("ada");
    let vnode = *site.state().vnodes.keys().next().expect("ada's");
    for script in SCRIPTS {
        let path = format!("/path{script}");
        accepted(ada, Command::Audit(AuditCommand::ReadFiles { vnode, path })).await;
    }
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Addresses of this site that a page leads to.
fn leads_to(html: &str) -> impl Iterator<Item = String> {
    let links = html.split("href=\"/").skip(1);
    let links = links.filter_map(|rest| rest.split_once('"'));
    links.map(|(path, _)| format!("/{}", path.replace("&amp;", "&")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_people_wrote_is_text_on_each_page() {
    let site = Site::start().await;
    write_all(&site).await;
    let cookie = site.log_in("admin").await;
    let headers = [("cookie", cookie.as_str())];
    let mut line = Line::of(&site);
    let routes = routes::all().into_iter();
    let pages = routes.filter(|route| route.methods.contains(&"GET") && !route.is_of_programs());
    let mut waiting: VecDeque<String> = pages.map(|route| route.filled()).collect();
    waiting.retain(|path| !path.starts_with("/live/"));
    let mut seen: BTreeSet<String> = waiting.iter().cloned().collect();
    let mut unseen: BTreeSet<&str> = FIELDS.iter().map(|field| field.mark).collect();
    unseen.insert("/path");
    while let Some(path) = waiting.pop_front() {
        let answer = line.ask(("GET", &path), &headers, "").await;
        let kind = answer.header("content-type").unwrap_or_default();
        if !kind.starts_with("text/html") {
            continue;
        }
        if let Some(fault) = fault(&answer.body) {
            panic!("{path} has {fault}");
        }
        unseen.retain(|mark| !answer.body.contains(&format!("{mark}&lt;script&gt;")));
        for next in leads_to(&answer.body) {
            let is_page = !next.starts_with("/assets/") && !next.starts_with("/api/");
            if is_page && seen.len() < 600 && seen.insert(next.clone()) {
                waiting.push_back(next);
            }
        }
    }
    assert!(seen.len() > 150, "only {} pages", seen.len());
    assert!(unseen.is_empty(), "shown nowhere: {unseen:?}");
}

/// What pages are asked for by.
const ASKED: [&str; 28] = [
    "after", "at", "before", "bucket", "code", "command", "diff", "error", "find", "from", "group",
    "image", "kind", "link", "month", "name", "next", "of", "past", "path", "session", "span",
    "state", "thing", "to", "topic", "user", "who",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_address_says_is_text_on_the_page_it_leads_to() {
    let site = Site::start().await;
    let cookie = site.log_in("admin").await;
    let mut line = Line::of(&site);
    let mut shown = 0;
    for route in routes::all() {
        let is_page = route.methods.contains(&"GET") && !route.is_of_programs();
        if !is_page || route.path.starts_with("/live/") {
            continue;
        }
        for (nth, script) in SCRIPTS.iter().enumerate() {
            let script = encoded(script);
            let each = ASKED.map(|name| format!("{name}={script}"));
            let mut paths = vec![format!("{}?{}", route.filled(), each.join("&"))];
            if nth == OUT_OF_ALL {
                // A page that refuses one of them does not come to the others.
                paths.extend(each.map(|one| format!("{}?{one}", route.filled())));
            }
            if let (Some(from), Some(to)) = (route.path.find('{'), route.path.find('}')) {
                let mut named = Route {
                    path: route.path.clone(),
                    methods: Vec::new(),
                };
                named.path.replace_range(from..=to, &script);
                paths.push(named.filled());
            }
            for cookie in [Some(cookie.as_str()), None] {
                let headers: Vec<_> = cookie
                    .map(|cookie| ("cookie", cookie))
                    .into_iter()
                    .collect();
                for path in &paths {
                    let answer = line.ask(("GET", path), &headers, "").await;
                    let kind = answer.header("content-type").unwrap_or_default();
                    if kind.starts_with("text/html") {
                        let fault = fault(&answer.body);
                        assert_eq!(fault, None, "{path}");
                        shown += usize::from(answer.body.contains("&lt;script&gt;"));
                    }
                    let to = answer.header("location").unwrap_or("/");
                    assert!(
                        to.starts_with('/') && !to.starts_with("//"),
                        "{path} leads to {to}"
                    );
                }
            }
        }
    }
    assert!(shown > 100, "it is shown {shown} times");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notice_leads_nowhere_else() {
    let site = Site::start().await;
    for link in [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "data:text/html,x",
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        " //evil.example",
        "vbscript:x",
        "/\t/evil.example",
    ] {
        let notice = NewNotice {
            to: Audience::User("admin".to_owned()),
            severity: Default::default(),
            title: "x".to_owned(),
            body: String::new(),
            link: link.to_owned(),
            ttl_ms: None,
            mail: false,
        };
        let told = Command::Notice(NoticeCommand::Announce(notice));
        let receipt = site.alone.try_propose(ADMIN, told).await;
        assert!(receipt.is_err(), "{link}");
    }
}

#[test]
fn what_a_script_makes_of_a_page_is_seen() {
    let page = |text: &str, to: &str| {
        format!(
            "<!DOCTYPE html><p class=\"a\">{text}</p><input value=\"{text}\" disabled><a href=\"{to}\">x</a>"
        )
    };
    assert_eq!(fault(&page("plain", "/x?y=1#z")), None);
    for script in SCRIPTS {
        let seen = fault(&page(script, "/")).is_some();
        // What has no quote and no tag is text, but no address.
        assert_eq!(seen, script.contains(['"', '<']), "{script}");
        assert!(fault(&page("plain", script)).is_some(), "{script}");
    }
}
