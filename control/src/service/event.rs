//! What happened to services, since version 3.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::id::{SecretHash, UserId};
use crate::model::{Service, User, Visit};
use crate::permit;

/// One fact. Events have the whole service, so that what went is still known by its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServiceEvent {
    Added {
        service: Service,
    },
    Removed {
        service: Service,
    },
    /// It is for these from now on. `told` may open it, now or before.
    Shared {
        service: Service,
        told: BTreeSet<UserId>,
    },
    /// Somebody has a ticket for it.
    Opened {
        service: Service,
        visit: Visit,
    },
    /// They came with it: it is worth nothing any more.
    Entered {
        service: Service,
        ticket: SecretHash,
        visit: Visit,
    },
    /// What the browser has is worth nothing any more.
    Left {
        visit: Visit,
    },
}

impl ServiceEvent {
    /// Whether `asker` may be told of it: the owner, and of visits and of what is shared who is meant.
    #[must_use]
    pub fn is_for(&self, asker: &User) -> bool {
        match self {
            Self::Added { service } | Self::Removed { service } => {
                permit::owns(asker, service.owner)
            }
            Self::Shared { service, told } => {
                permit::owns(asker, service.owner) || told.contains(&asker.id)
            }
            Self::Opened { service, visit } | Self::Entered { service, visit, .. } => {
                permit::owns(asker, service.owner) || asker.id == visit.user
            }
            Self::Left { visit } => permit::owns(asker, visit.user),
        }
    }

    /// Without what browsers show.
    pub fn hide_secrets(&mut self) {
        const HIDDEN: SecretHash = SecretHash([0; 32]);
        match self {
            Self::Added { .. } | Self::Removed { .. } | Self::Shared { .. } => {}
            Self::Opened { visit, .. } | Self::Left { visit } => {
                visit.id = HIDDEN;
                visit.session = HIDDEN;
            }
            Self::Entered { ticket, visit, .. } => {
                *ticket = HIDDEN;
                visit.id = HIDDEN;
                visit.session = HIDDEN;
            }
        }
    }
}
