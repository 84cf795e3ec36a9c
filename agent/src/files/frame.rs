//! How the attached process and the agent talk: each message is a letter, its length and its bytes. What an agent reads came
//! out of a vnode: a message that is longer than it may be ends the talk.

use std::io::{self, Write};

use docklet_control::file_wire::{CHUNK_BYTES_MAX, FileSaid};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::unfit::Unfit;

const WORD: u8 = b'w';
const BYTES: u8 = b'b';
/// Longest word: a listing of names that are all as long as they may be, escaped.
const WORD_BYTES_MAX: usize = 4 << 20;

/// The writing end.
pub(super) struct Frames<'w, W: Write> {
    output: &'w mut W,
    buffer: Vec<u8>,
}

impl<'w, W: Write> Frames<'w, W> {
    pub(super) fn new(output: &'w mut W) -> Self {
        Self {
            output,
            buffer: Vec::new(),
        }
    }

    /// Says something at once.
    pub(super) fn say(&mut self, said: &FileSaid) -> io::Result<()> {
        self.push_out()?;
        let text = serde_json::to_vec(said)?;
        self.message(WORD, &text)?;
        self.output.flush()
    }

    /// What is left of the bytes.
    pub(super) fn end(mut self) -> io::Result<()> {
        self.push_out()?;
        self.output.flush()
    }

    fn push_out(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let bytes = std::mem::take(&mut self.buffer);
        self.message(BYTES, &bytes)?;
        self.buffer = bytes;
        self.buffer.clear();
        Ok(())
    }

    fn message(&mut self, kind: u8, bytes: &[u8]) -> io::Result<()> {
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        let mut head = [kind; 5];
        head[1..].copy_from_slice(&length.to_be_bytes());
        self.output.write_all(&head)?;
        self.output.write_all(bytes)
    }

    pub(super) fn tell(&mut self, said: &FileSaid) -> Result<(), Unfit> {
        self.say(said).map_err(Unfit::Unheard)
    }
}

/// Bytes go out in messages of full size.
impl<W: Write> Write for Frames<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = CHUNK_BYTES_MAX.saturating_sub(self.buffer.len());
        let taken = room.min(bytes.len());
        self.buffer.extend_from_slice(&bytes[..taken]);
        if self.buffer.len() >= CHUNK_BYTES_MAX {
            self.push_out()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.push_out()?;
        self.output.flush()
    }
}

/// A message as the agent has it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    Word(String),
    Bytes(Vec<u8>),
}

/// The next message; none at the end.
///
/// # Errors
/// It is none, or broke off.
pub(crate) async fn next(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Frame>> {
    let mut head = [0; 5];
    if from.read(&mut head[..1]).await? == 0 {
        return Ok(None);
    }
    from.read_exact(&mut head[1..]).await?;
    let [kind, length @ ..] = head;
    let length = usize::try_from(u32::from_be_bytes(length)).map_err(io::Error::other)?;
    let most = match kind {
        WORD => WORD_BYTES_MAX,
        BYTES => CHUNK_BYTES_MAX,
        _ => 0,
    };
    if length > most {
        return Err(io::Error::other("a message that is none"));
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes).await?;
    Ok(Some(match kind {
        BYTES => Frame::Bytes(bytes),
        _ => Frame::Word(String::from_utf8(bytes).map_err(io::Error::other)?),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn words_and_bytes_arrive_in_their_order() {
        let mut wire = Vec::new();
        let mut frames = Frames::new(&mut wire);
        frames.say(&FileSaid::Zipped).expect("said");
        frames
            .write_all(&vec![7; CHUNK_BYTES_MAX + 1])
            .expect("written");
        frames.say(&FileSaid::End).expect("said");
        frames.end().expect("ended");
        let mut from = &wire[..];
        let mut came = Vec::new();
        while let Some(frame) = next(&mut from).await.expect("whole") {
            came.push(frame);
        }
        let wanted = [
            Frame::Word("\"zipped\"".to_owned()),
            Frame::Bytes(vec![7; CHUNK_BYTES_MAX]),
            Frame::Bytes(vec![7]),
            Frame::Word("\"end\"".to_owned()),
        ];
        assert_eq!(came, wanted);
    }

    #[tokio::test]
    async fn what_is_no_message_ends_the_talk() {
        let long = [b"b".as_slice(), &u32::MAX.to_be_bytes()].concat();
        for bad in [
            b"x\0\0\0\x01a".as_slice(),
            b"w\0\0",
            b"w\0\0\0\x02a",
            &long,
            b"w\0\0\0\x01\xff",
        ] {
            assert!(next(&mut &*bad).await.is_err(), "{bad:?}");
        }
    }
}
