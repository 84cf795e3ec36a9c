//! Certificates by ACME.

use crate::acme::event::AcmeEvent;
use crate::model::Acme;
use crate::model::acme::AcmeSetting;
use crate::state::State;

pub(super) fn evolve(state: &mut State, event: AcmeEvent) {
    match event {
        AcmeEvent::Set { setting, number } => {
            let before = state.acme.take();
            state.acme = Some(match before {
                // The authority knows the cluster already.
                Some(before) if same_account(&before.setting, &setting) => Acme {
                    setting,
                    number,
                    order: None,
                    failure: None,
                    wanted: false,
                    ..before
                },
                before => Acme {
                    setting,
                    number,
                    account_key: None,
                    order: None,
                    certificate: before.and_then(|before| before.certificate),
                    failure: None,
                    wanted: false,
                },
            });
        }
        AcmeEvent::Unset => state.acme = None,
        event @ (AcmeEvent::Wanted
        | AcmeEvent::Begun { .. }
        | AcmeEvent::KeysForgotten
        | AcmeEvent::Placed { .. }
        | AcmeEvent::Issued { .. }
        | AcmeEvent::Failed { .. }) => {
            state.acme = state.acme.take().map(|acme| went_on(acme, event));
        }
    }
}

fn same_account(before: &AcmeSetting, after: &AcmeSetting) -> bool {
    (&before.directory, &before.binding) == (&after.directory, &after.binding)
}

fn went_on(acme: Acme, event: AcmeEvent) -> Acme {
    match event {
        AcmeEvent::Wanted => Acme {
            wanted: true,
            failure: None,
            ..acme
        },
        AcmeEvent::Begun { order, account_key } => Acme {
            order: Some(order),
            account_key: account_key.or(acme.account_key),
            wanted: false,
            ..acme
        },
        AcmeEvent::KeysForgotten => Acme {
            account_key: None,
            order: None,
            certificate: None,
            failure: None,
            ..acme
        },
        AcmeEvent::Placed { order } => Acme {
            order: Some(order),
            ..acme
        },
        AcmeEvent::Issued { certificate } => Acme {
            order: None,
            certificate: Some(certificate),
            failure: None,
            ..acme
        },
        AcmeEvent::Failed { failure, kept } => Acme {
            order: acme.order.filter(|_| kept),
            failure: Some(failure),
            ..acme
        },
        AcmeEvent::Set { .. } | AcmeEvent::Unset => acme,
    }
}
