//! Standard input of a command that ends by itself, however long its input stays open.

use std::io::{Cursor, Read};

use futures_util::stream;
use tokio::io::AsyncRead;
use tokio::sync::mpsc;
use tokio_util::io::StreamReader;

/// Largest piece that is passed on at once, in bytes.
const CHUNK: usize = 32 << 10;

/// Reads standard input to its end. The thread is one of its own, since a read cannot be called off, and the runtime
/// waits at its end for those that it began itself: a command would hang until its user presses a key.
pub fn read() -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel(16);
    std::thread::spawn(move || {
        let mut chunk = vec![0; CHUNK];
        while let Ok(length @ 1..) = std::io::stdin().read(&mut chunk) {
            if sender.blocking_send(chunk[..length].to_vec()).is_err() {
                return;
            }
        }
    });
    receiver
}

/// The same for whoever reads bytes.
pub fn reader() -> impl AsyncRead + Unpin {
    let mut input = read();
    let chunks = stream::poll_fn(move |context| {
        let next = input.poll_recv(context);
        next.map(|chunk| chunk.map(|bytes| Ok::<_, std::io::Error>(Cursor::new(bytes))))
    });
    StreamReader::new(chunks)
}
