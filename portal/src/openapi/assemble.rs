//! The document of all operations.

use std::collections::BTreeSet;

use docklet_control::account::scope::Takes;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::codes;
use super::draft::{Asks, Draft};
use super::routes::Operation;
use crate::asker::{self, COOKIE};

const SCHEMAS: &str = "/components/schemas";
/// What differs in a schema of what is asked from that of what is answered has this behind its name.
const ASKED: &str = "Asked";

pub(super) fn assemble(operations: Vec<Operation>) -> Value {
    let (mut given, mut taken) = (generator(false), generator(true));
    let mut paths = Map::new();
    for operation in operations {
        let method = operation.method.as_str().to_lowercase();
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[&method] = written(&operation, &mut given, &mut taken);
    }
    let given = given.take_definitions(true);
    let mut taken = taken.take_definitions(true);
    let differing = differing(&given, &taken);
    let mut paths = Value::Object(paths);
    for path in paths.as_object_mut().into_iter().flat_map(Map::values_mut) {
        for operation in path.as_object_mut().into_iter().flat_map(Map::values_mut) {
            rename(&mut operation["parameters"], &differing);
            rename(&mut operation["requestBody"], &differing);
            without_nothing(operation);
        }
    }
    let mut schemas = given;
    for (name, schema) in &mut taken {
        rename(schema, &differing);
        let name = match differing.contains(name) {
            true => format!("{name}{ASKED}"),
            false => name.clone(),
        };
        schemas.insert(name, schema.clone());
    }
    schemas.insert("Problem".to_owned(), problem());
    schemas.sort_keys();
    json!({
        "openapi": "3.1.0",
        "info": info(),
        "servers": [{"url": "/api/v1", "description": "any master"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": problems(),
            "parameters": parameters(),
            "securitySchemes": securities(),
        },
    })
}

fn generator(taken: bool) -> SchemaGenerator {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = SCHEMAS.into();
        settings.meta_schema = None;
    });
    let settings = match taken {
        true => settings.for_deserialize(),
        false => settings.for_serialize(),
    };
    settings.into_generator()
}

fn written(
    operation: &Operation,
    given: &mut SchemaGenerator,
    taken: &mut SchemaGenerator,
) -> Value {
    let mut draft = Draft::new(operation.path, operation.method.clone(), (given, taken));
    (operation.describe)(&mut draft);
    for more in &operation.more {
        more(&mut draft);
    }
    let mut parameters = draft.parameters;
    if draft.asks != Asks::Anybody {
        parameters.push(json!({"$ref": "#/components/parameters/index"}));
        if !operation.method.is_safe() {
            parameters.push(json!({"$ref": "#/components/parameters/request"}));
        }
    }
    let mut responses = Map::new();
    for (status, answer) in draft.answers {
        responses.insert(status.to_string(), answer);
    }
    for status in draft.problems {
        let named = format!("#/components/responses/Problem{status}");
        responses.insert(status.to_string(), json!({ "$ref": named }));
    }
    let (security, needed) = security(operation, draft.asks);
    json!({
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": needed,
        "security": security,
        "parameters": parameters,
        "requestBody": draft.body,
        "responses": responses,
    })
}

/// Who may ask, for programs and in words.
fn security(operation: &Operation, asks: Asks) -> (Value, String) {
    let route = format!("/api/v1{}", operation.path);
    let needed = match asker::wanted(&route, &operation.method) {
        Some((scope, _)) => Takes::Scope(scope),
        None => operation.takes,
    };
    let (known, words) = match needed {
        Takes::Scope(scope) => (
            json!([{"token": [scope.word()]}, {"session": []}]),
            format!("A token needs the scope `{}`.", scope.word()),
        ),
        Takes::Login | Takes::Machine => (
            json!([{"login": []}, {"session": []}]),
            "A login is needed; no API token does it.".to_owned(),
        ),
    };
    match asks {
        Asks::Anybody => (json!([]), "For everybody, logged in or not.".to_owned()),
        Asks::AnybodyOrPerson => {
            let mut known = known;
            known
                .as_array_mut()
                .into_iter()
                .for_each(|known| known.push(json!({})));
            (known, words)
        }
        Asks::Person => (known, words),
    }
}

