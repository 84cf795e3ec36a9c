//! Rounds of memory that an image of processes builds on: they come with it, and nothing else for them.

use std::fs;
use std::os::unix::fs::symlink;

use docklet_agent::transfer::{Moving, Stage, adopt};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio_tungstenite::tungstenite::Message;

use crate::liars::giver;
use crate::site::{DEADLINE, MOVE, Site, V7, content, disk, moving};
use crate::support::{DATA_PORT, in_own_network};

const OWNER: u32 = 1_900_000_000;

fn live() -> Moving {
    Moving {
        live: true,
        ..moving(&[])
    }
}

/// A vnode of which memory was written twice before its image was.
fn written(site: &Site) {
    disk(
        &site.given("disk.img"),
        2 << 20,
        9,
        &mut StdRng::seed_from_u64(1),
    );
    for (below, parent) in [
        ("ahead/1", None),
        ("ahead/2", Some("../1")),
        ("checkpoint", Some("../ahead/2")),
    ] {
        fs::create_dir_all(site.given(below)).expect("made");
        fs::write(site.given(below).join("pages-1.img"), below).expect("written");
        if let Some(parent) = parent {
            symlink(parent, site.given(below).join("parent")).expect("linked");
        }
    }
}

#[test]
fn an_image_comes_with_the_rounds_on_which_it_builds() {
    in_own_network(async {
        let site = Site::new().await;
        written(&site);
        let mut arrival = site.arrival_from(DATA_PORT, live()).await;
        let progress = arrival.progress();
        // Nothing runs here of which memory could be written.
        arrival.near().await.expect("near");
        assert!(matches!(progress.borrow().stage, Stage::Round(_)));
        site.leaves(true);
        arrival.rest().await.expect("whole");
        drop(arrival);
        adopt(&site.state, V7, MOVE, OWNER).expect("adopted");
        let here = site.state.vnode(V7);
        for below in ["ahead/1", "ahead/2", "checkpoint"] {
            assert_eq!(content(&here.join(below)), content(&site.given(below)));
        }
        for (chain, wanted) in [
            ("checkpoint/parent/pages-1.img", "ahead/2"),
            ("checkpoint/parent/parent/pages-1.img", "ahead/1"),
        ] {
            let found = fs::read_to_string(here.join(chain)).expect("linked");
            assert_eq!(found, wanted);
        }
        assert!(!here.join("ahead/1/parent").exists());
    });
}

#[test]
fn rounds_without_an_image_that_builds_on_them_stay_where_they_are() {
    in_own_network(async {
        let site = Site::new().await;
        written(&site);
        fs::remove_file(site.given("checkpoint/parent")).expect("removed");
        site.leaves(true);
        let mut arrival = site.arrival_from(DATA_PORT, live()).await;
        arrival.near().await.expect("near");
        arrival.rest().await.expect("whole");
        drop(arrival);
        let here = site.state.vnode(V7);
        fs::create_dir_all(here.join("ahead/1")).expect("left by an earlier stay");
        adopt(&site.state, V7, MOVE, OWNER).expect("adopted");
        assert!(here.join("checkpoint/pages-1.img").exists());
        assert!(!here.join("ahead").exists());
    });
}

fn manifest(files: &[&str], rounds: u32) -> Message {
    let files: Vec<(&str, u64)> = files.iter().map(|name| (*name, 3)).collect();
    let said = serde_json::json!({
        "manifest": {"files": files, "data_bytes": 0, "rounds": rounds},
    });
    Message::text(said.to_string())
}

#[test]
fn who_names_other_rounds_than_there_can_be_is_not_listened_to() {
    in_own_network(async {
        let site = Site::new().await;
        let cases = [
            ("9 rounds of memory", manifest(&["disk.img"], 9)),
            ("fewer rounds", manifest(&["disk.img"], 1)),
            ("fewer rounds", manifest(&["disk.img", "ahead/2/a"], 2)),
            (
                "a part with ahead/1/a",
                manifest(&["disk.img", "ahead/1/a"], 0),
            ),
            (
                "a part with ahead/0/a",
                manifest(&["disk.img", "ahead/0/a"], 1),
            ),
            (
                "a file of a vnode",
                manifest(&["disk.img", "ahead/1/../a"], 1),
            ),
            (
                "a file of a vnode",
                manifest(&["disk.img", "ahead/01/a"], 1),
            ),
            (
                "a file of a vnode",
                manifest(&["disk.img", "ahead/1/a/b"], 1),
            ),
        ];
        for (wanted, answer) in cases {
            let port = giver(&site, vec![answer]).await;
            let mut arrival = site.arrival_from(port, live()).await;
            let rest = tokio::time::timeout(DEADLINE, arrival.rest()).await;
            let cause = rest.expect("in time").expect_err("a lie").full_text();
            assert!(cause.contains(wanted), "{wanted}: {cause}");
        }
    });
}
