//! What comes first of what an owner wishes.

use super::{Has, name, one, places, roomy, state_of};
use crate::model::{Rules, Spread};

#[test]
fn siblings_lie_as_their_rules_say() {
    let workers = || {
        vec![
            roomy(Some("a")),
            roomy(Some("a")),
            roomy(Some("a")),
            roomy(Some("b")),
        ]
    };
    let four = || vec![one(), one(), one(), one()];
    let with = |spread| Rules {
        spread,
        ..Rules::default()
    };
    let of = |spread| places(&state_of(workers(), with(spread), four()));
    assert_eq!(of(Spread::Workers), [1, 4, 2, 3]);
    assert_eq!(of(Spread::Zones), [1, 4, 2, 4]);
    assert_eq!(of(Spread::Together), [1, 1, 1, 1]);
}

#[test]
fn preferred_labels_come_before_the_spread_and_after_room() {
    let two = |zone| Has {
        units: [2, 2, 2],
        ..roomy(Some(zone))
    };
    let rules = Rules {
        prefers: [(name("zone"), "b".to_owned())].into_iter().collect(),
        ..Rules::default()
    };
    let three = vec![one(), one(), one()];
    assert_eq!(
        places(&state_of(vec![two("a"), two("b")], rules, three)),
        [2, 2, 1]
    );
}
