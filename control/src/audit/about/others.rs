//! What was refused at doors, and what of the trash is no vcluster.

use super::About;
use crate::audit::tried::TriedThing;
use crate::model::kept::KeptKind;
use crate::trash::event::KeptRef;

impl About<'_> {
    pub(super) fn tried(&mut self, of: Option<&TriedThing>) {
        match of {
            Some(TriedThing::Vcluster(about)) => self.vcluster(*about),
            Some(TriedThing::Image { owner, name }) => self.owned("image", *owner, name),
            Some(TriedThing::User(user)) => self.user(*user),
            None => {}
        }
    }

    /// Groups and templates are nobody's own; of accounts and notices the event beside it says whose.
    pub(super) fn kept(&mut self, about: &KeptRef) {
        match about.kind {
            KeptKind::Account | KeptKind::Notice => {}
            KeptKind::Group | KeptKind::Template => self.thing(about.kind.word(), &about.name),
            KeptKind::Image | KeptKind::ImageVersion | KeptKind::Snapshot => {
                self.owned(about.kind.word(), about.owner, &about.name);
            }
        }
    }
}
