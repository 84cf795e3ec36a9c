//! What a mail says, and how a server knows it again.

use crate::model::mail::{Mail, MailServer, MailText};
use crate::state::State;

/// A mail as it goes to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    pub from: String,
    pub to: String,
    pub subject: String,
    pub body: String,
    /// The same at each try, so that whoever gets it twice can tell.
    pub message_id: String,
}

/// The mail as it goes by `server`; none if what it is about is gone.
#[must_use]
pub fn write(state: &State, server: &MailServer, mail: &Mail) -> Option<Letter> {
    let settings = state.settings.as_ref()?;
    let (subject, body) = match &mail.text {
        MailText::Of(id) => {
            let notice = state.notices.get(id)?;
            (notice.title.clone(), said(&notice.body, &notice.by))
        }
        MailText::Own { subject, body } => (subject.clone(), body.clone()),
    };
    let link = match &mail.text {
        MailText::Of(id) => state.notices.get(id).map(|notice| notice.link.as_str()),
        MailText::Own { .. } => None,
    };
    let link = link.filter(|link| !link.is_empty() && !server.portal.is_empty());
    let link = link.map(|link| format!("{}{link}\n", server.portal.trim_end_matches('/')));
    let link = link.unwrap_or_default();
    let cluster = &settings.name;
    let domain = server.from.rsplit('@').next().unwrap_or("localhost");
    let id = mail.id;
    Some(Letter {
        from: server.from.clone(),
        to: mail.address.clone(),
        subject: format!("[{cluster}] {subject}"),
        body: format!("{body}\n\n{link}-- \nDocklet, cluster {cluster}\n"),
        message_id: format!("<{}.{}.{}@{domain}>", settings.cluster, id.entry, id.part),
    })
}

fn said(body: &str, by: &str) -> String {
    match by {
        "" => body.to_owned(),
        by => format!("{body}\n\n{by}"),
    }
}
