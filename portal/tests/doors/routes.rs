//! All routes of the public listener: of pages as their tables have them, of programs as their document does.

use std::path::Path;

use serde_json::Value;

/// What can be asked, and how.
#[derive(Clone, Debug)]
pub struct Route {
    pub path: String,
    pub methods: Vec<&'static str>,
}

const METHODS: [(&str, &str); 5] = [
    ("GET", "get"),
    ("POST", "post"),
    ("PUT", "put"),
    ("DELETE", "delete"),
    ("PATCH", "patch"),
];

impl Route {
    /// As somebody would ask for it who has `lab`.
    pub fn filled(&self) -> String {
        let mut path = self.path.clone();
        for (part, value) in [
            ("{vcluster}", "lab"),
            ("{vnode}", "host-0"),
            ("{protocol}", "tcp"),
            ("{*page}", "home"),
            ("{link}", "0123456789012345678901234567890123456789"),
            ("{action}", "stop"),
            (
                "{identity}",
                "0000000000000000000000000000000000000000000000000000000000000000",
            ),
            ("{name}", "lab"),
        ] {
            path = path.replace(part, value);
        }
        while let (Some(from), Some(to)) = (path.find('{'), path.find('}')) {
            path.replace_range(from..=to, "1");
        }
        path
    }

    pub fn changes(&self) -> impl Iterator<Item = &'static str> {
        let methods = self.methods.iter().copied();
        methods.filter(|method| *method != "GET")
    }

    pub fn is_of_programs(&self) -> bool {
        self.path.starts_with("/api/")
    }
}

/// Of pages and of programs.
pub fn all() -> Vec<Route> {
    let mut found = of_programs();
    let pages = of_pages();
    assert!(found.len() > 100, "only {} of programs", found.len());
    assert!(pages.len() > 90, "only {} of pages", pages.len());
    found.extend(pages);
    found
}

fn of_pages() -> Vec<Route> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let names = ["", "/accounts", "/cluster", "/files", "/services"];
    let files = names.map(|name| dir.join(format!("router{name}.rs")));
    let texts = files.map(|file| std::fs::read_to_string(file).expect("a source file"));
    let parts = texts.iter().flat_map(|text| text.split(".route(").skip(1));
    parts.filter_map(page).collect()
}

fn page(text: &str) -> Option<Route> {
    let (path, rest) = text.trim_start().strip_prefix('"')?.split_once('"')?;
    let rest = rest.split(";\n").next().unwrap_or_default();
    let says = |word: &str| {
        let before = [" ", "\n", "."];
        let mut calls = before.map(|before| format!("{before}{word}(")).into_iter();
        calls.any(|call| rest.contains(&call))
    };
    let methods = METHODS.into_iter().filter(|(_, word)| says(word));
    Some(Route {
        path: path.to_owned(),
        methods: methods.map(|(method, _)| method).collect(),
    })
}

fn of_programs() -> Vec<Route> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    let text = std::fs::read_to_string(file).expect("a document");
    let document: Value = serde_json::from_str(&text).expect("JSON");
    let paths = document["paths"].as_object().expect("paths");
    let known = |says: &Value| {
        let known = METHODS.into_iter();
        let known = known.filter(|(_, word)| says.get(word).is_some());
        known.map(|(method, _)| method).collect()
    };
    let of = |path: &str| match path.starts_with("/api/v1") {
        true => path.to_owned(),
        false => format!("/api/v1{path}"),
    };
    let routes = paths.iter().map(|(path, says)| Route {
        path: of(path),
        methods: known(says),
    });
    routes.collect()
}
