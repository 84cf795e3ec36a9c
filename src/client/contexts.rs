//! Contexts: which there are, and which one is used.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use serde::Serialize;

use super::context::{self, Context, DEFAULT};
use super::output::{self, Rows, remark};
use crate::cli::Print;
use crate::exit::{Class, Failure};

/// Clusters that one is logged in to, by names of one's own; `docklet --context NAME login` makes another.
#[derive(Subcommand)]
#[command(defer = true)]
pub enum Command {
    /// List contexts
    #[command(alias = "ls")]
    List(Print),
    /// Let commands that name none mean this one
    Use { name: String },
    /// Show the one that is meant, without its secret
    Show(Print),
    /// Call one something else
    Rename { name: String, to: String },
    /// Forget one; its login goes on until it ends
    #[command(alias = "rm")]
    Remove { name: String },
}

/// A context without its secret.
#[derive(Serialize)]
struct View {
    name: String,
    used: bool,
    user: String,
    servers: Vec<String>,
}

pub fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::List(print) => print_all(print, &all()?)?,
        Command::Use { name } => {
            use_it(&name)?;
            remark(&format!("Commands mean {name} now."));
        }
        Command::Show(print) => print_all(print, &[shown()?])?,
        Command::Rename { name, to } => rename(&name, &to)?,
        Command::Remove { name } => {
            std::fs::remove_file(there(&name)?)?;
            if is_used(&name)? {
                write_current(DEFAULT)?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print_all(print: Print, views: &[View]) -> anyhow::Result<()> {
    output::print(print.format, &views, |views| {
        let mut rows = Rows::new(&["used", "name", "user", "servers"]);
        for view in *views {
            let used = if view.used { "*" } else { "" };
            let servers = view.servers.join(" ");
            rows.add([
                used.to_owned(),
                view.name.clone(),
                view.user.clone(),
                servers,
            ]);
        }
        rows
    })
}

fn view(name: &str, path: &Path) -> anyhow::Result<View> {
    let context = Context::load_from(path)?;
    Ok(View {
        name: name.to_owned(),
        used: is_used(name)?,
        user: context.user,
        servers: context.servers,
    })
}

fn shown() -> anyhow::Result<View> {
    let path = context::path()?;
    let name = context::chosen()?;
    view(&name.unwrap_or_else(|| path.display().to_string()), &path)
}

/// Names of all contexts.
pub fn names() -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    if context::file_of(DEFAULT)?.exists() {
        names.push(DEFAULT.to_owned());
    }
    let others = std::fs::read_dir(context::directory()?.join("contexts"));
    for entry in others.into_iter().flatten() {
        let name = entry?.file_name().into_string().unwrap_or_default();
        names.extend(name.strip_suffix(".toml").map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

fn all() -> anyhow::Result<Vec<View>> {
    let names = names()?;
    let views = names
        .iter()
        .map(|name| view(name, &context::file_of(name)?));
    views.collect()
}

fn is_used(name: &str) -> anyhow::Result<bool> {
    Ok(context::chosen()?.as_deref() == Some(name))
}

/// The file of a context that there is.
fn there(name: &str) -> anyhow::Result<std::path::PathBuf> {
    let path = context::file_of(name)?;
    if path.exists() {
        return Ok(path);
    }
    let text = format!("there is no context \"{name}\": `docklet context list` shows all");
    Err(Failure::new(Class::NotFound, text).into())
}

fn use_it(name: &str) -> anyhow::Result<()> {
    there(name)?;
    write_current(name)
}

fn write_current(name: &str) -> anyhow::Result<()> {
    let path = context::directory()?.join("current");
    std::fs::write(&path, format!("{name}\n")).with_context(|| format!("write {}", path.display()))
}

fn rename(name: &str, to: &str) -> anyhow::Result<()> {
    let (from, path) = (there(name)?, context::file_of(to)?);
    if path.exists() {
        let text = format!("there is a context \"{to}\" already: remove it first");
        return Err(Failure::new(Class::Conflict, text).into());
    }
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let used = is_used(name)?;
    std::fs::rename(from, path)?;
    if used { write_current(to) } else { Ok(()) }
}
