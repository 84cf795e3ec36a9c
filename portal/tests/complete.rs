//! Whatever a page does, a program can do: each action of the pages' routes has operations in the interface's document.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Forms of people who have no login yet, or who go from this site to another: a program logs in by `access.log_in`, with a code
/// if need be, and uses an identity of a provider never.
const BROWSERS_ONLY: &[&str] = &[];

/// What a page's form does, and the operations that do the same. Of a form that says in itself what it does, a word follows.
const ACTIONS: [(&str, &[&str]); 104] = [
    ("/account/factor/begin", &["access.begin_factor"]),
    ("/account/factor/confirm", &["access.confirm_factor"]),
    ("/account/factor/remove", &["account.remove_factor"]),
    ("/account/logins/end-others", &["access.end_others"]),
    (
        "/account/logins/{}/end",
        &["access.end", "access.revoke_token"],
    ),
    ("/account/oidc/connect", BROWSERS_ONLY),
    ("/account/oidc/{}/disconnect", &["identity.disconnect"]),
    ("/account/password", &["account.change_password"]),
    ("/account/profile", &["account.set_profile"]),
    ("/account/tokens", &["access.create_token"]),
    ("/beans/grants", &["bean.grant", "bean.take_back"]),
    ("/beans/requests", &["bean.request"]),
    (
        "/beans/requests/{}",
        &["bean.approve", "bean.decline", "bean.withdraw"],
    ),
    ("/beans/settings", &["bean.set", "bean.set_rates"]),
    ("/bugs", &["bug.report"]),
    ("/bugs/{}/answer", &["bug.answer"]),
    ("/deleted/{}/purge", &["kept.purge"]),
    ("/deleted/{}/restore", &["kept.restore"]),
    ("/drills", &["drill.start"]),
    ("/drills/{}/abort", &["drill.abort"]),
    ("/groups", &["group.create"]),
    ("/groups/{}/add", &["group.change"]),
    ("/groups/{}/delete", &["group.delete"]),
    ("/groups/{}/manage", &["group.change"]),
    ("/groups/{}/remove", &["group.change"]),
    ("/groups/{}/unmanage", &["group.change"]),
    ("/images/import", &["images.import"]),
    ("/images/{}/{}/delete", &["image.delete"]),
    ("/images/{}/{}/delete-version", &["image.delete"]),
    ("/images/{}/{}/description", &["image.change"]),
    ("/images/{}/{}/publish", &["image.change"]),
    ("/images/{}/{}/rollback", &["image.change"]),
    ("/images/{}/{}/share", &["image.change"]),
    ("/images/{}/{}/share-group", &["image.change"]),
    ("/images/{}/{}/unshare", &["image.change"]),
    ("/images/{}/{}/unshare-group", &["image.change"]),
    ("/images/{}/{}/withdraw", &["image.change"]),
    ("/invitations", &["machine.create_token"]),
    ("/login", &["access.log_in"]),
    ("/login/code", &["access.log_in"]),
    ("/login/oidc", BROWSERS_ONLY),
    ("/login/oidc/name", BROWSERS_ONLY),
    ("/logout", &["access.log_out"]),
    ("/mail/test", &["mail.test"]),
    ("/mail/{}/resend", &["mail.resend"]),
    ("/masters/{}/remove", &["master.remove"]),
    ("/masters/{}/replace", &["master.replace"]),
    ("/masters/{}/transfer", &["master.transfer"]),
    ("/notices", &["notice.announce"]),
    ("/notices/read", &["notice.read"]),
    ("/notices/wish", &["notice.set_wish"]),
    ("/notices/{}/read", &["notice.read"]),
    ("/notices/{}/withdraw", &["notice.withdraw"]),
    ("/people/{}/delete", &["account.delete"]),
    ("/people/{}/lock", &["account.lock"]),
    ("/people/{}/reset-factor", &["account.remove_factor"]),
    ("/people/{}/unlock", &["account.unlock"]),
    (
        "/quotas",
        &[
            "allowance.set_usual",
            "allowance.set_of_user",
            "allowance.set_of_group",
            "allowance.set_share",
        ],
    ),
    ("/rebalance/apply", &["rebalance.apply"]),
    ("/rebalance/policy", &["rebalance.set_policy"]),
    ("/register", &["account.register"]),
    ("/registration", &["account.set_registration"]),
    ("/requests/{}/approve", &["account.approve"]),
    ("/requests/{}/decline", &["account.decline"]),
    ("/settings/tls/off", &["tls.unset"]),
    ("/settings/tls/renew", &["tls.renew"]),
    ("/settings/tls/set", &["tls.set"]),
    ("/settings/{}/undo", &["setting.undo"]),
    ("/templates", &["template.publish"]),
    ("/templates/{}/clone", &["template.clone"]),
    ("/templates/{}/clones", &["template.clone_for_all"]),
    ("/templates/{}/withdraw", &["template.withdraw"]),
    ("/terminal/{}/{}/share", &["share.share"]),
    ("/terminal/{}/{}/share/{}", &["share.end"]),
    ("/trash/{}/purge", &["trash.purge"]),
    ("/trash/{}/restore", &["trash.restore"]),
    ("/vclusters", &["vcluster.create"]),
    ("/vclusters/{}/delete", &["vcluster.delete"]),
    ("/vclusters/{}/ports/add", &["port.add"]),
    ("/vclusters/{}/ports/remove", &["port.remove"]),
    ("/vclusters/{}/resize", &["vcluster.resize"]),
    ("/vclusters/{}/scale", &["vcluster.scale"]),
    ("/vclusters/{}/services/add", &["service.add"]),
    ("/vclusters/{}/services/remove", &["service.remove"]),
    ("/vclusters/{}/services/share", &["service.share"]),
    ("/vclusters/{}/snapshots/delete", &["snapshot.delete"]),
    ("/vclusters/{}/snapshots/restore", &["snapshot.restore"]),
    (
        "/vclusters/{}/snapshots/schedule",
        &["snapshot.schedule", "snapshot.unschedule"],
    ),
    ("/vclusters/{}/snapshots/take", &["snapshot.take"]),
    ("/vclusters/{}/start", &["vcluster.start"]),
    ("/vclusters/{}/stop", &["vcluster.stop"]),
    ("/vclusters/{}/vnodes/{}/cancel-move", &["moves.cancel"]),
    (
        "/vclusters/{}/vnodes/{}/files/change delete",
        &["files.delete"],
    ),
    (
        "/vclusters/{}/vnodes/{}/files/change mkdir",
        &["files.make_directory"],
    ),
    (
        "/vclusters/{}/vnodes/{}/files/change rename",
        &["files.rename"],
    ),
    ("/vclusters/{}/vnodes/{}/files/edit", &["files.put"]),
    (
        "/vclusters/{}/vnodes/{}/files/upload",
        &[
            "files.begin",
            "files.append",
            "files.finish",
            "files.abandon",
        ],
    ),
    ("/vclusters/{}/vnodes/{}/move", &["moves.begin"]),
    ("/workers/{}/abort-drain", &["drain.abort"]),
    ("/workers/{}/cordon", &["schedule.cordon"]),
    ("/workers/{}/drain", &["drain.begin"]),
    ("/workers/{}/restore", &["drain.restore"]),
    ("/workers/{}/uncordon", &["schedule.uncordon"]),
    // It makes what somebody lacks of their own, with what is usual.
    ("/workspace/open", &["vcluster.create", "vcluster.start"]),
];

fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(path)
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A path whose parameters have no names.
fn unnamed(path: &str) -> String {
    let mut parts = path.split('/');
    let named = parts
        .by_ref()
        .map(|part| if part.starts_with('{') { "{}" } else { part });
    named.collect::<Vec<_>>().join("/")
}

/// All files of a module and of what is in it.
fn files(module: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = vec![module.with_extension("rs")];
    found.retain(|file| file.exists());
    let inner = std::fs::read_dir(module).into_iter().flatten();
    for entry in inner {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found
}

/// The words of which a handler takes one for what it is to do.
fn words(handler: &str) -> Vec<String> {
    let mut names = handler.split("::").skip(1).collect::<Vec<_>>();
    let function = names.pop().expect("a function");
    let module = source("pages").join(names.join("/"));
    let texts: Vec<_> = files(&module).iter().map(|file| read(file)).collect();
    let begins = format!("async fn {function}(");
    let body = texts
        .iter()
        .find_map(|text| Some(text.split_once(&begins)?.1));
    let Some(body) = body else {
        panic!("{handler} is not in {}", module.display())
    };
    let (body, _) = body.split_once("\n}\n").expect("an end");
    let Some((_, arms)) = body.split_once("action.as_str() {\n") else {
        return Vec::new();
    };
    let deep = arms.len() - arms.trim_start().len();
    let indent = " ".repeat(deep);
    let arms = arms
        .lines()
        .filter_map(|line| line.strip_prefix(&indent)?.strip_prefix('"'));
    let words: BTreeSet<String> = arms
        .filter_map(|arm| Some(arm.split_once('"')?.0.to_owned()))
        .collect();
    words.into_iter().collect()
}

/// All that can be asked for by a form.
fn actions() -> BTreeSet<String> {
    let files = ["", "/accounts", "/cluster", "/files", "/services"];
    let texts = files.map(|name| read(&source(&format!("router{name}.rs"))));
    let mut found = BTreeSet::new();
    for route in texts.iter().flat_map(|text| text.split(".route(").skip(1)) {
        let route = route.split(";\n").next().unwrap_or_default();
        let path = route
            .trim_start()
            .strip_prefix('"')
            .and_then(|rest| rest.split_once('"'));
        let Some((path, rest)) = path else { continue };
        let handler = rest
            .split_once("post(")
            .and_then(|(_, rest)| rest.split_once(')'));
        let Some((handler, _)) = handler else {
            continue;
        };
        let words = match handler.trim().starts_with("pages::") {
            true => words(handler.trim().trim_end_matches(',')),
            false => Vec::new(),
        };
        let place = unnamed(path);
        if path.ends_with("/{action}") {
            assert!(!words.is_empty(), "{handler} takes no word");
            let place = place.trim_end_matches("{}");
            found.extend(words.iter().map(|word| format!("{place}{word}")));
        } else if words.is_empty() {
            found.insert(place);
        } else {
            found.extend(words.iter().map(|word| format!("{place} {word}")));
        }
    }
    found
}

fn operations() -> BTreeSet<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    let document: Value = serde_json::from_str(&read(&file)).expect("JSON");
    let paths = document["paths"].as_object().expect("paths");
    let operations = paths
        .values()
        .filter_map(Value::as_object)
        .flat_map(|of| of.values());
    let names = operations.filter_map(|operation| operation["operationId"].as_str());
    names.map(str::to_owned).collect()
}

