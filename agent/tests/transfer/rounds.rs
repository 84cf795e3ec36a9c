//! What arrives is what was last there, however it was written to meanwhile.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use docklet_agent::transfer::{Stage, arrivals, forget, whole};
use docklet_control::id::LogIndex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::cutter::Cutter;
use crate::site::{DEADLINE, MOVE, Site, V7, content, disk, moving, noise, takes, write_piece};
use crate::support::{DATA_PORT, in_own_network};

/// All that may be carried, some of it empty.
fn fill(site: &Site, random: &mut StdRng) {
    for number in [12, 13] {
        let image = format!("snapshots/{number}.img");
        disk(&site.given(&image), 3 << 20, 5, random);
        let note = format!("snapshots/{number}.json");
        fs::write(site.given(&note), format!("{{\"number\":{number}}}")).expect("written");
    }
    fs::write(site.given("snapshots/14.json"), "{}").expect("written");
    fs::write(site.given("restored.json"), "{\"number\":1}").expect("written");
    fs::write(site.given("meter"), noise(300_000, random)).expect("written");
    fs::write(site.given("placed.json"), "{}").expect("written");
    fs::create_dir_all(site.given("checkpoint")).expect("made");
    for (name, bytes) in [
        ("pages-1.img", 2_500_000),
        ("inventory.img", 0),
        ("core-1.img", 700),
    ] {
        let path = site.given("checkpoint").join(name);
        fs::write(path, noise(bytes, random)).expect("written");
    }
    // Far more small ones than fit into one message.
    for number in 0..1_500 {
        let path = site.given(&format!("checkpoint/fd-{number}"));
        fs::write(path, noise(random.random_range(1..200), random)).expect("written");
    }
    fs::write(site.given("checkpoint/zeros"), vec![0; 200_000]).expect("written");
}

#[test]
fn a_disk_that_is_written_to_between_rounds_arrives_as_it_is_at_last() {
    for seed in 0..12 {
        in_own_network(async move {
            let mut random = StdRng::seed_from_u64(seed);
            let site = Site::new().await;
            let path = site.given("disk.img");
            let length = random.random_range(1_000_000..6_000_000);
            disk(&path, length, random.random_range(0..30), &mut random);
            let mut arrival = site.arrival().await;
            for _ in 0..random.random_range(1..4) {
                arrival.near().await.expect("near");
                site.assert_same(&["disk.img"]);
                let file = File::options().write(true).open(&path).expect("opened");
                for _ in 0..random.random_range(0..20) {
                    write_piece(&file, &mut random);
                }
                let now = file.metadata().expect("a file").len();
                // Disks grow, and are smaller after a restore.
                match random.random_range(0..4) {
                    0 => file
                        .set_len(now + random.random_range(1..3_000_000))
                        .expect("grown"),
                    1 => file.set_len(now / 2 + 400_000).expect("cut"),
                    _ => {}
                }
            }
            site.leaves(true);
            let note = arrival.rest().await.expect("whole");
            site.assert_same(&["disk.img"]);
            let (there, here) = (takes(&path), takes(&site.taken("disk.img")));
            // A chunk of which a part is a hole is written as a whole.
            assert!(here <= there + (32 << 16), "seed {seed}: {here} {there}");
            assert_eq!(whole(&site.state, V7, MOVE), Some(note));
        });
    }
}

#[test]
fn a_disk_that_is_written_to_all_the_time_arrives_when_it_stands_still() {
    in_own_network(async {
        let site = Site::new().await;
        let path = site.given("disk.img");
        let mut random = StdRng::seed_from_u64(99);
        disk(&path, 40 << 20, 150, &mut random);
        let ended = AtomicBool::new(false);
        let mut arrival = site.arrival().await;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let file = File::options().write(true).open(&path).expect("opened");
                while !ended.load(Ordering::Relaxed) {
                    write_piece(&file, &mut random);
                }
            });
            let near = async {
                let near = arrival.near().await;
                ended.store(true, Ordering::Relaxed);
                near
            };
            let near =
                tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(near));
            near.expect("near");
        });
        site.leaves(true);
        arrival.rest().await.expect("whole");
        site.assert_same(&["disk.img"]);
    });
}

