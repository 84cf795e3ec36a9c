//! A conversation with a mail server, in two parts: up to where it waits for the text, and the text with its end. Only after the
//! end the server may have the mail, whatever it says.

use std::time::Duration;

use docklet_control::model::MailServer;
use docklet_control::model::mail::MailTls;
use docklet_control::notice::letter::Letter;
use lettre::address::{Address, Envelope};
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters,
};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use tokio::time::timeout;

/// A server that does not answer to being called is not there.
const CONNECT_DEADLINE: Duration = Duration::from_secs(15);
/// What comes before the text; some servers think long before they take a recipient.
const STEP_DEADLINE: Duration = Duration::from_secs(60);
/// What the server says to the end of the text. RFC 5321 would have us wait ten minutes; who says nothing for so long leaves
/// the mail unsure, and it is not sent again.
const END_DEADLINE: Duration = Duration::from_secs(60);

/// Why a server does not have a mail, as far as that is known.
#[derive(Debug)]
pub(super) enum Unsent {
    /// It has nothing to do with this mail: it cannot be reached, or does not let us in.
    Server { cause: String },
    /// It does not take this one, or not now.
    Mail { permanent: bool, cause: String },
    /// It has got all of the text and did not say whether it takes it.
    Unknown { cause: String },
}

/// A server that waits for the text.
pub(super) struct Conversation {
    connection: AsyncSmtpConnection,
    text: Vec<u8>,
}

impl Conversation {
    /// Says all that comes before the text.
    pub(super) async fn begin(server: &MailServer, letter: &Letter) -> Result<Self, Unsent> {
        let (envelope, text) = written(server, letter)?;
        let mut connection = connect(server).await?;
        let steps = recipient(&mut connection, &envelope);
        let told = timeout(STEP_DEADLINE, steps).await;
        match told {
            Ok(Ok(())) => Ok(Self { connection, text }),
            Ok(Err(unsent)) => {
                drop(timeout(CONNECT_DEADLINE, connection.abort()).await);
                Err(unsent)
            }
            Err(_) => Err(Unsent::Server {
                cause: silent(STEP_DEADLINE),
            }),
        }
    }

    /// The text and its end.
    pub(super) async fn end(mut self) -> Result<(), Unsent> {
        let ended = timeout(END_DEADLINE, self.connection.message(&self.text)).await;
        match ended {
            Ok(Ok(_)) => {
                // It has it, whether it says good-bye or not.
                drop(timeout(CONNECT_DEADLINE, self.connection.quit()).await);
                Ok(())
            }
            Ok(Err(error)) if error.status().is_some() => Err(about_mail(&error)),
            Ok(Err(error)) => Err(Unsent::Unknown {
                cause: told(&error),
            }),
            Err(_) => Err(Unsent::Unknown {
                cause: silent(END_DEADLINE),
            }),
        }
    }
}

fn silent(deadline: Duration) -> String {
    format!("the server said nothing for {} s", deadline.as_secs())
}

/// An error with what it comes from.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

fn about_server(error: &Error) -> Unsent {
    Unsent::Server { cause: told(error) }
}

fn about_mail(error: &Error) -> Unsent {
    Unsent::Mail {
        permanent: error.is_permanent(),
        cause: told(error),
    }
}

/// What cannot be written never can.
fn unfit(what: &str, error: &dyn std::error::Error) -> Unsent {
    Unsent::Mail {
        permanent: true,
        cause: format!("{what}: {error}"),
    }
}

