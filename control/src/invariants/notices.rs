//! What must hold of notices, mails and bug reports.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::MailId;
use crate::model::Bug;
use crate::model::account::Standing;
use crate::model::mail::{Mail, MailStage, MailText};
use crate::model::notice::{Notice, Reader, To};
use crate::state::State;

/// Rows are of somebody who is there, and of each there are no more than it says.
pub(super) fn rows_are_sound(state: &State, broken: &mut Vec<String>) {
    let mut boxes: BTreeMap<To, usize> = BTreeMap::new();
    for notice in state.notices.values() {
        *boxes.entry(notice.to).or_default() += 1;
        let there = match notice.to {
            To::User(user) => state.users.contains_key(&user),
            To::Group(group) => state.groups.contains_key(&group),
            To::Admins | To::All => true,
        };
        if !there || notice.title.is_empty() || notice.until <= notice.since {
            broken.push(format!("notice {} is not sound", notice.id));
        }
    }
    let most = |to: &To| match to {
        To::User(_) | To::Admins => Notice::PERSONAL_MAX,
        To::Group(_) => Notice::PER_GROUP_MAX,
        To::All => Notice::ANNOUNCEMENTS_MAX,
    };
    let many = state.notices.values();
    let many = many.filter(|notice| notice.is_announcement()).count();
    let full = boxes.iter().any(|(to, count)| *count > most(to));
    if full || many > Notice::ANNOUNCEMENTS_MAX {
        broken.push("there are too many notices".to_owned());
    }
    for reader in state.readers.values() {
        let there = state.users.contains_key(&reader.user);
        if !there || reader.read.len() > Reader::READ_MAX {
            broken.push(format!("reader {} is not sound", reader.user));
        }
    }
    mails_are_sound(state, broken);
    let mut open = BTreeMap::new();
    for bug in state.bugs.values() {
        let there = bug.by.is_none_or(|by| state.users.contains_key(&by));
        let of = open.entry(bug.by).or_insert(0);
        *of += usize::from(!bug.closed && bug.by.is_some());
        if !there || *of > Bug::OPEN_PER_USER_MAX {
            broken.push(format!("bug report {} is not sound", bug.id));
        }
    }
    if state.bugs.len() > Bug::KEPT_MAX || state.mails.len() > Mail::KEPT_MAX {
        broken.push("there are too many bug reports or mails".to_owned());
    }
}

/// Each goes to somebody who may have it, and says something that is there.
fn mails_are_sound(state: &State, broken: &mut Vec<String>) {
    let mut copies = BTreeSet::new();
    for mail in state.mails.values() {
        let there = mail.user.is_none_or(|user| {
            let waits = matches!(mail.stage, MailStage::Waiting { .. });
            let active = state.account_of(user).standing == Standing::Active;
            let just_locked = mail.tries == 0;
            state.users.contains_key(&user) && (active || !waits || just_locked)
        });
        let says = match mail.text {
            // One notice is one mail to each.
            MailText::Of(notice) => {
                state.notices.contains_key(&notice) && copies.insert((notice, mail.user))
            }
            MailText::Own { .. } => true,
        };
        if !there || !says || mail.address.is_empty() {
            broken.push(format!("mail {} is not sound", mail.id));
        }
    }
}

/// Each attempt is begun once, by one master, and what ended stays so unless somebody asks for more.
pub(super) fn mails_are_begun_once(before: &State, after: &State, broken: &mut Vec<String>) {
    let begun = |state: &State, id: &MailId| {
        let mail = state.mails.get(id)?;
        match mail.stage {
            MailStage::Begun { by, at } => Some((mail.tries, by, at)),
            MailStage::Waiting { .. } | MailStage::Unsure { .. } | MailStage::GivenUp { .. } => {
                None
            }
        }
    };
    for (id, mail) in after.mails.iter() {
        let Some(old) = before.mails.get(id) else {
            continue;
        };
        let (was, is) = (begun(before, id), begun(after, id));
        let again = is.is_some() && is != was && mail.tries != old.tries + 1;
        let sudden = is.is_some() && was.is_none() && old.has_ended().is_some();
        if mail.tries < old.tries || again || sudden {
            broken.push(format!("mail {id} is sent twice"));
        }
    }
}
