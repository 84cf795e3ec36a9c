//! Where operations of the interface are. The command line asks for nothing that others' programs could not: each operation is one
//! of the recorded document, against which builds with assertions hold every request.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use reqwest::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;

const DOCUMENT: &str = include_str!("../../docs/openapi.json");

/// Beneath a server; with its query, if there is one.
///
/// # Panics
/// In builds with assertions, if the document has no such operation.
pub fn address(method: &Method, path: &str) -> String {
    debug_assert!(
        is_documented(method, path),
        "{method} {path} is no operation of docs/openapi.json: record it with `make bless-openapi`"
    );
    format!("/api/v1{path}")
}

/// Paths as the document has them, each with its methods in small letters.
#[derive(Deserialize)]
struct Document {
    paths: BTreeMap<String, BTreeMap<String, IgnoredAny>>,
}

fn is_documented(method: &Method, path: &str) -> bool {
    static RECORDED: LazyLock<Document> =
        LazyLock::new(|| serde_json::from_str(DOCUMENT).expect("it is recorded as JSON"));
    RECORDED.has(method, path)
}

impl Document {
    fn has(&self, method: &Method, path: &str) -> bool {
        let path = path.split('?').next().unwrap_or_default();
        let method = method.as_str().to_lowercase();
        let mut paths = self.paths.iter();
        paths.any(|(template, methods)| fits(template, path) && methods.contains_key(&method))
    }
}

/// Whether a path is one of a template, as `/groups/{name}`.
fn fits(template: &str, path: &str) -> bool {
    let (wanted, given) = (template.split('/'), path.split('/'));
    let fits = |(wanted, given): (&str, &str)| match wanted.starts_with('{') {
        true => !given.is_empty(),
        false => wanted == given,
    };
    wanted.clone().count() == given.clone().count() && wanted.zip(given).all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_document_lacks_is_no_operation() {
        let text = r#"{"paths": {"/groups": {"get": {}}, "/groups/{name}": {"delete": {}, "get": {}}, "/groups/{name}/people": {"put": {}}}}"#;
        let document: Document = serde_json::from_str(text).expect("a document");
        let has = |method, path| document.has(&method, path);
        assert!(has(Method::GET, "/groups"));
        assert!(has(Method::GET, "/groups?from=a/b"));
        assert!(has(Method::DELETE, "/groups/course?now=true"));
        assert!(has(Method::PUT, "/groups/a%2Fb/people"));
        assert!(!has(Method::POST, "/groups"), "another method");
        assert!(!has(Method::GET, "/groups/course/people"), "the same below");
        assert!(!has(Method::GET, "/groups/"), "no name");
        assert!(!has(Method::GET, "/groups/a/b"), "more than a name");
        assert!(!has(Method::GET, "/group"), "another path");
        assert!(!has(Method::GET, ""), "none");
    }

    #[test]
    fn the_recorded_document_is_read() {
        assert!(is_documented(&Method::POST, "/login"));
        assert!(!is_documented(&Method::GET, "/login"));
    }
}
