//! Ways between machines that are cut, and the network's moods.

use crate::network::{Conditions, Network, Place};
use crate::trace::Trace;

/// All ways of a cluster of so many masters, and of its clients.
pub struct Ways {
    pub network: Network,
    pub trace: Trace,
    pub masters: usize,
    pub clients: Place,
}

impl Ways {
    fn tell(&self, what: &str) {
        self.trace.tell("network", what);
    }

    fn others(&self, place: Place) -> impl Iterator<Item = Place> + use<> {
        (0..self.masters).filter(move |other| *other != place)
    }

    fn cut_both(&self, one: Place, other: Place) {
        self.network.cut(one, other);
        self.network.cut(other, one);
    }

    pub fn heal(&self) {
        self.tell("all ways are open");
        self.network.heal();
    }

    pub fn set_conditions(&self, conditions: Conditions) {
        self.tell(&format!("{conditions:?}"));
        self.network.set_conditions(conditions);
    }

    /// Masters on different sides do not reach each other.
    pub fn split(&self, sides: &[bool]) {
        let side = |which: bool| {
            let names = (0..sides.len()).filter(|place| sides[*place] == which);
            let names: Vec<String> = names.map(|place| format!("m{}", place + 1)).collect();
            names.join(" ")
        };
        self.tell(&format!("split: {} | {}", side(false), side(true)));
        for one in 0..sides.len() {
            for other in self.others(one).filter(|other| sides[*other] != sides[one]) {
                self.network.cut(one, other);
            }
        }
    }

    /// Nobody reaches it, clients perhaps.
    pub fn isolate(&self, place: Place, from_clients: bool) {
        self.tell(&format!("m{} is cut off", place + 1));
        for other in self.others(place) {
            self.cut_both(place, other);
        }
        if from_clients {
            self.cut_both(place, self.clients);
        }
    }

    /// It hears no other master, or is heard by none.
    pub fn one_way(&self, place: Place, inward: bool) {
        let what = if inward { "hears" } else { "is heard by" };
        self.tell(&format!("m{} {what} nobody", place + 1));
        for other in self.others(place) {
            if inward {
                self.network.cut(other, place);
            } else {
                self.network.cut(place, other);
            }
        }
    }

    /// Those on either side of it reach each other only by way of it, which nobody does.
    pub fn bridge(&self, hub: Place) {
        self.tell(&format!("m{} is the only bridge", hub + 1));
        for one in self.others(hub) {
            for other in self
                .others(hub)
                .filter(|other| (*other < hub) != (one < hub))
            {
                self.network.cut(one, other);
            }
        }
    }
}
