//! Recomputes statements from what happened, by nothing but the events: what anybody can do who was told of them. It shares
//! no code with what keeps the lines.

use std::collections::BTreeMap;

use crate::bean::event::BeanEvent;
use crate::event::{Change, Event};
use crate::id::LogIndex;
use crate::model::{BeanLine, Cost, LineOf, MicroBeans, Month, PurseOf};

/// What one line comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    pub cost: Cost,
    pub credit: MicroBeans,
    pub count: u64,
    /// The last entry that added to it.
    pub last: LogIndex,
}

/// Sums by month and by what they are about.
pub type Sums = BTreeMap<(Month, LineOf), Sum>;

/// The sums of lines as they are kept.
#[must_use]
pub fn kept<'l>(lines: impl IntoIterator<Item = &'l BeanLine>) -> Sums {
    let sum = |line: &BeanLine| {
        let sum = Sum {
            cost: line.cost,
            credit: line.credit,
            count: line.count,
            last: line.last,
        };
        ((line.month, line.about), sum)
    };
    lines.into_iter().map(sum).collect()
}

/// Adds what one entry did to one purse.
pub fn add(sums: &mut Sums, of: PurseOf, change: &Change) {
    let month = Month::of(change.at);
    for event in &change.events {
        let Event::Bean(event) = event else { continue };
        match event {
            BeanEvent::Opened {
                of: opened, beans, ..
            } if *opened == of => credit(sums, month, change.index, *beans),
            BeanEvent::Granted { grant, .. } => {
                let beans = MicroBeans::whole(grant.beans);
                if grant.to == of {
                    credit(sums, month, change.index, beans);
                }
                if grant.from == Some(of) {
                    credit(sums, month, change.index, MicroBeans(-beans.0));
                }
            }
            BeanEvent::TakenBack { taken, .. } if taken.of == of => {
                let beans = MicroBeans::whole(taken.beans);
                credit(sums, month, change.index, MicroBeans(-beans.0));
            }
            BeanEvent::Charged { charge } if PurseOf::User(charge.about.owner) == of => {
                let sum = sums.entry((month, charge.line)).or_default();
                sum.cost = sum.cost.plus(&charge.cost);
                sum.count += 1;
                sum.last = change.index;
            }
            BeanEvent::Closed { of: closed, .. } if *closed == of => sums.clear(),
            BeanEvent::Opened { .. }
            | BeanEvent::Charged { .. }
            | BeanEvent::Closed { .. }
            | BeanEvent::Set { .. }
            | BeanEvent::RanLow { .. }
            | BeanEvent::Requested { .. }
            | BeanEvent::Decided { .. }
            | BeanEvent::Withdrawn { .. }
            | BeanEvent::TakenBack { .. }
            | BeanEvent::TallyBegun { .. }
            | BeanEvent::TallyBehind { .. }
            | BeanEvent::TallyEnded { .. }
            | BeanEvent::Stopped { .. } => {}
        }
    }
}

fn credit(sums: &mut Sums, month: Month, index: LogIndex, beans: MicroBeans) {
    let sum = sums.entry((month, LineOf::Credits)).or_default();
    sum.credit = sum.credit.plus(beans);
    sum.count += 1;
    sum.last = index;
}
