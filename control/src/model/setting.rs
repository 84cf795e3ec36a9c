//! What admins set for the whole cluster, and what it was before.

use imbl::Vector;
use serde::{Deserialize, Serialize};

use super::{
    AccountPolicy, Autopilot, Bandwidth, BeanSettings, DiskOvercommit, HomeUsual, ImageQuota,
    MailServer, Quota, RebalancePolicy,
};
use crate::id::{LogIndex, UnixMs, UserId};
use crate::model::acme::AcmeSetting;
use crate::model::identity::{OidcProvider, PamDoor};
use crate::model::trash::TrashPolicy;

/// One setting. New ones come at the end.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum SettingName {
    /// How the leader looks after the masters.
    Autopilot,
    /// What each vnode may send and receive.
    Bandwidth,
    /// What owners may wish at most.
    BandwidthCeiling,
    /// How much disk may be promised.
    DiskOvercommit,
    /// What a home holds.
    UsualHome,
    /// What everybody may have.
    UsualQuota,
    /// Bytes of images that everybody may have.
    ImageQuota,
    /// When the leader evens out workers.
    Rebalance,
    /// Whether strangers may ask for accounts.
    Registration,
    /// How long what was deleted can be had back, and what is released.
    Trash,
    /// By which OpenID provider people log in.
    Oidc,
    /// Whether people log in by the masters' PAM.
    Pam,
    /// How the site uses beans, and what things cost.
    Beans,
    /// By which server mails are sent.
    Mail,
    /// How the cluster gets itself public certificates.
    Acme,
}

impl SettingName {
    /// All of them, in the order in which people see them.
    pub const ALL: [Self; 15] = [
        Self::Registration,
        Self::Oidc,
        Self::Pam,
        Self::UsualQuota,
        Self::ImageQuota,
        Self::UsualHome,
        Self::Trash,
        Self::Bandwidth,
        Self::BandwidthCeiling,
        Self::DiskOvercommit,
        Self::Rebalance,
        Self::Autopilot,
        Self::Beans,
        Self::Mail,
        Self::Acme,
    ];

    /// As it is written.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Autopilot => "autopilot",
            Self::Bandwidth => "bandwidth",
            Self::BandwidthCeiling => "bandwidth-ceiling",
            Self::DiskOvercommit => "disk-overcommit",
            Self::UsualHome => "usual-home",
            Self::UsualQuota => "usual-quota",
            Self::ImageQuota => "image-quota",
            Self::Rebalance => "rebalance",
            Self::Registration => "registration",
            Self::Trash => "trash",
            Self::Oidc => "oidc",
            Self::Pam => "pam",
            Self::Beans => "beans",
            Self::Mail => "mail",
            Self::Acme => "acme",
        }
    }

    /// The setting that people call so.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.word() == word)
    }
}

/// What one setting is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SettingValue {
    Autopilot(Autopilot),
    Bandwidth(Bandwidth),
    BandwidthCeiling(Bandwidth),
    DiskOvercommit(DiskOvercommit),
    UsualHome(HomeUsual),
    UsualQuota(Quota),
    ImageQuota(ImageQuota),
    Rebalance(RebalancePolicy),
    Registration(AccountPolicy),
    Trash(TrashPolicy),
    Oidc(Option<Box<OidcProvider>>),
    Pam(Option<PamDoor>),
    Beans(Box<BeanSettings>),
    Mail(Option<Box<MailServer>>),
    Acme(Option<Box<AcmeSetting>>),
}

impl SettingValue {
    /// Of which setting it is.
    #[must_use]
    pub fn name(&self) -> SettingName {
        match self {
            Self::Autopilot(_) => SettingName::Autopilot,
            Self::Bandwidth(_) => SettingName::Bandwidth,
            Self::BandwidthCeiling(_) => SettingName::BandwidthCeiling,
            Self::DiskOvercommit(_) => SettingName::DiskOvercommit,
            Self::UsualHome(_) => SettingName::UsualHome,
            Self::UsualQuota(_) => SettingName::UsualQuota,
            Self::ImageQuota(_) => SettingName::ImageQuota,
            Self::Rebalance(_) => SettingName::Rebalance,
            Self::Registration(_) => SettingName::Registration,
            Self::Trash(_) => SettingName::Trash,
            Self::Oidc(_) => SettingName::Oidc,
            Self::Pam(_) => SettingName::Pam,
            Self::Beans(_) => SettingName::Beans,
            Self::Mail(_) => SettingName::Mail,
            Self::Acme(_) => SettingName::Acme,
        }
    }
}

/// One change of a setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingChange {
    /// The entry: what people call the change.
    pub index: LogIndex,
    pub at: UnixMs,
    /// Who changed it.
    pub by: Option<UserId>,
    pub before: SettingValue,
    pub after: SettingValue,
}

/// How one setting came to be what it is, the newest last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingHistory {
    pub name: SettingName,
    pub changes: Vector<SettingChange>,
}

impl SettingHistory {
    /// Changes that are kept; the oldest go first.
    pub const CHANGES_MAX: usize = 50;
}
