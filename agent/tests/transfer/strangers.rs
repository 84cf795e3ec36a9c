//! A vnode's files are given to the worker to which it moves, as long as it does, and to nobody else.

use std::fs;

use docklet_agent::transfer::{Departure, whole};
use docklet_control::id::{LogIndex, WorkerId};
use docklet_link::gate::Gated;
use docklet_link::identity::{Identity, PeerRole};
use docklet_link::tls::Expect;
use docklet_link::{Credentials, Dialer};
use futures_util::{SinkExt, StreamExt};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::site::{DEADLINE, GIVER, MOVE, Site, TAKER, V7, disk, noise};
use crate::support::{CLUSTER, DATA_PORT, in_own_network, signed};

async fn dial(
    own: Credentials,
    path: &str,
) -> Result<WebSocketStream<TlsStream<Gated<TcpStream>>>, String> {
    let giver = Identity {
        role: PeerRole::Agent,
        id: GIVER.0,
        cluster: CLUSTER,
    };
    let addr = format!("127.0.0.1:{DATA_PORT}");
    let dialer = Dialer::new(own);
    let stream = dialer.connect(&addr, Expect::Exactly(giver)).await;
    let stream = stream.map_err(|fault| fault.to_string())?;
    match tokio_tungstenite::client_async(format!("ws://worker{path}"), stream).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(answer)) => Err(answer.status().to_string()),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn strangers_are_refused() {
    in_own_network(async {
        let site = Site::new().await;
        disk(
            &site.given("disk.img"),
            1 << 20,
            3,
            &mut StdRng::seed_from_u64(1),
        );
        let refused = Err("404 Not Found".to_owned());
        let agent = |id| signed(&site.ca, PeerRole::Agent, id);
        let master = signed(&site.ca, PeerRole::Master, TAKER.0);
        let right = format!("/moves/{V7}/{MOVE}");
        assert!(dial(agent(TAKER.0), &right).await.is_ok());
        for own in [master, agent(8), agent(GIVER.0)] {
            assert_eq!(dial(own, &right).await.map(drop), refused);
        }
        let wrong = [
            "/moves/7/40",
            "/moves/8/41",
            "/moves/7",
            "/moves/7/41/",
            "/moves/07/41",
            "/moves/+7/41",
            "/moves/7/041",
            "/moves/7/41/disk.img",
            "/moves/../7/41",
            "/moves/7/99999999999999999999999",
            "/moves//41",
        ];
        for path in wrong {
            assert_eq!(
                dial(agent(TAKER.0), path).await.map(drop),
                refused,
                "{path}"
            );
        }
        site.departures.end(V7);
        assert_eq!(dial(agent(TAKER.0), &right).await.map(drop), refused);
    });
}

#[test]
fn a_move_that_ends_or_leads_elsewhere_ends_what_is_under_way() {
    in_own_network(async {
        let site = Site::new().await;
        disk(
            &site.given("disk.img"),
            5 << 20,
            9,
            &mut StdRng::seed_from_u64(2),
        );
        let elsewhere = Departure {
            number: MOVE,
            to: WorkerId(8),
            still: true,
        };
        let later = Departure {
            number: LogIndex(42),
            to: TAKER,
            still: true,
        };
        for instead in [None, Some(elsewhere), Some(later)] {
            site.leaves(false);
            let mut arrival = site.arrival().await;
            arrival.near().await.expect("near");
            let mut progress = arrival.progress();
            let rest = tokio::spawn(async move { arrival.rest().await });
            progress.changed().await.expect("begun");
            match instead {
                None => site.departures.end(V7),
                Some(other) => site.departures.set(V7, other),
            }
            let rest = tokio::time::timeout(DEADLINE, rest).await;
            let fault = rest
                .expect("in time")
                .expect("no panic")
                .expect_err("it does not leave");
            let text = fault.full_text();
            assert!(
                text.contains("does not leave") || text.contains("404"),
                "{text}"
            );
            assert!(whole(&site.state, V7, MOVE).is_none());
        }
    });
}

