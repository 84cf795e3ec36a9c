//! Services of vnodes, which browsers open: declare, list, share, remove.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use docklet_control::view::ServiceView;
use reqwest::Method;
use serde_json::{Value, json};

use super::VnodeName;
use super::connection::Connection;
use super::output::{Rows, print, print_receipt};
use crate::cli::Print;
use crate::exit::{Class, Failure};

#[derive(Subcommand)]
#[command(defer = true)]
pub enum Command {
    /// Let browsers open what listens at a port of a vnode: for its owner alone, until it is shared
    Add(Add),
    /// List what you may open, and where
    List(Print),
    /// Say who may open one beside its owner; nobody if nobody is named
    Share(Share),
    /// Let browsers open it no more; what listens goes on
    Remove(Remove),
}

#[derive(Args)]
struct Named {
    /// The vnode, as VCLUSTER/host-0
    vnode: VnodeName,
    /// Name of the service
    name: String,
}

#[derive(Args)]
#[command(allow_negative_numbers = true)]
pub struct Add {
    #[command(flatten)]
    named: Named,
    /// The vnode's own port, at which something speaks HTTP
    #[arg(long)]
    port: u16,
    /// What links to it end with, as /lab
    #[arg(long, default_value = "")]
    path: String,
    /// Tell it who comes, in the header X-Docklet-User
    #[arg(long)]
    tells_user: bool,
    #[command(flatten)]
    print: Print,
}

#[derive(Args)]
pub struct Share {
    #[command(flatten)]
    named: Named,
    /// Everybody who is logged in
    #[arg(long)]
    everybody: bool,
    /// A person; may be given several times
    #[arg(long = "user", value_name = "USER")]
    people: Vec<String>,
    /// A group; may be given several times
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    #[command(flatten)]
    print: Print,
}

#[derive(Args)]
pub struct Remove {
    #[command(flatten)]
    named: Named,
    #[command(flatten)]
    print: Print,
}

pub async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let connection = Connection::open()?;
    match command {
        Command::Add(add) => {
            let body = json!({
                "vcluster": add.named.vnode.vcluster,
                "vnode": add.named.vnode.vnode,
                "name": add.named.name,
                "port": add.port,
                "path": add.path,
                "tells_user": add.tells_user,
            });
            connection.receipt(Method::POST, "/services", &body).await?;
            let found = find(&connection, &add.named).await?;
            show(add.print, &vec![found])
        }
        Command::List(format) => show(format, &connection.get("/services").await?),
        Command::Share(share) => {
            let id = find(&connection, &share.named).await?.id;
            let body = json!({
                "everybody": share.everybody,
                "people": share.people,
                "groups": share.groups,
            });
            let path = format!("/services/{id}/audience");
            let receipt = connection.receipt(Method::PUT, &path, &body).await?;
            print_receipt(share.print.format, &receipt)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Remove(remove) => {
            let id = find(&connection, &remove.named).await?.id;
            let path = format!("/services/{id}");
            let receipt = connection
                .receipt(Method::DELETE, &path, &Value::Null)
                .await?;
            print_receipt(remove.print.format, &receipt)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn find(connection: &Connection, named: &Named) -> anyhow::Result<ServiceView> {
    let (vcluster, vnode) = (&named.vnode.vcluster, &named.vnode.vnode);
    let views: Vec<ServiceView> = connection.get("/services").await?;
    let meant = |view: &ServiceView| {
        view.own && view.vcluster == *vcluster && view.vnode == *vnode && view.name == named.name
    };
    let found = views.into_iter().find(meant);
    found.with_context(|| {
        let text = format!(
            "{vcluster}/{vnode} has no service \"{}\" of yours: list them with `docklet service list`",
            named.name
        );
        Failure::new(Class::NotFound, text)
    })
}

fn show(format: Print, views: &Vec<ServiceView>) -> anyhow::Result<ExitCode> {
    print(format.format, views, |views| {
        let mut rows = Rows::new(&[
            "service", "vnode", "port", "state", "for", "open at", "owner",
        ]);
        for view in views {
            rows.add([
                view.name.clone(),
                format!("{}/{}", view.vcluster, view.vnode),
                view.port.to_string(),
                view.phase.word().to_owned(),
                audience(view),
                view.url.clone().unwrap_or_else(|| "-".to_owned()),
                view.owner.clone(),
            ]);
        }
        rows
    })?;
    Ok(ExitCode::SUCCESS)
}

fn audience(view: &ServiceView) -> String {
    if view.everybody {
        return "everybody".to_owned();
    }
    let groups = view.groups.iter().map(|group| format!("group {group}"));
    let names: Vec<String> = view.people.iter().cloned().chain(groups).collect();
    match (view.own, names.is_empty()) {
        (true, true) => "its owner".to_owned(),
        (true, false) => names.join(", "),
        (false, _) => "you".to_owned(),
    }
}
