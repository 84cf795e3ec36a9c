//! Stands between two workers, counts what comes through, and cuts connections.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::DATA_PORT;

/// Cuts every connection to the data port after so many bytes of the giver.
pub struct Cutter {
    pub port: u16,
    /// Bytes after which the connections to come are cut.
    pub after: Arc<AtomicU64>,
    /// Bytes that came through in all.
    pub passed: Arc<AtomicU64>,
}

impl Cutter {
    pub async fn new(after: u64) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("bound");
        let cutter = Self {
            port: listener.local_addr().expect("an address").port(),
            after: Arc::new(AtomicU64::new(after)),
            passed: Arc::default(),
        };
        let (after, passed) = (cutter.after.clone(), cutter.passed.clone());
        tokio::spawn(async move {
            while let Ok((taker, _)) = listener.accept().await {
                let after = after.load(Ordering::Relaxed);
                tokio::spawn(between(taker, after, passed.clone()));
            }
        });
        cutter
    }
}

async fn between(taker: TcpStream, after: u64, passed: Arc<AtomicU64>) {
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, DATA_PORT));
    let giver = TcpStream::connect(addr).await.expect("the giver");
    let (mut from_taker, mut to_taker) = taker.into_split();
    let (mut from_giver, mut to_giver) = giver.into_split();
    let back = async {
        let mut left = after;
        let mut bytes = vec![0; 16 << 10];
        while left > 0 {
            let read = from_giver.read(&mut bytes).await.unwrap_or_default();
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(read);
            if most == 0 || to_taker.write_all(&bytes[..most]).await.is_err() {
                break;
            }
            left -= most as u64;
            passed.fetch_add(most as u64, Ordering::Relaxed);
        }
    };
    tokio::select! {
        () = back => {}
        _ = tokio::io::copy(&mut from_taker, &mut to_giver) => {}
    }
}
