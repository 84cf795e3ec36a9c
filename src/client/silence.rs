//! Notices that nothing comes any more over a connection that seems to be there: its master stands still, or the way to it
//! is gone without a word.

use std::time::Duration;

use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

/// A master says something every two seconds at least: one that is silent for longer than this stands still.
pub const SILENCE_MAX: Duration = Duration::from_secs(6);
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Since when nothing was heard.
pub struct Watch {
    heard: Instant,
    looked: Instant,
}

impl Watch {
    pub fn begin() -> Self {
        let now = Instant::now();
        Self {
            heard: now,
            looked: now,
        }
    }

    /// Something came.
    pub fn heard(&mut self) {
        self.heard = Instant::now();
    }

    /// Ends when nothing was heard for too long.
    pub async fn silence(&mut self) {
        loop {
            tokio::time::sleep_until(self.looked + LOOK_EVERY).await;
            if self.is_silent(Instant::now()) {
                return;
            }
        }
    }

    fn is_silent(&mut self, now: Instant) -> bool {
        // This program itself stood still: what came meanwhile has not been heard yet.
        if now - self.looked > 2 * LOOK_EVERY {
            self.heard = now;
        }
        self.looked = now;
        now - self.heard >= SILENCE_MAX
    }
}

/// The same of a master that pings. One that is too old for that is not taken for one that stands still.
#[derive(Default)]
pub struct Pinged(Option<Watch>);

impl Pinged {
    /// Something came.
    pub fn heard(&mut self, message: &Message) {
        if let Message::Ping(_) = message {
            self.0.get_or_insert_with(Watch::begin);
        }
        self.0.iter_mut().for_each(Watch::heard);
    }

    /// Ends when nothing was heard for too long.
    pub async fn silence(&mut self) {
        match &mut self.0 {
            Some(watch) => watch.silence().await,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_noticed_but_not_of_a_time_in_which_this_program_stood_still() {
        let mut watch = Watch::begin();
        let begun = watch.heard;
        let mut at = begun;
        while at < begun + SILENCE_MAX - LOOK_EVERY {
            at += LOOK_EVERY;
            assert!(!watch.is_silent(at), "{:?}", at - begun);
        }
        assert!(watch.is_silent(at + LOOK_EVERY));
        let woken = at + 10 * SILENCE_MAX;
        assert!(!watch.is_silent(woken), "it stood still itself");
        watch.heard = woken;
        let late = (1..=6).map(|nth| woken + nth * LOOK_EVERY);
        let found: Vec<bool> = late.map(|at| watch.is_silent(at)).collect();
        assert_eq!(found, [false, false, false, false, false, true]);
    }
}
