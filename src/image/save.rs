//! Making an image of a vnode, and waiting for it.

use std::str::FromStr;
use std::time::Duration;

use docklet_control::model::{Receipt, SaveSeen};
use docklet_control::view::SaveView;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::VnodeName;
use crate::client::connection::Connection;
use crate::client::output::remark;
use crate::exit::{Class, Failure};

/// How often it is asked how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A vnode as it is, or as it was: `VCLUSTER/host-0` or `VCLUSTER/host-0@SNAPSHOT`.
#[derive(Clone, Debug)]
pub struct Source {
    pub vnode: VnodeName,
    snapshot: Option<String>,
}

impl FromStr for Source {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let (vnode, snapshot) = match text.split_once('@') {
            Some((vnode, snapshot)) => (vnode, Some(snapshot.to_owned())),
            None => (text, None),
        };
        let vnode = vnode.parse()?;
        Ok(Self { vnode, snapshot })
    }
}

fn path(vnode: &VnodeName) -> String {
    let VnodeName { vcluster, vnode } = vnode;
    format!("/vclusters/{vcluster}/vnodes/{vnode}/save")
}

pub async fn save(
    connection: &Connection,
    source: &Source,
    name: &str,
    label: &str,
    wait: bool,
) -> anyhow::Result<Receipt> {
    let body = json!({"name": name, "label": label, "snapshot": source.snapshot});
    let receipt = connection
        .receipt(Method::POST, &path(&source.vnode), &body)
        .await?;
    if wait {
        wait_for(connection, &receipt).await?;
    }
    Ok(receipt)
}

pub async fn cancel(connection: &Connection, vnode: &VnodeName) -> anyhow::Result<Receipt> {
    connection
        .receipt(Method::DELETE, &path(vnode), &Value::Null)
        .await
}

/// Until it is not under way any more. It goes on without whoever waits.
async fn wait_for(connection: &Connection, receipt: &Receipt) -> anyhow::Result<()> {
    let mut told = String::new();
    loop {
        let saves: Vec<SaveView> = connection.get("/saves").await?;
        let Some(save) = saves.into_iter().find(|save| save.number == receipt.index) else {
            return Ok(());
        };
        match save.seen {
            SaveSeen::Failed { cause } => {
                let text = format!("{} was not saved: {cause}", save.vnode);
                return Err(Failure::new(Class::Fault, text).into());
            }
            SaveSeen::Working { step } if step != told => {
                remark(&format!("{step} …"));
                told = step;
            }
            SaveSeen::Working { .. } | SaveSeen::Wanted => {}
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
