//! What can be asked of groups of people, since version 3. Texts are unchecked: decide checks them.

use serde::{Deserialize, Serialize};

/// Asks for something of a group, by its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GroupCommand {
    Create {
        name: String,
        description: String,
    },
    /// These people are members from now on.
    Add {
        group: String,
        users: Vec<String>,
    },
    /// They are members no more: what they made stays theirs and runs on.
    Remove {
        group: String,
        users: Vec<String>,
    },
    /// Nothing is shared with it any more.
    Delete {
        group: String,
    },
    /// These people look after it from now on.
    AddManagers {
        group: String,
        users: Vec<String>,
    },
    /// They do so no more.
    RemoveManagers {
        group: String,
        users: Vec<String>,
    },
}

impl GroupCommand {
    /// The command's name, for receipts, the audit and logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Create { .. } => "CreateGroup",
            Self::Add { .. } => "AddToGroup",
            Self::Remove { .. } => "RemoveFromGroup",
            Self::Delete { .. } => "DeleteGroup",
            Self::AddManagers { .. } => "AddGroupManagers",
            Self::RemoveManagers { .. } => "RemoveGroupManagers",
        }
    }
}
