//! As much of etcd's client as benchmarks need: put, linearizable get, status; gRPC over HTTP/2 without a protobuf
//! compiler, because the messages have two fields.

use anyhow::{Context as _, bail, ensure};
use bytes::{BufMut, Bytes, BytesMut};
use h2::client::SendRequest;
use tokio::net::TcpStream;

/// One connection; clones share it. It takes any number of calls at once.
#[derive(Clone)]
pub struct EtcdClient {
    send: SendRequest<Bytes>,
    authority: String,
}

impl EtcdClient {
    /// Connects to a member.
    pub async fn connect(addr: &str) -> anyhow::Result<Self> {
        let tcp = TcpStream::connect(addr)
            .await
            .with_context(|| format!("connect to {addr}"))?;
        tcp.set_nodelay(true)?;
        let (send, connection) = h2::client::Builder::new()
            .initial_connection_window_size(1 << 20)
            .handshake(tcp)
            .await?;
        tokio::spawn(async move {
            // Calls under way fail with the same fault.
            drop(connection.await);
        });
        Ok(Self {
            send,
            authority: addr.to_owned(),
        })
    }

    /// Puts a key; answers the revision.
    pub async fn put(&self, key: &[u8], value: &[u8]) -> anyhow::Result<u64> {
        let mut request = BytesMut::new();
        put_field(&mut request, 1, key);
        put_field(&mut request, 2, value);
        let answer = self.call("etcdserverpb.KV/Put", request).await?;
        let header = field(&answer, 1).context("an answer without a header")?;
        match field(header.bytes()?, 3).context("a header without a revision")? {
            Value::Number(revision) => Ok(revision),
            Value::Bytes(_) => bail!("a revision that is no number"),
        }
    }

    /// Reads a key, as new as every acknowledged put.
    pub async fn get(&self, key: &[u8]) -> anyhow::Result<Option<Vec<u8>>> {
        let mut request = BytesMut::new();
        put_field(&mut request, 1, key);
        let answer = self.call("etcdserverpb.KV/Range", request).await?;
        let Some(pair) = field(&answer, 2) else {
            return Ok(None);
        };
        let value = field(pair.bytes()?, 5);
        Ok(Some(match value {
            Some(value) => value.bytes()?.to_vec(),
            None => Vec::new(),
        }))
    }

    /// Whether the asked member leads.
    pub async fn leads(&self) -> anyhow::Result<bool> {
        let answer = self
            .call("etcdserverpb.Maintenance/Status", BytesMut::new())
            .await?;
        let header = field(&answer, 1).context("an answer without a header")?;
        let own = field(header.bytes()?, 2);
        Ok(own.is_some() && own == field(&answer, 4))
    }

    async fn call(&self, method: &str, message: BytesMut) -> anyhow::Result<Bytes> {
        let request = http::Request::post(format!("http://{}/{method}", self.authority))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())?;
        let mut framed = BytesMut::with_capacity(message.len() + 5);
        framed.put_u8(0);
        framed.put_u32(u32::try_from(message.len())?);
        framed.put(message);
        let mut send = self.send.clone().ready().await?;
        let (response, mut body) = send.send_request(request, false)?;
        body.send_data(framed.freeze(), true)?;
        let response = response.await?;
        let early = status(response.headers());
        let mut stream = response.into_body();
        let mut answer = BytesMut::new();
        while let Some(chunk) = stream.data().await {
            let chunk = chunk?;
            stream.flow_control().release_capacity(chunk.len())?;
            answer.extend_from_slice(&chunk);
        }
        let trailers = stream.trailers().await?;
        let status = early.or_else(|| status(trailers.as_ref()?));
        ensure!(status.as_deref() == Some("0"), "etcd answers {status:?}");
        ensure!(answer.len() >= 5, "an answer without a message");
        Ok(answer.split_off(5).freeze())
    }
}

fn status(headers: &http::HeaderMap) -> Option<String> {
    let code = headers.get("grpc-status")?.to_str().ok()?;
    if code == "0" {
        return Some(code.to_owned());
    }
    let message = headers.get("grpc-message");
    let message = message.and_then(|text| text.to_str().ok()).unwrap_or("");
    Some(format!("{code}: {message}"))
}

/// Appends a field of bytes.
fn put_field(message: &mut BytesMut, number: u8, bytes: &[u8]) {
    message.put_u8(number << 3 | 2);
    let mut length = bytes.len();
    let low = |length: usize| u8::try_from(length & 0x7f).expect("seven bits fit");
    while length >= 0x80 {
        message.put_u8(low(length) | 0x80);
        length >>= 7;
    }
    message.put_u8(low(length));
    message.put_slice(bytes);
}

/// A field of a message.
#[derive(Debug, PartialEq, Eq)]
enum Value<'m> {
    Number(u64),
    Bytes(&'m [u8]),
}

impl<'m> Value<'m> {
    fn bytes(self) -> anyhow::Result<&'m [u8]> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Number(number) => bail!("number {number} where a message should be"),
        }
    }
}

/// The first field with this number.
fn field(message: &[u8], wanted: u64) -> Option<Value<'_>> {
    let mut rest = message;
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        let value = match tag & 7 {
            0 => Value::Number(varint(&mut rest)?),
            2 => {
                let length = usize::try_from(varint(&mut rest)?).ok()?;
                let (bytes, after) = rest.split_at_checked(length)?;
                rest = after;
                Value::Bytes(bytes)
            }
            _ => return None,
        };
        if tag >> 3 == wanted {
            return Some(value);
        }
    }
    None
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::{Value, field, put_field};

    #[test]
    fn fields_are_found_behind_others_and_long_ones_too() {
        let mut message = BytesMut::new();
        put_field(&mut message, 1, b"key");
        put_field(&mut message, 2, &[7; 300]);
        assert_eq!(field(&message, 1), Some(Value::Bytes(b"key")));
        assert_eq!(field(&message, 2), Some(Value::Bytes(&[7; 300])));
        assert_eq!(field(&message, 3), None);
        assert_eq!(field(&[3 << 3, 0x96, 1], 3), Some(Value::Number(150)));
        assert_eq!(field(&message[..20], 2), None, "cut off");
    }
}
