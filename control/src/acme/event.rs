//! What happened to certificates by ACME, since version 3. Admins alone are told.

use serde::{Deserialize, Serialize};

use crate::id::LogIndex;
use crate::model::acme::{AcmeCertificate, AcmeFailure, AcmeOrder, AcmeSetting, Sealed};

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AcmeEvent {
    /// Set, by the entry of this number.
    Set {
        setting: AcmeSetting,
        number: LogIndex,
    },
    Unset,
    /// An admin wants the next one now.
    Wanted,
    /// An order is about to be placed; with the key of a new account, if there was none.
    Begun {
        order: AcmeOrder,
        account_key: Option<Sealed>,
    },
    /// What was sealed by another cluster is gone.
    KeysForgotten,
    /// The authority has the order.
    Placed {
        order: AcmeOrder,
    },
    /// The certificate is there.
    Issued {
        certificate: AcmeCertificate,
    },
    /// The order is as it was, or gone.
    Failed {
        failure: AcmeFailure,
        kept: bool,
    },
}
