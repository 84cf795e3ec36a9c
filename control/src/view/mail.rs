//! Mails and the server by which they go, as admins see them: never what the server is shown.

use serde::{Deserialize, Serialize};

use crate::id::{MailId, UnixMs};
use crate::model::mail::{Mail, MailServer, MailStage, MailText, MailTls};
use crate::name::Name;
use crate::state::State;
use crate::view::part::{Part, Wanted};

/// The server, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct MailServerView {
    pub host: String,
    pub port: u16,
    pub tls: MailTls,
    pub user: String,
    /// Whether there is one.
    pub secret: bool,
    pub from: String,
    /// Whether it has authorities of its own.
    pub authorities: bool,
    pub portal: String,
}

/// One mail that was not delivered, or not yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct MailView {
    pub id: MailId,
    /// Whose address it is; empty of somebody without an account.
    pub user: String,
    pub address: String,
    pub subject: String,
    /// "waiting", "begun", "unsure" or "given up".
    pub stage: String,
    pub tries: u32,
    pub made_at: UnixMs,
    /// When it is tried, of one that waits.
    pub next_at: Option<UnixMs>,
    pub cause: String,
}

/// The server, if there is one.
#[must_use]
pub fn server(state: &State) -> Option<MailServerView> {
    let MailServer {
        host,
        port,
        tls,
        user,
        secret,
        from,
        authorities,
        portal,
    } = state.mail_server.as_ref()?;
    Some(MailServerView {
        host: host.clone(),
        port: *port,
        tls: *tls,
        user: user.clone(),
        secret: !secret.0.is_empty(),
        from: from.clone(),
        authorities: !authorities.is_empty(),
        portal: portal.clone(),
    })
}

/// Part of the mails, the oldest first. Addresses are looked for, and names of whose they are.
#[must_use]
pub fn part(state: &State, wanted: &Wanted) -> Part<MailView> {
    let mails = state.mails.iter();
    let found = mails.filter(|(_, mail)| {
        wanted.finds(&mail.address) || wanted.finds(owner(state, mail).map_or("", Name::as_str))
    });
    let read = |text: &str| text.parse().ok();
    wanted.of_ordered(found, read, MailId::to_string, |mail| show(state, mail))
}

fn owner<'s>(state: &'s State, mail: &Mail) -> Option<&'s Name> {
    Some(&state.users.get(&mail.user?)?.name)
}

fn show(state: &State, mail: &Mail) -> MailView {
    MailView {
        id: mail.id,
        user: owner(state, mail).map_or_else(String::new, Name::to_string),
        address: mail.address.clone(),
        subject: subject(state, mail),
        stage: mail.stage.word().to_owned(),
        tries: mail.tries,
        made_at: mail.made_at,
        next_at: match mail.stage {
            MailStage::Waiting { next_at } => Some(next_at),
            MailStage::Begun { .. } | MailStage::Unsure { .. } | MailStage::GivenUp { .. } => None,
        },
        cause: mail.cause.clone(),
    }
}

fn subject(state: &State, mail: &Mail) -> String {
    match &mail.text {
        MailText::Of(id) => {
            let notice = state.notices.get(id);
            notice.map_or_else(String::new, |notice| notice.title.clone())
        }
        MailText::Own { subject, .. } => subject.clone(),
    }
}
