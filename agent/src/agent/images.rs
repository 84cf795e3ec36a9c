//! Images that come and go by themselves: no vnode waits for them.

use docklet_control::id::Digest;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{Agent, Done, backoff, perform_all};
use crate::host::{Host, Observation};
use crate::masters::Tell;
use crate::plan::Plan;

impl<H: Host> Agent<H> {
    /// Begins what is to be done with images that no vnode waits for.
    pub(super) fn begin_images(&mut self, plan: &Plan, done: &mpsc::Sender<Done>) {
        self.failed_images
            .retain(|digest, _| plan.images.contains_key(digest));
        for (digest, act) in &plan.images {
            let failed = self.failed_images.get(digest);
            let waits = failed.is_some_and(|(_, retry_at)| Instant::now() < *retry_at);
            if waits || !self.busy_images.insert(*digest) {
                continue;
            }
            let (host, turns) = (self.host.clone(), self.image_turns.clone());
            let (digest, act, done) = (*digest, act.clone(), done.clone());
            tokio::spawn(async move {
                let outcome = perform_all(host, turns, vec![act], None).await;
                let well = outcome.is_ok();
                // The loop is gone only when the process ends.
                drop(done.send(Done::Image { digest, well }).await);
            });
        }
    }

    pub(super) fn settle_image(&mut self, digest: Digest, well: bool) {
        self.busy_images.remove(&digest);
        if well {
            self.failed_images.remove(&digest);
            return;
        }
        let attempts = self.failed_images.get(&digest).map_or(0, |failed| failed.0) + 1;
        let retry_at = Instant::now() + backoff(attempts);
        self.failed_images.insert(digest, (attempts, retry_at));
    }

    pub(super) async fn report_images(&self, held: &[Digest]) {
        let before = self.images.borrow().clone();
        if before == held {
            return;
        }
        for digest in held.iter().filter(|digest| !before.contains(digest)) {
            drop(self.tell.send(Tell::Image(*digest, true)).await);
        }
        for digest in before.iter().filter(|digest| !held.contains(digest)) {
            drop(self.tell.send(Tell::Image(*digest, false)).await);
        }
        self.images.send_replace(held.to_vec());
    }
}

/// What people are told of an image that is coming. In quarters: each step is an entry of the log.
pub(super) fn fetching(image: Digest, seen: &Observation) -> String {
    match seen.coming_images.get(&image) {
        Some((came, bytes)) if *bytes > 0 => {
            format!("fetching image, {} %", came * 4 / bytes * 25)
        }
        Some(_) | None => "fetching image".to_owned(),
    }
}
