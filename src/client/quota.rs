//! How much people have and may have.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use docklet_control::model::{Bound, QuotaChange, QuotaItem};
use docklet_control::quota::command::QuotaCommand;
use docklet_control::view::{AllowanceView, GroupAllowanceView};
use reqwest::Method;

use super::amount;
use super::connection::Connection;
use super::context::Context;
use super::name;
use super::output::{Rows, print, print_receipt};
use crate::cli::Print;
use crate::exit::{Class, Failure};

#[derive(Subcommand)]
#[command(defer = true)]
pub enum Command {
    /// Show how much somebody has, may have, and whence that comes: yourself, if nobody is named
    Show {
        /// Somebody in a group that you manage; anybody, for admins
        user: Option<String>,
        /// What a group gives each member; for its managers, what its members have
        #[arg(long, conflicts_with = "user")]
        group: Option<String>,
        /// What everybody may have for whom nothing else was said
        #[arg(long, conflicts_with_all = ["user", "group"])]
        usual: bool,
        #[command(flatten)]
        print: Print,
    },
    /// List everybody whom you look after, yourself included
    List(Print),
    /// Say how much somebody may have: what is not named stays. Whoever has more keeps it, and gets no more
    Set {
        #[command(flatten)]
        of: Whose,
        #[command(flatten)]
        items: Items,
        #[command(flatten)]
        print: Print,
    },
}

// One of them. A group and a user together mean what the group gives that member, which its managers set.
#[derive(Args)]
#[group(required = true, multiple = true)]
pub struct Whose {
    /// One person; for admins
    #[arg(long)]
    user: Option<String>,
    /// Each member of a group, for admins; with --user what it gives that member, for its managers
    #[arg(long)]
    group: Option<String>,
    /// Everybody for whom nothing else is said; for admins
    #[arg(long, conflicts_with_all = ["user", "group"])]
    usual: bool,
}

// Each a number or size; `none` for no limit; `inherit` for what holds when it is not said here.
#[derive(Args)]
pub struct Items {
    /// Vnodes, stopped ones too
    #[arg(long, value_name = "N|none|inherit", value_parser = number)]
    vnodes: Option<Wish>,
    /// CPU of all of them in cores, as 4 or 1.5
    #[arg(long, value_name = "CORES|none|inherit", value_parser = cores)]
    cpu: Option<Wish>,
    /// Memory of all of them, as 2GiB
    #[arg(long, value_name = "SIZE|none|inherit", value_parser = mib)]
    memory: Option<Wish>,
    /// Disks of all of them, as 80GiB
    #[arg(long, value_name = "SIZE|none|inherit", value_parser = mib)]
    disk: Option<Wish>,
    /// GPUs of all of them
    #[arg(long, value_name = "N|none|inherit", value_parser = number)]
    gpus: Option<Wish>,
    /// Ports that are open to the outside
    #[arg(long, value_name = "N|none|inherit", value_parser = number)]
    ports: Option<Wish>,
    /// Snapshots of all vnodes
    #[arg(long, value_name = "N|none|inherit", value_parser = number)]
    snapshots: Option<Wish>,
    /// Images, packed, as 20GiB
    #[arg(long, value_name = "SIZE|none|inherit", value_parser = bytes)]
    images: Option<Wish>,
    /// What the home holds, as 20GiB
    #[arg(long, value_name = "SIZE|inherit", value_parser = mib)]
    home: Option<Wish>,
    /// What each vnode may send, and as much receive, in Mbit/s
    #[arg(long, value_name = "MBIT|none|inherit", value_parser = mbit)]
    bandwidth_mbit: Option<Wish>,
    /// After how long a vcluster is stopped whose vnodes do nothing, as 24h or 90m
    #[arg(long, value_name = "TIME|none|inherit", value_parser = minutes)]
    idle: Option<Wish>,
}

/// What is wanted of one item; none takes it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish(Option<Bound>);

fn wish(text: &str, form: &str, read: impl FnOnce(&str) -> Option<u64>) -> Result<Wish, Failure> {
    match text {
        "inherit" => return Ok(Wish(None)),
        "none" => return Ok(Wish(Some(Bound::Unlimited))),
        _ => {}
    }
    let most = read(text).map(|most| Wish(Some(Bound::AtMost(most))));
    most.ok_or_else(|| {
        let text = text.escape_debug();
        let message = format!("\"{text}\" is no limit: write {form}, \"none\" or \"inherit\"");
        Failure::new(Class::Invalid, message)
    })
}

