//! What can be asked of templates, since version 3. Texts are unchecked: decide checks them.

use serde::{Deserialize, Serialize};

use crate::amount::VnodeSize;
use crate::model::{KbitPerS, Rules, Wishes};

/// Asks for something of a template, by its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TemplateCommand {
    /// It is there from now on, for the people of a group or for everybody; in the place of one of that name, if that is the
    /// asker's own. What was made of it stays as it is.
    Publish {
        name: String,
        description: String,
        /// Everybody if none.
        group: Option<String>,
        recipe: NewRecipe,
    },
    /// Nothing new is made of it.
    Withdraw { name: String },
    /// Makes a vcluster of it, for the asker, or for somebody in a group that the asker manages.
    Clone {
        template: String,
        /// What the vcluster is called; the template's name if none.
        name: Option<String>,
        whom: Option<Whom>,
    },
}

/// Somebody in a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Whom {
    pub group: String,
    pub user: String,
}

/// What each vcluster shall be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewRecipe {
    /// As the asker calls it.
    pub image: String,
    pub vnodes: u32,
    pub size: VnodeSize,
    pub wishes: Wishes,
    /// The site's setting if none.
    pub bandwidth: Option<KbitPerS>,
    pub rules: Rules,
}

impl TemplateCommand {
    /// The command's name, for receipts, the audit and logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Publish { .. } => "PublishTemplate",
            Self::Withdraw { .. } => "WithdrawTemplate",
            Self::Clone { .. } => "CloneTemplate",
        }
    }
}
