//! What it costs. Of each amount the cost of all of it so far is rounded down to a millionth of a bean, and what is charged is
//! how much that has grown: so nothing is lost by how often a worker tells, and nothing is charged twice.
//!
//! ```text
//! cpu      = core seconds / cpu_s
//! memory   = core seconds x MiB in use / cpu_s_mib  +  MiB hours / memory_mib_h
//! disk     = MiB of disk x hours of running / disk_mib_h
//! ports    = open ports x hours of running / port_h
//! network  = bytes / network_bytes
//! gpus     = hours of each GPU x beans of its model
//! ```
//!
//! With `whole_hours` an hour of running costs whole beans: what is missing to them is added when the hour ends, or the
//! placement. A reading that covers several hours rounds once for all of them.

use crate::model::{Cost, MicroBeans, Rates, Used};

const MICRO: u128 = 1_000_000;
const HOUR_MS: u64 = 3_600_000;
/// No part of one charge is more: a hundred million beans.
const PART_MAX: u128 = 100_000_000 * MICRO;

/// What growing from `before` to `now` costs, and what of it is of the hour that has not ended. `hour` is what that had cost
/// before, and `ends` says that no more follows.
#[must_use]
pub fn cost(
    rates: &Rates,
    before: &Used,
    now: &Used,
    hour: MicroBeans,
    ends: bool,
) -> (Cost, MicroBeans) {
    let grown = |of: fn(&Rates, &Used) -> u128| {
        let more = of(rates, now).saturating_sub(of(rates, before));
        let more = more.min(PART_MAX);
        MicroBeans(i64::try_from(more).expect("it is no more than a hundred million beans"))
    };
    let mut cost = Cost {
        cpu: grown(cpu),
        memory: grown(memory),
        disk: grown(disk),
        ports: grown(ports),
        network: grown(network),
        gpus: grown(gpus),
        rounding: MicroBeans(0),
    };
    let spent = cost.sum();
    let (closed, open) = if ends {
        (hour.plus(spent), MicroBeans(0))
    } else if now.run_ms / HOUR_MS > before.run_ms / HOUR_MS {
        let open = share(spent, now.run_ms % HOUR_MS, now.run_ms - before.run_ms);
        (hour.plus(spent).minus(open), open)
    } else {
        return (cost, hour.plus(spent));
    };
    if rates.whole_hours {
        let part = closed.0.rem_euclid(MicroBeans::ONE);
        let missing = if part == 0 { 0 } else { MicroBeans::ONE - part };
        cost.rounding = MicroBeans(missing);
    }
    (cost, open)
}

/// `part` of `whole` of it.
fn share(spent: MicroBeans, part: u64, whole: u64) -> MicroBeans {
    let share = i128::from(spent.0) * i128::from(part.min(whole)) / i128::from(whole.max(1));
    MicroBeans(i64::try_from(share).unwrap_or(spent.0))
}

/// `amount` in units of which `per_bean` cost a bean; nothing if that is 0.
fn priced(amount: u64, units: u64, per_bean: u64) -> u128 {
    if per_bean == 0 {
        return 0;
    }
    u128::from(amount) * MICRO / (u128::from(units) * u128::from(per_bean))
}

fn cpu(rates: &Rates, used: &Used) -> u128 {
    priced(used.cpu_ms, 1_000, rates.cpu_s)
}

fn memory(rates: &Rates, used: &Used) -> u128 {
    let working = priced(used.cpu_ms_mib, 1_000, rates.cpu_s_mib);
    working + priced(used.memory_mib_ms, HOUR_MS, rates.memory_mib_h)
}

fn disk(rates: &Rates, used: &Used) -> u128 {
    priced(used.disk_mib_ms, HOUR_MS, rates.disk_mib_h)
}

fn ports(rates: &Rates, used: &Used) -> u128 {
    priced(used.port_ms, HOUR_MS, rates.port_h)
}

fn network(rates: &Rates, used: &Used) -> u128 {
    priced(used.network_bytes, 1, rates.network_bytes)
}

