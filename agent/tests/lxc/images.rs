//! Images, through the data port.

use std::fs;
use std::sync::atomic::Ordering;

use docklet_agent::host::Act;
use docklet_agent::members::Members;
use docklet_control::assignment::AssignedImage;
use docklet_control::id::{Digest, WorkerId};
use docklet_link::Authority;
use futures_util::SinkExt;
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};
use sha2::{Digest as _, Sha256};
use tokio_tungstenite::tungstenite::Message;

use crate::cutter::Cutter;
use crate::door::{Open, serve, text};
use crate::support::{CLUSTER, DATA_PORT, Worker, in_own_network, perform, spec, try_to};

#[test]
fn an_image_that_is_another_than_was_said_is_refused_and_not_kept() {
    in_own_network(async {
        let mut open = Open::new().await;
        let (good, bad) = (Digest(Sha256::digest(b"good").into()), b"bad".to_vec());
        let mut socket = open.socket(&format!("/images/{good}?put=1")).await;
        socket.send(Message::binary(bad)).await.expect("sent");
        socket
            .send(Message::text(r#"{"bytes":3}"#))
            .await
            .expect("sent");
        let answer = text(&mut socket).await;
        let cause = answer["refused"]["cause"].as_str().expect("a cause");
        assert!(cause.contains("its bytes have another digest"), "{cause}");
        assert_eq!(files_of(&open.worker), [open.worker.image.to_string()]);
        assert!(open.told.try_recv().is_err(), "no master was told of it");
        open.end().await;
    });
}

#[test]
fn an_image_comes_from_another_worker_whole_or_not_at_all() {
    in_own_network(async {
        let open = Open::new().await;
        let taker = Worker::empty(&open.ca, 6);
        let host = taker.open();
        let image = AssignedImage {
            digest: taker.image,
            blob_bytes: taker.blob_bytes,
            spec: spec(),
            holders: vec![(WorkerId(5), format!("127.0.0.1:{DATA_PORT}"))],
        };
        let blob = open
            .worker
            .state(&format!("images/{}/blob.tar.zst", taker.image));
        let whole = fs::read(&blob).expect("the blob");
        let mut damaged = whole.clone();
        damaged[whole.len() / 2] ^= 1;
        let shorter = &whole[..whole.len() - 1];
        let longer = [&whole[..], b"x"].concat();
        for (what, bytes) in [
            ("damaged", &damaged[..]),
            ("shorter", shorter),
            ("longer", &longer),
        ] {
            fs::write(&blob, bytes).expect("written");
            let got = try_to(&host, Act::FetchImage(image.clone())).await;
            assert!(got.expect_err(what).contains("can be reached"), "{what}");
            assert_eq!(files_of(&taker), [""; 0], "nothing of a {what} one stays");
        }
        let mut impostor = image.clone();
        impostor.holders[0].0 = WorkerId(4);
        fs::write(&blob, &whole).expect("written");
        assert!(
            try_to(&host, Act::FetchImage(impostor)).await.is_err(),
            "another worker"
        );

        perform(&host, Act::FetchImage(image)).await;
        assert_eq!(files_of(&taker), [taker.image.to_string()]);
        let taken = fs::read(taker.state(&format!("images/{}/blob.tar.zst", taker.image)));
        assert_eq!(taken.expect("the blob"), whole);
        open.end().await;
    });
}

#[test]
fn an_image_whose_connection_is_cut_goes_on_after_what_came() {
    in_own_network(async {
        let ca = Authority::create(CLUSTER).expect("an authority");
        // What cannot be packed any smaller.
        let noise: Vec<u8> = {
            let mut noise = vec![0; 3 << 20];
            StdRng::seed_from_u64(1).fill_bytes(&mut noise);
            noise
        };
        let giver = Worker::with_files(&ca, 5, &[("noise".to_owned(), 0o644, noise)]);
        let _told = serve(&giver, &giver.open(), Members::default()).await;
        let taker = Worker::empty(&ca, 6);
        let host = taker.open();
        let cutter = Cutter::new(giver.blob_bytes / 2).await;
        let image = AssignedImage {
            digest: giver.image,
            blob_bytes: giver.blob_bytes,
            spec: spec(),
            holders: vec![(WorkerId(5), format!("127.0.0.1:{}", cutter.port))],
        };
        let passed = || cutter.passed.load(Ordering::Relaxed);
        let cut = try_to(&host, Act::FetchImage(image.clone())).await;
        assert!(cut.expect_err("cut").contains("can be reached"));
        assert_eq!(passed(), giver.blob_bytes / 2);
        let part = format!("images/{}.partial/blob.tar.zst", giver.image);
        let here = fs::metadata(taker.state(&part)).expect("a part").len();
        assert!(here > giver.blob_bytes / 4, "{here} bytes came");

        // Another agent, as after a crash, goes on with it.
        let (host, before) = (taker.open(), passed());
        cutter.after.store(u64::MAX, Ordering::Relaxed);
        perform(&host, Act::FetchImage(image)).await;
        let rest = passed() - before;
        println!(
            "{} bytes: {here} before the cut, {rest} after",
            giver.blob_bytes
        );
        // Of TLS and the WebSocket beside.
        let beside = 64 << 10;
        assert!(rest <= giver.blob_bytes - here + beside, "{rest} bytes");
        assert_eq!(files_of(&taker), [giver.image.to_string()]);
    });
}

/// Names in the image directory.
fn files_of(worker: &Worker) -> Vec<String> {
    let entries = fs::read_dir(worker.state("images"))
        .expect("images")
        .flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}
