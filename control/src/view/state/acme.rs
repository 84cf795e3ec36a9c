//! The fields of certificates by ACME: never a key.

use super::{Building, Fields};
use crate::state::State;
use crate::view::acme;

/// Where the cluster gets itself public certificates.
pub(super) fn fields(state: &State) -> Option<Fields> {
    let acme = acme::show(state)?;
    let fields = Building::default()
        .text("directory", &acme.directory)
        .text("contacts", acme.contacts.join(" "))
        .text("domains", acme.domains.join(" "))
        .text_if("key_id", acme.key_id.as_ref())
        .number_if("ordering_since", acme.ordering_since.map(|at| at.0))
        .number_if("certificate", acme.certificate)
        .text_if("failure", acme.failure.as_ref().map(|it| &it.cause));
    Some(fields.0)
}
