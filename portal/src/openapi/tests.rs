//! The document is whole, and the one that was recorded.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{assemble, codes, document};

const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");

fn parsed() -> Value {
    serde_json::from_str(&document()).expect("the document is JSON")
}

fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().expect("paths");
    let named = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().expect("methods");
        methods
            .iter()
            .map(move |(method, operation)| (format!("{method} {path}"), operation))
    });
    named.collect()
}

/// Rewrite it with `make bless-openapi`, and read what changed.
#[test]
fn the_recorded_document_is_that_of_the_code() {
    let document = document();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(RECORDED, &document).expect("the recording can be written");
    }
    let recorded = std::fs::read_to_string(RECORDED).unwrap_or_default();
    let differs = recorded
        .lines()
        .zip(document.lines())
        .position(|(recorded, line)| recorded != line);
    assert!(
        recorded == document,
        "docs/openapi.json is not what the code says, from line {:?} on: run `make bless-openapi`",
        differs.map(|line| line + 1)
    );
}

#[test]
fn each_operation_says_what_it_is_and_gives() {
    let document = parsed();
    let mut ids = BTreeSet::new();
    for (name, operation) in operations(&document) {
        let id = operation["operationId"].as_str().expect("an id");
        assert!(ids.insert(id), "{name}: {id} is another's, too");
        assert!(
            operation["summary"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{name}"
        );
        let answers = operation["responses"].as_object().expect("answers");
        let fine = |status: &&String| status.starts_with('2') || *status == "101";
        assert!(
            answers.keys().any(|status| fine(&status)),
            "{name} gives nothing"
        );
        let placed = |place: &str| -> usize {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            parameters
                .filter(|parameter| parameter["in"] == place)
                .count()
        };
        assert_eq!(placed("path"), name.matches('{').count(), "{name}");
    }
    assert!(ids.len() > 170, "{}", ids.len());
}

#[test]
fn all_that_is_referred_to_is_there() {
    fn look<'v>(value: &'v Value, found: &mut BTreeSet<&'v str>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|value| look(value, found));
            }
            Value::Array(parts) => parts.iter().for_each(|part| look(part, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let document = parsed();
    let mut found = BTreeSet::new();
    look(&document, &mut found);
    assert!(found.len() > 100);
    for reference in found {
        let pointer = reference.strip_prefix('#').expect("within the document");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    // Schemas of one name would get numbers.
    let schemas = document["components"]["schemas"]
        .as_object()
        .expect("schemas");
    let numbered = schemas
        .keys()
        .find(|name| name.ends_with(|last: char| last.is_ascii_digit()));
    assert_eq!(
        numbered, None,
        "two types have the same name: rename one with #[schemars(rename)]"
    );
}

#[test]
fn each_refusal_has_an_example() {
    let examples = codes::examples();
    let made = codes::refusals();
    assert_eq!(examples.len(), made.len());
    let known: BTreeSet<&str> = codes::by_status().into_values().flatten().collect();
    for code in [
        "name_taken",
        "account_locked",
        "scope_missing",
        "no_quorum",
        "file_changed",
    ] {
        assert!(known.contains(code), "{code}");
    }
    assert!(made.len() > 90, "{}", made.len());
}

/// One and the same each time: no order of a hash is in it.
#[test]
fn it_is_the_same_each_time() {
    let made = || assemble::assemble(crate::router::operations());
    assert_eq!(made(), made());
}