fn written(server: &MailServer, letter: &Letter) -> Result<(Envelope, Vec<u8>), Unsent> {
    let address = |what: &str, text: &str| {
        let parsed: Result<Address, _> = text.parse();
        parsed.map_err(|error| unfit(what, &error))
    };
    let from = address("sender's address", &server.from)?;
    let to = address("address", &letter.to)?;
    // RFC 3834: no machine answers to what a machine wrote.
    let automatic = HeaderValue::new(
        HeaderName::new_from_ascii_str("Auto-Submitted"),
        "auto-generated".to_owned(),
    );
    let message = Message::builder()
        .from(Mailbox::new(Some("Docklet".to_owned()), from.clone()))
        .to(Mailbox::new(None, to.clone()))
        .subject(&letter.subject)
        .message_id(Some(letter.message_id.clone()))
        .date_now()
        .raw_header(automatic)
        .header(ContentType::TEXT_PLAIN)
        .body(letter.body.clone())
        .map_err(|error| unfit("text", &error))?;
    let envelope =
        Envelope::new(Some(from), vec![to]).map_err(|error| unfit("envelope", &error))?;
    Ok((envelope, message.formatted()))
}

async fn connect(server: &MailServer) -> Result<AsyncSmtpConnection, Unsent> {
    let domain = server.from.rsplit('@').next().unwrap_or("localhost");
    let hello = ClientId::Domain(domain.to_owned());
    let within_tls = match server.tls {
        MailTls::Tls => Some(parameters(server)?),
        MailTls::Starttls | MailTls::None => None,
    };
    let address = (server.host.as_str(), server.port);
    let opened = AsyncSmtpConnection::connect_tokio1(
        address,
        Some(CONNECT_DEADLINE),
        &hello,
        within_tls,
        None,
    );
    let entered = async {
        let mut connection = opened.await.map_err(|error| about_server(&error))?;
        if server.tls == MailTls::Starttls {
            let parameters = parameters(server)?;
            let upgraded = connection.starttls(parameters, &hello).await;
            upgraded.map_err(|error| about_server(&error))?;
        }
        if !server.user.is_empty() {
            let secret = server.secret.0.clone();
            let credentials = Credentials::new(server.user.clone(), secret);
            let known = connection.auth(DEFAULT_MECHANISMS, &credentials).await;
            known.map_err(|error| about_server(&error))?;
        }
        Ok(connection)
    };
    let entered = timeout(STEP_DEADLINE, entered).await;
    entered.unwrap_or_else(|_| {
        Err(Unsent::Server {
            cause: silent(STEP_DEADLINE),
        })
    })
}

/// Trusts the authorities that an admin gave and no others, or those that the machine trusts.
fn parameters(server: &MailServer) -> Result<TlsParameters, Unsent> {
    let builder = TlsParameters::builder(server.host.clone());
    let builder = match server.authorities.as_str() {
        "" => builder,
        given => {
            let authorities = Certificate::from_pem(given.as_bytes());
            let authorities = authorities.map_err(|error| about_server(&error))?;
            let builder = builder.certificate_store(CertificateStore::None);
            builder.add_root_certificate(authorities)
        }
    };
    builder.build_rustls().map_err(|error| about_server(&error))
}

/// From whom it is and to whom it goes, and that the text comes now.
async fn recipient(
    connection: &mut AsyncSmtpConnection,
    envelope: &Envelope,
) -> Result<(), Unsent> {
    let mut parameters = Vec::new();
    let foreign = envelope.to().iter().any(|to| !to.to_string().is_ascii());
    if foreign {
        if !connection
            .server_info()
            .supports_feature(Extension::SmtpUtfEight)
        {
            return Err(Unsent::Mail {
                permanent: true,
                cause: "the server takes addresses of ASCII letters only".to_owned(),
            });
        }
        parameters.push(MailParameter::SmtpUtfEight);
    }
    let mail = Mail::new(envelope.from().cloned(), parameters);
    step(connection, mail).await?;
    for to in envelope.to() {
        step(connection, Rcpt::new(to.clone(), Vec::new())).await?;
    }
    step(connection, Data).await
}

/// Of a connection that ends here the server has no mail: it never got its end.
async fn step(
    connection: &mut AsyncSmtpConnection,
    command: impl std::fmt::Display,
) -> Result<(), Unsent> {
    match connection.command(command).await {
        Ok(_) => Ok(()),
        Err(error) if error.status().is_some() => Err(about_mail(&error)),
        Err(error) => Err(about_server(&error)),
    }
}
