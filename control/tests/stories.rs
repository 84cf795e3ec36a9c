//! Runs `stories/*.txt`: rules told as prose, commands and what came of them.
//!
//! A story has comments (`#`), commands at the start of a line and their results indented below:
//!
//! ```text
//! # Ada asks twice with one request id.
//! ada +1s request 7> StopVcluster {"vcluster":1}
//!   nothing changes
//! ```
//!
//! Who: a person's or a worker's name, `door` (of master 1, or `door:9` of another), `duty`, or `user:9` and `worker:9`
//! for strangers, `login:2:20` for user 2 by the login, or a program by the token, that entry 20 made. `+6s` is the time
//! since the entry before (1 s if not given). `duty> due` proposes what the leader's duties find; the leader goes on
//! hearing of a worker except between `w1> falls silent` and `w1> is heard`; at `duty> leads anew` another master leads, which
//! has heard of nobody. `group> 1 leads, 5 votes silent 700s, 9 learns
//! lag 5000 steady 10s` says what the leader observes of the masters from then on: it is stamped into `RemoveMaster`,
//! and the result tells who should vote if that is to change.
//! `trail> 3` tells the last three lines of the audit trail without their hashes.
//! At `generation> over` the log ends, and another generation begins, in which `"last":0` stands for its last entry.
//! `"~word"` stands for the SHA-256 of the word. `after other.txt` in the first line starts where another story ends. `BLESS=1 cargo test -p docklet-control --test stories` writes the results anew; `STORY=83-visits` tells that one only.

mod check;
mod golden;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use check::Log;
use docklet_control::audit::chain;
use docklet_control::duties::{self, Soft};
use docklet_control::id::{
    LogIndex, MasterId, RequestId, SecretHash, SteadyMs, UnixMs, UserId, WorkerId,
};
use docklet_control::model::Outcome;
use docklet_control::name::Name;
use docklet_control::quorum::{self, Seat};
use docklet_control::{Actor, Applied, Command};
use sha2::{Digest as _, Sha256};

/// Fewer files than this means that the runner looks in the wrong place.
const STORIES_MIN: usize = 8;

#[test]
fn every_story_ends_as_told() {
    let mut wrong = Vec::new();
    let mut files = story_files();
    assert!(files.len() >= STORIES_MIN, "only {files:?}");
    if let Ok(only) = std::env::var("STORY") {
        files.retain(|file| file.file_stem().is_some_and(|name| name == only.as_str()));
        assert!(!files.is_empty(), "no story {only}");
    }
    for file in files {
        let told = read(&file);
        let mut telling = Telling::default();
        telling.file.clone_from(&file);
        let happened = telling.tell(&told);
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&file, happened).expect("the stories can be written");
        } else if let Some(line) = first_difference(&told, &happened) {
            wrong.push(format!("{}:{line}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_wrong_result_is_noticed() {
    let told = "duty> ForgetExpired\n  nothing changes\n";
    let happened = Telling::default().tell(told);
    let difference = first_difference(told, &happened).expect("nothing is allowed before init");
    assert!(
        difference.starts_with("2: told   nothing changes"),
        "{difference}"
    );
    assert!(
        difference.contains("refused cluster_missing"),
        "{difference}"
    );
}

fn stories_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("stories")
}

fn story_files() -> Vec<PathBuf> {
    let listed = std::fs::read_dir(stories_dir()).expect("the stories are beside the tests");
    let mut files: Vec<PathBuf> = listed
        .map(|file| file.expect("the directory can be read").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "txt"))
        .collect();
    files.sort();
    files
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_else(|fault| panic!("{}: {fault}", file.display()))
}

/// Number and content of the first line in which the two differ.
fn first_difference(told: &str, happened: &str) -> Option<String> {
    let (told, happened): (Vec<_>, Vec<_>) = (told.lines().collect(), happened.lines().collect());
    (0..told.len().max(happened.len()))
        .find(|line| told.get(*line) != happened.get(*line))
        .map(|line| {
            let of = |lines: &[&str]| lines.get(line).map_or("(end)", |text| text).to_owned();
            let (told, happened) = (of(&told), of(&happened));
            format!("{}: told {told}\n  but happened {happened}", line + 1)
        })
}

/// A story on its way.
#[derive(Default)]
struct Telling {
    file: PathBuf,
    log: Log,
    now: UnixMs,
    /// What the leader has heard, and of whom it hears nothing more.
    soft: Soft,
    silent: BTreeSet<WorkerId>,
    /// The last entry of the generation before.
    over: LogIndex,
    /// What it observes of the masters.
    seats: Vec<Seat>,
    /// Words that were said as `~word`, with their SHA-256.
    words: Vec<(String, String)>,
}