/// Names of both whose schemas differ, or lead to such.
fn differing(given: &Map<String, Value>, taken: &Map<String, Value>) -> BTreeSet<String> {
    let both = taken
        .iter()
        .filter_map(|(name, schema)| Some((name, schema, given.get(name)?)));
    let mut found: BTreeSet<String> = both
        .clone()
        .filter(|(_, taken, given)| taken != given)
        .map(|(name, ..)| name.clone())
        .collect();
    loop {
        let leads = |schema: &Value| {
            let mut renamed = schema.clone();
            rename(&mut renamed, &found);
            renamed != *schema
        };
        let more: Vec<String> = both
            .clone()
            .filter(|(name, taken, _)| !found.contains(*name) && leads(taken))
            .map(|(name, ..)| name.clone())
            .collect();
        if more.is_empty() {
            return found;
        }
        found.extend(more);
    }
}

/// Lets references lead to the schemas of what is asked.
fn rename(within: &mut Value, names: &BTreeSet<String>) {
    match within {
        Value::Object(fields) => {
            if let Some(Value::String(to)) = fields.get_mut("$ref") {
                let name = to.rsplit('/').next().unwrap_or_default();
                if to.starts_with("#/components/schemas/") && names.contains(name) {
                    to.push_str(ASKED);
                }
            }
            fields.values_mut().for_each(|value| rename(value, names));
        }
        Value::Array(parts) => parts.iter_mut().for_each(|part| rename(part, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn without_nothing(operation: &mut Value) {
    if let Some(fields) = operation.as_object_mut() {
        fields.retain(|_, value| !value.is_null() && *value != json!([]) || value.is_object());
        fields.entry("security").or_insert_with(|| json!([]));
    }
}

fn info() -> Value {
    json!({
        "title": "Docklet",
        "version": "1",
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        "description": "Every master answers all of it. Amounts have their unit in their name; times are milliseconds since 1970. \
            What is refused changed nothing, and is told as a problem with a stable code.",
    })
}

fn problem() -> Value {
    json!({
        "type": "object",
        "description": "What went wrong (RFC 9457).",
        "required": ["type", "title", "status", "code", "detail"],
        "properties": {
            "type": {"type": "string", "description": "`urn:docklet:problem:` and the code"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "code": {"type": "string", "description": "Stable: for programs"},
            "detail": {"type": "string", "description": "Cause, scope and next step: for people"},
        },
    })
}

fn problems() -> Value {
    let all = codes::by_status().into_iter().map(|(status, codes)| {
        let codes: Vec<&str> = codes.into_iter().collect();
        let schema = json!({
            "allOf": [{"$ref": "#/components/schemas/Problem"}],
            "properties": {"status": {"const": status}, "code": {"enum": codes}},
        });
        let response = json!({
            "description": axum::http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Problem"),
            "content": {"application/problem+json": {"schema": schema}},
        });
        (format!("Problem{status}"), response)
    });
    Value::Object(all.collect())
}

fn parameters() -> Value {
    json!({
        "index": {
            "name": "docklet-index", "in": "header", "required": false,
            "description": "The entry of what was last written or seen: the answer is at least as new.",
            "schema": {"type": "integer", "format": "uint64", "minimum": 0},
        },
        "request": {
            "name": "docklet-request", "in": "header", "required": false,
            "description": "By which this request is known if it is sent again: it has one effect. 32 hexadecimal digits, the first 16 \
                of them the newest entry that who asks knows, the others random.",
            "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
        },
    })
}

fn securities() -> Value {
    json!({
        "token": {
            "type": "http", "scheme": "bearer",
            "description": "An API token (`POST /access-tokens`) with the scope that is named, or a login (`POST /login`).",
        },
        "login": {"type": "http", "scheme": "bearer", "description": "A login (`POST /login`)."},
        "session": {
            "type": "apiKey", "in": "cookie", "name": COOKIE,
            "description": "A browser's login. What changes something must come from this origin.",
        },
    })
}
