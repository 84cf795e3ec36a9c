//! What liblxc is told of a container is what it reads from its own file later, whatever texts are in it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;

use docklet_agent::cgroup::Cgroups;
use docklet_agent::container_config::{BindKind, BindMount, ContainerConfig};
use docklet_agent::limits::{DeviceRule, IoLimit, Limits};
use docklet_agent::lxc::Container;
use docklet_control::amount::{CpuMilli, MemoryMib, VnodeSize};
use tempfile::TempDir;

fn config() -> ContainerConfig {
    ContainerConfig {
        hostname: "host-0".to_owned(),
        rootfs: "/var/tmp/rootfs".into(),
        uid_base: 1_900_000_000,
        device: "dkc7".to_owned(),
        address: Ipv4Addr::new(10, 64, 0, 7),
        prefix: 22,
        gateway: Ipv4Addr::new(10, 64, 0, 1),
        mounts: vec![BindMount {
            source: "/var/tmp/hosts".into(),
            target: "etc/hosts".to_owned(),
            options: &["ro"],
            kind: BindKind::File,
        }],
        init: [
            "/sbin/tini",
            "--",
            "sh",
            "-c",
            "echo 'it is # fine'; exec sleep 9",
            "",
        ]
        .map(str::to_owned)
        .to_vec(),
        stop_signal: "SIGUSR1".to_owned(),
        environment: vec!["HOME=/root".to_owned(), "ODD=a = b; # $c".to_owned()],
        directory: Some("/srv/it".to_owned()),
        seccomp: "/var/tmp/vnode.seccomp".into(),
        devices: DeviceRule::USUAL.to_vec(),
        limits: Limits {
            size: VnodeSize {
                cpu_milli: CpuMilli(1_500),
                memory_mib: MemoryMib(48),
                pids_max: 64,
            },
            io: Some(((254, 0), IoLimit::default())),
        },
        log: "/var/tmp/lxc.log".into(),
        empty: "/var/tmp/empty".into(),
        apparmor: Some("unconfined"),
    }
}

fn items(config: &ContainerConfig, cgroups: &Cgroups) -> Vec<(String, String)> {
    config.items(cgroups, "docklet/v7").expect("fit texts")
}

/// Two trees of cgroups as the kernel's versions have them.
fn trees(dir: &Path) -> [Cgroups; 2] {
    let (legacy, unified) = (dir.join("legacy"), dir.join("unified"));
    std::fs::create_dir_all(legacy.join("memory")).expect("made");
    std::fs::write(legacy.join("memory/memory.memsw.limit_in_bytes"), "").expect("written");
    std::fs::create_dir_all(&unified).expect("made");
    std::fs::write(unified.join("cgroup.controllers"), "cpu memory pids io").expect("written");
    [
        Cgroups::at(&legacy, "docklet"),
        Cgroups::at(&unified, "docklet"),
    ]
}

/// What liblxc says of a value otherwise than it was told: names become numbers, lists get a line for each.
fn as_told_back(key: &str, value: &str) -> String {
    match key {
        "lxc.rootfs.path" => value.trim_start_matches("dir:").to_owned(),
        "lxc.cap.drop" => value.replace(' ', "\n"),
        "lxc.signal.halt" => "10".to_owned(),
        _ => value.to_owned(),
    }
}

#[test]
fn liblxc_reads_from_its_file_what_the_structure_says() {
    let dir = TempDir::new().expect("a directory");
    for cgroups in trees(dir.path()) {
        let items = items(&config(), &cgroups);
        let told = Container::open(dir.path(), "told").expect("a handle");
        told.clear();
        let mut wanted: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (key, value) in &items {
            told.set(key, value).expect("a value that liblxc takes");
            wanted
                .entry(key)
                .or_default()
                .push(as_told_back(key, value));
        }
        told.save().expect("saved");
        drop(told);
        let read = Container::open(dir.path(), "told").expect("a handle");
        for (key, values) in wanted {
            let got = read
                .get(key)
                .unwrap_or_else(|| panic!("{key} is not there"));
            assert_eq!(got.trim_end_matches('\n'), values.join("\n"), "{key}");
        }
        let text = std::fs::read_to_string(dir.path().join("told/config")).expect("a file");
        let written = text.lines().filter(|line| line.starts_with("lxc."));
        assert_eq!(written.count(), items.len(), "no line but ours:\n{text}");
    }
}

/// Puts a text into one field.
type Set = fn(&mut ContainerConfig, String);