impl Telling {
    /// The story with the results that really come of its commands.
    fn tell(&mut self, story: &str) -> String {
        let mut lines = Vec::new();
        for line in story.lines().filter(|line| !line.starts_with("  ")) {
            lines.push(line.to_owned());
            if let Some(earlier) = line.strip_prefix("after ") {
                self.tell(&read(&stories_dir().join(earlier)));
            } else if let Some((head, command)) = said(line) {
                let results = self.step(head, command);
                lines.extend(results.iter().map(|result| format!("  {result}")));
            }
        }
        lines.join("\n") + "\n"
    }

    fn step(&mut self, head: &str, command: &str) -> Vec<String> {
        if head == "generation" {
            self.over = self.log.index;
            self.log.jump();
            return Vec::new();
        }
        if head == "trail" {
            return self.last_of_trail(command.parse().expect("how many lines"));
        }
        if head == "group" {
            self.seats = command.split(", ").map(seat).collect();
            return self.voters_wanted();
        }
        let mut words = head.split(' ');
        let actor = self.actor(words.next().expect("splitting gives one part at least"));
        let rest: Vec<&str> = words.collect();
        let (later, request) = match rest[..] {
            [] => ("+1s", None),
            [later] => (later, None),
            ["request", number] => ("+1s", Some(number)),
            [later, "request", number] => (later, Some(number)),
            _ => panic!("`{head}` is not `who +time request number`"),
        };
        let before = self.now;
        self.now = self.now.plus_ms(milliseconds(later));
        // The leader is awake all the time.
        for at in (before.0..self.now.0).step_by(1_000) {
            self.soft.wake(SteadyMs(at));
        }
        let request = request.map(|number| RequestId(number.parse().expect("a request number")));
        match (command, actor) {
            ("due", Actor::Duty) => self.due(),
            ("leads anew", Actor::Duty) => {
                self.soft = Soft::leading(SteadyMs(self.now.0));
                Vec::new()
            }
            ("falls silent", Actor::Worker(worker)) => self.hear(worker, true),
            ("is heard", Actor::Worker(worker)) => self.hear(worker, false),
            _ => {
                let command = self.command(command);
                self.enter(actor, request, command)
            }
        }
    }

    fn last_of_trail(&self, lines: usize) -> Vec<String> {
        let trail = &self.log.trail;
        let last = trail.iter().skip(trail.len().saturating_sub(lines));
        let record = |line: &String| chain::read(line).expect("a line is a record");
        last.map(|line| json(&record(line))).collect()
    }

    fn voters_wanted(&self) -> Vec<String> {
        let wanted = quorum::voters_wanted(&self.log.state, &self.seats);
        let told = wanted.map(|ids| {
            let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
            format!("wanted as voters: {}", ids.join(", "))
        });
        vec![told.unwrap_or_else(|| "these voters will do".to_owned())]
    }

    /// Nothing of this reaches the log.
    fn hear(&mut self, worker: WorkerId, for_the_last_time: bool) -> Vec<String> {
        self.soft.heard.insert(worker, SteadyMs(self.now.0));
        if for_the_last_time {
            self.silent.insert(worker);
        } else {
            self.silent.remove(&worker);
        }
        Vec::new()
    }

    fn due(&mut self) -> Vec<String> {
        let steady = SteadyMs(self.now.0);
        for worker in self.log.state.workers.keys() {
            if !self.silent.contains(worker) {
                self.soft.heard.insert(*worker, steady);
            }
        }
        self.soft.observe(&self.log.state, steady);
        let mut commands = duties::due(&self.log.state, &self.soft, self.now, steady);
        commands.extend(quorum::due(&self.log.state, &self.seats));
        let mut results = Vec::new();
        for command in commands {
            results.push(format!("proposes {}", json(&command)));
            results.extend(self.enter(Actor::Duty, None, command));
        }
        if results.is_empty() {
            results.push("nothing is due".to_owned());
        }
        results
    }

    fn enter(&mut self, actor: Actor, request: Option<RequestId>, command: Command) -> Vec<String> {
        let applied = self
            .log
            .enter(self.now, actor, request, command)
            .unwrap_or_else(|broken| {
                panic!(
                    "{}, after entry {}: {broken}",
                    self.file.display(),
                    self.log.index
                )
            });
        let results = results(&applied, applied.receipt.index != self.log.index);
        results
            .into_iter()
            .map(|line| self.in_words(line))
            .collect()
    }