fn number(text: &str) -> Result<Wish, Failure> {
    wish(text, "a number", |text| text.parse().ok())
}

fn cores(text: &str) -> Result<Wish, Failure> {
    wish(text, "cores as 4 or 1.5", |text| {
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if part.is_empty() || part.len() > 3 || !digits(part) || !digits(whole) {
            return None;
        }
        let milli: u64 = format!("{part:0<3}").parse().ok()?;
        whole
            .parse::<u64>()
            .ok()?
            .checked_mul(1_000)?
            .checked_add(milli)
    })
}

fn mib(text: &str) -> Result<Wish, Failure> {
    let read = |text: &str| Some(amount::disk(text).ok()?.0);
    wish(text, "a size as 512MiB or 20GiB", read)
}

fn bytes(text: &str) -> Result<Wish, Failure> {
    let read = |text: &str| amount::disk(text).ok()?.0.checked_mul(1 << 20);
    wish(text, "a size as 512MiB or 20GiB", read)
}

fn mbit(text: &str) -> Result<Wish, Failure> {
    let read = |text: &str| text.parse::<u64>().ok()?.checked_mul(1_000);
    wish(text, "a number of Mbit/s", read)
}

fn minutes(text: &str) -> Result<Wish, Failure> {
    wish(text, "a time as 90m, 24h or 7d", |text| {
        let number = text.trim_end_matches(char::is_alphabetic);
        let minutes = match &text[number.len()..] {
            "m" => 1,
            "h" => 60,
            "d" => 24 * 60,
            _ => return None,
        };
        number.parse::<u64>().ok()?.checked_mul(minutes)
    })
}

impl Items {
    fn change(self) -> QuotaChange {
        let items = [
            (QuotaItem::Vnodes, self.vnodes),
            (QuotaItem::CpuMilli, self.cpu),
            (QuotaItem::MemoryMib, self.memory),
            (QuotaItem::DiskMib, self.disk),
            (QuotaItem::Gpus, self.gpus),
            (QuotaItem::Ports, self.ports),
            (QuotaItem::Snapshots, self.snapshots),
            (QuotaItem::ImageBytes, self.images),
            (QuotaItem::HomeMib, self.home),
            (QuotaItem::BandwidthKbitPerS, self.bandwidth_mbit),
            (QuotaItem::IdleMinutes, self.idle),
        ];
        let wanted = items.into_iter();
        let wanted = wanted.filter_map(|(item, wish)| Some((item, wish?.0)));
        wanted.collect()
    }
}

/// What is to be set, for whoever sets it or only asks what would come of it.
pub fn command(of: Whose, items: Items) -> QuotaCommand {
    let change = items.change();
    match (of.group, of.user) {
        (Some(group), Some(user)) => QuotaCommand::SetShare {
            group,
            user,
            change,
        },
        (Some(group), None) => QuotaCommand::SetOfGroup { group, change },
        (None, Some(user)) => QuotaCommand::SetOfUser { user, change },
        (None, None) => QuotaCommand::SetUsual { change },
    }
}

