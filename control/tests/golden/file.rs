//! The file of a recording: a line for each entry, what it changed, and at the end of each log its hash and rows.

use std::fmt::Write as _;

use super::kinds::Kinds;

/// Number of the table, key, value.
pub type Row = (u8, Vec<u8>, Vec<u8>);

/// All of one version.
#[derive(Debug)]
pub struct Recording {
    pub kinds: Kinds,
    pub logs: Vec<Recorded>,
}

/// One log.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub name: String,
    pub entries: Vec<Kept>,
    pub hash: String,
    pub rows: Vec<Row>,
}

/// One entry, encoded, and its change, encoded.
#[derive(Clone, Debug)]
pub struct Kept {
    pub index: u64,
    pub entry: Vec<u8>,
    pub change: Vec<u8>,
    /// Its command, for people.
    pub what: String,
}

impl Recording {
    pub fn write(&self) -> String {
        let mut text = "# Logs as they were written, and what they came to: control/tests/golden/mod.rs. Never changed.\n".to_owned();
        let mut put = |line: String| writeln!(text, "{line}").expect("a text takes more");
        put(format!("kinds {}", self.kinds.write()));
        for log in &self.logs {
            put(format!("log {}", log.name));
            for kept in &log.entries {
                let (entry, change) = (hex::encode(&kept.entry), hex::encode(&kept.change));
                put(format!("{} {} {entry} {change}", kept.index, kept.what));
            }
            put(format!("hash {}", log.hash));
            for (table, key, value) in &log.rows {
                put(format!(
                    "row {table} {}: {}",
                    hex::encode(key),
                    hex::encode(value)
                ));
            }
        }
        text
    }

    pub fn parse(text: &str) -> Self {
        let mut recording = Self {
            kinds: Kinds::default(),
            logs: Vec::new(),
        };
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (first, rest) = line.split_once(' ').expect("every line says what it is");
            match first {
                "kinds" => recording.kinds = Kinds::parse(rest),
                "log" => recording.logs.push(Recorded {
                    name: rest.to_owned(),
                    entries: Vec::new(),
                    hash: String::new(),
                    rows: Vec::new(),
                }),
                _ => recording
                    .logs
                    .last_mut()
                    .expect("a log has begun")
                    .take(first, rest),
            }
        }
        recording
    }
}

impl Recorded {
    fn take(&mut self, first: &str, rest: &str) {
        match first {
            "hash" => rest.clone_into(&mut self.hash),
            "row" => {
                let (table, row) = rest.split_once(' ').expect("a row has a table");
                let (key, value) = row.split_once(": ").expect("a row has key and value");
                let table = table.parse().expect("the number of a table");
                self.rows.push((table, unhex(key), unhex(value)));
            }
            index => {
                let parts: Vec<&str> = rest.split(' ').collect();
                let [what, entry, change] = parts[..] else {
                    panic!("entry {index} has {} parts", parts.len());
                };
                self.entries.push(Kept {
                    index: index.parse().expect("an index"),
                    entry: unhex(entry),
                    change: unhex(change),
                    what: what.to_owned(),
                });
            }
        }
    }
}

fn unhex(text: &str) -> Vec<u8> {
    hex::decode(text).expect("a recording is in hexadecimal digits")
}
