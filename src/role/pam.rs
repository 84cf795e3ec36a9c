//! The process that asks PAM whether a password is right, once. A master starts it for each; modules of PAM are others' code.

mod library;

use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use docklet_portal::{PAM_HELPER, PamAnswer, PamQuestion};
use library::{Conversation, Pam};
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, getpgrp, setpgid};

/// A little less than its master waits for it.
const LIMIT: Duration = Duration::from_secs(9);
/// Only a service with a file of its own counts: PAM would take another one's rules.
const SERVICES: &str = "/etc/pam.d";

/// Answers, if this process was started for that.
pub fn dispatch(arguments: &[String]) -> Option<ExitCode> {
    let [_, word] = arguments else {
        return None;
    };
    if word != PAM_HELPER {
        return None;
    }
    // It goes with its master. If that cannot be said, the master ends it in time.
    let _asked = prctl::set_pdeathsig(Signal::SIGKILL);
    end_in_time();
    let answer = read().map_or(PamAnswer::Failed, |question| answer(&question));
    let told = serde_json::to_writer(std::io::stdout(), &answer);
    Some(if told.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Whatever a module began ends with this process, if that has taken too long: they are a group of their own.
fn end_in_time() {
    if setpgid(Pid::from_raw(0), Pid::from_raw(0)).is_err() {
        return;
    }
    std::thread::spawn(|| {
        std::thread::sleep(LIMIT);
        end_children();
        killpg(getpgrp(), Signal::SIGKILL)
    });
}

/// Modules put what they run into sessions of its own, which the end of a group does not reach.
fn end_children() {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten();
    for task in tasks.filter_map(Result::ok) {
        let listed = std::fs::read_to_string(task.path().join("children"));
        let listed = listed.unwrap_or_default();
        for child in listed.split_whitespace().filter_map(|pid| pid.parse().ok()) {
            // It may have ended meanwhile.
            let _ended = kill(Pid::from_raw(child), Signal::SIGKILL);
        }
    }
}

fn read() -> Option<PamQuestion> {
    let mut text = String::new();
    let read = std::io::stdin().take(1 << 16).read_to_string(&mut text);
    read.ok().and_then(|_| serde_json::from_str(&text).ok())
}

/// First whether it is the password, then whether the account may be used: the reasons why it may not are for who knows the
/// password.
fn answer(question: &PamQuestion) -> PamAnswer {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let sound = !question.service.is_empty() && question.service.chars().all(plain);
    if !sound || !Path::new(SERVICES).join(&question.service).is_file() {
        return PamAnswer::NoService;
    }
    let Some(pam) = Pam::load() else {
        return PamAnswer::Failed;
    };
    let conversation = Conversation::new(&question.password);
    let started = pam.start(&question.service, &question.user, &conversation);
    let Some(mut transaction) = started else {
        return PamAnswer::Failed;
    };
    if !transaction.comes_from(&question.from) {
        return PamAnswer::Failed;
    }
    match transaction.authenticate() {
        library::SUCCESS => {}
        library::AUTH_ERR
        | library::USER_UNKNOWN
        | library::MAXTRIES
        | library::CRED_INSUFFICIENT
        | library::PERM_DENIED => return PamAnswer::Wrong,
        library::ACCT_EXPIRED | library::NEW_AUTHTOK_REQD => return PamAnswer::Refused,
        _ => return PamAnswer::Failed,
    }
    // A module may put another person in the place of the one who was asked about.
    if transaction.user().as_deref() != Some(question.user.as_str()) {
        return PamAnswer::Failed;
    }
    match transaction.account() {
        library::SUCCESS => PamAnswer::Right,
        _ => PamAnswer::Refused,
    }
}
