//! Completion of names: what an argument names is looked up in the running cluster while a shell waits. It waits for a second at
//! most, and where nobody answers, or nobody is logged in, there is nothing to complete and nothing is said.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Arg, Command};
use clap_complete::engine::{
    ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter as _,
};
use clap_complete::env::Shells;
use clap_complete::{CompleteEnv, Shell};
use docklet_control::file_wire::{FileFacts, FileKind};
use docklet_control::model::Visibility;
use docklet_control::view::{ImageView, SnapshotsView};
use futures_util::future::join_all;
use serde_json::Value;

use super::connection::Connection;
use super::files::remote::{self, Remote};
use super::{context, contexts};

/// By this variable a shell's script says that words are to be completed, and for which shell.
const ASKED_BY: &str = "DOCKLET_COMPLETE";
const NAME: &str = "docklet";
const WAIT_MAX: Duration = Duration::from_secs(1);
/// bash parts words at colons and at signs, which names of files and snapshots have, unless told otherwise.
const WHOLE_WORDS: &str = "COMP_WORDBREAKS=${COMP_WORDBREAKS//[@:]/}";

/// What an argument names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Noun {
    Context,
    Group,
    Image,
    Master,
    /// A file or directory of a vnode.
    Remote,
    /// The same, or one of this machine.
    RemoteOrHere,
    Setting,
    /// A snapshot of one vnode, or those of this name of all vnodes of a vcluster.
    Snapshot,
    SnapshotOfVnode,
    Template,
    Trashed,
    User,
    Vcluster,
    Vnode,
    /// A vcluster, or a vnode of it.
    VclusterOrVnode,
    Worker,
}

/// Answers a shell that asks what words could become; nothing if none does.
pub fn dispatch(command: fn() -> Command) -> Option<ExitCode> {
    std::env::var_os(ASKED_BY)?;
    // Fails only if there is one already.
    drop(rustls::crypto::ring::default_provider().install_default());
    let known_names = || {
        let mut whole = command();
        // Without it arguments are not there before a command is called.
        whole.build();
        known(whole, &[])
    };
    let asked = CompleteEnv::with_factory(known_names)
        .var(ASKED_BY)
        .try_complete(std::env::args_os(), std::env::current_dir().ok().as_deref());
    match asked {
        Ok(true) => Some(ExitCode::SUCCESS),
        Ok(false) => None,
        Err(_) => Some(ExitCode::FAILURE),
    }
}

/// By which a shell comes to ask. The program is named as it was here, so that it is found wherever the shell is.
pub fn script(shell: Shell) -> anyhow::Result<String> {
    let called = std::env::args_os().next().unwrap_or_default();
    let called = match Path::new(&called).components().count() {
        0 | 1 => called,
        _ => std::path::absolute(called)?.into_os_string(),
    };
    let mut script = Vec::new();
    let shells = Shells::builtins();
    let shell = shells.completer(&shell.to_string());
    let shell = shell.context("no script is known for that shell")?;
    shell.write_registration(ASKED_BY, NAME, NAME, &called.to_string_lossy(), &mut script)?;
    let script = String::from_utf8(script)?;
    Ok(match shell.name() {
        "bash" => format!("{WHOLE_WORDS}\n{script}"),
        _ => script,
    })
}

/// The command, whose arguments know where the names are that they take.
fn known(command: Command, above: &[String]) -> Command {
    let mut path = above.to_vec();
    path.push(command.get_name().to_owned());
    let words: Vec<&str> = path.iter().skip(1).map(String::as_str).collect();
    let command = command.mut_args(|arg| match noun(&words, &arg) {
        Some(noun) => arg.add(ArgValueCompleter::new(move |typed: &OsStr| {
            noun.candidates(typed)
        })),
        None => arg,
    });
    command.mut_subcommands(|inner| known(inner, &path))
}

/// Arguments are called as what they name, but for some.
fn noun(command: &[&str], arg: &Arg) -> Option<Noun> {
    match (command, arg.get_id().as_str()) {
        // Who is a user in a vnode, or none yet.
        (["ssh" | "register" | "login", ..], "user") => None,
        (["trash", ..], "vcluster") => Some(Noun::Trashed),
        (["vc", "move"], "to") => Some(Noun::Worker),
        (["context", ..], "name") | (_, "context") => Some(Noun::Context),
        (["user", verb], "name") if *verb != "create" && *verb != "approve" => Some(Noun::User),
        (["explain"], "what") | (["snapshot", ..], "whose") => Some(Noun::VclusterOrVnode),
        (["snapshot", "restore" | "delete"], "snapshot") => Some(Noun::Snapshot),
        (["vc", "create"], "from") => Some(Noun::SnapshotOfVnode),
        (["cp"], "from" | "to") => Some(Noun::RemoteOrHere),
        (["files", ..], "at" | "from") => Some(Noun::Remote),
        (["image", "save"], "source") | (_, "vnode") => Some(Noun::Vnode),
        (_, "group" | "groups") => Some(Noun::Group),
        (_, "image") => Some(Noun::Image),
        (_, "master") => Some(Noun::Master),
        (_, "setting") => Some(Noun::Setting),
        (_, "template") => Some(Noun::Template),
        (_, "user" | "people") => Some(Noun::User),
        (_, "vcluster") => Some(Noun::Vcluster),
        (_, "worker") => Some(Noun::Worker),
        _ => None,
    }
}

