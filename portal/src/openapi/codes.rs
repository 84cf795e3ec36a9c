//! Codes of problems by their status. Those of refusals are asked of an example of each, which is made of their schema.

use std::collections::{BTreeMap, BTreeSet};

use docklet_control::Refusal;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::problem::{self, Problem};

/// All that there are.
pub(super) fn by_status() -> BTreeMap<u16, BTreeSet<&'static str>> {
    let mut codes: BTreeMap<u16, BTreeSet<&'static str>> = BTreeMap::new();
    let refused = refusals().into_iter().map(Problem::from);
    let refused = refused.map(|problem| (problem.status.as_u16(), problem.code));
    for (status, code) in refused.chain(problem::own_codes()) {
        codes.entry(status).or_default().insert(code);
    }
    codes
}

/// One of each kind.
pub(super) fn refusals() -> Vec<Refusal> {
    examples()
        .into_iter()
        .filter_map(|example| serde_json::from_value(example).ok())
        .collect()
}

/// What they look like in JSON.
pub(super) fn examples() -> Vec<Value> {
    let settings = SchemaSettings::draft2020_12().for_deserialize();
    let schema = settings.into_generator().into_root_schema_for::<Refusal>();
    let definitions = schema.get("$defs").cloned().unwrap_or_default();
    all_of(schema.as_value(), &definitions)
}

/// An example of each variant.
fn all_of(schema: &Value, definitions: &Value) -> Vec<Value> {
    let schema = resolved(schema, definitions);
    if let Some(variants) = schema["oneOf"].as_array() {
        let all = variants.iter().map(|variant| all_of(variant, definitions));
        return all.flatten().collect();
    }
    if let Some(words) = schema["enum"].as_array() {
        return words.clone();
    }
    let fields = schema["properties"].as_object();
    let only = fields.filter(|fields| fields.len() == 1);
    let only = only.and_then(|fields| fields.iter().next());
    match only {
        // A refusal of a topic stands in another: all of them are wanted.
        Some((name, inner)) => all_of(inner, definitions)
            .into_iter()
            .map(|inner| json!({ name: inner }))
            .collect(),
        None => vec![one_of(schema, definitions)],
    }
}

fn one_of(schema: &Value, definitions: &Value) -> Value {
    let schema = resolved(schema, definitions);
    if let Some(variants) = schema["oneOf"].as_array().or(schema["anyOf"].as_array()) {
        let first = variants.first();
        return first.map_or(Value::Null, |first| one_of(first, definitions));
    }
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    if let Some(only) = schema.get("const") {
        return only.clone();
    }
    let kind = schema["type"].as_str().or(schema["type"][0].as_str());
    match kind {
        Some("object") => {
            let fields = schema["properties"].as_object().into_iter().flatten();
            let fields = fields.map(|(name, field)| (name.clone(), one_of(field, definitions)));
            Value::Object(fields.collect::<Map<String, Value>>())
        }
        Some("array") => {
            let parts = schema["prefixItems"].as_array().into_iter().flatten();
            parts.map(|part| one_of(part, definitions)).collect()
        }
        Some("integer" | "number") => json!(1),
        Some("boolean") => json!(false),
        _ => json!("a"),
    }
}

fn resolved<'s>(schema: &'s Value, definitions: &'s Value) -> &'s Value {
    let name = schema["$ref"].as_str();
    let name = name.and_then(|name| name.strip_prefix("#/$defs/"));
    name.map_or(schema, |name| &definitions[name])
}
