//! A master's own certificate for masters and workers: it has the authority's key, and issues itself the next one.

use std::time::Duration;

use anyhow::Context as _;
use docklet_link::{Authority, Own};
use docklet_raft::machine_clock;

/// The clock may be set meanwhile: it is looked at this often.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// When it fails, it is tried again after so long.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Issues the next one if it is time for that, or if the old one ended while this master was off.
pub async fn renew(own: &Own, authority: &Authority) -> anyhow::Result<()> {
    let (held, authority) = (own.clone(), authority.clone());
    let now_ms = machine_clock()().0;
    let renewed = tokio::task::spawn_blocking(move || held.renew_if_due(&authority, now_ms));
    let renewed = renewed.await.context("issue the next certificate")?;
    if renewed.context("issue this master's next certificate")? {
        let ends_ms = own.proof()?.ends_ms;
        tracing::info!(
            ends_ms,
            "this master has issued itself its next certificate"
        );
    }
    Ok(())
}

/// Goes on doing so, until dropped.
pub async fn keep(own: Own, authority: Authority) {
    loop {
        let pause = match renew(&own, &authority).await {
            Ok(()) => until_due(&own),
            Err(error) => {
                let cause = format!("{error:#}");
                tracing::error!(
                    cause,
                    "no next certificate for this master yet: it is tried again"
                );
                RETRY_AFTER
            }
        };
        tokio::time::sleep(pause).await;
    }
}

fn until_due(own: &Own) -> Duration {
    let due_ms = own.proof().map(|proof| proof.due_ms(Duration::ZERO));
    let left_ms = due_ms
        .unwrap_or_default()
        .saturating_sub(machine_clock()().0);
    // A moment more: certificates know whole seconds only.
    Duration::from_millis(left_ms.saturating_add(50)).min(LOOK_EVERY)
}
