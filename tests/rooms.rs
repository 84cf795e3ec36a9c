//! The rooms' arrows: who may depend on whom. ARCHITECTURE.md says why.

use std::collections::BTreeMap;
use std::path::Path;

/// Every room and the rooms that it may know.
const ARROWS: [(&str, &[&str]); 8] = [
    ("control", &[]),
    ("link", &[]),
    ("raft", &["control", "link"]),
    ("agent", &["control", "link"]),
    ("portal", &["control", "link", "raft"]),
    (".", &["agent", "control", "link", "portal", "raft"]),
    ("chaos-tests", &["control", "link", "raft"]),
    (
        "chaos-tests/simulation",
        &["chaos-tests", "control", "link", "raft"],
    ),
];

/// What must not get into control: it reads no clock, draws no number, does no I/O.
const IMPURE: [&str; 8] = [
    "tokio", "rand", "redb", "openraft", "axum", "tracing", "jiff", "nix",
];

fn dependencies(room: &str) -> BTreeMap<String, toml::Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(room)
        .join("Cargo.toml");
    let text = std::fs::read_to_string(&path).expect("every room has a manifest");
    let manifest: toml::Table = text.parse().expect("a manifest is TOML");
    let table = manifest.get("dependencies").and_then(toml::Value::as_table);
    table
        .map(|table| table.clone().into_iter().collect())
        .unwrap_or_default()
}

#[test]
fn rooms_know_only_the_rooms_that_they_may() {
    for (room, allowed) in ARROWS {
        for name in dependencies(room).keys() {
            if let Some(other) = name.strip_prefix("docklet-") {
                assert!(allowed.contains(&other), "{room} must not know {other}");
            }
        }
    }
}

#[test]
fn control_stays_pure() {
    let known = dependencies("control");
    for name in IMPURE {
        assert!(!known.contains_key(name), "control must not know {name}");
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("control/src");
    for (path, text) in sources(&source) {
        for word in [
            "SystemTime",
            "Instant::now",
            "std::fs",
            "std::net::Tcp",
            "HashMap",
            "HashSet",
        ] {
            assert!(!text.contains(word), "{path} uses {word}");
        }
    }
}

#[test]
fn raft_does_not_leave_its_room_and_liblxc_does_not_leave_its_module() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for room in ["control", "link", "agent", "portal", "src", "chaos-tests"] {
        for (path, text) in sources(&root.join(room)) {
            assert!(!text.contains("openraft::"), "{path} uses openraft");
            assert!(
                !text.contains("lxc_sys::") || path.contains("agent/src/lxc/"),
                "{path} calls liblxc"
            );
        }
    }
}

#[test]
fn no_file_eats_the_others() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for room in [
        "control",
        "link",
        "raft",
        "agent",
        "portal",
        "src",
        "chaos-tests",
    ] {
        for (path, text) in sources(&root.join(room)) {
            let lines = text.lines().count();
            assert!(
                lines <= 520,
                "{path} has {lines} lines: would two be clearer?"
            );
            assert!(
                path.contains("/tests/") || text.starts_with("//!"),
                "{path} does not say what it is"
            );
        }
    }
}

/// Every Rust file below a directory, with its text.
fn sources(dir: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut waiting = vec![dir.to_owned()];
    while let Some(dir) = waiting.pop() {
        for entry in std::fs::read_dir(&dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("a source file");
                found.push((path.display().to_string(), text));
            }
        }
    }
    found
}
