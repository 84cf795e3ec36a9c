//! What can be asked of bug reports, and what happened to them.

use serde::{Deserialize, Serialize};

use crate::id::{BugId, UserId};
use crate::model::bug::{Bug, BugAnswer};

/// Asks for something of bug reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BugCommand {
    Report {
        text: String,
    },
    /// Says something to whoever told it, or that nothing more is to be done.
    Answer {
        bug: BugId,
        text: Option<String>,
        close: bool,
    },
    /// It is kept no longer.
    Forget {
        bug: BugId,
    },
}

/// What happened to bug reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BugEvent {
    Reported {
        bug: Bug,
    },
    Answered {
        bug: BugId,
        by: Option<UserId>,
        /// None if nothing was said.
        answer: Option<BugAnswer>,
        closed: bool,
    },
    /// It is kept no longer, or made room for another.
    Forgotten {
        bug: BugId,
        by: Option<UserId>,
    },
}

impl BugCommand {
    /// The command's name, for receipts, the audit and logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Report { .. } => "ReportBug",
            Self::Answer { .. } => "AnswerBug",
            Self::Forget { .. } => "ForgetBug",
        }
    }
}

impl BugEvent {
    /// Who told it.
    #[must_use]
    pub fn by(&self) -> Option<UserId> {
        match self {
            Self::Reported { bug } => bug.by,
            Self::Answered { by, .. } | Self::Forgotten { by, .. } => *by,
        }
    }
}