#[test]
fn all_that_belongs_to_a_vnode_comes_and_nothing_else() {
    in_own_network(async {
        let mut random = StdRng::seed_from_u64(1);
        let site = Site::new().await;
        fill(&site, &mut random);
        disk(&site.given("disk.img"), 8 << 20, 20, &mut random);
        let mut arrival = site.arrival_from(DATA_PORT, moving(&[12, 14, 15])).await;
        let progress = arrival.progress();
        arrival.near().await.expect("near");
        assert!(matches!(progress.borrow().stage, Stage::Round(_)));
        assert!(progress.borrow().last_round_bytes > 0 || progress.borrow().all_bytes > 0);
        let missing: Vec<LogIndex> = arrival.missing().iter().copied().collect();
        assert_eq!(missing, [LogIndex(14), LogIndex(15)]);
        assert!(whole(&site.state, V7, MOVE).is_none());
        site.leaves(true);
        let note = arrival.rest().await.expect("whole");
        assert!(note.has_checkpoint().expect("known"));
        assert_eq!(progress.borrow().stage, Stage::Whole);
        site.assert_same(&[
            "disk.img",
            "meter",
            "restored.json",
            "snapshots/12.img",
            "snapshots/12.json",
        ]);
        let names: Vec<String> = content(&site.taken("")).into_keys().collect();
        assert_eq!(
            names,
            ["disk.img", "lock", "meter", "restored.json", "whole.json"]
        );
        let names: Vec<String> = content(&site.taken("snapshots")).into_keys().collect();
        assert_eq!(names, ["12.img", "12.json", "14.json"]);
        assert_eq!(
            content(&site.given("checkpoint")),
            content(&site.taken("checkpoint"))
        );
        for name in ["checkpoint/core-1.img", "disk.img", "meter"] {
            let mode = fs::metadata(site.taken(name))
                .expect("a file")
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        drop(arrival);
        assert_eq!(arrivals(&site.state).expect("listed"), [(V7, MOVE)].into());
        forget(&site.state, V7, MOVE).expect("forgotten");
        forget(&site.state, V7, MOVE).expect("forgotten again");
        assert!(arrivals(&site.state).expect("listed").is_empty());
    });
}

#[test]
fn a_second_image_of_the_processes_takes_the_place_of_the_first() {
    in_own_network(async {
        let mut random = StdRng::seed_from_u64(2);
        let site = Site::new().await;
        fill(&site, &mut random);
        disk(&site.given("disk.img"), 1 << 20, 3, &mut random);
        site.leaves(true);
        let mut arrival = site.arrival().await;
        arrival.rest().await.expect("whole");
        for name in ["checkpoint/core-1.img", "checkpoint/fd-3"] {
            fs::remove_file(site.given(name)).expect("deleted");
        }
        fs::write(site.given("checkpoint/pages-1.img"), "other").expect("written");
        fs::remove_file(site.given("restored.json")).expect("deleted");
        let note = arrival.rest().await.expect("whole");
        assert_eq!(whole(&site.state, V7, MOVE), Some(note));
        assert_eq!(
            content(&site.given("checkpoint")),
            content(&site.taken("checkpoint"))
        );
    });
}

#[test]
fn the_rest_comes_when_the_vnode_stands_still_and_not_before() {
    in_own_network(async {
        let mut random = StdRng::seed_from_u64(3);
        let site = Site::new().await;
        disk(&site.given("disk.img"), 1 << 20, 3, &mut random);
        let mut arrival = site.arrival().await;
        arrival.near().await.expect("near");
        let mut progress = arrival.progress();
        let rest = tokio::spawn(async move { arrival.rest().await });
        // It has asked, and hears that it is to wait.
        let asked = progress
            .wait_for(|progress| progress.stage == Stage::Rest)
            .await;
        asked.expect("asked");
        for _ in 0..2 {
            progress.changed().await.expect("still waiting");
            assert_eq!(progress.borrow().stage, Stage::Rest);
        }
        assert!(whole(&site.state, V7, MOVE).is_none() && !rest.is_finished());
        let file = File::options()
            .write(true)
            .open(site.given("disk.img"))
            .expect("opened");
        write_piece(&file, &mut random);
        site.leaves(true);
        let rest = tokio::time::timeout(DEADLINE, rest).await;
        rest.expect("in time").expect("no panic").expect("whole");
        site.assert_same(&["disk.img"]);
    });
}

#[test]
fn rounds_are_no_faster_than_they_may_be_and_the_last_one_is() {
    in_own_network(async {
        let mut random = StdRng::seed_from_u64(4);
        let site = Site::with_pace(Some(8 << 20)).await;
        let path = site.given("disk.img");
        fs::write(&path, noise(16 << 20, &mut random)).expect("written");
        let mut arrival = site.arrival().await;
        let begun = Instant::now();
        arrival.near().await.expect("near");
        // The first message of a round goes at once: 15 of 16 MiB, at 8 a second.
        assert!(
            begun.elapsed() >= Duration::from_millis(1_800),
            "{:?}",
            begun.elapsed()
        );
        fs::write(&path, noise(16 << 20, &mut random)).expect("written");
        site.leaves(true);
        let limited = begun.elapsed();
        let begun = Instant::now();
        arrival.rest().await.expect("whole");
        let took = begun.elapsed();
        assert!(took < limited, "{took:?} instead of {limited:?}");
        site.assert_same(&["disk.img"]);
    });
}

#[test]
fn a_second_round_carries_what_was_written_meanwhile_and_no_more() {
    in_own_network(async {
        let mut random = StdRng::seed_from_u64(5);
        let site = Site::new().await;
        let path = site.given("disk.img");
        const DISK: usize = 16 << 20;
        fs::write(&path, noise(DISK, &mut random)).expect("written");
        let cutter = Cutter::new(u64::MAX).await;
        let passed = || cutter.passed.load(Ordering::Relaxed);
        let mut arrival = site.arrival_from(cutter.port, moving(&[])).await;
        arrival.near().await.expect("near");
        let all = passed();
        assert!(all >= DISK as u64, "noise cannot be packed: {all} bytes");
        let file = File::options().write(true).open(&path).expect("opened");
        let chunk = noise(64 << 10, &mut random);
        file.write_all_at(&chunk, 77 << 16).expect("written");
        arrival.near().await.expect("near again");
        site.assert_same(&["disk.img"]);
        let more = passed() - all;
        println!("{all} bytes, and then {more}");
        assert!((64 << 10..1 << 20).contains(&more), "{more} bytes");
        site.leaves(true);
        arrival.rest().await.expect("whole");
        let rest = passed() - all - more;
        assert!(rest < 1 << 20, "{rest} bytes of which nothing was new");
    });
}

#[test]
fn what_can_be_packed_passes_in_less_than_a_quarter() {
    in_own_network(async {
        let mut random = StdRng::seed_from_u64(6);
        let site = Site::new().await;
        const DISK: usize = 16 << 20;
        let mut text = String::with_capacity(DISK + 100);
        while text.len() < DISK {
            let (vnode, bytes) = (random.random_range(0..40), random.random_range(0..99_999));
            writeln!(
                text,
                "vnode {vnode} of the worker has written {bytes} bytes to its disk"
            )
            .expect("a text");
        }
        fs::write(site.given("disk.img"), &text).expect("written");
        let cutter = Cutter::new(u64::MAX).await;
        let mut arrival = site.arrival_from(cutter.port, moving(&[])).await;
        arrival.near().await.expect("near");
        site.assert_same(&["disk.img"]);
        let passed = cutter.passed.load(Ordering::Relaxed);
        println!("{passed} bytes of {}", text.len());
        assert!(passed < text.len() as u64 / 4, "{passed} bytes");
    });
}