fn gpus(rates: &Rates, used: &Used) -> u128 {
    let each = used.gpu_ms.iter().map(|(model, ms)| {
        let beans = rates.gpus.get(model).copied().unwrap_or(rates.gpu_h);
        u128::from(*ms) * u128::from(beans) * MICRO / u128::from(HOUR_MS)
    });
    each.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A busy core with 1,000 MiB, 2,000 MiB of disk and a port, for so many seconds.
    fn busy(seconds: u64) -> Used {
        let ms = seconds * 1_000;
        Used {
            run_ms: ms,
            cpu_ms: ms,
            cpu_ms_mib: ms * 1_000,
            memory_mib_ms: ms * 1_000,
            disk_mib_ms: ms * 2_000,
            port_ms: ms,
            ..Used::default()
        }
    }

    #[test]
    fn an_hour_costs_what_it_did_in_the_docklet_of_before() {
        let rates = Rates::default();
        let (cost, open) = cost(&rates, &Used::default(), &busy(3_600), MicroBeans(0), false);
        assert_eq!(cost.cpu, MicroBeans(7_200_000));
        assert_eq!(cost.memory, MicroBeans(1_800_000));
        assert_eq!(cost.disk, MicroBeans(500_000));
        assert_eq!(cost.ports, MicroBeans(1_000_000));
        assert_eq!(cost.rounding, MicroBeans(500_000), "10.5 is 11");
        assert_eq!(cost.sum(), MicroBeans::whole(11));
        assert_eq!(open, MicroBeans(0));
    }

    #[test]
    fn however_often_it_is_read_it_costs_the_same() {
        let rates = Rates::default();
        for step in [1, 7, 60, 599] {
            let (mut used, mut hour, mut sum) = (Used::default(), MicroBeans(0), MicroBeans(0));
            let mut second = 0;
            while second < 3_600 {
                second = (second + step).min(3_600);
                let (part, open) = cost(&rates, &used, &busy(second), hour, false);
                (used, hour, sum) = (busy(second), open, sum.plus(part.sum()));
            }
            assert_eq!(
                (sum, hour),
                (MicroBeans::whole(11), MicroBeans(0)),
                "{step}"
            );
        }
    }

    #[test]
    fn the_end_rounds_and_several_hours_at_once_round_once() {
        let rates = Rates::default();
        let (late, open) = cost(&rates, &Used::default(), &busy(7_300), MicroBeans(0), false);
        assert!(late.rounding.0 < MicroBeans::ONE);
        let (last, none) = cost(&rates, &busy(7_300), &busy(7_300), open, true);
        assert_eq!(last.sum(), last.rounding);
        assert_eq!(none, MicroBeans(0));
        let all = late.sum().plus(last.sum());
        assert_eq!(all.0 % MicroBeans::ONE, 0, "{all}");
        let exact = Rates {
            whole_hours: false,
            ..rates
        };
        let (cost, _) = cost(&exact, &Used::default(), &busy(5), MicroBeans(0), true);
        assert_eq!(cost.rounding, MicroBeans(0));
    }

    #[test]
    fn gpus_cost_by_model_and_what_is_free_costs_nothing() {
        let used = Used {
            network_bytes: 3_000_000_000,
            gpu_ms: [("A100".to_owned(), HOUR_MS), ("T4".to_owned(), HOUR_MS / 2)].into(),
            ..Used::default()
        };
        let mut rates = Rates::default();
        rates.gpus.insert("T4".to_owned(), 20);
        let of = |rates: &Rates| cost(rates, &Used::default(), &used, MicroBeans(0), false).0;
        assert_eq!(of(&rates).gpus, MicroBeans::whole(110));
        assert_eq!(of(&rates).network, MicroBeans::whole(3));
        rates.network_bytes = 0;
        assert_eq!(of(&rates).network, MicroBeans(0));
        let most = Used {
            gpu_ms: [("A100".to_owned(), Used::MOST)].into(),
            ..Used::default()
        };
        let (cost, _) = cost(&rates, &Used::default(), &most, MicroBeans(0), false);
        assert_eq!(cost.gpus, MicroBeans::whole(100_000_000), "bounded");
    }
}
