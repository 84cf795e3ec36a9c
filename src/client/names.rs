//! Completion of names: what an argument names is looked up in the running cluster while a shell waits. It waits for a second at
//! most, and where nobody answers, or nobody is logged in, there is nothing to complete and nothing is said.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Arg, Command};
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use clap_complete::env::Shells;
use clap_complete::{CompleteEnv, Shell};
use docklet_control::model::Visibility;
use docklet_control::view::ImageView;
use serde_json::Value;

use super::connection::Connection;
use super::{context, contexts};

/// By this variable a shell's script says that words are to be completed, and for which shell.
const ASKED_BY: &str = "DOCKLET_COMPLETE";
const NAME: &str = "docklet";
const WAIT_MAX: Duration = Duration::from_secs(1);

/// What an argument names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Noun {
    Context,
    Group,
    Image,
    Master,
    Setting,
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
    let asked = CompleteEnv::with_factory(|| known(command(), &[]))
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
    Ok(String::from_utf8(script)?)
}

/// The command, whose arguments know where the names are that they take.
fn known(command: Command, above: &[String]) -> Command {
    let mut path = above.to_vec();
    path.push(command.get_name().to_owned());
    let words: Vec<&str> = path.iter().skip(1).map(String::as_str).collect();
    let command = command.mut_args(|arg| match noun(&words, &arg) {
        Some(noun) => arg.add(ArgValueCandidates::new(move || noun.candidates())),
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
        (["explain"], "what") => Some(Noun::VclusterOrVnode),
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
    fn candidates(self) -> Vec<CompletionCandidate> {
        let names = match self == Self::Context {
            true => contexts::names(),
            false => self.ask(),
        };
        let mut names = names.unwrap_or_default();
        names.sort();
        names.dedup();
        names.into_iter().map(CompletionCandidate::new).collect()
    }

    /// Asks the cluster that the words to be completed mean.
    fn ask(self) -> anyhow::Result<Vec<String>> {
        context::choose(named_context(std::env::args_os()))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let asked = runtime.block_on(async {
            let connection = Connection::open()?;
            tokio::time::timeout(WAIT_MAX, self.names(&connection)).await?
        });
        // Looking up a host's name cannot be broken off, and is not waited for.
        runtime.shutdown_background();
        asked
    }

    async fn names(self, connection: &Connection) -> anyhow::Result<Vec<String>> {
        let (path, read): (_, fn(&Value) -> Vec<String>) = match self {
            Self::Context => return Ok(Vec::new()),
            Self::Image => return images(connection).await,
            Self::Master => {
                let masters: Value = connection.get("/masters").await?;
                return Ok(called(&masters["group"]["masters"]));
            }
            Self::Group => ("/groups", called),
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
    fn vnodes_are_named_with_their_vcluster() {
        let rows = serde_json::json!([{"name": "lab", "vnodes": [{"name": "host-0"}, {"name": "host-1"}]}]);
        assert_eq!(vnodes(&rows), ["lab/host-0", "lab/host-1"]);
    }
}
