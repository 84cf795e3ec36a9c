//! The public certificates on the page of the settings: those in use, and how the cluster gets itself some.

use axum::extract::{Form, Path, State};
use axum::response::Redirect;
use docklet_control::acme::command::AcmeCommand;
use docklet_control::model::acme::AcmeSetting;
use docklet_control::view::{AcmeView, acme};
use docklet_control::{Command, Refusal};
use maud::{Markup, html};
use serde::Deserialize;

use super::{by_command, check_csrf, csrf, instant};
use crate::asker::{Asker, propose};
use crate::problem::Problem;
use crate::public::{CertificateView, TlsView};
use crate::serve::Portal;

/// The directory of the authority that most know.
const USUAL: &str = "https://acme-v02.api.letsencrypt.org/directory";

pub(super) fn card(portal: &Portal, asker: &Asker) -> Markup {
    let view = portal
        .public
        .view(&portal.name, acme::show(&asker.frozen.state));
    html! {
        section.card #tls aria-labelledby="setting-tls" {
            h2 #setting-tls { "tls" }
            p.hint { "What browsers are shown: certificates of this master, " (view.master) ", and by ACME those of all" }
            (certificates(&view))
            h3 { "ACME" }
            @match &view.acme {
                Some(set) => { (running(asker, set)) }
                None => p.muted { "The cluster gets itself no certificates." },
            }
            (form(asker, view.acme.as_ref()))
            p { a href="/audit?thing=setting+acme" { "Who changed it" } }
            (by_command("docklet tls show"))
        }
    }
}

fn certificates(view: &TlsView) -> Markup {
    html! {
        table {
            thead { tr { th { "Names" } th { "Whence" } th { "By" } th { "Ends" } th { "Next" } } }
            tbody { @for one in &view.certificates { (row(one)) } }
        }
    }
}

fn row(one: &CertificateView) -> Markup {
    let whence = match one.source.as_str() {
        "own" => "the cluster's own",
        "given" => "files",
        "acme" => "ACME",
        other => other,
    };
    html! {
        tr data-source=(one.source) {
            td.main data-label="Names" { (one.names.join(", ")) @if let Some(fault) = &one.fault { p.hint { strong.bad { "not taken over: " (fault) } } } }
            td data-label="Whence" { (whence) }
            td data-label="By" { (one.issuer) }
            td data-label="Ends" { @if one.ended { strong.bad { "ended " (instant(one.until)) } } @else { (instant(one.until)) } }
            td data-label="Next" { @match one.renewed_at { Some(at) => { "by itself " (instant(at)) } None => "when its files change" } }
        }
    }
}

fn running(asker: &Asker, set: &AcmeView) -> Markup {
    html! {
        dl.facts {
            div { dt { "Authority" } dd { (set.directory) } }
            div { dt { "Domains" } dd { (set.domains.join(", ")) } }
            div { dt { "Contacts" } dd { @if set.contacts.is_empty() { "–" } @else { (set.contacts.join(", ")) } } }
            div { dt { "Now" } dd { (step(set)) } }
        }
        @if let Some(failure) = &set.failure {
            p.notice.refused { "Failed " (instant(failure.at)) ", try " (failure.tries) ": " (failure.cause) }
        }
        div.actions {
            (post(asker, "renew", "Get the next one now"))
            (post(asker, "off", "Switch ACME off"))
        }
    }
}

fn step(set: &AcmeView) -> Markup {
    html! {
        @match (&set.ordering_since, &set.failure) {
            (_, Some(failure)) => { "tried again " (instant(failure.next_at)) }
            (Some(since), None) => { "ordering since " (instant(*since)) }
            (None, None) if set.certificate.is_none() => "an order begins",
            (None, None) => { "ordered anew " (instant(set.next_at)) }
        }
    }
}

fn post(asker: &Asker, action: &str, label: &str) -> Markup {
    let sure = (action == "off").then_some(
        "Switch ACME off? What it got is used no longer, and browsers are shown the cluster's own certificate.",
    );
    html! {
        form method="post" action={"/settings/tls/" (action)} data-confirm=[sure] {
            (csrf(asker))
            button.button.secondary.small type="submit" { (label) }
        }
    }
}

