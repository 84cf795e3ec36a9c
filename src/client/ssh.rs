//! ssh to a vnode through the cluster's public port. The system's ssh does it; here it is told how: by which program it comes
//! there, which key lets it in, and by which keys it knows the vnode. Both are carried by the door of files, which asks who one
//! is, so that nothing is believed that only the network says.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::Context as _;
use clap::Args;
use docklet_control::file_path::FilePath;
use docklet_control::view::VclusterView;
use reqwest::header::{ETAG, IF_MATCH};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::VnodeName;
use super::connection::Connection;
use super::context;
use super::files::remote::{self, Remote};
use super::output::line;
use crate::exit::{Class, Failure};

const HOST_KEYS: [&str; 3] = ["ed25519", "ecdsa", "rsa"];
/// What the vnodes of a vcluster have in common, where the image's sshd reads drop-ins. It is no file of the vnode's own disk, so
/// that the door of files does not lead there.
const COMMON_HOST_KEY: &str = "/etc/docklet/ssh/host_ed25519.pub";

#[derive(Args)]
pub struct Ssh {
    /// The vnode, as VCLUSTER/host-0
    vnode: VnodeName,
    /// As whom
    #[arg(long, short = 'l', default_value = "root")]
    user: String,
    /// The port of its sshd
    #[arg(long, short, default_value_t = 22)]
    port: u16,
    /// Print lines for ~/.ssh/config instead: then ssh, scp, rsync and editors reach it as VCLUSTER.host-0
    #[arg(long)]
    config: bool,
    /// What else ssh is given: its options, then a command; after --
    #[arg(last = true, value_name = "SSH OPTIONS AND COMMAND")]
    rest: Vec<String>,
}

/// Files of this machine that belong to one context.
struct Here {
    key: PathBuf,
    known_hosts: PathBuf,
}

pub async fn run(ask: Ssh) -> anyhow::Result<ExitCode> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if ask.user.is_empty() || ask.user.starts_with('-') || !ask.user.chars().all(plain) {
        let text = "the user's name is not one that ssh is given: use letters, digits, -, _ and .";
        return Err(Failure::new(Class::Invalid, text).into());
    }
    let connection = Connection::open()?;
    let id = id_of(&connection, &ask.vnode).await?;
    let here = prepare()?;
    let alias = format!("docklet-vnode-{id}");
    learn_host_keys(&connection, &ask.vnode, &alias, &here.known_hosts).await?;
    let at = Remote {
        vnode: ask.vnode.clone(),
        path: String::new(),
    };
    let home = match ask.user.as_str() {
        "root" => FilePath::parse("/root").map_err(|refusal| anyhow::anyhow!("{refusal}"))?,
        _ => remote::look(&connection, &at, None, None).await?.path,
    };
    let key = std::fs::read_to_string(here.key.with_extension("pub")).context("read the key")?;
    let_in(&connection, &at, home.as_str(), key.trim()).await?;
    let options = options(&ask, &alias, &here)?;
    let host = format!("{}.{}", ask.vnode.vcluster, ask.vnode.vnode);
    if ask.config {
        line(&format!("Host {host}"));
        for (name, value) in options {
            line(&format!("    {name} {value}"));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut ssh = Command::new("ssh");
    for (name, value) in options {
        ssh.arg("-o").arg(format!("{name}={value}"));
    }
    // Options of ssh's own stand before the host, a command behind it.
    let begins = ask.rest.iter().position(|word| !word.starts_with('-'));
    let (own, command) = ask.rest.split_at(begins.unwrap_or(ask.rest.len()));
    ssh.args(own).arg(&host).args(command);
    Err(anyhow::Error::new(ssh.exec()).context("start ssh: is it installed?"))
}

/// It has the same key for ssh as long as it is the same vnode.
async fn id_of(connection: &Connection, name: &VnodeName) -> anyhow::Result<u64> {
    let view: VclusterView = connection
        .get(&format!("/vclusters/{}", name.vcluster))
        .await?;
    let vnode = view.vnodes.iter().find(|vnode| vnode.name == name.vnode);
    let missing = || Failure::new(Class::NotFound, format!("there is no vnode {name}"));
    Ok(vnode.ok_or_else(missing)?.id.0)
}

fn prepare() -> anyhow::Result<Here> {
    let name = context::chosen()?;
    let directory = match name {
        Some(name) => context::directory()?.join("ssh").join(name),
        None => context::path()?.with_extension("ssh"),
    };
    std::fs::create_dir_all(&directory).with_context(|| format!("make {}", directory.display()))?;
    let key = directory.join("id_ed25519");
    if !key.exists() {
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "docklet", "-f"])
            .arg(&key)
            .status()
            .context("start ssh-keygen: is it installed?")?;
        anyhow::ensure!(made.success(), "ssh-keygen made no key: {made}");
    }
    Ok(Here {
        key,
        known_hosts: directory.join("known_hosts"),
    })
}

fn options(ask: &Ssh, alias: &str, here: &Here) -> anyhow::Result<Vec<(&'static str, String)>> {
    let program = std::env::current_exe().context("find this program")?;
    // By its path: a later ssh, as an editor's, may know other directories.
    let context = std::path::absolute(context::path()?).context("find the context")?;
    let comes_by = format!(
        "env DOCKLET_CONTEXT={} {} port-forward --stdio {} {}",
        quoted(&context)?,
        quoted(&program)?,
        ask.vnode,
        ask.port
    );
    Ok(vec![
        ("User", ask.user.clone()),
        ("HostKeyAlias", alias.to_owned()),
        ("UserKnownHostsFile", quoted(&here.known_hosts)?),
        ("GlobalKnownHostsFile", "none".to_owned()),
        ("StrictHostKeyChecking", "yes".to_owned()),
        ("UpdateHostKeys", "no".to_owned()),
        ("IdentityFile", quoted(&here.key)?),
        ("IdentitiesOnly", "yes".to_owned()),
        ("ProxyCommand", comes_by),
    ])
}

