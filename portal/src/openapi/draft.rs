//! One operation of the document while it is written.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    Anybody,
    /// Somebody who is known sees more.
    AnybodyOrPerson,
    Person,
}

pub(crate) struct Draft<'d> {
    pub(super) path: &'static str,
    pub(super) method: Method,
    /// Schemas of what is answered, and of what is asked: what may be left out differs.
    pub(super) given: &'d mut SchemaGenerator,
    pub(super) taken: &'d mut SchemaGenerator,
    pub(super) asks: Asks,
    pub(super) parameters: Vec<Value>,
    pub(super) body: Option<Value>,
    pub(super) answers: BTreeMap<u16, Value>,
    /// Statuses of problems.
    pub(super) problems: BTreeSet<u16>,
}

impl<'d> Draft<'d> {
    pub(super) fn new(
        path: &'static str,
        method: Method,
        (given, taken): (&'d mut SchemaGenerator, &'d mut SchemaGenerator),
    ) -> Self {
        Self {
            path,
            method,
            given,
            taken,
            asks: Asks::Anybody,
            parameters: Vec::new(),
            body: None,
            answers: BTreeMap::new(),
            problems: BTreeSet::new(),
        }
    }

    /// It may fail so, beside what its types say.
    pub(crate) fn may_fail(&mut self, statuses: &[u16]) {
        self.problems.extend(statuses);
    }

    /// An answer of this kind, which is no JSON, beside what else there is.
    pub(crate) fn answers(&mut self, status: u16, kind: &str, description: &str) {
        let schema = match kind.starts_with("text/") {
            true => json!({"type": "string"}),
            false => json!({}),
        };
        let answer = self
            .answers
            .entry(status)
            .or_insert_with(|| json!({"content": {}}));
        answer["description"] = json!(description);
        answer["content"][kind] = json!({"schema": schema});
    }

    /// A header that an answer has.
    pub(crate) fn tells(&mut self, status: u16, header: &str, description: &str) {
        let schema = json!({"type": "string"});
        let header = (
            header.to_owned(),
            json!({"description": description, "schema": schema}),
        );
        if let Some(answer) = self.answers.get_mut(&status) {
            answer["headers"][header.0] = header.1;
        }
    }

    pub(crate) fn answers_json<T: JsonSchema>(&mut self, status: u16, description: &str) {
        let schema = self.given.subschema_for::<T>();
        let content = json!({"application/json": {"schema": schema}});
        let answer = json!({"description": description, "content": content});
        self.answers.insert(status, answer);
    }

    pub(super) fn answers_nothing(&mut self, status: u16, description: &str) {
        self.answers
            .insert(status, json!({ "description": description }));
    }

    /// A header that a request may have.
    pub(crate) fn header(&mut self, name: &str, description: &str) {
        self.told_by(name, description, false);
    }

    /// A header that a request must have.
    pub(crate) fn needs_header(&mut self, name: &str, description: &str) {
        self.told_by(name, description, true);
        self.may_fail(&[422]);
    }

    fn told_by(&mut self, name: &str, description: &str, required: bool) {
        self.parameters.push(json!({
            "name": name, "in": "header", "required": required, "description": description,
            "schema": {"type": "string"},
        }));
    }

    /// A field of the query that is read by hand.
    pub(crate) fn asked<T: JsonSchema>(&mut self, name: &str, description: &str, required: bool) {
        let schema = self.taken.subschema_for::<T>();
        self.parameters.push(json!({
            "name": name, "in": "query", "required": required, "description": description,
            "schema": schema,
        }));
        self.may_fail(&[422]);
    }

    pub(super) fn query<T: JsonSchema>(&mut self) {
        let schema = T::json_schema(self.taken);
        let required: Vec<&str> = list(&schema, "required")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let fields = schema.get("properties").and_then(Value::as_object);
        for (name, schema) in fields.into_iter().flatten() {
            let mut schema = schema.clone();
            let description = schema
                .as_object_mut()
                .and_then(|schema| schema.remove("description"));
            let mut parameter = json!({
                "name": name, "in": "query", "required": required.contains(&name.as_str()), "schema": schema,
            });
            if let Some(description) = description {
                parameter["description"] = description;
            }
            self.parameters.push(parameter);
        }
        self.may_fail(&[400, 422]);
    }

    pub(super) fn path_parts<T: JsonSchema>(&mut self) {
        let schema = T::json_schema(self.taken);
        let parts = list(&schema, "prefixItems");
        let parts = match parts.is_empty() {
            true => vec![json!(self.taken.subschema_for::<T>())],
            false => parts.to_vec(),
        };
        let names = self.path.split('/').filter_map(|part| {
            let name = part.strip_prefix('{')?.strip_suffix('}')?;
            Some(name.to_owned())
        });
        for (name, schema) in names.zip(parts) {
            self.parameters
                .push(json!({"name": name, "in": "path", "required": true, "schema": schema}));
        }
        self.may_fail(&[400, 404]);
    }

    pub(super) fn takes_json<T: JsonSchema>(&mut self) {
        let schema = self.taken.subschema_for::<T>();
        let content = json!({"application/json": {"schema": schema}});
        self.body = Some(json!({"required": true, "content": content}));
        self.may_fail(&[408, 413, 422]);
    }

    pub(super) fn takes_bytes(&mut self) {
        self.body = Some(json!({
            "required": true, "content": {"application/octet-stream": {"schema": {}}},
        }));
    }
}

fn list<'s>(schema: &'s Schema, key: &str) -> &'s [Value] {
    let list = schema.get(key).and_then(Value::as_array);
    list.map_or(&[], Vec::as_slice)
}
