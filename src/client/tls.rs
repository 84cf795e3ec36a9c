//! `docklet tls`: the certificates that people and programs are shown, and those between masters and workers, for admins.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use docklet_control::id::UnixMs;
use docklet_control::view::AcmeView;
use docklet_portal::public::{CertificateView, TlsView};
use reqwest::Method;
use serde_json::{Value, json};

use super::connection::Connection;
use super::login::read_certificate;
use super::output::{Rows, instant, print, print_receipt, remark};
use crate::cli::Print;

#[derive(Subcommand)]
#[command(defer = true)]
pub enum Command {
    /// Show which certificates the master that answers uses, for which names and until when, and when those between masters
    /// and workers end
    Show(Print),
    /// Certificates that the cluster gets itself from an authority, by ACME
    #[command(subcommand)]
    Acme(Acme),
}

#[derive(Subcommand)]
#[command(defer = true)]
pub enum Acme {
    /// Say from which authority, and for which names
    Set(Set),
    /// Get none any more, and use what was got no longer
    Off(Print),
    /// Get the next one now, or try again
    Renew(Print),
}

#[derive(Args)]
pub struct Set {
    /// Where the authority says what it offers, as https://acme-v02.api.letsencrypt.org/directory
    #[arg(long, value_name = "URL")]
    directory: String,
    /// Where the authority reaches you, as mailto:you@example.org; may be given several times
    #[arg(long, value_name = "URL")]
    contact: Vec<String>,
    /// A name that leads to the masters; may be given several times
    #[arg(long, required = true)]
    domain: Vec<String>,
    /// You have read the authority's terms of service, and agree
    #[arg(long)]
    agree_terms: bool,
    /// File with certificates by which the authority's server is checked; those that the masters' machines trust if absent
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Which account it is that you have at the authority
    #[arg(long, value_name = "ID", requires = "eab_key_file")]
    eab_kid: Option<String>,
    /// File with that account's key, in base64
    #[arg(long, value_name = "FILE", requires = "eab_kid")]
    eab_key_file: Option<PathBuf>,
    #[command(flatten)]
    print: Print,
}

pub async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let connection = Connection::open()?;
    match command {
        Command::Show(ask) => {
            let view: TlsView = connection.get("/tls").await?;
            let warnings = view.cluster.iter().flat_map(|all| &all.warnings);
            warnings.for_each(|warning| remark(&format!("Warning: {warning}")));
            print(ask.format, &view, rows)?;
        }
        Command::Acme(Acme::Set(ask)) => set(&connection, ask).await?,
        Command::Acme(Acme::Off(ask)) => {
            let off = connection.receipt(Method::DELETE, "/tls/acme", &Value::Null);
            print_receipt(ask.format, &off.await?)?;
        }
        Command::Acme(Acme::Renew(ask)) => {
            let renew = connection.receipt(Method::POST, "/tls/acme/renew", &Value::Null);
            print_receipt(ask.format, &renew.await?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn set(connection: &Connection, ask: Set) -> anyhow::Result<()> {
    let authorities = ask.ca.as_deref().map(read_certificate).transpose()?;
    let account = match (&ask.eab_kid, &ask.eab_key_file) {
        (Some(key_id), Some(file)) => {
            let key = std::fs::read_to_string(file);
            let key = key.with_context(|| format!("read {}", file.display()))?;
            Some(json!({ "key_id": key_id, "key": key.trim() }))
        }
        (None, _) | (_, None) => None,
    };
    let body = json!({
        "directory": ask.directory,
        "contacts": ask.contact,
        "domains": ask.domain,
        "authorities": authorities.unwrap_or_default(),
        "external_account": account,
        "terms_agreed": ask.agree_terms,
    });
    let receipt = connection.receipt(Method::PUT, "/tls/acme", &body).await?;
    print_receipt(ask.print.format, &receipt)
}

fn rows(view: &TlsView) -> Rows {
    let mut rows = Rows::new(&["what", "value"]);
    let mut add = |what: &str, value: String| rows.add([what.to_owned(), value]);
    add("master", view.master.clone());
    for certificate in &view.certificates {
        add("certificate", source(certificate).to_owned());
        add("names", certificate.names.join(" "));
        add("issuer", certificate.issuer.clone());
        add("sha-256", certificate.fingerprint.clone());
        add("from", instant(certificate.from));
        let until = instant(certificate.until);
        let ended = if certificate.ended { ", ended" } else { "" };
        add("until", format!("{until}{ended}"));
        let next = certificate
            .renewed_at
            .map_or_else(|| "when its files change".to_owned(), instant);
        add("next", next);
        if let Some(fault) = &certificate.fault {
            add("fault", fault.clone());
        }
    }
    if let Some(cluster) = &view.cluster {
        let ends = |at: Option<UnixMs>| at.map_or_else(|| "unknown".to_owned(), instant);
        add("cluster's authority until", ends(cluster.authority_ends_at));
        for master in &cluster.masters {
            let what = format!("master {} until", master.name);
            add(&what, ends(master.ends_at));
        }
        for worker in &cluster.workers {
            let number = worker.number.map(|number| format!(", by entry {number}"));
            let what = format!("worker {} until", worker.name);
            add(&what, ends(worker.ends_at) + &number.unwrap_or_default());
        }
    }
    if let Some(acme) = &view.acme {
        add("acme", acme.directory.clone());
        add("domains", acme.domains.join(" "));
        add("next step", next_step(acme));
        if let Some(failure) = &acme.failure {
            let at = instant(failure.at);
            let told = format!("{at}, try {}: {}", failure.tries, failure.cause);
            add("last failure", told);
        }
    }
    rows
}

fn next_step(acme: &AcmeView) -> String {
    match (&acme.ordering_since, &acme.failure) {
        (_, Some(failure)) => format!("tried again {}", instant(failure.next_at)),
        (Some(since), None) => format!("ordering since {}", instant(*since)),
        (None, None) if acme.certificate.is_none() => "an order begins".to_owned(),
        (None, None) => format!("ordered anew {}", instant(acme.next_at)),
    }
}

fn source(certificate: &CertificateView) -> &str {
    match certificate.source.as_str() {
        "own" => "of the cluster's own authority",
        "given" => "given in files",
        "acme" => "by ACME",
        other => other,
    }
}