/// A path as ssh reads one, from a shell too.
fn quoted(path: &Path) -> anyhow::Result<String> {
    let text = path.to_str().context("paths must be UTF-8 for ssh")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-_.+@ ".contains(c);
    if !text.chars().all(plain) {
        let text = format!("{text} cannot be named to ssh: use a path of letters and digits");
        return Err(Failure::new(Class::Invalid, text).into());
    }
    Ok(match text.contains(' ') {
        true => format!("\"{text}\""),
        false => text.to_owned(),
    })
}

/// A file of the vnode with what it is now; none if there is none.
async fn read(
    connection: &Connection,
    at: &Remote,
    path: &str,
) -> anyhow::Result<Option<(String, String)>> {
    let address = at.address("/content", &[("path", path)]);
    let sent = connection.send(Method::GET, &address, |request| request);
    let response = match sent.await {
        Ok(response) => response,
        Err(error) => {
            let failure = error.downcast_ref::<Failure>();
            return match failure.map(|failure| failure.class) {
                Some(Class::NotFound) => Ok(None),
                _ => Err(error),
            };
        }
    };
    let tag = response.headers().get(ETAG);
    let tag = tag
        .and_then(|tag| tag.to_str().ok())
        .unwrap_or("*")
        .to_owned();
    let text = response.text().await.context("read the answer")?;
    Ok(Some((text, tag)))
}

/// The key of the whole vcluster, if there is one, as a program in the vnode reads it.
fn common_key(vnode: &VnodeName) -> anyhow::Result<Option<String>> {
    let mut program = Command::new(std::env::current_exe().context("find this program")?);
    if let Some(name) = context::chosen()? {
        program.args(["--context", &name]);
    }
    let vnode = vnode.to_string();
    let ran = program
        .args(["exec", &vnode, "--", "cat", COMMON_HOST_KEY])
        .stdin(std::process::Stdio::null())
        .output()
        .context("read the vcluster's host key")?;
    let key = String::from_utf8(ran.stdout).unwrap_or_default();
    Ok((ran.status.success() && !key.is_empty()).then_some(key))
}

/// Keeps the vnode's keys by its alias, instead of what was there.
async fn learn_host_keys(
    connection: &Connection,
    vnode: &VnodeName,
    alias: &str,
    known_hosts: &Path,
) -> anyhow::Result<()> {
    let at = Remote {
        vnode: vnode.clone(),
        path: String::new(),
    };
    let kept = std::fs::read_to_string(known_hosts).unwrap_or_default();
    let others = kept
        .lines()
        .filter(|line| line.split(' ').next() != Some(alias));
    let mut lines: Vec<String> = others.map(str::to_owned).collect();
    let before = lines.len();
    let mut keys: Vec<String> = common_key(vnode)?.into_iter().collect();
    for kind in HOST_KEYS {
        let path = format!("/etc/ssh/ssh_host_{kind}_key.pub");
        keys.extend(read(connection, &at, &path).await?.map(|(key, _)| key));
    }
    for key in keys {
        let mut words = key.split_whitespace();
        if let (Some(kind), Some(key)) = (words.next(), words.next()) {
            lines.push(format!("{alias} {kind} {key}"));
        }
    }
    if lines.len() == before {
        let text = format!(
            "{vnode} has no ssh host keys: use an image with an ssh server, as ssh or debian"
        );
        return Err(Failure::new(Class::Conflict, text).into());
    }
    // Another ssh that reads it at this moment sees all of it, or all of what was before.
    let text = lines.join("\n") + "\n";
    let new = known_hosts.with_extension(std::process::id().to_string());
    let mut file = std::fs::OpenOptions::new();
    let mut file = file
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(text.as_bytes())?;
    std::fs::rename(&new, known_hosts).with_context(|| format!("write {}", known_hosts.display()))
}

/// Lets the key in, beside those that are let in already.
async fn let_in(connection: &Connection, at: &Remote, home: &str, key: &str) -> anyhow::Result<()> {
    let home = home.trim_end_matches('/');
    let (directory, path) = (
        format!("{home}/.ssh"),
        format!("{home}/.ssh/authorized_keys"),
    );
    let there = read(connection, at, &path).await?;
    let (text, tag) = match &there {
        Some((text, tag)) => (text.as_str(), Some(tag.as_str())),
        None => ("", None),
    };
    if text.lines().any(|line| line.trim() == key) {
        return Ok(());
    }
    let make = json!({"path": directory, "may_exist": true});
    let made: Value = connection
        .change(Method::POST, &at.address("/directories", &[]), &make)
        .await?;
    drop(made);
    let mut text = text.trim_end().to_owned();
    if !text.is_empty() {
        text.push('\n');
    }
    let text = format!("{text}{key}\n");
    let prepare = |request: RequestBuilder| {
        let request = request.body(text.clone());
        match tag {
            Some(tag) => request.header(IF_MATCH, tag),
            None => request,
        }
    };
    let address = at.address("/content", &[("path", &path)]);
    connection.send(Method::PUT, &address, prepare).await?;
    Ok(())
}
