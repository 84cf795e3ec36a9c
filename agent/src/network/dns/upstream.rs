//! Asking the worker's own name servers, one after the other.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use hickory_proto::op::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

/// As the C library: the first three.
const SERVERS_MAX: usize = 3;
/// The asker waits five seconds, usually.
const PATIENCE: Duration = Duration::from_millis(1_500);
/// Longest datagram that is taken.
const DATAGRAM_BYTES_MAX: usize = 4_096;

/// The answer of the first name server that gives one; none if no one does. Where the answer is too long for what the
/// asker takes, it says so, and the asker comes back by a connection.
pub async fn ask(resolv_conf: &Path, question: &[u8], longest: usize) -> Option<Vec<u8>> {
    for server in servers(resolv_conf).await {
        let found = async {
            if longest > DATAGRAM_BYTES_MAX {
                by_connection(server, question).await
            } else {
                by_datagram(server, question, longest).await
            }
        };
        match tokio::time::timeout(PATIENCE, found).await {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(error)) => tracing::debug!(%server, %error, "a name server does not answer"),
            Err(_) => tracing::debug!(%server, "a name server takes too long"),
        }
    }
    None
}

async fn servers(resolv_conf: &Path) -> Vec<SocketAddr> {
    let text = tokio::fs::read_to_string(resolv_conf)
        .await
        .unwrap_or_default();
    parse(&text)
}

fn parse(text: &str) -> Vec<SocketAddr> {
    let address = |line: &str| {
        let mut words = line.split_whitespace();
        let is_server = words.next() == Some("nameserver");
        let address: IpAddr = words.next().filter(|_| is_server)?.parse().ok()?;
        Some(SocketAddr::new(address, 53))
    };
    text.lines().filter_map(address).take(SERVERS_MAX).collect()
}

/// A socket of its own for each question, so that its port is as hard to guess as the number that is put in.
async fn by_datagram(
    server: SocketAddr,
    question: &[u8],
    longest: usize,
) -> std::io::Result<Vec<u8>> {
    let (question, asked) = renumbered(question, rand::random())?;
    let own: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((own, 0)).await?;
    socket.connect(server).await?;
    socket.send(&question).await?;
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        let length = socket.recv(&mut buffer).await?;
        let answer = &buffer[..length];
        if answer.get(..2) != question.get(..2) || !is_about(answer, &question) {
            // Somebody guesses.
            continue;
        }
        if length > longest {
            let whole = Message::from_vec(answer).map_err(std::io::Error::other)?;
            let short = whole.truncate().to_vec().map_err(std::io::Error::other)?;
            return Ok(renumbered(&short, asked)?.0);
        }
        return Ok(renumbered(answer, asked)?.0);
    }
}

async fn by_connection(server: SocketAddr, question: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(question.len()).map_err(std::io::Error::other)?;
    stream.write_u16(length).await?;
    stream.write_all(question).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await?;
    if answer.get(..2) != question.get(..2) {
        return Err(std::io::Error::other("an answer to another question"));
    }
    Ok(answer)
}

/// The message with another number, and the number that it had.
fn renumbered(message: &[u8], number: u16) -> std::io::Result<(Vec<u8>, u16)> {
    let mut message = message.to_vec();
    let Some(place) = message.first_chunk_mut::<2>() else {
        return Err(std::io::Error::other("a message without a number"));
    };
    let before = u16::from_be_bytes(*place);
    *place = number.to_be_bytes();
    Ok((message, before))
}

/// Whether an answer is to that question, and not to another of the same number.
fn is_about(answer: &[u8], question: &[u8]) -> bool {
    let queries = |bytes| Message::from_vec(bytes).map(|message| message.queries);
    match (queries(answer), queries(question)) {
        (Ok(of_answer), Ok(of_question)) => of_answer == of_question,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_read_as_the_c_library_does() {
        let text = "# comment\nsearch a b\nnameserver 192.0.2.1\n nameserver ::1 x\nnameserver\nnameserver no\n";
        let found = ["192.0.2.1:53", "[::1]:53"].map(|text| text.parse().expect("an address"));
        assert_eq!(parse(text), found);
    }
}