impl Noun {
    /// What the word could become of which this much is there.
    fn candidates(self, typed: &OsStr) -> Vec<CompletionCandidate> {
        let Some(begun) = typed.to_str() else {
            return Vec::new();
        };
        let names = match self == Self::Context {
            true => contexts::names(),
            false => self.ask(begun),
        };
        let mut names = names.unwrap_or_default();
        names.retain(|name| name.starts_with(begun) && is_read_as_written(name));
        names.sort();
        names.dedup();
        let mut candidates: Vec<_> = names.into_iter().map(CompletionCandidate::new).collect();
        if self == Self::RemoteOrHere && !begun.contains(':') {
            candidates.extend(PathCompleter::any().complete(typed));
        }
        candidates
    }

    /// Asks the cluster that the words to be completed mean.
    fn ask(self, begun: &str) -> anyhow::Result<Vec<String>> {
        context::choose(named_context(std::env::args_os()))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let asked = runtime.block_on(async {
            let connection = Connection::open()?;
            tokio::time::timeout(WAIT_MAX, self.names(&connection, begun)).await?
        });
        // Looking up a host's name cannot be broken off, and is not waited for.
        runtime.shutdown_background();
        asked
    }

    async fn names(self, connection: &Connection, begun: &str) -> anyhow::Result<Vec<String>> {
        let (path, read): (_, fn(&Value) -> Vec<String>) = match self {
            Self::Context => return Ok(Vec::new()),
            Self::Image => return images(connection).await,
            Self::Master => {
                let masters: Value = connection.get("/masters").await?;
                return Ok(called(&masters["group"]["masters"]));
            }
            Self::Remote | Self::RemoteOrHere if begun.contains(':') => {
                return files(connection, begun).await;
            }
            Self::Snapshot => return snapshots(connection, begun).await,
            Self::SnapshotOfVnode => {
                let mut names = snapshots(connection, begun).await?;
                names.retain(|name| name.contains('/'));
                return Ok(names);
            }
            Self::Group => ("/groups", called),
            Self::Remote | Self::RemoteOrHere => ("/vclusters", places),
            Self::Setting => ("/settings", called),
            Self::Template => ("/templates", called),
            Self::Trashed => ("/trash", called),
            Self::User => ("/users", called),
            Self::Vcluster => ("/vclusters", called),
            Self::Vnode => ("/vclusters", vnodes),
            Self::VclusterOrVnode => ("/vclusters", |all| [called(all), vnodes(all)].concat()),
            Self::Worker => ("/workers", called),
        };
        Ok(read(&Value::Array(connection.list(path).await?)))
    }
}

/// One's own and public images need no owner.
async fn images(connection: &Connection) -> anyhow::Result<Vec<String>> {
    let images: Vec<ImageView> = connection.get("/images").await?;
    let names = images.into_iter().map(|image| {
        let is_plain =
            image.visibility == Visibility::Public || image.owner == connection.context.user;
        match is_plain {
            true => image.name,
            false => format!("{}/{}", image.owner, image.name),
        }
    });
    Ok(names.collect())
}

/// `VCLUSTER/host-0@NAME` of all vclusters that may be meant, and `VCLUSTER@NAME`.
async fn snapshots(connection: &Connection, begun: &str) -> anyhow::Result<Vec<String>> {
    let vclusters = called(&Value::Array(connection.list("/vclusters").await?));
    let (vcluster, is_whole) = match begun.split_once(['/', '@']) {
        Some((vcluster, _)) => (vcluster, true),
        None => (begun, false),
    };
    let meant = vclusters.into_iter().filter(|name| match is_whole {
        true => name == vcluster,
        false => name.starts_with(vcluster),
    });
    let of_each = meant.map(async |name: String| {
        let path = format!("/vclusters/{}/snapshots", remote::encoded(&name));
        let view: SnapshotsView = connection.get(&path).await?;
        let names = view.snapshots.iter().flat_map(|snapshot| {
            let of_vnode = format!("{name}/{}", snapshot.called());
            [of_vnode, format!("{name}@{}", snapshot.name)]
        });
        anyhow::Ok(names.collect::<Vec<_>>())
    });
    let of_each = join_all(of_each).await.into_iter();
    Ok(of_each.flatten().flatten().collect())
}

