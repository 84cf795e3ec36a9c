//! How many bytes of images people have and may have.

use std::str::FromStr;

use anyhow::Context as _;
use clap::Args;
use docklet_control::model::{ImageQuota, Receipt};
use docklet_control::view::{QuotaView, QuotasView};
use reqwest::Method;
use serde_json::Value;

use crate::cli::Print;
use crate::client;
use crate::client::amount;
use crate::client::connection::Connection;
use crate::client::output::{Rows, print, print_receipt};
use crate::exit::{Class, Failure};

#[derive(Args)]
pub struct Quota {
    /// What they may have, as 20GiB; or none, for as much as they like
    #[arg(long, value_name = "SIZE|none", conflicts_with = "reset")]
    set: Option<Limit>,
    /// Whom it is about; everybody who has no quota of their own and is no admin, if absent
    #[arg(long)]
    user: Option<String>,
    /// This user may have what everybody may
    #[arg(long, requires = "user")]
    reset: bool,
    #[command(flatten)]
    print: Print,
}

/// A size, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limit(ImageQuota);

impl FromStr for Limit {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        if text == "none" {
            return Ok(Self(ImageQuota::NONE));
        }
        let bytes = amount::disk(text)?.0.checked_mul(1 << 20);
        let bytes = bytes.filter(|bytes| *bytes <= ImageQuota::BYTES_MAX);
        let too_much = || {
            let text = text.escape_debug();
            Failure::new(Class::Invalid, format!("{text} is more than there can be"))
        };
        Ok(Self(ImageQuota {
            bytes: Some(bytes.ok_or_else(too_much)?),
        }))
    }
}

pub async fn run(connection: &Connection, quota: Quota) -> anyhow::Result<()> {
    let Quota {
        set,
        user,
        reset,
        print,
    } = quota;
    let path = user.as_deref().map(path).transpose()?;
    let receipt: Receipt = match (set, path) {
        (Some(Limit(quota)), path) => {
            let path = path.unwrap_or_else(|| "/image-quotas".to_owned());
            connection.receipt(Method::PUT, &path, &quota).await?
        }
        (None, Some(path)) if reset => {
            connection
                .receipt(Method::DELETE, &path, &Value::Null)
                .await?
        }
        (None, _) => return show(connection, user.as_deref(), print).await,
    };
    print_receipt(print.format, &receipt)
}

fn path(user: &str) -> anyhow::Result<String> {
    Ok(format!("/image-quotas/{}", client::name("user", user)?))
}

async fn show(connection: &Connection, user: Option<&str>, format: Print) -> anyhow::Result<()> {
    let path = match user {
        Some(user) => format!("/image-quotas?find={}", client::name("user", user)?),
        None => "/image-quotas".to_owned(),
    };
    let parts: Vec<QuotasView> = connection.parts(&path).await?;
    let everybody = parts.first().context("no answer")?.everybody;
    let people = parts.into_iter().flat_map(|part| part.people).collect();
    let mut quotas = QuotasView { everybody, people };
    if let Some(user) = user {
        quotas.people.retain(|person| person.user == user);
        if quotas.people.is_empty() {
            let text = format!("there is no user \"{user}\" that you can see");
            return Err(Failure::new(Class::NotFound, text).into());
        }
    }
    print(format.format, &quotas, |quotas| {
        let mut rows = Rows::new(&["user", "has", "may have", "by"]);
        for person in &quotas.people {
            rows.add(row(person));
        }
        if user.is_none() {
            let limit = limit(quotas.everybody.bytes);
            rows.add([
                "(everybody)".to_owned(),
                String::new(),
                limit,
                String::new(),
            ]);
        }
        rows
    })
}

fn row(person: &QuotaView) -> [String; 4] {
    [
        person.user.clone(),
        format!("{} MiB", person.used_bytes.div_ceil(1 << 20)),
        limit(person.bytes),
        person.whence.clone(),
    ]
}

fn limit(bytes: Option<u64>) -> String {
    match bytes {
        Some(bytes) => format!("{} MiB", bytes >> 20),
        None => "no limit".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_size_or_none() {
        let bytes = |text: &str| text.parse::<Limit>().expect(text).0.bytes;
        assert_eq!(bytes("20GiB"), Some(20 << 30));
        assert_eq!(bytes("0MiB"), Some(0));
        assert_eq!(bytes("none"), None);
        for text in ["", "20", "no", "-1GiB", "1025TiB", "99999999999999TiB"] {
            assert!(text.parse::<Limit>().is_err(), "{text}");
        }
    }
}
