//! What came is put in place as a whole, whatever is there and however often it is interrupted.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use docklet_agent::transfer::adopt::{Step, steps};
use docklet_agent::transfer::{adopt, arrivals, arrived, forget, whole};
use docklet_control::id::LogIndex;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::site::{MOVE, Site, V7, content, disk, moving, noise};
use crate::support::{DATA_PORT, in_own_network};

const OWNER: u32 = 1_900_000_000;

/// A vnode of which all came, with and without an image of its processes.
async fn came(site: &Site, checkpoint: bool) {
    let mut random = StdRng::seed_from_u64(1);
    disk(&site.given("disk.img"), 2 << 20, 9, &mut random);
    disk(&site.given("snapshots/12.img"), 1 << 20, 9, &mut random);
    fs::write(site.given("snapshots/12.json"), "{}").expect("written");
    fs::write(site.given("meter"), noise(1_000, &mut random)).expect("written");
    if checkpoint {
        fs::create_dir_all(site.given("checkpoint")).expect("made");
        fs::write(site.given("checkpoint/pages"), noise(1_000, &mut random)).expect("written");
    }
    site.leaves(true);
    let mut arrival = site.arrival_from(DATA_PORT, moving(&[12])).await;
    arrival.near().await.expect("near");
    arrival.rest().await.expect("whole");
}

/// What an earlier stay left here.
fn leftovers(site: &Site) {
    let dir = site.state.vnode(V7);
    for below in ["snapshots", "checkpoint", "etc"] {
        fs::create_dir_all(dir.join(below)).expect("made");
        fs::write(dir.join(below).join("old"), "old").expect("written");
    }
    for name in [
        "disk.img",
        "meter",
        "restored.json",
        "placed.json",
        "arrived.json",
    ] {
        fs::write(dir.join(name), "old").expect("written");
    }
}

fn assert_adopted(site: &Site, checkpoint: bool) {
    let here = site.state.vnode(V7);
    let note = arrived(&site.state, V7).expect("noted");
    assert_eq!(note.number, MOVE);
    let (mut given, mut adopted) = (content(&site.given("")), content(&here));
    adopted.remove("arrived.json").expect("a note");
    assert!(given.remove("restored.json").is_none());
    assert_eq!(given, adopted);
    assert_eq!(
        content(&site.given("snapshots")),
        content(&here.join("snapshots"))
    );
    assert_eq!(here.join("checkpoint").exists(), checkpoint);
    if checkpoint {
        assert_eq!(
            content(&site.given("checkpoint")),
            content(&here.join("checkpoint"))
        );
    }
    let dir = fs::metadata(&here).expect("there");
    assert_eq!(
        (dir.permissions().mode() & 0o777, dir.gid()),
        (0o710, OWNER)
    );
    assert!(arrivals(&site.state).expect("listed").is_empty());
}

#[test]
fn adopting_may_be_killed_at_every_step_and_repeated() {
    in_own_network(async {
        let site = Site::new().await;
        for (checkpoint, old) in [(false, false), (true, false), (true, true)] {
            let mut taken = 0;
            loop {
                came(&site, checkpoint).await;
                if old {
                    leftovers(&site);
                }
                let steps = steps(&site.state, V7, MOVE).expect("whole");
                site.state.create_vnode(V7, OWNER).expect("made");
                // It dies after so many, in the middle of the next, and again in the next attempt.
                for (at, step) in steps.iter().take(taken).enumerate() {
                    step.take().expect("taken");
                    half(step, at == 2);
                }
                adopt(&site.state, V7, MOVE, OWNER).expect("adopted");
                assert_adopted(&site, checkpoint);
                adopt(&site.state, V7, MOVE, OWNER).expect("adopted already");
                assert_adopted(&site, checkpoint);
                fs::remove_dir_all(site.state.vnode(V7)).expect("removed");
                if taken == steps.len() {
                    break;
                }
                taken += 1;
            }
        }
    });
}

/// A directory of which only a part was deleted is as good as one of which nothing was.
fn half(step: &Step, deleted: bool) {
    if let Step::Clear(path) = step
        && deleted
    {
        fs::create_dir_all(path.join("left")).expect("made");
    }
}

#[test]
fn what_did_not_come_as_a_whole_is_not_adopted() {
    in_own_network(async {
        let site = Site::new().await;
        let refused = |number| {
            let fault = adopt(&site.state, V7, number, OWNER).expect_err("not whole");
            assert!(fault.to_string().contains("not all files"), "{fault}");
            assert!(!site.state.vnode(V7).exists());
        };
        refused(MOVE);
        came(&site, false).await;
        refused(LogIndex(42));
        // Something comes anew: what came before is not whole any more.
        let mut arrival = site.arrival().await;
        arrival.near().await.expect("near");
        assert!(whole(&site.state, V7, MOVE).is_none());
        refused(MOVE);
        arrival.rest().await.expect("whole");
        drop(arrival);
        let note = site.taken("whole.json");
        let text = fs::read(&note).expect("a note");
        fs::write(&note, &text[..text.len() / 2]).expect("written");
        refused(MOVE);
        forget(&site.state, V7, MOVE).expect("forgotten");
        refused(MOVE);
    });
}

#[test]
fn an_image_of_processes_from_before_the_machine_went_down_is_not_adopted() {
    in_own_network(async {
        let site = Site::new().await;
        came(&site, true).await;
        let note = site.taken("whole.json");
        let text = fs::read_to_string(&note).expect("a note");
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("a boot");
        let other = text.replace(boot.trim(), "another");
        assert_ne!(other, text);
        fs::write(&note, other).expect("written");
        adopt(&site.state, V7, MOVE, OWNER).expect("adopted");
        assert_adopted(&site, false);
        assert!(!is_there(&site.state.vnode(V7), "checkpoint"));
    });
}

fn is_there(dir: &Path, name: &str) -> bool {
    dir.join(name).exists()
}
