//! What was spent and given day by day, for the last months: statements tell what it was for, and this when it was.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Cost, MicroBeans, Month, PurseOf};
use crate::calendar;
use crate::id::UnixMs;

/// A day of a month, by UTC: 1 to 31.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DayOfMonth(pub u8);

impl DayOfMonth {
    /// The day of a time.
    #[must_use]
    pub fn of(at: UnixMs) -> Self {
        let (_, _, day) = calendar::date(at.0 / Month::DAY_MS);
        Self(u8::try_from(day).unwrap_or(u8::MAX))
    }
}

impl fmt::Display for DayOfMonth {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:02}", self.0)
    }
}

/// What one day comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BeanDay {
    pub cost: Cost,
    /// What was given; less than nothing if it was given on.
    pub credit: MicroBeans,
}

impl BeanDay {
    /// Both together.
    #[must_use]
    pub fn plus(&self, more: &Self) -> Self {
        Self {
            cost: self.cost.plus(&more.cost),
            credit: self.credit.plus(more.credit),
        }
    }
}

/// Those days of one month on which something was spent or given. Together they are the month's lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BeanDays {
    pub of: PurseOf,
    pub month: Month,
    pub days: BTreeMap<DayOfMonth, BeanDay>,
}

impl BeanDays {
    /// Months of which days are kept, the newest among them: two whole ones at least.
    pub const MONTHS_KEPT: u32 = 3;

    /// Under which it is in the state.
    #[must_use]
    pub fn key(&self) -> (PurseOf, Month) {
        (self.of, self.month)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ends_at_midnight_of_utc() {
        // 2026-11-30T23:59:59.999Z, and a millisecond later.
        let day = |ms| DayOfMonth::of(UnixMs(ms)).to_string();
        assert_eq!(day(1_796_083_199_999), "30");
        assert_eq!(day(1_796_083_200_000), "01");
    }
}
