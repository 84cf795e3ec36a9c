//! Who has few beans left. All that tells people of it begins here.

use super::{in_use, told};
use crate::bean::event::BeanEvent;
use crate::event::Event;
use crate::model::{MicroBeans, PurseOf};
use crate::state::State;

/// What is told when a balance falls: of the lowest threshold that it reaches. One that rises above a threshold again is told
/// of it again when it falls.
pub(crate) fn fallen(
    state: &State,
    of: PurseOf,
    before: MicroBeans,
    after: MicroBeans,
) -> Option<Event> {
    let settings = in_use(state)?;
    let reached = |balance: MicroBeans| {
        let thresholds = settings.thresholds.iter().copied();
        let reached = thresholds.filter(|threshold| balance <= MicroBeans::whole(*threshold));
        reached.min()
    };
    let (was, is) = (reached(before), reached(after)?);
    was.is_none_or(|was| is < was).then(|| {
        Event::Bean(BeanEvent::RanLow {
            of,
            balance: after,
            threshold: is,
            told: told(state, of),
        })
    })
}
