//! Why there is no checkpoint, in words for people: CRIU says it in its log.

/// CRIU's last words when it gave up by itself and put everything back. What it says of its options it says before it touches
/// anything.
const GAVE_UP: [&str; 4] = [
    "Dumping FAILED",
    "Pre-dumping FAILED",
    "Restoring FAILED",
    "Error (criu/config.c",
];
/// What it says of memory that is written whole: then everything is as it was, too.
const WROTE_MEMORY: &str = "Pre-dumping finished successfully";

/// What CRIU calls errors, and goes on after; or says after one that says more.
const BESIDE: [&str; 5] = [
    // Of a process that was not there yet when memory was written ahead.
    "No parent image found",
    "Can't setup RLIMIT_NOFILE for self",
    "-V failed",
    "execvp(\"iptables",
    "execvp(\"ip6tables",
];

/// Words of CRIU's, and what they mean. Its source is where they are from.
const MEANINGS: [(&str, &str); 15] = [
    (
        "Can't dump nested",
        "it has made itself a namespace within the vnode's",
    ),
    (
        "ctty inheritance",
        "it has its terminal by /dev/tty, as the shell dash does: use bash",
    ),
    ("dangling tty", HELD_OUTSIDE),
    ("Don't have tty to inherit", HELD_OUTSIDE),
    (
        "is outside of its pid namespace",
        "it was begun from outside the vnode: stop it, and begin it anew by exec or in a terminal",
    ),
    ("External socket is used", TALKS_OUTSIDE),
    ("Can't dump half of stream unix connection", TALKS_OUTSIDE),
    ("Can't dump name-less external socket", TALKS_OUTSIDE),
    (
        "of that type [",
        "it has a kind of file or device open that cannot be taken along",
    ),
    (
        "Can't dump ghost file",
        "it has a deleted file open that is too large",
    ),
    (
        "Unsupported proto",
        "it uses a network protocol that cannot be taken along",
    ),
    (
        "Can't dump corked dgram socket",
        "it is in the middle of sending a datagram",
    ),
    (
        "Can't dump that handle",
        "it watches (inotify) a file that cannot be found again",
    ),
    (
        "unsupported id",
        "a file system is mounted in the vnode that cannot be taken along",
    ),
    (
        "Can't lookup mount",
        "it has a file open that is not in the vnode",
    ),
];
const HELD_OUTSIDE: &str = "its terminal is held from outside the vnode";
const TALKS_OUTSIDE: &str = "it talks to something outside the vnode by a Unix socket";

/// Whether a log without which there would be none says that CRIU has put everything back.
pub(super) fn ended_by_itself(log: &str) -> bool {
    log.is_empty() || gave_up(log) || log.contains(WROTE_MEMORY)
}

fn gave_up(log: &str) -> bool {
    GAVE_UP.iter().any(|words| log.contains(words))
}

/// What an error in a log means, the first of those that mean something here; none if CRIU did not give up. `name` knows
/// programs by the numbers of their processes.
pub(super) fn of(log: &str, name: impl Fn(&str) -> Option<String>) -> Option<String> {
    if !gave_up(log) {
        return None;
    }
    let lines = || log.lines().enumerate();
    let known = lines().find_map(|(at, line)| {
        let message = message(line)?;
        let (_, meaning) = MEANINGS.iter().find(|(words, _)| message.contains(words))?;
        let who = process(log, at, message).and_then(|(pid, seen)| {
            let name = seen.or_else(|| name(pid))?;
            Some(format!("program {name} (process {pid} of the worker): "))
        });
        let who = who.unwrap_or_default();
        Some(format!("{who}{meaning} (CRIU: {message})"))
    });
    let unknown = || {
        let mut messages = lines().filter_map(|(_, line)| message(line));
        let first = messages.find(|message| !BESIDE.iter().any(|words| message.contains(words)))?;
        Some(format!("CRIU: {first}"))
    };
    known.or_else(unknown)
}

/// What follows `Error (criu/FILE.c:LINE):`.
fn message(line: &str) -> Option<&str> {
    let (_, error) = line.split_once("Error (")?;
    Some(error.split_once("): ")?.1.trim())
}

