//! The fields of what the scheduler goes by.

use imbl::OrdMap;

use super::{Building, Fields};
use crate::model::Rules;
use crate::name::Name;

pub(super) fn labels(labels: Option<&OrdMap<Name, String>>) -> Fields {
    let all = labels.into_iter().flatten();
    let fields = all.fold(Building::default(), |fields, (key, value)| {
        fields.text(key.as_str(), value)
    });
    fields.0
}

pub(super) fn rules(rules: &Rules) -> Fields {
    let fields = Building::default()
        .text("spread", rules.spread.word())
        .number_if("per_worker_max", rules.per_worker_max.map(u64::from))
        .group("labels", labels(Some(&rules.labels)))
        .group("prefers", labels(Some(&rules.prefers)))
        .text("on_lost", rules.on_lost.word());
    fields.0
}