#[test]
fn a_text_with_a_line_break_or_the_like_is_refused_wherever_it_stands() {
    let cgroups = Cgroups::of_machine("docklet");
    let fields: [(&str, Set); 9] = [
        ("hostname", |c, text| c.hostname = text),
        ("rootfs", |c, text| c.rootfs = format!("/{text}").into()),
        ("stop_signal", |c, text| c.stop_signal = text),
        ("init", |c, text| c.init.push(text)),
        ("environment", |c, text| {
            c.environment.push(format!("A={text}"))
        }),
        ("seccomp", |c, text| c.seccomp = format!("/{text}").into()),
        ("log", |c, text| c.log = format!("/{text}").into()),
        ("mount's source", |c, text| {
            c.mounts[0].source = format!("/{text}").into()
        }),
        ("mount's target", |c, text| c.mounts[0].target = text),
    ];
    for (field, set) in fields {
        for bad in [
            "\n", "\r", "\0", "\u{2028}", "\u{2029}", "\u{85}", "\u{1b}", "\u{b}",
        ] {
            for text in [
                format!("a{bad}lxc.hook.start=/x"),
                bad.to_owned(),
                format!("a{bad}"),
            ] {
                let mut config = config();
                set(&mut config, text.clone());
                let refused = config.items(&cgroups, "docklet/v7");
                assert!(refused.is_err(), "{field} took {text:?}");
            }
        }
    }
    let mut plain = config();
    plain.hostname = "host-1".to_owned();
    assert!(plain.items(&cgroups, "docklet/v7").is_ok());
}

#[test]
fn a_mount_stays_inside_and_a_program_is_named_in_full() {
    let cgroups = Cgroups::of_machine("docklet");
    for target in ["/etc/hosts", "../etc", "etc/../../x", "a b", ""] {
        let mut config = config();
        config.mounts[0].target = target.to_owned();
        assert!(config.items(&cgroups, "docklet/v7").is_err(), "{target:?}");
    }
    for init in ["sh", "", "\"/bin/sh\""] {
        let mut config = config();
        config.init = vec![init.to_owned()];
        assert!(config.items(&cgroups, "docklet/v7").is_err(), "{init:?}");
    }
}

#[test]
fn limits_are_said_in_the_words_of_each_version() {
    let dir = TempDir::new().expect("a directory");
    let [legacy, unified] = trees(dir.path());
    let said = |cgroups: &Cgroups| {
        let words = config().limits.words(cgroups).into_iter();
        words
            .map(|word| format!("{} = {}", word.file, word.value))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        said(&legacy),
        [
            "memory.limit_in_bytes = 50331648",
            "memory.memsw.limit_in_bytes = 50331648",
            "cpu.cfs_period_us = 100000",
            "cpu.cfs_quota_us = 150000",
            "cpu.shares = 1536",
            "pids.max = 64",
            "blkio.throttle.read_bps_device = 254:0 268435456",
            "blkio.throttle.write_bps_device = 254:0 268435456",
            "blkio.throttle.read_iops_device = 254:0 8000",
            "blkio.throttle.write_iops_device = 254:0 8000",
        ]
    );
    assert_eq!(
        said(&unified),
        [
            "memory.max = 50331648",
            "memory.swap.max = 0",
            "cpu.max = 150000 100000",
            "cpu.weight = 150",
            "pids.max = 64",
            "io.max = 254:0 rbps=268435456 wbps=268435456 riops=8000 wiops=8000",
        ]
    );
    let keys = |cgroups: &Cgroups| {
        let items = items(&config(), cgroups).into_iter();
        items
            .filter(|(key, _)| key.starts_with("lxc.cgroup2."))
            .count()
    };
    assert_eq!(keys(&legacy), 0);
    assert_eq!(keys(&unified), 6 + 1 + DeviceRule::USUAL.len());
}

#[test]
fn all_devices_are_denied_but_the_usual_and_a_card_that_was_given() {
    let dir = TempDir::new().expect("a directory");
    let card = DeviceRule {
        major: 195,
        minor: Some(3),
    };
    let with_card = ContainerConfig {
        devices: [&DeviceRule::USUAL, [card].as_slice()].concat(),
        ..config()
    };
    for (cgroups, version) in trees(dir.path()).iter().zip(["cgroup", "cgroup2"]) {
        let items = items(&with_card, cgroups).into_iter();
        let rules: Vec<_> = items.filter(|(key, _)| key.contains(".devices.")).collect();
        let rule = |verb, value: &str| (format!("lxc.{version}.devices.{verb}"), value.to_owned());
        assert_eq!(rules[0], rule("deny", "a"), "first of all");
        assert_eq!(rules.last(), Some(&rule("allow", "c 195:3 rwm")));
        assert_eq!(rules.len(), 1 + DeviceRule::USUAL.len() + 1);
    }
}
