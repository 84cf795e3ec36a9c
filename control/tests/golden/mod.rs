//! Recordings: logs as masters of one version wrote them, byte by byte, and what they came to. Every later program must
//! read them, decide the same and come to the same states, for ever. The recordings are what stories tell, so that every
//! kind of command, event and table is in them.
//!
//! `make golden` records the present version, once. A change of what is written fails here until
//! `ClusterVersion::CURRENT` is raised and the new version is recorded beside the old ones.

mod file;
mod kinds;

use std::path::{Path, PathBuf};

use docklet_control::evolve::evolve_all;
use docklet_control::id::LogIndex;
use docklet_control::model::ClusterVersion;
use docklet_control::rows::{self, StateHash, Table};
use docklet_control::{Change, Entry, State, apply};

use super::{Telling, read, story_files};
use file::{Kept, Recorded, Recording};
use kinds::{Kinds, Seen};

fn file_of(version: ClusterVersion) -> PathBuf {
    dir().join(format!("v{version}.txt"))
}

fn dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

fn recordings() -> Vec<Recording> {
    let listed = std::fs::read_dir(dir()).expect("the recordings are beside the tests");
    let mut files: Vec<PathBuf> = listed
        .map(|file| file.expect("the directory can be read").path())
        .collect();
    files.sort();
    files
        .iter()
        .map(|file| Recording::parse(&read(file)))
        .collect()
}

