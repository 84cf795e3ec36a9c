//! Mails: by which server they go, how far each has come, and that each text is ended once.

use std::net::IpAddr;

use super::super::{Ground, account, in_range, plain_text};
use super::lines;
use crate::event::Event;
use crate::id::{MailId, MasterId, NoticeId, UnixMs};
use crate::model::mail::{Mail, MailServer, MailStage, MailText, MailTls};
use crate::notice::event::NoticeEvent;
use crate::notice::mail::{MailCommand, MailEvent};
use crate::notice::refusal::NoticeRefusal;
use crate::refusal::Refusal;

/// No host name is longer.
const HOST_LEN_MAX: usize = 253;
const USER_LEN_MAX: usize = 254;
const SECRET_LEN_MAX: usize = 500;
const AUTHORITIES_LEN_MAX: usize = 60_000;
const PORTAL_LEN_MAX: usize = 200;

pub(super) fn decide(ground: Ground<'_>, command: &MailCommand) -> Result<Vec<Event>, Refusal> {
    match command {
        MailCommand::SetServer { server } => set_server(ground, server.as_ref()),
        MailCommand::Test => test(ground),
        MailCommand::Resend { mail } => resend(ground, *mail),
        MailCommand::Begin {
            mail,
            attempt,
            master,
        } => begin(ground, *mail, *attempt, *master),
        MailCommand::Sent { mail, attempt, .. } => Ok(sent(ground, *mail, *attempt)),
        MailCommand::Failed {
            mail,
            attempt,
            master,
            permanent,
            cause,
        } => Ok(failed(
            ground,
            *mail,
            (*attempt, *master),
            *permanent,
            cause,
        )),
        MailCommand::Doubt {
            mail,
            attempt,
            master,
            cause,
        } => Ok(doubt(ground, *mail, (*attempt, *master), cause)),
        MailCommand::DoubtSilent => Ok(doubt_silent(ground)),
    }
}

fn event(event: MailEvent) -> Event {
    Event::Notice(NoticeEvent::Mail(event))
}

pub(super) fn staged(mail: &Mail, stage: MailStage, tries: u32, cause: String) -> Event {
    event(MailEvent::Staged {
        mail: mail.id,
        stage,
        tries,
        cause,
    })
}

/// The notice that says what the mail says.
pub(super) fn notice_of(mail: &Mail) -> Option<NoticeId> {
    match mail.text {
        MailText::Of(notice) => Some(notice),
        MailText::Own { .. } => None,
    }
}

fn set_server(ground: Ground<'_>, server: Option<&MailServer>) -> Result<Vec<Event>, Refusal> {
    let before = ground.state.mail_server.as_ref();
    let server = server.cloned().map(|mut server| {
        let same = |known: &&MailServer| (&known.host, &known.user) == (&server.host, &server.user);
        if let Some(known) = before.filter(same)
            && server.secret.0.is_empty()
        {
            server.secret = known.secret.clone();
        }
        server
    });
    if let Some(server) = &server {
        check_server(server)?;
    }
    if server.as_ref() == before {
        return Ok(Vec::new());
    }
    Ok(vec![event(MailEvent::ServerSet { server })])
}

fn check_server(server: &MailServer) -> Result<(), Refusal> {
    plain_text("mail server", &server.host, HOST_LEN_MAX)?;
    plain_text("mail user", &server.user, USER_LEN_MAX)?;
    plain_text("mail secret", &server.secret.0, SECRET_LEN_MAX)?;
    plain_text("portal's address", &server.portal, PORTAL_LEN_MAX)?;
    lines(
        "authorities",
        &server.authorities.replace('\r', ""),
        AUTHORITIES_LEN_MAX,
    )?;
    in_range("port", server.port.into(), 1..=u64::from(u16::MAX), "")?;
    account::check_mail("sender's address", &server.from)?;
    let malformed = |what: &str, cause: &str| Refusal::Malformed {
        what: what.to_owned(),
        cause: cause.to_owned(),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':');
    if server.host.is_empty() || !server.host.chars().all(plain) {
        return Err(malformed("mail server", "it is no host's name or address"));
    }
    if server.from.is_empty() {
        return Err(malformed("sender's address", "it says nothing"));
    }
    let portal = server.portal.as_str();
    let sound = portal.starts_with("https://") && !portal.contains(' ');
    if !portal.is_empty() && !sound {
        return Err(malformed(
            "portal's address",
            "it does not begin with https://",
        ));
    }
    let pem = server.authorities.contains("-----BEGIN CERTIFICATE-----");
    if !server.authorities.is_empty() && !pem {
        return Err(malformed("authorities", "there is no certificate in it"));
    }
    if server.tls == MailTls::None && !is_here(&server.host) {
        let host = server.host.clone();
        return Err(NoticeRefusal::MailInTheOpen { host }.into());
    }
    Ok(())
}

fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|host| host.is_loopback())
}

