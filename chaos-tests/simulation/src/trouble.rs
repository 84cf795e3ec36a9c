//! Everything that can go wrong, one by one.

use std::time::Duration;

use docklet_control::id::{MasterId, RequestId};
use docklet_raft::Frozen;
use docklet_raft::disk::Disk as _;
use rand::Rng;

use crate::clients::ADMIN;
use crate::machine::{Condition, Machine};
use crate::network::{Conditions, Place};
use crate::operator::Wish;
use crate::profile::Trouble;
use crate::violation::{Law, Violation};
use crate::weather::{Flip, Later, Weather};

/// How long what passes by itself may last.
const CUT_MS: std::ops::Range<u64> = 200..8_000;

impl Weather {
    /// Makes trouble, for this machine if it is trouble of one.
    pub(crate) fn make(&mut self, trouble: Trouble, place: Place, machines: &mut [Machine]) {
        let machine = &mut machines[place];
        match trouble {
            Trouble::Kill => self.kill(machine),
            Trouble::KillAll => machines.iter_mut().for_each(|machine| self.kill(machine)),
            Trouble::PowerLoss => self.lose_power(machine),
            Trouble::PowerLossAll => machines
                .iter_mut()
                .for_each(|machine| self.lose_power(machine)),
            Trouble::PowerLossInWrite | Trouble::DiskFails | Trouble::DiskFull => {
                self.spoil(trouble, machine);
            }
            Trouble::DiskSlow => self.slow(machine),
            Trouble::BitFlip => self.flip(machine),
            Trouble::Pause => self.pause(machine),
            Trouble::ClockJump => self.jump(machine),
            Trouble::Stop => {
                machine.tell("is told to stop");
                machine.stop();
            }
            Trouble::Transfer => self.transfer(place, machines),
            Trouble::Lose => self.lose(machine),
            Trouble::Grow => self.grow(machines),
            Trouble::Shrink => self.shrink(place, machines),
            Trouble::Split | Trouble::Isolate | Trouble::OneWay | Trouble::Bridge => {
                self.cut(trouble, place);
            }
            Trouble::BadNetwork => self.worsen(),
        }
    }

    fn restart_later(&mut self, machine: &mut Machine) {
        let most = self.one_of(&[50, 500, 5_000]);
        let wait = self.dice.random_range(1..=most);
        machine.start_at_ms = Some(self.trace.now_ms() + wait);
    }

    fn kill(&mut self, machine: &mut Machine) {
        if machine.is_on() {
            machine.tell("is killed");
            machine.kill();
            self.restart_later(machine);
        }
    }

    fn lose_power(&mut self, machine: &mut Machine) {
        if machine.is_on() {
            machine.tell("loses power");
            machine.lose_power(self.dice.random());
            self.restart_later(machine);
        }
    }

    fn spoil(&mut self, trouble: Trouble, machine: &Machine) {
        let operations = self.dice.random_range(0..40);
        if trouble == Trouble::PowerLossInWrite {
            machine.tell(&format!("power is to fail at disk operation {operations}"));
            machine.disk.lose_power_after(operations);
        } else if trouble == Trouble::DiskFails {
            machine.tell(&format!("disk is to fail at operation {operations}"));
            machine.disk.fail_after(operations);
        } else {
            let bytes = self.dice.random_range(0..20_000);
            machine.tell(&format!("disk has room for {bytes} bytes"));
            machine.disk.fill_after(bytes);
        }
    }

    fn slow(&mut self, machine: &Machine) {
        machine.tell("disk is slow");
        machine.disk.set_latency((20, 600));
        self.later(500..6_000, Later::DiskFast(machine.place));
    }

    fn pause(&mut self, machine: &mut Machine) {
        machine.tell("is frozen");
        machine.pause();
        self.later(50..8_000, Later::Resume(machine.place));
    }

    fn jump(&mut self, machine: &mut Machine) {
        let far = self.one_of(&[1_000_i64, 60_000, 3_600_000]);
        let skew = self.dice.random_range(-far..=far);
        machine.tell(&format!("clock is {skew} ms ahead"));
        machine.set_skew_ms(skew);
        // Of the next process: how fast its timers are.
        machine.rate_ppm = self.dice.random_range(950_000..1_050_000);
        self.later(500..20_000, Later::ClockRight(machine.place));
    }

    fn transfer(&mut self, place: Place, machines: &[Machine]) {
        let installed = machines.iter().filter_map(|machine| machine.installed);
        let ids: Vec<u64> = installed.map(|identity| identity.id).collect();
        let next = self.one_of(&ids);
        machines[place].tell(&format!("is asked that master {next} shall lead"));
        machines[place].ask(move |master| async move {
            let wait = Duration::from_secs(2);
            // Refused, unknown or done: each may be.
            drop(master.transfer(ADMIN, MasterId(next), wait).await);
        });
    }

    /// The disk is gone for good, and the master that was on it. Another comes in its place.
    fn lose(&mut self, machine: &mut Machine) {
        if let Some(lost) = machine.installed {
            machine.tell(&format!("loses its disk; master {} is gone", lost.id));
            machine.wipe();
            machine.promised = true;
            self.wish(Wish::Replace(machine.place, lost.id));
        }
    }