/// What is in the directory of a vnode of which `VCLUSTER/host-0:/PATH` names it and the beginning of a name.
async fn files(connection: &Connection, begun: &str) -> anyhow::Result<Vec<String>> {
    let end = begun.rfind(['/', ':']).map_or(0, |end| end + 1);
    // The slash of a vnode's name stands before the colon.
    let (directory, _) = begun.split_at(end);
    let at: Remote = directory.parse()?;
    let path = at.path_or_home(connection).await?;
    let mut names = Vec::new();
    let mut after = None;
    loop {
        let listing = remote::look(connection, &at, path.as_ref(), after.as_deref()).await?;
        let entries = listing.entries.unwrap_or_default();
        after = entries.last().map(|entry| entry.name.clone());
        let named = entries.iter().filter(|entry| entry.named);
        names.extend(named.map(|entry| format!("{directory}{}", as_typed(entry))));
        if !listing.more || after.is_none() {
            return Ok(names);
        }
    }
}

/// A directory has a slash behind it, so that what is in it comes next.
fn as_typed(entry: &FileFacts) -> String {
    let kind = entry.leads_to.unwrap_or(entry.kind);
    match kind == FileKind::Directory {
        true => format!("{}/", entry.name),
        false => entry.name.clone(),
    }
}

/// Whether every shell takes a word for what it is: names are a stranger's, and what a shell completes it does not quote.
fn is_read_as_written(name: &str) -> bool {
    let is_plain = |letter: char| letter.is_alphanumeric() || "-_.,+@:/%".contains(letter);
    name.chars().all(is_plain)
}

/// `VCLUSTER/host-N:` of all.
fn places(vclusters: &Value) -> Vec<String> {
    let vnodes = vnodes(vclusters).into_iter();
    vnodes.map(|vnode| format!("{vnode}:")).collect()
}

/// Names of rows.
fn called(rows: &Value) -> Vec<String> {
    let rows = rows.as_array().into_iter().flatten();
    let names = rows.filter_map(|row| row["name"].as_str());
    names.map(str::to_owned).collect()
}

/// `VCLUSTER/host-N` of all.
fn vnodes(vclusters: &Value) -> Vec<String> {
    let vclusters = vclusters.as_array().into_iter().flatten();
    let vnodes = vclusters.flat_map(|vcluster| {
        let of = vcluster["name"].as_str().unwrap_or_default();
        let vnodes = called(&vcluster["vnodes"]).into_iter();
        vnodes.map(move |vnode| format!("{of}/{vnode}"))
    });
    vnodes.collect()
}

/// What follows `--context` in the words that are to be completed, with or without an equals sign, at which shells part words.
fn named_context(words: impl Iterator<Item = OsString>) -> Option<String> {
    let mut words = words.skip_while(|word| word != "--").skip(1).peekable();
    while let Some(word) = words.next() {
        if word == "--context" {
            words.next_if(|word| word == OsStr::new("="));
            return words.next()?.into_string().ok();
        }
        if let Some(name) = word
            .to_str()
            .and_then(|word| word.strip_prefix("--context="))
        {
            return Some(name.to_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_context_that_is_being_typed_is_asked() {
        let named = |words: &str| named_context(words.split(' ').map(OsString::from));
        assert_eq!(named("docklet -- docklet vc show"), None);
        assert_eq!(named("docklet --context b -- docklet vc show"), None);
        for typed in ["--context a", "--context=a", "--context = a"] {
            let words = format!("docklet -- docklet {typed} vc show");
            assert_eq!(named(&words).as_deref(), Some("a"), "{typed}");
        }
    }

    #[test]
    fn arguments_are_known_by_what_they_are_called() {
        let of = |path: &[&str], arg: &'static str| noun(path, &Arg::new(arg));
        assert_eq!(of(&["vc", "show"], "vcluster"), Some(Noun::Vcluster));
        assert_eq!(of(&["trash", "purge"], "vcluster"), Some(Noun::Trashed));
        assert_eq!(of(&["quota", "set"], "user"), Some(Noun::User));
        assert_eq!(of(&["ssh"], "user"), None);
        assert_eq!(of(&["user", "create"], "name"), None);
        assert_eq!(of(&["user", "lock"], "name"), Some(Noun::User));
    }

    #[test]
    fn what_a_shell_would_read_otherwise_is_not_offered() {
        for name in ["lab/host-0:/etc/a+b,c.d_e%", "lab@friday", "größe", "世界"] {
            assert!(is_read_as_written(name), "{name}");
        }
        for name in [
            "$(reboot)",
            "`reboot`",
            "a b",
            "a;b",
            "a&b",
            "a|b",
            "a>b",
            "a'b",
            "a\"b",
            "a\\b",
            "a*",
            "a?",
            "a[b]",
            "a{b,c}",
            "a!b",
            "#a",
            "~a",
            "a\nb",
            "a\tb",
            "\u{1b}[2J",
            "\u{9b}2J",
            "\u{202e}a",
            "a\u{200b}b",
            "a=b",
            "a^b",
        ] {
            assert!(!is_read_as_written(name), "{name:?}");
        }
    }

    #[test]
    fn vnodes_are_named_with_their_vcluster() {
        let rows = serde_json::json!([{"name": "lab", "vnodes": [{"name": "host-0"}, {"name": "host-1"}]}]);
        assert_eq!(vnodes(&rows), ["lab/host-0", "lab/host-1"]);
    }
}
