//! What every master does: it shows what the log says.

use std::collections::BTreeMap;
use std::sync::Arc;

use docklet_control::model::acme::{AcmeCertificate, AcmeOrder};

use super::Seal;
use crate::public::{Certified, Public, certified_of_acme};
use crate::serve::Portal;

/// Follows until dropped.
pub(crate) async fn run(portal: Portal) {
    let mut states = portal.master.watch();
    let mut shown = None;
    loop {
        let state = portal.master.local().state;
        let acme = state.acme.as_ref();
        let certificate = acme.and_then(|acme| acme.certificate.as_ref());
        let order = acme.and_then(|acme| acme.order.as_ref());
        // An order's answers change once, when it is placed.
        let now = (
            certificate.map(|it| it.number),
            order.map(|it| (it.number, it.challenges.len())),
        );
        if shown.as_ref() != Some(&now) {
            show(&portal.public, &portal.seal, certificate, order);
            shown = Some(now);
        }
        if states.changed().await.is_err() {
            return;
        }
    }
}

fn show(
    public: &Public,
    seal: &Seal,
    certificate: Option<&AcmeCertificate>,
    order: Option<&AcmeOrder>,
) {
    let certified = certificate.and_then(|certificate| opened(seal, certificate));
    let mut answers = BTreeMap::new();
    for (domain, digest) in order.iter().flat_map(|order| &order.challenges) {
        match crate::public::challenge(domain, digest) {
            Ok(answer) => drop(answers.insert(domain.clone(), answer)),
            Err(error) => tracing::error!(domain, %error, "a challenge cannot be answered"),
        }
    }
    public.follow(certified, answers);
}

fn opened(seal: &Seal, certificate: &AcmeCertificate) -> Option<Arc<Certified>> {
    let Some(key) = seal.open(&certificate.key) else {
        tracing::warn!(
            "the certificate that was issued is another cluster's: the next one is awaited"
        );
        return None;
    };
    match certified_of_acme(&certificate.chain, &key) {
        Ok(certified) => Some(Arc::new(certified)),
        Err(unfit) => {
            tracing::error!(%unfit, "the certificate that was issued is not used");
            None
        }
    }
}