#[test]
fn each_action_of_a_page_has_an_operation() {
    let known: BTreeMap<&str, &[&str]> = ACTIONS.into_iter().collect();
    let found = actions();
    let unknown: Vec<_> = found
        .iter()
        .filter(|action| !known.contains_key(action.as_str()))
        .collect();
    assert!(
        unknown.is_empty(),
        "which operation does what these do? {unknown:#?}"
    );
    let gone: Vec<_> = known
        .keys()
        .filter(|action| !found.contains(**action))
        .collect();
    assert!(gone.is_empty(), "no page does this any more: {gone:#?}");
    let operations = operations();
    for (action, done_by) in known {
        let missing: Vec<_> = done_by
            .iter()
            .filter(|name| !operations.contains(**name))
            .collect();
        assert!(
            missing.is_empty(),
            "{action}: the document has no {missing:?}"
        );
    }
}

/// Each address to which a form of a page's source is sent, as far as it is written out there.
fn sent_to(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for form in text.split("action=").skip(1) {
        let path = match form.strip_prefix('{') {
            Some(parts) => parts.split_once('}').map(|(parts, _)| parts.trim()),
            None => form
                .strip_prefix('"')
                .and_then(|rest| rest.find('"').map(|end| &form[..end + 2])),
        };
        // A path that is made elsewhere is one of the routes, or leads nowhere.
        let Some(path) = path.filter(|path| path.starts_with("\"/")) else {
            continue;
        };
        let parts = path
            .split('"')
            .enumerate()
            .map(|(place, part)| match place % 2 {
                1 => part,
                _ if part.trim().is_empty() => "",
                _ => "{}",
            });
        found.push(parts.collect());
    }
    found
}

/// Forms that look for something.
const ONLY_LOOK: [&str; 3] = ["/audit", "/events", "/past"];

#[test]
fn each_form_is_sent_to_a_known_action() {
    let known = actions();
    let mut forms = 0;
    for path in files(&source("pages")) {
        for to in sent_to(&read(&path)) {
            // What a button says comes last.
            let begun = to.strip_suffix("{}");
            let mut known_ones = known.iter();
            let is_known = known.contains(&to)
                || begun.is_some_and(|begun| known_ones.any(|action| action.starts_with(begun)))
                || ONLY_LOOK.contains(&to.as_str());
            assert!(is_known, "{}: a form is sent to {to}", path.display());
            forms += 1;
        }
    }
    assert!(forms > 60, "only {forms} forms were seen");
}
