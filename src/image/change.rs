//! What is changed of an image that is there.

use clap::{Args, Subcommand};
use docklet_control::model::Receipt;
use docklet_control::view::{ImageView, VersionView};
use reqwest::Method;
use serde_json::{Value, json};

use super::path;
use crate::cli::Print;
use crate::client::connection::Connection;
use crate::client::output::print_receipt;
use crate::exit::{Class, Failure};

#[derive(Subcommand)]
#[command(defer = true)]
pub enum Command {
    /// Say in one line what it is
    Describe {
        image: String,
        description: String,
        #[command(flatten)]
        print: Print,
    },
    /// Let somebody else see and use it, or all who are in a group
    Share {
        image: String,
        #[command(flatten)]
        with: With,
        #[command(flatten)]
        print: Print,
    },
    /// Do not share it with somebody or a group any more; vnodes that they have stay
    Unshare {
        image: String,
        #[command(flatten)]
        with: With,
        #[command(flatten)]
        print: Print,
    },
    /// Let everybody see and use it; for admins
    Publish {
        image: String,
        #[command(flatten)]
        print: Print,
    },
    /// Make a public image private again; for admins
    Withdraw {
        image: String,
        #[command(flatten)]
        print: Print,
    },
    /// Give it another name
    Rename {
        image: String,
        to: String,
        #[command(flatten)]
        print: Print,
    },
    /// Let the name mean an earlier version; vnodes keep the one they were made of
    Rollback {
        image: String,
        /// Label or digest of a version, or its first digits; the one before if absent
        #[arg(long)]
        to: Option<String>,
        #[command(flatten)]
        print: Print,
    },
    /// Delete an image that no vnode is made of, with all its versions, or one version of it
    #[command(disable_version_flag = true)]
    Delete {
        image: String,
        /// Label or digest of the only version that goes, or its first digits
        #[arg(long, value_name = "VERSION")]
        version: Option<String>,
        /// For good, without the time in which `docklet trash restore` undoes it
        #[arg(long)]
        now: bool,
        #[command(flatten)]
        print: Print,
    },
    /// Have workers hold it before they need it; for admins
    Pull {
        image: String,
        /// Name of a worker; may be given several times
        #[arg(long, required_unless_present = "all")]
        worker: Vec<String>,
        /// All workers that there are
        #[arg(long, conflicts_with = "worker")]
        all: bool,
        /// They need not hold it any more
        #[arg(long)]
        release: bool,
        #[command(flatten)]
        print: Print,
    },
}

// With whom it is shared.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct With {
    /// Name of somebody
    user: Option<String>,
    /// Name of a group that you are in
    #[arg(long)]
    group: Option<String>,
}

impl With {
    /// What is asked for, by whether it is a person or a group.
    fn change(self, of_person: &str, of_group: &str) -> Value {
        match self.group {
            Some(group) => json!({of_group: group}),
            None => json!({of_person: self.user}),
        }
    }
}

pub async fn run(connection: &Connection, command: Command) -> anyhow::Result<()> {
    let (image, change, print) = match command {
        Command::Describe {
            image,
            description,
            print,
        } => (image, json!({"description": description}), print),
        Command::Share { image, with, print } => {
            (image, with.change("share", "share_with_group"), print)
        }
        Command::Unshare { image, with, print } => {
            (image, with.change("unshare", "unshare_from_group"), print)
        }
        Command::Publish { image, print } => (image, json!({"visibility": "public"}), print),
        Command::Withdraw { image, print } => (image, json!({"visibility": "private"}), print),
        Command::Rename { image, to, print } => (image, json!({"name": to}), print),
        Command::Rollback { image, to, print } => {
            let version = match to {
                Some(to) => json!(version(connection, &image, &to).await?.digest),
                None => Value::Null,
            };
            (image, json!({"rollback": version}), print)
        }
        Command::Pull {
            image,
            worker,
            all,
            release,
            print,
        } => {
            let workers = (!all).then_some(worker);
            let pull = json!({"workers": workers, "held": !release});
            (image, json!({"pull": pull}), print)
        }
        Command::Delete {
            image,
            version: only,
            now,
            print,
        } => {
            let mut path = path(&image)?;
            let next = if path.contains('?') { '&' } else { '?' };
            path = format!("{path}{next}now={now}");
            if let Some(only) = only {
                let digest = version(connection, &image, &only).await?.digest;
                path = format!("{path}&version={digest}");
            }
            let receipt = connection
                .receipt(Method::DELETE, &path, &Value::Null)
                .await?;
            return told(print, &receipt);
        }
    };
    let receipt = connection
        .receipt(Method::POST, &path(&image)?, &change)
        .await?;
    told(print, &receipt)
}

fn told(print: Print, receipt: &Receipt) -> anyhow::Result<()> {
    print_receipt(print.format, receipt)
}

/// The version that is meant by its label, or by the first digits of its digest.
async fn version(connection: &Connection, image: &str, text: &str) -> anyhow::Result<VersionView> {
    let view: ImageView = connection.get(&path(image)?).await?;
    let meant = |version: &&VersionView| {
        version.label == text || version.digest.to_string().starts_with(text)
    };
    let found: Vec<&VersionView> = view.versions.iter().filter(meant).collect();
    match found[..] {
        [only] if !text.is_empty() => Ok(only.clone()),
        _ => {
            let text = format!(
                "\"{}\" means {} versions of {image}: see `docklet image show {image}`",
                text.escape_debug(),
                found.len()
            );
            Err(Failure::new(Class::NotFound, text).into())
        }
    }
}
