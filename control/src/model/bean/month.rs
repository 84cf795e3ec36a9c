//! Months, by which purses are looked back on.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::calendar;
use crate::id::UnixMs;

/// A month of the calendar, by UTC: twelve times the year, and the months of it that were over before.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Month(pub u32);

impl Month {
    pub(in crate::model) const DAY_MS: u64 = 24 * 3_600_000;

    /// The month of a time.
    #[must_use]
    pub fn of(at: UnixMs) -> Self {
        let (year, month, _) = calendar::date(at.0 / Self::DAY_MS);
        let months = year.saturating_mul(12).saturating_add(month - 1);
        Self(u32::try_from(months).unwrap_or(u32::MAX))
    }

    /// The month that is written so, as `2026-11`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (year, month) = text.split_once('-')?;
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let shaped = year.len() == 4 && month.len() == 2 && digits(year) && digits(month);
        let (year, month): (u32, u32) = (year.parse().ok()?, month.parse().ok()?);
        (shaped && (1..=12).contains(&month)).then(|| Self(year * 12 + month - 1))
    }
}

impl fmt::Display for Month {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:04}-{:02}", self.0 / 12, self.0 % 12 + 1)
    }
}
