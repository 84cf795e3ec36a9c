//! The fields of what else than vclusters is in the trash.

use super::{Building, Noun, Shown};
use crate::model::User;
use crate::model::kept::{Kept, KeptKind};
use crate::permit;

impl Shown<'_> {
    pub(super) fn kept(&mut self) {
        let (state, asker) = (self.state, self.asker);
        for kept in state.kept.values().filter(|kept| shows(asker, kept)) {
            let fields = Building::default()
                .number("number", kept.number.0)
                .text("kind", kept.kind().word())
                .number("at", kept.at.0)
                .number("until", kept.until.0);
            let name = format!("{}/{}", kept.kind().word(), kept.name());
            let name = self.theirs(kept.owner, &name);
            self.add(Noun::Deleted, name, kept.number, fields.0);
        }
    }
}

/// Groups, templates and accounts are nobody's own.
fn shows(asker: &User, kept: &Kept) -> bool {
    match kept.kind() {
        KeptKind::Image | KeptKind::ImageVersion | KeptKind::Snapshot | KeptKind::Notice => {
            permit::owns(asker, kept.owner)
        }
        KeptKind::Group | KeptKind::Template | KeptKind::Account => asker.is_admin(),
    }
}
