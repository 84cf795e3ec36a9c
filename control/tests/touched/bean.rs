//! What may happen to beans, so that whoever tells what vnodes use is told what of.

use docklet_control::State;
use docklet_control::bean::event::{BeanEvent, TallyRef};
use docklet_control::event::Event;
use docklet_control::id::LogIndex;
use docklet_control::model::{BeanSettings, MicroBeans, PurseOf, Tally};
use proptest::prelude::*;

/// Settings, or the end of one of the tallies that there are.
#[derive(Clone, Debug)]
pub enum Happening {
    Set(bool, u64),
    Opened(u64),
    Ended(usize),
}

pub fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        1 => (prop::bool::weighted(0.8), 1_000..1_002_u64)
            .prop_map(|(on, every_ms)| Happening::Set(on, every_ms)),
        1 => (1..4_u64).prop_map(Happening::Opened),
        3 => (0..20_usize).prop_map(Happening::Ended),
    ]
}

pub fn event(state: &State, happening: Happening) -> Option<Event> {
    Some(Event::Bean(match happening {
        Happening::Set(on, every_ms) => BeanEvent::Set {
            settings: BeanSettings {
                on,
                every_ms,
                ..BeanSettings::default()
            },
        },
        Happening::Opened(user) => BeanEvent::Opened {
            of: PurseOf::User(docklet_control::id::UserId(user)),
            beans: MicroBeans(1),
            number: LogIndex(1),
            told: std::collections::BTreeSet::new(),
        },
        Happening::Ended(which) => {
            let tally: &Tally = state.tallies.values().nth(which)?;
            BeanEvent::TallyEnded {
                about: TallyRef::from(tally),
            }
        }
    }))
}