/// The process that a message is about, and its name if CRIU has said it: one that the message names, or the one that CRIU
/// was at.
fn process<'a>(log: &'a str, at: usize, message: &'a str) -> Option<(&'a str, Option<String>)> {
    if let Some((_, pid)) = message.rsplit_once(" namespace for ") {
        return Some((pid, None));
    }
    if let Some(rest) = message.strip_prefix("A session leader of ") {
        return Some((rest.split_once('(')?.0, None));
    }
    let before: Vec<&str> = log.lines().take(at).collect();
    let mut latest = before.into_iter().rev();
    let line = latest
        .find_map(|line| line.split_once("Dumping task (pid: "))?
        .1;
    let (pid, name) = line.split_once(" comm: ")?;
    let shown = name.strip_suffix(')').unwrap_or(name).chars();
    Some((pid, Some(shown.filter(|c| !c.is_control()).collect())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
(00.059406) Error (criu/util.c:1534): rlimit: Can't setup RLIMIT_NOFILE for self: Operation not permitted
(00.162112) Dumping task (pid: 812 comm: a (b) c)
(00.206431) Error (criu/files-ext.c:94): Can't dump file 5 of that type [20666] (chr 10:200)
(00.221919) Error (criu/cr-dump.c:1975): Dumping FAILED.
";

    #[test]
    fn people_read_which_program_and_what_of_it() {
        let said = of(LOG, |_| None).expect("a cause");
        assert_eq!(
            said,
            "program a (b) c (process 812 of the worker): it has a kind of file or device open that cannot be \
             taken along (CRIU: Can't dump file 5 of that type [20666] (chr 10:200))"
        );
        let outside =
            "Error (criu/pstree.c:9): A session leader of 77(8) is outside of its pid namespace\n";
        let said = of(&format!("{outside}{LOG}"), |pid| {
            (pid == "77").then(|| "jupyter".to_owned())
        });
        assert!(
            said.expect("a cause").starts_with(
                "program jupyter (process 77 of the worker): it was begun from outside"
            )
        );
        let nested = "Error (criu/namespaces.c:460): Can't dump nested uts namespace for 77\n";
        let nested = format!("{nested}{LOG}");
        let said = of(&nested, |pid| (pid == "77").then(|| "sleep".to_owned()));
        assert!(
            said.expect("a cause")
                .starts_with("program sleep (process 77 of the worker): it has made")
        );
    }

    #[test]
    fn memory_that_was_written_is_no_failure_whatever_was_missing_for_it() {
        let beside = "(00.1) Error (criu/page-xfer.c:812): page-xfer: No parent image found, though parent directory is set\n";
        let whole = format!("{beside}(00.2) Pre-dumping finished successfully\n");
        assert!(ended_by_itself(&whole) && !ended_by_itself(beside));
        assert_eq!(of(&whole, |_| None), None);
        let said = of(&format!("{beside}{LOG}"), |_| None);
        assert!(said.expect("a cause").starts_with("program a (b) c"));
        let failed = "(00.2) Error (criu/cr-dump.c:1769): Pre-dumping FAILED.\n";
        assert!(ended_by_itself(failed));
        let early = "(00.1) Error (criu/config.c:1131): Tracking memory is not available.\n";
        assert!(ended_by_itself(early));
        let said = of(early, |_| None).expect("a cause");
        assert_eq!(said, "CRIU: Tracking memory is not available.");
    }

    #[test]
    fn what_nobody_knows_is_told_as_it_is() {
        let odd = LOG.replace("of that type", "something new");
        let said = of(&odd, |_| None).expect("a cause");
        assert_eq!(
            said,
            "CRIU: Can't dump file 5 something new [20666] (chr 10:200)"
        );
    }

    #[test]
    fn a_log_without_an_end_is_of_one_that_was_killed() {
        let (cut, _) = LOG.split_once("(00.22").expect("its last line");
        assert!(!ended_by_itself(cut));
        assert_eq!(of(cut, |_| None), None);
        assert!(ended_by_itself(LOG) && ended_by_itself(""));
    }
}
