//! Looking back: the state as it was, and what differs between two moments.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use docklet_control::id::{LogIndex, UnixMs};
use docklet_control::view::state::{Field, FieldChange, Fields, NameDiff, StateDiff, StateView};
use reqwest::{Method, RequestBuilder};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::connection::Connection;
use super::output::{self, instant, line, plain};

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct State {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    show: Show,
}

#[derive(Subcommand)]
#[command(defer = true)]
enum Command {
    /// Show what differs between two moments
    Diff(Diff),
}

#[derive(Args)]
struct Show {
    /// An entry's number, a time as 2026-01-31T12:00:00Z, or how long ago as -15m; now if not given
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    at: Option<String>,
    #[command(flatten)]
    print: Print,
}

#[derive(Args)]
struct Diff {
    /// The earlier moment: an entry's number, a time, or how long ago
    #[arg(value_name = "A", allow_hyphen_values = true)]
    from: String,
    /// The later moment
    #[arg(value_name = "B", allow_hyphen_values = true)]
    to: String,
    #[command(flatten)]
    print: Print,
}

#[derive(Args)]
struct Print {
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Tree)]
    format: Format,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

impl Print {
    fn format(&self) -> Format {
        if self.json {
            return Format::Json;
        }
        self.format
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Tree,
    Json,
    Yaml,
}

#[derive(Deserialize)]
struct When {
    index: LogIndex,
    at: Option<UnixMs>,
}

#[derive(Deserialize)]
struct Shown {
    #[serde(flatten)]
    when: When,
    oldest: When,
    state: StateView,
}

#[derive(Deserialize)]
struct Compared {
    from: When,
    to: When,
    diff: StateDiff,
}

pub async fn run(state: State) -> anyhow::Result<ExitCode> {
    let connection = Connection::open()?;
    match state.command {
        None => {
            let at: Vec<_> = state.show.at.iter().map(|at| ("at", at.as_str())).collect();
            let shown = get(&connection, "/state", &at).await?;
            print(state.show.print.format(), shown, show)
        }
        Some(Command::Diff(diff)) => {
            let between = [("from", diff.from.as_str()), ("to", diff.to.as_str())];
            let compared = get(&connection, "/state/diff", &between).await?;
            print(diff.print.format(), compared, compare)
        }
    }
}

async fn get(connection: &Connection, path: &str, query: &[(&str, &str)]) -> anyhow::Result<Value> {
    let prepare = |request: RequestBuilder| request.query(query);
    let response = connection.send(Method::GET, path, prepare).await?;
    Ok(response.json().await?)
}

fn print<T: DeserializeOwned>(
    format: Format,
    answer: Value,
    tree: impl FnOnce(&mut Tree, &T),
) -> anyhow::Result<ExitCode> {
    match format {
        Format::Json => line(&output::json(&answer)?),
        Format::Yaml => line(&output::yaml(&answer)?),
        Format::Tree => {
            let mut lines = Tree::new();
            tree(&mut lines, &serde_json::from_value(answer)?);
            line(&lines.text);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn show(tree: &mut Tree, shown: &Shown) {
    let since = moment(&shown.oldest);
    tree.head(&format!(
        "after {}; kept since {since}",
        moment(&shown.when)
    ));
    for (noun, names) in &shown.state.0 {
        tree.noun(noun.word());
        for (name, fields) in sorted(names) {
            tree.name(Mark::None, name);
            tree.fields(2, fields);
        }
    }
}

fn compare(tree: &mut Tree, compared: &Compared) {
    let (from, to) = (moment(&compared.from), moment(&compared.to));
    tree.head(&format!("from {from} to {to}"));
    for (noun, names) in &compared.diff.0 {
        tree.noun(noun.word());
        for (name, became) in sorted(names) {
            match became {
                NameDiff::Added(fields) => {
                    tree.name(Mark::Added, name);
                    tree.fields(2, fields);
                }
                NameDiff::Removed(_) => tree.name(Mark::Removed, name),
                NameDiff::Changed(changes) => {
                    tree.name(Mark::Changed, name);
                    tree.changes(changes);
                }
            }
        }
    }
    if compared.diff.0.is_empty() {
        tree.push(0, "nothing differs that you can see", None);
    }
}

fn moment(when: &When) -> String {
    let at = when.at.map(|at| format!(" ({} UTC)", instant(at)));
    format!("entry {}{}", when.index, at.unwrap_or_default())
}

/// By name, numbers in names by their value: host-2 comes before host-10.
fn sorted<V>(names: &BTreeMap<String, V>) -> Vec<(&String, &V)> {
    let mut names: Vec<_> = names.iter().collect();
    names.sort_by(|a, b| natural(a.0, b.0));
    names
}

fn natural(a: &str, b: &str) -> Ordering {
    let parts = |text: &str| -> Vec<(u64, String)> {
        let digits = |c: &char| c.is_ascii_digit();
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let word: String = rest.chars().take_while(|c| !digits(c)).collect();
            rest = &rest[word.len()..];
            let number: String = rest.chars().take_while(digits).collect();
            rest = &rest[number.len()..];
            parts.push((number.parse().unwrap_or(0), word));
        }
        parts
    };
    let words = |text: &str| -> Vec<(String, u64)> {
        parts(text)
            .into_iter()
            .map(|(number, word)| (word, number))
            .collect()
    };
    words(a).cmp(&words(b)).then_with(|| a.cmp(b))
}

/// What a line is marked with.
#[derive(Clone, Copy)]
enum Mark {
    None,
    Added,
    Removed,
    Changed,
}

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const CYAN: &str = "36";

/// Lines with indentation, coloured on a terminal.
struct Tree {
    text: String,
    colours: bool,
}

impl Tree {
    fn new() -> Self {
        Self {
            text: String::new(),
            colours: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        }
    }

    fn push(&mut self, depth: usize, text: &str, colour: Option<&str>) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        let text = plain(text);
        let text = match colour.filter(|_| self.colours) {
            Some(colour) => format!("\x1b[{colour}m{text}\x1b[0m"),
            None => text,
        };
        self.text.push_str(&"  ".repeat(depth));
        self.text.push_str(&text);
    }

    fn head(&mut self, text: &str) {
        self.push(0, text, Some(DIM));
    }

    fn noun(&mut self, word: &str) {
        self.push(0, word, Some(BOLD));
    }

    fn name(&mut self, mark: Mark, name: &str) {
        let (sign, colour) = match mark {
            Mark::None => ("", CYAN),
            Mark::Added => ("+ ", GREEN),
            Mark::Removed => ("- ", RED),
            Mark::Changed => ("~ ", YELLOW),
        };
        self.push(1, &format!("{sign}{name}"), Some(colour));
    }

    fn fields(&mut self, depth: usize, fields: &Fields) {
        let width = fields.keys().map(String::len).max().unwrap_or(0);
        for (name, field) in fields {
            match field {
                Field::Group(group) if !group.is_empty() => {
                    self.push(depth, name, None);
                    self.fields(depth + 1, group);
                }
                Field::Group(_)
                | Field::Flag(_)
                | Field::Number(_)
                | Field::Text(_)
                | Field::List(_) => {
                    let value = value(name, field);
                    self.push(depth, &format!("{name:<width$}  {value}"), None);
                }
            }
        }
    }

    fn changes(&mut self, changes: &BTreeMap<String, FieldChange>) {
        let width = changes.keys().map(String::len).max().unwrap_or(0);
        for (name, change) in changes {
            if let (Some(Field::Group(before)), Some(Field::Group(after))) =
                (&change.before, &change.after)
            {
                self.push(2, name, None);
                self.group(before, after);
                continue;
            }
            let side = |field: &Option<Field>| {
                let shown = field.as_ref().map(|field| value(name, field));
                shown.unwrap_or_else(|| "nothing".to_owned())
            };
            let (before, after) = (side(&change.before), side(&change.after));
            self.push(2, &format!("{name:<width$}  {before} → {after}"), None);
        }
    }

    /// What came and what went in a group.
    fn group(&mut self, before: &Fields, after: &Fields) {
        for (name, field) in before
            .iter()
            .filter(|(name, old)| after.get(*name) != Some(old))
        {
            self.push(3, &format!("- {name}  {}", value(name, field)), Some(RED));
        }
        for (name, field) in after
            .iter()
            .filter(|(name, new)| before.get(*name) != Some(new))
        {
            self.push(3, &format!("+ {name}  {}", value(name, field)), Some(GREEN));
        }
    }
}

fn value(name: &str, field: &Field) -> String {
    match field {
        Field::Number(ms) if is_instant(name) => instant(UnixMs(*ms)),
        Field::Number(number) => number.to_string(),
        Field::Flag(flag) => flag.to_string(),
        Field::Text(text) if text.is_empty() => "-".to_owned(),
        Field::Text(text) => text.clone(),
        Field::List(values) if values.is_empty() => "-".to_owned(),
        Field::List(values) => values.join(", "),
        Field::Group(fields) if fields.is_empty() => "-".to_owned(),
        Field::Group(fields) => {
            let fields = fields
                .iter()
                .map(|(name, field)| format!("{name} {}", value(name, field)));
            fields.collect::<Vec<_>>().join(", ")
        }
    }
}

fn is_instant(name: &str) -> bool {
    name == "at" || name.ends_with("_at") || name.ends_with("_since")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines<T: DeserializeOwned>(json: Value, tree: impl FnOnce(&mut Tree, &T)) -> String {
        let mut lines = Tree {
            text: String::new(),
            colours: false,
        };
        tree(
            &mut lines,
            &serde_json::from_value(json).expect("as the API answers"),
        );
        lines.text
    }

    #[test]
    fn a_state_is_a_tree_of_nouns_names_and_fields() {
        let shown = serde_json::json!({
            "index": 7, "at": 7_000, "oldest": {"index": 1, "at": 1_000},
            "state": {"vnodes": {
                "lab/host-10": {"seen": "running", "seen_at": 5_000},
                "lab/host-2": {"size": {"cpu_milli": 500}, "does_not_fit_on": []},
            }},
        });
        let text = lines(shown, show);
        let wanted = "\
after entry 7 (1970-01-01 00:00:07 UTC); kept since entry 1 (1970-01-01 00:00:01 UTC)
vnodes
  lab/host-2
    does_not_fit_on  -
    size
      cpu_milli  500
  lab/host-10
    seen     running
    seen_at  1970-01-01 00:00:05";
        assert_eq!(text, wanted);
    }

    #[test]
    fn a_difference_says_what_came_went_and_changed() {
        let compared = serde_json::json!({
            "from": {"index": 1, "at": null}, "to": {"index": 2, "at": null},
            "diff": {"vclusters": {
                "a": {"added": {"id": 3}},
                "b": {"removed": {"id": 2}},
                "c\u{1b}[31m": {"changed": {
                    "wanted": {"before": "running", "after": "stopped"},
                    "worker": {"after": "w1"},
                    "addresses": {"before": {"10.0.0.1": "x"}, "after": {"10.0.0.2": "y"}},
                }},
            }},
        });
        let text = lines(compared, compare);
        let wanted = "\
from entry 1 to entry 2
vclusters
  + a
    id  3
  - b
  ~ c[31m
    addresses
      - 10.0.0.1  x
      + 10.0.0.2  y
    wanted     running → stopped
    worker     nothing → w1";
        assert_eq!(text, wanted);
        let none = serde_json::json!({"from": {"index": 1, "at": null}, "to": {"index": 2, "at": null}, "diff": {}});
        assert!(lines(none, compare).ends_with("nothing differs that you can see"));
    }
}