fn form(asker: &Asker, set: Option<&AcmeView>) -> Markup {
    let directory = set.map_or(USUAL, |set| set.directory.as_str());
    let words = |of: fn(&AcmeView) -> &[String]| set.map(|set| of(set).join(" "));
    // What they are shown of an external account or of authorities of one's own cannot be typed here, and would be lost.
    let here = set.is_none_or(|set| set.key_id.is_none() && !set.authorities);
    html! {
        @if here {
            details {
                summary { @if set.is_some() { "Change it" } @else { "Let the cluster get itself certificates" } }
                form.grid method="post" action="/settings/tls/set" {
                    (csrf(asker))
                    div.field {
                        label for="tls-directory" { "Authority, as the URL of its directory" }
                        input #tls-directory name="directory" type="url" value=(directory) required;
                    }
                    div.field {
                        label for="tls-domains" { "Domains, with blanks between" }
                        input #tls-domains name="domains" value=[words(|set| &set.domains)] required placeholder="cloud.example.org";
                    }
                    div.field {
                        label for="tls-contact" { "Mail address for the authority" }
                        input #tls-contact name="contact" type="email" value=[contact(set)];
                    }
                    div.field {
                        label.tick { input type="checkbox" name="terms" value="yes" required; " I agree to the authority's terms" }
                    }
                    div.actions { button.button type="submit" { "Set" } }
                }
            }
        } @else {
            p.hint { "It has an external account or authorities of its own: it is changed by command." }
        }
    }
}

fn contact(set: Option<&AcmeView>) -> Option<String> {
    let first = set?.contacts.first()?;
    Some(first.trim_start_matches("mailto:").to_owned())
}

#[derive(Deserialize)]
pub(crate) struct Given {
    csrf: String,
    #[serde(default)]
    directory: String,
    #[serde(default)]
    domains: String,
    #[serde(default)]
    contact: String,
    terms: Option<String>,
}

pub(crate) async fn change(
    State(portal): State<Portal>,
    asker: Asker,
    Path(action): Path<String>,
    Form(given): Form<Given>,
) -> Result<Redirect, Problem> {
    check_csrf(&asker, &given.csrf)?;
    let command = match action.as_str() {
        "set" => AcmeCommand::Set {
            setting: setting(&given),
        },
        "renew" => AcmeCommand::Renew,
        "off" => AcmeCommand::Off,
        other => return Err(Refusal::not_found("action", other.escape_debug()).into()),
    };
    let receipt = propose(&portal, &asker, Command::Acme(command)).await?;
    let path = format!("/settings?after={}#tls", receipt.index);
    Ok(Redirect::to(&path))
}

fn setting(given: &Given) -> AcmeSetting {
    let contact = Some(given.contact.trim()).filter(|contact| !contact.is_empty());
    let domains = given.domains.split([' ', ',', '\n']);
    let domains = domains.map(str::trim).filter(|domain| !domain.is_empty());
    AcmeSetting {
        directory: given.directory.trim().to_owned(),
        contacts: contact
            .map(|contact| format!("mailto:{contact}"))
            .into_iter()
            .collect(),
        domains: domains.map(str::to_lowercase).collect(),
        authorities: String::new(),
        binding: None,
        terms_agreed: given.terms.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_read_as_people_separate_them() {
        let given = Given {
            csrf: String::new(),
            directory: format!(" {USUAL} "),
            domains: "Cloud.example.org, b.example.org  c.example.org".to_owned(),
            contact: "ops@example.org".to_owned(),
            terms: Some("yes".to_owned()),
        };
        let setting = setting(&given);
        assert_eq!(
            setting.domains,
            ["cloud.example.org", "b.example.org", "c.example.org"]
        );
        assert_eq!(setting.contacts, ["mailto:ops@example.org"]);
        assert_eq!(setting.directory, USUAL);
        assert!(setting.terms_agreed);
    }
}