    fn grow(&mut self, machines: &mut [Machine]) {
        let spare = machines.iter_mut().find(|machine| machine.is_spare());
        if let Some(spare) = spare {
            spare.promised = true;
            spare.tell("is to have a master");
            self.wish(Wish::Admit(spare.place));
        }
    }

    /// Somebody asks this master that another one be removed, or it itself.
    fn shrink(&mut self, place: Place, machines: &[Machine]) {
        let installed = machines.iter().filter_map(|machine| machine.installed);
        let ids: Vec<u64> = installed.map(|identity| identity.id).collect();
        if ids.len() <= 3 {
            return;
        }
        let gone = self.one_of(&ids);
        machines[place].tell(&format!("is asked that master {gone} be removed"));
        let request = RequestId(self.dice.random());
        machines[place].ask(move |master| async move {
            let wait = Duration::from_secs(5);
            let removed = master.remove_master(ADMIN, request, MasterId(gone), false, wait);
            // Refused, unknown or done: each may be.
            drop(removed.await);
        });
    }

    fn wish(&self, wish: Wish) {
        self.wishes.send(wish).expect("the operator listens");
    }

    fn cut(&mut self, trouble: Trouble, place: Place) {
        let toss = self.dice.random();
        if trouble == Trouble::Isolate {
            self.ways.isolate(place, toss);
        } else if trouble == Trouble::OneWay {
            self.ways.one_way(place, toss);
        } else if trouble == Trouble::Bridge {
            let hub = self.dice.random_range(0..self.ways.masters);
            self.ways.bridge(hub);
        } else {
            let sides: Vec<bool> = (0..self.ways.masters).map(|_| self.dice.random()).collect();
            self.ways.split(&sides);
        }
        self.later(CUT_MS, Later::Heal);
    }

    fn worsen(&mut self) {
        self.ways.set_conditions(Conditions {
            delay_ms: (1, self.dice.random_range(10..200)),
            late_one_in: 20,
            late_ms: 1_500,
            ..self.profile.conditions
        });
        self.later(500..6_000, Later::Calm);
    }

    /// Kills the master and flips one bit of its log, in a segment that has another after it: a flip at the very end
    /// is no different from a torn write (ADR 0007).
    fn flip(&mut self, machine: &mut Machine) {
        // More than one at a time may be more than those left can bear.
        if !self.flipped.is_empty() || !machine.is_on() {
            return;
        }
        self.kill(machine);
        let memory = machine.disk.memory().clone();
        let names = memory.list().expect("a disk that works");
        let names = names.into_iter().filter(|name| name.starts_with("log-"));
        let used = |name: &str| memory.bytes(name).iter().rposition(|byte| *byte != 0);
        let used: Vec<(String, usize)> = names
            .filter_map(|name| Some((name.clone(), used(&name)?)))
            .collect();
        let Some((_last, sealed)) = used.split_last().filter(|(_, sealed)| !sealed.is_empty())
        else {
            return;
        };
        let (name, used) = sealed[self.dice.random_range(0..sealed.len())].clone();
        let flip = Flip {
            offset: self.dice.random_range(0..=used),
            bit: self.dice.random_range(0..8),
            name,
        };
        machine.tell(&format!("a bit flips: {} at {}", flip.name, flip.offset));
        memory.flip(&flip.name, flip.offset, flip.bit);
        self.flipped.insert(machine.place, flip);
    }

    /// Looks after processes that have ended, and machines that went dark.
    ///
    /// # Errors
    /// One ended that should not have.
    pub fn supervise(
        &mut self,
        machines: &mut [Machine],
        newest: &Frozen,
    ) -> Result<(), Violation> {
        for machine in machines {
            self.retire(machine, newest);
            if machine.is_on() && self.ways.network.is_dark(machine.place) {
                self.lose_power(machine);
            }
            match machine.condition() {
                Some(Condition::Ended(why)) => self.bury(machine, &why)?,
                // It came up: the bit was of no use any more.
                Some(Condition::Running(_)) => {
                    if self.flipped.remove(&machine.place).is_some() {
                        self.trace.count("disk: flipped bit was of no use any more");
                    }
                }
                Some(Condition::Starting) | None => {}
            }
        }
        Ok(())
    }

    /// A master that was removed is taken off its machine, sooner or later.
    fn retire(&mut self, machine: &mut Machine, newest: &Frozen) {
        let removed = machine.installed.is_some_and(|installed| {
            let known = newest.state.masters.contains_key(&MasterId(installed.id));
            installed.id <= newest.index.0 && !known
        });
        if removed && self.dice.random_range(0..2_000) == 0 {
            machine.tell("is no master any more");
            machine.wipe();
        }
    }

    fn bury(&mut self, machine: &mut Machine, why: &str) -> Result<(), Violation> {
        let known = machine.disk.has_failed() || machine.is_stopping();
        machine.tell(&format!("ends: {why}"));
        if let Some(flip) = self.flipped.remove(&machine.place) {
            self.trace.count("disk: flipped bit refused by the master");
            machine
                .disk
                .memory()
                .flip(&flip.name, flip.offset, flip.bit);
        } else if !known {
            let what = format!("{} ended: {why}", machine.name);
            return Err(Violation::of(Law::Endings, what));
        } else if machine.disk.has_failed() {
            self.trace.count("disk: failure ended the master");
        }
        machine.kill();
        self.restart_later(machine);
        Ok(())
    }
}