pub async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let connection = Connection::open()?;
    match command {
        Command::Show {
            user,
            group,
            usual,
            print,
        } => match (group, usual) {
            (Some(group), _) => show_group(&connection, &group, print).await?,
            (None, true) => show_usual(&connection, print).await?,
            (None, false) => show(&connection, user, print).await?,
        },
        Command::List(print) => list(&connection, print).await?,
        Command::Set { of, items, print } => set(&connection, of, items, print).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn set(
    connection: &Connection,
    of: Whose,
    items: Items,
    format: Print,
) -> anyhow::Result<()> {
    let (path, change) = match command(of, items) {
        QuotaCommand::SetUsual { change } => ("/quotas/usual".to_owned(), change),
        QuotaCommand::SetOfUser { user, change } => {
            (format!("/quotas/users/{}", name("user", &user)?), change)
        }
        QuotaCommand::SetOfGroup { group, change } => {
            (format!("/quotas/groups/{}", name("group", &group)?), change)
        }
        QuotaCommand::SetShare {
            group,
            user,
            change,
        } => {
            let (group, user) = (name("group", &group)?, name("user", &user)?);
            (format!("/quotas/groups/{group}/members/{user}"), change)
        }
    };
    let receipt = connection.receipt(Method::PUT, &path, &change).await?;
    print_receipt(format.format, &receipt)
}

async fn show(connection: &Connection, user: Option<String>, format: Print) -> anyhow::Result<()> {
    let user = match user {
        Some(user) => user,
        None => Context::load()?.user,
    };
    let path = format!("/quotas/users/{}", name("user", &user)?);
    let view: AllowanceView = connection.get(&path).await?;
    print(format.format, &view, |view| {
        let mut rows = Rows::new(&["item", "used", "limit", "by"]);
        for item in &view.items {
            let used = item.used_words().unwrap_or_else(|| "-".to_owned());
            rows.add([
                item.item.word().to_owned(),
                used,
                item.limit_words(),
                item.whence.clone(),
            ]);
        }
        rows
    })
}

async fn list(connection: &Connection, format: Print) -> anyhow::Result<()> {
    let views: Vec<AllowanceView> = connection.list("/quotas").await?;
    print(format.format, &views, |views| {
        let mut rows = Rows::new(&[
            "user",
            "vnodes",
            "CPU",
            "memory",
            "disk",
            "GPUs",
            "ports",
            "snapshots",
            "images",
        ]);
        for view in views {
            rows.add(sums(view));
        }
        rows
    })
}

/// As `3 / 8`, of what there is a sum.
fn sums(view: &AllowanceView) -> [String; 9] {
    let of = |item: QuotaItem| {
        let mut items = view.items.iter();
        let found = items.find(|found| found.item == item);
        let words = found.and_then(|found| {
            let used = found.used_words()?;
            Some(format!("{used} / {}", found.limit_words()))
        });
        words.unwrap_or_default()
    };
    [
        view.user.clone(),
        of(QuotaItem::Vnodes),
        of(QuotaItem::CpuMilli),
        of(QuotaItem::MemoryMib),
        of(QuotaItem::DiskMib),
        of(QuotaItem::Gpus),
        of(QuotaItem::Ports),
        of(QuotaItem::Snapshots),
        of(QuotaItem::ImageBytes),
    ]
}

fn bound(item: QuotaItem, bound: Bound) -> String {
    let words = bound.number().map(|most| item.words(most));
    words.unwrap_or_else(|| "no limit".to_owned())
}

async fn show_usual(connection: &Connection, format: Print) -> anyhow::Result<()> {
    let usual: BTreeMap<QuotaItem, Bound> = connection.get("/quotas/usual").await?;
    print(format.format, &usual, |usual| {
        let mut rows = Rows::new(&["item", "limit"]);
        for (item, most) in usual {
            rows.add([item.word().to_owned(), bound(*item, *most)]);
        }
        rows
    })
}

async fn show_group(connection: &Connection, group: &str, format: Print) -> anyhow::Result<()> {
    let path = format!("/quotas/groups/{}", name("group", group)?);
    let view: GroupAllowanceView = connection.get(&path).await?;
    print(format.format, &view, |view| {
        let mut rows = Rows::new(&["who", "item", "used", "limit", "by"]);
        let dash = || "-".to_owned();
        for (item, most) in &view.quota {
            rows.add([
                "(each member)".to_owned(),
                item.word().to_owned(),
                dash(),
                bound(*item, *most),
                dash(),
            ]);
        }
        for member in &view.members {
            for item in &member.allowance.items {
                rows.add([
                    member.allowance.user.clone(),
                    item.item.word().to_owned(),
                    item.used_words().unwrap_or_else(dash),
                    item.limit_words(),
                    item.whence.clone(),
                ]);
            }
        }
        rows
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_as_they_are_written() {
        let most = |most| Wish(Some(Bound::AtMost(most)));
        assert_eq!(cores("4").expect("cores"), most(4_000));
        assert_eq!(cores("1.5").expect("cores"), most(1_500));
        assert_eq!(cores("0.05").expect("cores"), most(50));
        assert_eq!(mib("2GiB").expect("a size"), most(2_048));
        assert_eq!(bytes("1MiB").expect("a size"), most(1 << 20));
        assert_eq!(mbit("10").expect("a rate"), most(10_000));
        assert_eq!(minutes("24h").expect("a time"), most(1_440));
        assert_eq!(number("none").expect("none"), Wish(Some(Bound::Unlimited)));
        assert_eq!(number("inherit").expect("inherit"), Wish(None));
        for text in ["", "-1", "1.", ".5", "1.2345", "1,5", "a"] {
            assert!(cores(text).is_err(), "{text}");
        }
        for text in ["", "24", "h", "1y"] {
            assert!(minutes(text).is_err(), "{text}");
        }
        assert!(number("8x").is_err() && mib("2").is_err());
    }
}