#[test]
fn recorded_logs_of_every_version_come_to_the_same_states() {
    if std::env::var_os("RECORD").is_some() {
        record();
    }
    let recordings = recordings();
    assert!(!recordings.is_empty(), "nothing is recorded");
    let logs = recordings.iter().flat_map(|recording| &recording.logs);
    let wrong: Vec<String> = logs.filter_map(|log| replay(log).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_new_is_written_without_a_new_version() {
    let file = file_of(ClusterVersion::CURRENT);
    let advice =
        "raise ClusterVersion::CURRENT if a release has this version, and run `make golden`";
    assert!(file.exists(), "{} is missing: {advice}", file.display());
    let recording = Recording::parse(&read(&file));
    let now = Kinds::of_this_code();
    assert_eq!(
        recording.kinds, now,
        "what can be written has changed: {advice}"
    );
    let mut seen = Seen::default();
    for log in &recording.logs {
        replayed(log, &mut seen).expect("it replays");
    }
    let missing = seen.missing(&now);
    assert!(
        missing.is_empty(),
        "no recording has all of it: {missing:?}"
    );
}

#[test]
fn a_flipped_byte_in_a_recording_is_noticed() {
    let recordings = recordings();
    let log = recordings
        .last()
        .and_then(|recording| recording.logs.last());
    let log = log.expect("something is recorded");
    replay(log).expect("as it is, it replays");
    let mut flipped = 0;
    for (at, kept) in log.entries.iter().enumerate() {
        let change: Change = exactly(&kept.change).expect("a change");
        if change.events.is_empty() {
            continue;
        }
        let mut other = log.clone();
        let last = other.entries[at].entry.last_mut();
        *last.expect("an entry has bytes") ^= 1;
        assert!(replay(&other).is_err(), "{}, entry {at}", log.name);
        flipped += 1;
    }
    assert!(flipped > 5, "only {flipped} entries change something");
}

/// Replays a log; answers what is not as it was recorded.
fn replay(log: &Recorded) -> Result<(), String> {
    replayed(log, &mut Seen::default()).map(|_| ())
}

fn replayed(log: &Recorded, seen: &mut Seen) -> Result<State, String> {
    let (mut state, mut evolved) = (State::default(), State::default());
    for kept in &log.entries {
        let at = |what: &str| format!("{}, entry {}: {what}", log.name, kept.index);
        let entry: Entry = exactly(&kept.entry).map_err(|fault| at(&fault))?;
        let applied = apply(state.clone(), LogIndex(kept.index), &entry);
        seen.entry(&entry, &applied);
        if bytes(&applied.change) != kept.change {
            return Err(at("something else happens"));
        }
        let change: Change = exactly(&kept.change).map_err(|fault| at(&fault))?;
        evolved = evolve_all(evolved, &change);
        state = applied.state;
    }
    let at_end = |what: &str| format!("{}, at its end: {what}", log.name);
    if StateHash::of(&state).to_string() != log.hash {
        return Err(at_end("the state has another hash"));
    }
    let rows: Vec<file::Row> = rows_of(&state);
    if rows != log.rows {
        return Err(at_end("the rows are others"));
    }
    rows.iter().for_each(|(table, ..)| seen.table(*table));
    let table = |number: u8| Table::from_number(number).expect("it was just compared");
    let (all, plain) = (log.rows.iter(), log.rows.iter());
    let all = all.map(|(number, _, value)| (table(*number), value.as_slice()));
    let read = rows::load(all).map_err(|fault| at_end(&fault.to_string()))?;
    let plain = plain.filter(|(number, ..)| table(*number).is_of_events());
    let plain = plain.map(|(number, _, value)| (table(*number), value.as_slice()));
    let plain = rows::load(plain).map_err(|fault| at_end(&fault.to_string()))?;
    if read != state || plain != evolved {
        return Err(at_end("rows or events give another state"));
    }
    Ok(state)
}

/// Reads a value of which nothing is left over, and which is written as it was.
fn exactly<T: serde::de::DeserializeOwned + serde::Serialize>(from: &[u8]) -> Result<T, String> {
    let value: T = postcard::from_bytes(from).map_err(|fault| format!("unreadable: {fault}"))?;
    if bytes(&value) == from {
        return Ok(value);
    }
    Err("it is written otherwise now".to_owned())
}

fn bytes<T: serde::Serialize>(value: &T) -> Vec<u8> {
    postcard::to_stdvec(value).expect("entries and changes are plain data")
}

fn rows_of(state: &State) -> Vec<file::Row> {
    rows::iter(state)
        .map(|(table, key, value)| (table as u8, key, value))
        .collect()
}

/// Records the present version, from the stories that add something to it.
fn record() {
    let file = file_of(ClusterVersion::CURRENT);
    assert!(
        !file.exists(),
        "{} is recorded already. What a release has written stays as it is: raise ClusterVersion::CURRENT. Only if no \
         release has this version, delete the file first",
        file.display()
    );
    let logs = fewest(story_files().iter().map(|story| {
        let mut telling = Telling::default();
        telling.file.clone_from(story);
        telling.tell(&read(story));
        let name = story.file_stem().expect("a file has a name");
        recorded(&name.to_string_lossy(), &telling.log.entries)
    }));
    let recording = Recording {
        kinds: Kinds::of_this_code(),
        logs,
    };
    std::fs::write(&file, recording.write()).expect("the recording can be written");
}

/// Those in which everything is that any of them has, chosen by how much they add.
fn fewest(logs: impl Iterator<Item = Recorded>) -> Vec<Recorded> {
    let mut left: Vec<Recorded> = logs.collect();
    let (mut seen, mut chosen) = (Seen::default(), Vec::new());
    loop {
        let with = |log: &Recorded| {
            let mut with = seen.clone();
            replayed(log, &mut with).expect("what was just recorded replays");
            with
        };
        let counts: Vec<usize> = left.iter().map(|log| with(log).count()).collect();
        let most = (0..left.len()).max_by_key(|at| counts[*at]);
        let Some(most) = most.filter(|at| counts[*at] > seen.count()) else {
            return chosen;
        };
        seen = with(&left[most]);
        chosen.push(left.remove(most));
    }
}

fn recorded(name: &str, entries: &[(LogIndex, Entry)]) -> Recorded {
    let mut state = State::default();
    let mut kept = Vec::new();
    for (index, entry) in entries {
        let applied = apply(state.clone(), *index, entry);
        kept.push(Kept {
            index: index.0,
            entry: bytes(entry),
            change: bytes(&applied.change),
            what: entry.command.name().to_owned(),
        });
        state = applied.state;
    }
    Recorded {
        name: name.to_owned(),
        entries: kept,
        hash: StateHash::of(&state).to_string(),
        rows: rows_of(&state),
    }
}
