//! The word that reading and packing shall end at once: said by one thread, heard by whoever copies.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Unfit;

/// Clones are the same one. One that nobody else has is never said.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Says it; it is not taken back.
    pub fn say(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether it was said.
    #[must_use]
    pub fn is_said(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// For between two files.
    pub(super) fn check(&self) -> Result<(), Unfit> {
        if self.is_said() {
            return Err(Unfit::Stopped);
        }
        Ok(())
    }

    /// Reads until it is said.
    pub fn until<R: Read>(&self, inner: R) -> Until<R> {
        Until {
            inner,
            stop: self.clone(),
        }
    }
}

/// A reader that fails as soon as it shall stop.
pub struct Until<R> {
    inner: R,
    stop: Stop,
}

impl<R: Read> Read for Until<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.stop.is_said() {
            // No kind that a caller would try again after.
            return Err(io::Error::other(Unfit::Stopped));
        }
        self.inner.read(into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_ends_when_it_is_said() {
        let stop = Stop::default();
        let mut reader = stop.until(io::repeat(7));
        let mut bytes = [0; 10];
        reader.read_exact(&mut bytes).expect("nobody said it");
        stop.clone().say();
        assert!(reader.read_exact(&mut bytes).is_err());
        assert!(stop.check().is_err() && Stop::default().check().is_ok());
    }
}
