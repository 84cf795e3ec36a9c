//! What happened to templates, since version 3.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::id::UserId;
use crate::model::{Template, User};

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TemplateEvent {
    /// It is so from now on. `told` may know of it, as it is or as it was.
    Published {
        template: Template,
        told: BTreeSet<UserId>,
    },
    /// It is gone, as it was.
    Withdrawn {
        template: Template,
        told: BTreeSet<UserId>,
    },
}

impl TemplateEvent {
    /// Whether `asker` may be told of it.
    #[must_use]
    pub fn is_for(&self, asker: &User) -> bool {
        let (Self::Published { template, told } | Self::Withdrawn { template, told }) = self;
        template.group.is_none() || told.contains(&asker.id) || asker.is_admin()
    }
}
