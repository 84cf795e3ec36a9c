//! The fields of beans.

use super::{Building, Noun, Shown};
use crate::bean::{called, decides, is_shown_to};
use crate::model::{BeanLine, Cost, LineOf, PurseOf, Rates, Used};

impl Shown<'_> {
    /// How the site uses them, for everybody; purses, requests, lines and tallies for whom they concern.
    pub(super) fn beans(&mut self) {
        let (state, asker) = (self.state, self.asker);
        if let Some(settings) = &state.bean_settings {
            let fields = Building::default()
                .text("in_use", if settings.on { "yes" } else { "no" })
                .number("birth", settings.birth)
                .number("grace_ms", settings.grace_ms)
                .number("every_ms", settings.every_ms)
                .list("thresholds", settings.thresholds.iter().map(u64::to_string))
                .group("rates", rates(&settings.rates));
            self.add(Noun::Beans, "settings".to_owned(), "", fields.0);
        }
        let shown = |of: PurseOf| is_shown_to(state, of, asker);
        for purse in state.purses.values().filter(|purse| shown(purse.of)) {
            let fields = Building::default()
                .text("beans", purse.balance)
                .text("before", purse.before)
                .number_if("spent_since", purse.spent_since.map(|at| at.0));
            let name = format!("purse of {}", called(state, purse.of));
            self.add(Noun::Beans, name, format!("{:?}", purse.of), fields.0);
        }
        let requests = state.bean_requests.values();
        for row in requests.filter(|row| row.user == asker.id || decides(state, row, asker)) {
            let verdict = row.verdict.as_ref().map(|verdict| {
                Building::default()
                    .text("given", if verdict.given { "yes" } else { "no" })
                    .text("reason", &verdict.reason)
                    .number("at", verdict.at.0)
                    .0
            });
            let fields = Building::default()
                .number("number", row.number.0)
                .number("beans", row.beans)
                .text("reason", &row.reason)
                .number("asked_at", row.asked_at.0)
                .group_if("verdict", verdict);
            let name = format!("request of {}", self.person(row.user));
            self.add(Noun::Beans, name, row.user, fields.0);
        }
        // Of earlier months statements tell: there may be too many of them.
        let purses = state.purses.keys().copied().filter(|of| shown(*of));
        let newest = purses.filter_map(|of| {
            let last = state.bean_lines_of(of).next_back()?;
            Some((of, last.month))
        });
        for line in newest.flat_map(|(of, month)| state.bean_lines_in(of, month)) {
            let (of, about) = (called(state, line.of), about(line));
            let fields = Building::default()
                .text("of", &of)
                .text("month", line.month)
                .text("label", &line.label)
                .group("used", used(&line.used))
                .group("cost", cost(&line.cost))
                .text("credit", line.credit)
                .text("amount", line.amount())
                .number("count", line.count)
                .number("first", line.first.0)
                .number("last", line.last.0);
            let name = format!("{of} {} {about}", line.month);
            self.add(Noun::Charges, name, format!("{:?}", line.of), fields.0);
        }
        let purses = state.purses.keys().copied().filter(|of| shown(*of));
        for row in purses.filter_map(|of| state.bean_days_of(of).next_back()) {
            let days = row.days.iter();
            let days = days.fold(Building::default(), |fields, (day, sum)| {
                let fields_of_day = Building::default()
                    .text("spent", sum.cost.sum())
                    .text("credit", sum.credit);
                fields.group(&format!("{}-{day}", row.month), fields_of_day.0)
            });
            let of = called(state, row.of);
            let name = format!("{of} {} by day", row.month);
            self.add(Noun::Charges, name, format!("{:?}", row.of), days.0);
        }
        let tallies = state.tallies.values();
        for tally in tallies.filter(|tally| shown(PurseOf::User(tally.owner))) {
            let fields = Building::default()
                .text("owner", self.person(tally.owner))
                .text("label", &tally.label)
                .text("charged", tally.charged)
                .text("hour", tally.hour)
                .text("behind", if tally.behind { "yes" } else { "no" })
                .group_if("used", tally.used.as_ref().map(used));
            let name = format!("{}@{}", tally.vnode, tally.epoch);
            self.add(Noun::Tallies, name, "", fields.0);
        }
    }
}

fn about(line: &BeanLine) -> String {
    match line.about {
        LineOf::Credits => "credits".to_owned(),
        LineOf::Vnode(vnode) => format!("vnode {vnode}"),
        LineOf::Others => "others".to_owned(),
    }
}

fn rates(rates: &Rates) -> super::Fields {
    let gpus = rates.gpus.iter();
    let gpus = gpus.fold(Building::default(), |fields, (model, beans)| {
        fields.number(model, *beans)
    });
    Building::default()
        .number("cpu_s", rates.cpu_s)
        .number("cpu_s_mib", rates.cpu_s_mib)
        .number("memory_mib_h", rates.memory_mib_h)
        .number("disk_mib_h", rates.disk_mib_h)
        .number("port_h", rates.port_h)
        .number("network_bytes", rates.network_bytes)
        .number("gpu_h", rates.gpu_h)
        .text("whole_hours", if rates.whole_hours { "yes" } else { "no" })
        .group("gpus", gpus.0)
        .0
}

fn used(used: &Used) -> super::Fields {
    let gpus = used.gpu_ms.iter();
    let gpus = gpus.fold(Building::default(), |fields, (model, ms)| {
        fields.number(model, *ms)
    });
    Building::default()
        .number("run_ms", used.run_ms)
        .number("cpu_ms", used.cpu_ms)
        .number("cpu_ms_mib", used.cpu_ms_mib)
        .number("memory_mib_ms", used.memory_mib_ms)
        .number("disk_mib_ms", used.disk_mib_ms)
        .number("port_ms", used.port_ms)
        .number("network_bytes", used.network_bytes)
        .group("gpu_ms", gpus.0)
        .0
}

fn cost(cost: &Cost) -> super::Fields {
    let parts = cost.parts().into_iter();
    let parts = parts.fold(Building::default(), |fields, (name, beans)| {
        fields.text(name, beans)
    });
    parts.0
}
