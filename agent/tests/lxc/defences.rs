//! Each defence is taken away in turn, and the probe finds open what it was for. A defence whose ways stay closed has
//! another one behind it; docs/adr/0013 has the table, which this prints.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use docklet_agent::AgentConfig;
use docklet_agent::lxc::Helpers;

use crate::door::Open;
use crate::isolation::probe;
use crate::support::{HELPER, in_own_network};
use crate::weak::{self, Weakness};

const RULES: &str = include_str!("../../../conf/vnode.seccomp");

/// A defence by its name, and how a container is without it.
struct Defence {
    name: String,
    without: Vec<Weakness>,
    /// The rules for system calls if they are others.
    rules: Option<String>,
}

pub fn item(key: &str, about: &str, instead: Option<&str>) -> Weakness {
    Weakness {
        key: key.to_owned(),
        about: about.to_owned(),
        instead: instead.map(str::to_owned),
    }
}

fn items() -> Vec<Defence> {
    let one = |name: &str, without: Vec<Weakness>| Defence {
        name: name.to_owned(),
        without,
        rules: None,
    };
    vec![
        one("none taken away", Vec::new()),
        one(
            "all rules for system calls",
            vec![item("lxc.seccomp.profile", "", None)],
        ),
        one("dropped capabilities", vec![item("lxc.cap.drop", "", None)]),
        one(
            "devices that a vnode may use",
            vec![
                item("limits", "", None),
                item("lxc.cgroup.devices", "", None),
                item("lxc.cgroup2.devices", "", None),
            ],
        ),
        one(
            "/proc and /sys read-only where they rule the machine",
            vec![item("lxc.mount.auto", "", Some("proc:rw sys:rw"))],
        ),
        one(
            "covers over files of /proc and /sys",
            vec![
                item("lxc.mount.entry", "/dev/null proc/", None),
                item("lxc.mount.entry", "/empty/proc.", None),
                item("lxc.mount.entry", "/empty/sys.", None),
            ],
        ),
        one(
            "limits of single processes",
            vec![item("lxc.prlimit.", "", None)],
        ),
        one(
            "limits of kernel objects in the user namespace",
            vec![item("kernel_objects", "", None)],
        ),
        one(
            "these, and all rules for system calls",
            vec![
                item("kernel_objects", "", None),
                item("lxc.seccomp.profile", "", None),
            ],
        ),
    ]
}

/// One for each part of the rules: a remark and the lines after it.
fn rules() -> Vec<Defence> {
    let (head, body) = RULES.split_once("denylist\n").expect("a head");
    let format = format!(
        "{}\ndenylist\n[all]\n",
        head.lines().last().expect("a version")
    );
    let mut parts: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut remark = false;
    for line in body.lines() {
        let begins = line.starts_with('#');
        if begins && !remark {
            parts.push((line.trim_start_matches("# "), Vec::new()));
        }
        remark = begins;
        if let Some((_, lines)) = parts.last_mut().filter(|_| !begins && line != "[all]") {
            lines.push(line);
        }
    }
    let without = |index: usize| {
        let others = parts
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != index);
        let lines = others.flat_map(|(_, (_, lines))| lines);
        let rules = lines.filter(|line| !line.starts_with("reject_"));
        rules.fold(format.clone(), |text, line| text + line + "\n")
    };
    (0..parts.len())
        .map(|index| Defence {
            name: format!("rules: {}", parts[index].0),
            without: Vec::new(),
            rules: Some(without(index)),
        })
        .collect()
}

/// Lets the worker start its containers without a defence.
fn weaken(config: &mut AgentConfig, defence: &Defence) {
    let mut without = defence.without.clone();
    if let Some(rules) = &defence.rules {
        let file = config.state_dir.join("rules");
        fs::write(&file, rules).expect("written");
        without.push(item("lxc.seccomp.profile", "", file.to_str()));
    }
    leave_out(config, &without);
}

/// Lets the worker start its containers with these items left out, or read otherwise.
pub fn leave_out(config: &mut AgentConfig, without: &[Weakness]) {
    let dir = config.state_dir.join("weak");
    fs::create_dir(&dir).expect("a directory");
    let helper: PathBuf = dir.join("helper");
    symlink(HELPER, &helper).expect("a link");
    let text = serde_json::to_vec(without).expect("JSON");
    fs::write(weak::file_of(&helper), text).expect("written");
    config.helpers = Helpers::executed(helper);
}

/// The ways that the probe finds open without this defence.
async fn open_without(defence: &Defence) -> BTreeSet<String> {
    let open = Open::with(|config| weaken(config, defence)).await;
    let text = probe(&open).await;
    open.end().await;
    assert!(
        text.lines().count() > 100,
        "the probe came to its end: {text}"
    );
    text.lines()
        .filter_map(|line| line.strip_suffix(": OPEN"))
        .map(str::to_owned)
        .collect()
}

/// What must be open without a defence, by the beginning of its name. Kernels differ in what else is.
const OPENS: [(&str, &[&str]); 9] = [
    ("these, and all rules", &["unshare: user", "clone: user"]),
    (
        "all rules for system calls",
        &[
            "add_key",
            "keyctl",
            "fsopen",
            "open_tree",
            "socket: netfilter",
            "without rules for system calls",
        ],
    ),
    (
        "dropped capabilities",
        &[
            "dropped capabilities",
            "more inotify instances",
            "user namespaces of its own",
        ],
    ),
    ("covers over files", &["interrupts"]),
    ("limits of single processes", &["core files"]),
    ("rules: Large parts of the kernel", &["add_key", "keyctl"]),
    ("rules: The new way of mounting", &["fsopen", "open_tree"]),
    (
        "rules: Typing into the terminal",
        &["ioctl: typing into the terminal"],
    ),
    ("rules: Netfilter's own rules", &["socket: netfilter"]),
];

#[test]
fn without_a_defence_the_probe_finds_open_what_it_was_for() {
    let defences: Vec<Defence> = items().into_iter().chain(rules()).collect();
    for (name, _) in OPENS {
        let known = defences
            .iter()
            .any(|defence| defence.name.starts_with(name));
        assert!(known, "no defence is called {name:?}");
    }
    for defence in defences {
        let mut opened = BTreeSet::new();
        in_own_network(async { opened = open_without(&defence).await });
        let name = &defence.name;
        println!("| {name} | {} |", Vec::from_iter(opened.clone()).join(", "));
        let expected = OPENS.iter().find(|(begin, _)| name.starts_with(begin));
        for way in expected.map_or(&[][..], |(_, ways)| ways) {
            assert!(
                opened.contains(*way),
                "{way:?} stays closed without: {name}"
            );
        }
        let complete = name == "none taken away";
        assert!(
            !complete || opened.is_empty(),
            "open with everything in place: {opened:?}"
        );
    }
}
