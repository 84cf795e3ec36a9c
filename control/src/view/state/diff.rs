//! What is different between two views of the state.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Field, Fields, Noun, StateView};

/// What is different, noun by noun. What is the same is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct StateDiff(pub BTreeMap<Noun, BTreeMap<String, NameDiff>>);

/// What became of what has a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NameDiff {
    /// It is new.
    Added(Fields),
    /// It is gone.
    Removed(Fields),
    /// Some of its fields differ; another thing may have the name now, then its id is among them.
    Changed(BTreeMap<String, FieldChange>),
}

/// A field before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FieldChange {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Field>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Field>,
}

/// What is different in `after`.
#[must_use]
pub fn diff(before: &StateView, after: &StateView) -> StateDiff {
    let none = BTreeMap::new();
    let nouns: BTreeSet<Noun> = before.0.keys().chain(after.0.keys()).copied().collect();
    let differing = nouns.into_iter().filter_map(|noun| {
        let of = |view: &'_ StateView| view.0.get(&noun).cloned();
        let (before, after) = (of(before), of(after));
        let names = names(
            before.as_ref().unwrap_or(&none),
            after.as_ref().unwrap_or(&none),
        );
        (!names.is_empty()).then_some((noun, names))
    });
    StateDiff(differing.collect())
}

fn names(
    before: &BTreeMap<String, Fields>,
    after: &BTreeMap<String, Fields>,
) -> BTreeMap<String, NameDiff> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differing = names.into_iter().filter_map(|name| {
        let became = match (before.get(name), after.get(name)) {
            (None, Some(new)) => NameDiff::Added(new.clone()),
            (Some(old), None) => NameDiff::Removed(old.clone()),
            (Some(old), Some(new)) if old != new => NameDiff::Changed(fields(old, new)),
            (Some(_), Some(_)) | (None, None) => return None,
        };
        Some((name.clone(), became))
    });
    differing.collect()
}

fn fields(before: &Fields, after: &Fields) -> BTreeMap<String, FieldChange> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differing = names.into_iter().filter_map(|name| {
        let (before, after) = (before.get(name).cloned(), after.get(name).cloned());
        (before != after).then_some((name.clone(), FieldChange { before, after }))
    });
    differing.collect()
}