fn test(ground: Ground<'_>) -> Result<Vec<Event>, Refusal> {
    let asker = ground.asker()?;
    if ground.state.mail_server.is_none() {
        return Err(NoticeRefusal::NoMailServer.into());
    }
    let address = ground.state.account_of(asker.id).profile.mail;
    if address.is_empty() {
        return Err(NoticeRefusal::NoMailAddress.into());
    }
    let text = MailText::Own {
        subject: "A test".to_owned(),
        body: format!(
            "{} asked for this mail, to see whether mails arrive.",
            asker.name
        ),
    };
    let mut telling = ground.moment().telling();
    telling.queue(Some(asker.id), &address, text);
    Ok(telling.done())
}

fn found(ground: Ground<'_>, id: MailId) -> Result<&Mail, Refusal> {
    let mail = ground.state.mails.get(&id);
    mail.ok_or_else(|| Refusal::not_found("mail", id))
}

fn resend(ground: Ground<'_>, id: MailId) -> Result<Vec<Event>, Refusal> {
    let mail = found(ground, id)?;
    if mail.has_ended().is_none() {
        return Err(NoticeRefusal::MailUnderWay {
            mail: id.to_string(),
            stage: mail.stage.word().to_owned(),
        }
        .into());
    }
    let at = ground.entry.at;
    let again = Mail {
        stage: MailStage::Waiting { next_at: at },
        made_at: at,
        ..mail.clone()
    };
    Ok(vec![event(MailEvent::Queued { mails: vec![again] })])
}

/// Of all who would end the text of one attempt, one is let: the others find it begun.
fn begin(
    ground: Ground<'_>,
    id: MailId,
    attempt: u32,
    by: MasterId,
) -> Result<Vec<Event>, Refusal> {
    let mail = ground.state.mails.get(&id);
    let waits = |mail: &&Mail| {
        matches!(mail.stage, MailStage::Waiting { .. }) && mail.tries.saturating_add(1) == attempt
    };
    let mail = mail.filter(waits).ok_or(NoticeRefusal::MailNotWaiting {
        mail: id.to_string(),
        attempt,
    })?;
    let at = ground.entry.at;
    let stage = MailStage::Begun { by, at };
    Ok(vec![staged(mail, stage, attempt, mail.cause.clone())])
}

/// Also of one that was thought unsure meanwhile.
fn sent(ground: Ground<'_>, id: MailId, attempt: u32) -> Vec<Event> {
    let mail = ground.state.mails.get(&id);
    let mail = mail.filter(|mail| mail.tries == attempt && attempt > 0);
    let delivered = mail.map(|mail| {
        event(MailEvent::Delivered {
            mail: id,
            address: mail.address.clone(),
        })
    });
    delivered.into_iter().collect()
}

/// Whether that master tries it: it may not have begun yet.
fn is_tried(mail: &Mail, (attempt, master): (u32, MasterId)) -> bool {
    match mail.stage {
        MailStage::Waiting { .. } => mail.tries.saturating_add(1) == attempt,
        MailStage::Begun { by, .. } => by == master && mail.tries == attempt,
        MailStage::Unsure { .. } | MailStage::GivenUp { .. } => false,
    }
}

fn failed(
    ground: Ground<'_>,
    id: MailId,
    tried: (u32, MasterId),
    permanent: bool,
    cause: &str,
) -> Vec<Event> {
    let mail = ground.state.mails.get(&id);
    let Some(mail) = mail.filter(|mail| is_tried(mail, tried)) else {
        return Vec::new();
    };
    let (at, (attempt, _)) = (ground.entry.at, tried);
    let next_at = at.plus_ms(Mail::pause_ms(attempt));
    let too_late = next_at > mail.made_at.plus_ms(Mail::TRIED_MS);
    let stage = if permanent || too_late {
        MailStage::GivenUp { at }
    } else {
        MailStage::Waiting { next_at }
    };
    vec![staged(mail, stage, attempt, plain(cause))]
}

/// What a server says is shown to admins: without control characters, and not for ever.
fn plain(cause: &str) -> String {
    let shown = cause.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut kept = String::new();
    for c in shown {
        if kept.len() + c.len_utf8() > Mail::CAUSE_LEN_MAX {
            break;
        }
        kept.push(c);
    }
    kept
}

fn doubt(ground: Ground<'_>, id: MailId, tried: (u32, MasterId), cause: &str) -> Vec<Event> {
    let mail = ground.state.mails.get(&id);
    let begun =
        |mail: &&Mail| matches!(mail.stage, MailStage::Begun { .. }) && is_tried(mail, tried);
    let mail = mail.filter(begun).into_iter();
    mail.map(|mail| unsure(mail, ground.entry.at, plain(cause)))
        .collect()
}

fn unsure(mail: &Mail, at: UnixMs, cause: String) -> Event {
    staged(mail, MailStage::Unsure { at }, mail.tries, cause)
}

fn doubt_silent(ground: Ground<'_>) -> Vec<Event> {
    let at = ground.entry.at;
    let over = ground.state.mails_over(at);
    let begun = over.filter_map(|mail| match mail.stage {
        MailStage::Begun { by, .. } => Some((mail, by)),
        MailStage::Waiting { .. } | MailStage::Unsure { .. } | MailStage::GivenUp { .. } => None,
    });
    begun
        .map(|(mail, by)| {
            let cause = format!("master {by} began it and never said what came of it");
            unsure(mail, at, cause)
        })
        .collect()
}