#[test]
fn a_vnode_that_goes_on_while_the_rest_is_read_is_not_given() {
    in_own_network(async {
        let site = Site::new().await;
        let mut random = StdRng::seed_from_u64(7);
        fs::write(site.given("disk.img"), noise(40 << 20, &mut random)).expect("written");
        site.leaves(true);
        let mut arrival = site.arrival().await;
        let mut progress = arrival.progress();
        let rest = tokio::spawn(async move { (arrival.rest().await, arrival) });
        let some = progress.wait_for(|progress| progress.done_bytes > 0).await;
        some.expect("it comes");
        site.leaves(false);
        let rest = tokio::time::timeout(DEADLINE, rest).await;
        let (ended, mut arrival) = rest.expect("in time").expect("no panic");
        let cause = ended.expect_err("it moves").full_text();
        assert!(cause.contains("does not stand still any more"), "{cause}");
        assert!(whole(&site.state, V7, MOVE).is_none());
        site.leaves(true);
        arrival.rest().await.expect("whole");
        site.assert_same(&["disk.img"]);
    });
}

#[test]
fn questions_that_are_none_end_the_conversation_and_harm_nobody() {
    in_own_network(async {
        let site = Site::new().await;
        disk(
            &site.given("disk.img"),
            2 << 20,
            9,
            &mut StdRng::seed_from_u64(3),
        );
        let text = Message::text::<&str>;
        let ask = |has: &str| Message::text(format!("{{\"part\":\"disk\",\"has\":[{has}]}}"));
        let bad: Vec<Vec<Message>> = vec![
            vec![text("")],
            vec![text("{}")],
            vec![text("{\"part\":\"all\",\"has\":[]}")],
            vec![text("{\"part\":{\"snapshot\":\"../disk\"},\"has\":[]}")],
            vec![Message::binary(vec![0; 16])],
            vec![ask("[\"placed.json\",1]")],
            vec![ask("[\"../v8/disk.img\",1]")],
            vec![ask("[\"meter\",1]")],
            vec![ask("[\"disk.img\",1],[\"disk.img\",1],[\"disk.img\",1]")],
            vec![ask("[\"disk.img\",18446744073709551615]")],
            vec![ask("[\"disk.img\",-1]")],
            vec![ask("[\"disk.img\",65537]"), Message::binary(vec![0; 48])],
            vec![ask("[\"disk.img\",65537]"), Message::binary(vec![0; 17])],
            vec![ask("[\"disk.img\",65537]"), Message::binary(Vec::new())],
            vec![
                ask("[\"disk.img\",65537]"),
                Message::binary(vec![0; (1 << 20) + 16]),
            ],
            vec![ask("[\"disk.img\",65537]"), ask("")],
        ];
        let own = site.credentials();
        for messages in bad {
            let mut socket = dial(own.clone(), "/moves/7/41").await.expect("open");
            let shown = format!("{messages:.80?}");
            for message in messages {
                socket.send(message).await.expect("sent");
            }
            let answer = tokio::time::timeout(DEADLINE, socket.next()).await;
            let answer = answer.expect("in time").expect("an answer").expect("whole");
            let answer = answer.into_text().expect("text");
            assert!(answer.starts_with("{\"refused\":"), "{shown}: {answer}");
        }
        site.leaves(true);
        site.arrival().await.rest().await.expect("whole");
        site.assert_same(&["disk.img"]);
    });
}

#[test]
fn a_vnode_that_has_no_disk_or_other_files_than_may_be_is_not_given() {
    in_own_network(async {
        let site = Site::new().await;
        site.leaves(true);
        let fault = site.arrival().await.near().await.expect_err("no disk");
        assert!(
            fault.full_text().contains("no disk of its own"),
            "{}",
            fault.full_text()
        );
        disk(
            &site.given("disk.img"),
            2 << 20,
            9,
            &mut StdRng::seed_from_u64(4),
        );
        fs::create_dir_all(site.given("checkpoint")).expect("made");
        std::os::unix::fs::symlink("/etc/passwd", site.given("checkpoint/link")).expect("made");
        let fault = site.arrival().await.rest().await.expect_err("a link");
        assert!(
            fault.full_text().contains("checkpoint/link"),
            "{}",
            fault.full_text()
        );
        assert!(!site.taken("checkpoint/link").exists());
        fs::remove_file(site.given("checkpoint/link")).expect("deleted");
        fs::create_dir(site.given("checkpoint/below")).expect("made");
        let fault = site.arrival().await.rest().await.expect_err("a directory");
        assert!(
            fault.full_text().contains("checkpoint/below"),
            "{}",
            fault.full_text()
        );
    });
}