    fn actor(&self, who: &str) -> Actor {
        let state = &self.log.state;
        let name = |name: &Name| name.as_str() == who;
        match who.split_once(':') {
            Some(("user", id)) => Actor::User(UserId(id.parse().expect("a user id"))),
            Some(("door", id)) => Actor::Door(MasterId(id.parse().expect("a master id"))),
            Some(("worker", id)) => Actor::Worker(WorkerId(id.parse().expect("a worker id"))),
            Some(("login", of)) => {
                let (user, number) = of.split_once(':').expect("whose, and its number");
                Actor::Login {
                    user: UserId(user.parse().expect("a user id")),
                    number: LogIndex(number.parse().expect("a number")),
                    // An address of documentation (RFC 5737).
                    from: IpAddr::from([192, 0, 2, 7]),
                }
            }
            Some(_) => panic!("nobody is called {who}"),
            None if who == "door" => Actor::Door(MasterId(1)),
            None if who == "duty" => Actor::Duty,
            None => {
                let user = state.users.values().find(|user| name(&user.name));
                let worker = state.workers.values().find(|worker| name(&worker.name));
                user.map(|user| Actor::User(user.id))
                    .or(worker.map(|worker| Actor::Worker(worker.id)))
                    .unwrap_or_else(|| panic!("nobody is called {who}"))
            }
        }
    }

    /// Reads `Name {…}`, or the bare name of a command that says no more.
    fn command(&mut self, text: &str) -> Command {
        let text = self.in_digits(text);
        let json = match text.split_once(' ') {
            Some((name, body)) => format!("{{\"{name}\":{body}}}"),
            None => format!("\"{text}\""),
        };
        let mut command =
            serde_json::from_str(&json).unwrap_or_else(|fault| panic!("{text}: {fault}"));
        if let Command::RemoveMaster { seats, .. } = &mut command {
            seats.clone_from(&self.seats);
        }
        if let Command::RestoreCluster { last, .. } | Command::RecoverCluster { last, .. } =
            &mut command
            && last.0 == 0
        {
            *last = self.over;
        }
        command
    }

    fn in_digits(&mut self, text: &str) -> String {
        for part in text.split("\"~").skip(1) {
            let word = part.split('"').next().unwrap_or(part).to_owned();
            let digits = SecretHash(Sha256::digest(&word).into()).to_string();
            self.words.push((word, digits));
        }
        let put = |text: String, (word, digits): &(String, String)| {
            text.replace(&format!("\"~{word}\""), &format!("\"{digits}\""))
        };
        self.words.iter().fold(text.to_owned(), put)
    }

    fn in_words(&self, text: String) -> String {
        self.words.iter().fold(text, |text, (word, digits)| {
            text.replace(digits, &format!("~{word}"))
        })
    }
}

/// Splits a line into who says it when, and the command; none for comments and empty lines.
fn said(line: &str) -> Option<(&str, &str)> {
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let said = line.split_once("> ");
    Some(said.unwrap_or_else(|| panic!("`{line}` is no comment, no result and no command")))
}

/// Reads `5 votes silent 700s lag 3 steady 10s`.
fn seat(text: &str) -> Seat {
    let mut words = text.split(' ');
    let mut next = || {
        words
            .next()
            .unwrap_or_else(|| panic!("`{text}` is no seat"))
    };
    let (master, role) = (next(), next());
    let mut seat = Seat {
        master: MasterId(master.parse().expect("a master's number")),
        voter: role != "learns",
        leads: role == "leads",
        silent_ms: 0,
        lag: 0,
        steady_ms: 0,
    };
    while let (Some(what), Some(amount)) = (words.next(), words.next()) {
        match what {
            "silent" => seat.silent_ms = milliseconds(amount),
            "steady" => seat.steady_ms = milliseconds(amount),
            "lag" => seat.lag = amount.parse().expect("a number of entries"),
            _ => panic!("`{text}` tells of `{what}`"),
        }
    }
    seat
}

fn milliseconds(later: &str) -> u64 {
    let amount = later.trim_start_matches('+');
    let number = amount.trim_end_matches(char::is_alphabetic);
    let unit_ms = match &amount[number.len()..] {
        "ms" => 1,
        "s" => 1_000,
        "h" => 3_600_000,
        "d" => 24 * 3_600_000,
        unit => panic!("`{later}` has the unit `{unit}`"),
    };
    number.parse::<u64>().expect("a whole number of units") * unit_ms
}

fn results(applied: &Applied, again: bool) -> Vec<String> {
    let outcome = match &applied.receipt.outcome {
        Outcome::Refused(refusal) => Some(format!("refused {}: {refusal}", refusal.code())),
        Outcome::Accepted(_) => None,
    };
    if again {
        let outcome = outcome.unwrap_or_else(|| json(&applied.receipt.outcome));
        return vec![format!(
            "receipt of entry {}: {outcome}",
            applied.receipt.index
        )];
    }
    let events = applied.change.events.iter().map(json);
    let lines: Vec<String> = outcome.into_iter().chain(events).collect();
    if lines.is_empty() {
        return vec!["nothing changes".to_owned()];
    }
    lines
}

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("commands, events and outcomes are plain data")
}
