//! Whatever breaks, and whoever is killed: what came is kept, and the next attempt goes on with it.

use std::fs::{self, File};
use std::sync::atomic::Ordering;

use docklet_agent::transfer::{Arrival, whole};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::cutter::Cutter;
use crate::site::{DEADLINE, MOVE, Site, V7, disk, moving, noise, write_piece};
use crate::support::in_own_network;

async fn both(arrival: &mut Arrival) -> bool {
    let near = tokio::time::timeout(DEADLINE, arrival.near()).await;
    if near.expect("in time").is_err() {
        return false;
    }
    let rest = tokio::time::timeout(DEADLINE, arrival.rest()).await;
    rest.expect("in time").is_ok()
}

#[test]
fn a_connection_that_is_cut_anywhere_costs_no_more_than_what_was_under_way() {
    for seed in 0..3 {
        in_own_network(async move {
            let mut random = StdRng::seed_from_u64(seed);
            let site = Site::new().await;
            const DISK: usize = 12 << 20;
            fs::write(site.given("disk.img"), noise(DISK, &mut random)).expect("written");
            fs::write(site.given("snapshots/12.img"), noise(DISK / 4, &mut random))
                .expect("written");
            fs::write(site.given("meter"), noise(100_000, &mut random)).expect("written");
            site.leaves(true);
            let cutter = Cutter::new(0).await;
            let mut arrival = site.arrival_from(cutter.port, moving(&[12])).await;
            let mut attempts = 0;
            loop {
                let after = random.random_range(0..5_000_000);
                cutter.after.store(after, Ordering::Relaxed);
                if both(&mut arrival).await {
                    break;
                }
                assert!(whole(&site.state, V7, MOVE).is_none());
                attempts += 1;
                assert!(attempts < 60, "it does not come nearer");
                // The next attempt is this one's, or one that knows nothing but what is on the disk.
                if random.random::<bool>() {
                    drop(arrival);
                    arrival = site.arrival_from(cutter.port, moving(&[12])).await;
                }
            }
            site.assert_same(&["disk.img", "snapshots/12.img", "meter"]);
            assert!(attempts >= 3, "{attempts}");
            // What was under way at a cut comes twice: some messages of a mebibyte.
            let passed = cutter.passed.load(Ordering::Relaxed);
            let most = DISK as u64 * 5 / 4 + attempts * (7 << 20);
            println!("seed {seed}: {attempts} cuts, {passed} bytes");
            assert!(passed < most, "{passed} bytes in {attempts} attempts");
        });
    }
}

#[test]
fn whoever_gives_up_at_any_moment_may_go_on() {
    for seed in 0..6 {
        in_own_network(async move {
            let mut random = StdRng::seed_from_u64(seed);
            let site = Site::new().await;
            disk(&site.given("disk.img"), 20 << 20, 100, &mut random);
            let mut arrival = site.arrival().await;
            for _ in 0..12 {
                let mut progress = arrival.progress();
                progress.mark_unchanged();
                let changes = random.random_range(0..20);
                let given_up = async {
                    for _ in 0..changes {
                        if progress.changed().await.is_err() {
                            break;
                        }
                    }
                };
                let near: bool = random.random();
                site.leaves(!near);
                tokio::select! {
                    done = async { if near { arrival.near().await } else { arrival.rest().await.map(drop) } } => {
                        done.expect("nothing is wrong");
                    }
                    () = given_up => {}
                }
                if random.random_range(0..3) == 0 {
                    drop(arrival);
                    arrival = site.arrival().await;
                }
                let file = File::options()
                    .write(true)
                    .open(site.given("disk.img"))
                    .expect("opened");
                write_piece(&file, &mut random);
            }
            site.leaves(true);
            assert!(both(&mut arrival).await);
            site.assert_same(&["disk.img"]);
        });
    }
}

#[test]
fn what_somebody_else_wrote_into_what_came_is_mended() {
    in_own_network(async {
        let mut random = StdRng::seed_from_u64(5);
        let site = Site::new().await;
        disk(&site.given("disk.img"), 5 << 20, 20, &mut random);
        let mut arrival = site.arrival().await;
        arrival.near().await.expect("near");
        drop(arrival);
        let file = File::options()
            .write(true)
            .open(site.taken("disk.img"))
            .expect("opened");
        for _ in 0..5 {
            write_piece(&file, &mut random);
        }
        file.set_len(4_000_000).expect("cut");
        site.leaves(true);
        assert!(both(&mut site.arrival().await).await);
        site.assert_same(&["disk.img"]);
    });
}

#[test]
fn two_do_not_write_the_same_files() {
    in_own_network(async {
        let mut random = StdRng::seed_from_u64(6);
        let site = Site::new().await;
        disk(&site.given("disk.img"), 5 << 20, 20, &mut random);
        let arrival = site.arrival().await;
        let second = tokio::spawn({
            let (state, dialer) = (site.state.clone(), site.dialer());
            let source = docklet_agent::transfer::Source {
                worker: crate::site::GIVER,
                addr: "127.0.0.1:1".to_owned(),
            };
            Arrival::begin(state, dialer, source, moving(&[]))
        });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        drop(arrival);
        let second = tokio::time::timeout(DEADLINE, second).await;
        assert!(second.expect("in time").expect("no panic").is_ok());
    });
}
