//! When certificates end.

use docklet_control::State;
use docklet_link::authority;

use super::Text;
use crate::serve::Portal;

/// Until when people can be shown what they are shown.
pub(super) fn public(text: &mut Text, portal: &Portal) {
    for certificate in portal.public.view(&portal.name, None).certificates {
        let labels = [
            ("master", portal.name.to_string()),
            ("source", certificate.source),
        ];
        text.gauge(
            "docklet_public_certificate_end_seconds",
            "When a certificate of the public listener ends, in seconds since 1970.",
            &labels,
            certificate.until.0 / 1_000,
        );
    }
}

/// Until when masters and workers can prove to each other who they are.
pub(super) fn between(text: &mut Text, portal: &Portal, state: &State) {
    let mut ends = |kind: &str, name: String, at_ms: u64| {
        text.gauge(
            "docklet_cluster_certificate_end_seconds",
            "When a certificate between masters and workers ends, in seconds since 1970.",
            &[("kind", kind.to_owned()), ("name", name)],
            at_ms / 1_000,
        );
    };
    if let Some(at_ms) = authority::ends_ms(&portal.credentials.ca) {
        ends("authority", String::new(), at_ms);
    }
    if let Ok(proof) = portal.credentials.proof() {
        ends("master", portal.name.to_string(), proof.ends_ms);
    }
    for worker in state.workers.values() {
        if let Some(held) = state.certificate_of(worker.id).held {
            ends("worker", worker.name.to_string(), held.ends_at.0);
        }
    }
}
