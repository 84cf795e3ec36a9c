//! A worker without room for what comes says so, and nothing else on it is harmed.

use std::fs::{self, File};
use std::path::PathBuf;

use docklet_agent::transfer::{forget, whole};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio_tungstenite::tungstenite::Message;

use crate::liars::{chunk, giver, manifest};
use crate::site::{DEADLINE, MOVE, Site, V7, disk, moving, noise};
use crate::support::{command, in_own_network};

/// A small file system where vnodes arrive.
struct Small(PathBuf);

impl Small {
    fn below(site: &Site, mib: u64) -> Self {
        let (file, dir) = (site.state.0.join("small.img"), site.state.arriving());
        let made = File::create(&file).expect("a file");
        made.set_len(mib << 20).expect("sized");
        let text = |path: &PathBuf| path.display().to_string();
        command("/sbin/mkfs.ext4", &["-q", "-F", &text(&file)]);
        command("mount", &["-o", "loop", &text(&file), &text(&dir)]);
        Self(dir)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // The device goes with the mount.
        let _ = nix::mount::umount2(&self.0, nix::mount::MntFlags::MNT_DETACH);
    }
}

#[test]
fn what_there_is_no_room_for_does_not_begin_to_come() {
    in_own_network(async {
        let mut random = StdRng::seed_from_u64(1);
        let site = Site::new().await;
        fs::write(site.given("disk.img"), noise(30 << 20, &mut random)).expect("written");
        let _small = Small::below(&site, 24);
        let fault = site.arrival().await.near().await.expect_err("no room");
        let cause = fault.full_text();
        assert!(
            cause.contains("take 30 MiB more") && cause.contains("to spare"),
            "{cause}"
        );
        assert!(!site.taken("disk.img").exists());
        // Less of it fits.
        disk(&site.given("disk.img"), 30 << 20, 10, &mut random);
        site.leaves(true);
        let mut arrival = site.arrival().await;
        arrival.near().await.expect("near");
        arrival.rest().await.expect("whole");
        site.assert_same(&["disk.img"]);
        drop(arrival);
    });
}

#[test]
fn a_disk_that_becomes_full_while_files_come_is_told_and_harms_nothing_else() {
    in_own_network(async {
        let mut random = StdRng::seed_from_u64(2);
        let site = Site::new().await;
        let _small = Small::below(&site, 24);
        let other = site.state.arriving().join("other");
        fs::write(&other, "of somebody else").expect("written");
        // It says that nothing comes, and it is more than there is room for.
        let mut answer = vec![manifest(&[("disk.img", 40 << 20)], 0)];
        let noise = noise(64 << 10, &mut random);
        answer.extend((0..640).map(|index| chunk(0, index, &noise)));
        answer.push(Message::text("{\"end\":\"\"}"));
        let port = giver(&site, answer).await;
        let mut arrival = site.arrival_from(port, moving(&[])).await;
        let near = tokio::time::timeout(DEADLINE, arrival.near()).await;
        let cause = near.expect("in time").expect_err("full").full_text();
        assert!(
            cause.contains("disk.img") && cause.contains("No space left on device"),
            "{cause}"
        );
        drop(arrival);
        assert!(whole(&site.state, V7, MOVE).is_none());
        assert_eq!(
            fs::read_to_string(&other).expect("a file"),
            "of somebody else"
        );
        forget(&site.state, V7, MOVE).expect("room again");
        disk(&site.given("disk.img"), 10 << 20, 30, &mut random);
        site.leaves(true);
        site.arrival().await.rest().await.expect("whole");
        site.assert_same(&["disk.img"]);
    });
}
