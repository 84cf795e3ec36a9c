//! Settings of the whole cluster: what they are, how they came to be so, and going back.

use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use docklet_control::id::LogIndex;
use docklet_control::model::QuotaItem;
use docklet_control::model::setting::SettingName;
use docklet_control::permit;
use docklet_control::view::drill::duration;
use docklet_control::view::setting::{self, SettingChangeView, SettingView};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::amount::{count, mib};
use super::{Page, by_command, check_csrf, csrf, instant, tls, whole, whole_anew};
use crate::api::setting::{back, named};
use crate::asker::{Asker, propose};
use crate::problem::Problem;
use crate::serve::Portal;

pub(crate) async fn show(State(portal): State<Portal>, asker: Asker) -> Result<Markup, Problem> {
    permit::admin(&asker.frozen.state, asker.actor(), "look at settings")?;
    let page = Page {
        title: "Settings",
        asker: &asker,
        live: Some("/live/settings".to_owned()),
        script: None,
    };
    Ok(page.render(whole(&body(&portal, &asker))))
}

pub(crate) fn fragments(portal: &Portal, asker: &Asker) -> Vec<(String, Markup)> {
    match permit::admin(&asker.frozen.state, asker.actor(), "look at settings") {
        Ok(_) => whole_anew(&body(portal, asker)),
        Err(_) => Vec::new(),
    }
}

fn body(portal: &Portal, asker: &Asker) -> Markup {
    let settings = setting::list(&asker.frozen.state);
    html! {
        h1 { "Settings" }
        p { "What holds for the whole cluster. Every change is kept, and can be undone; undoing is a change like others." }
        @for setting in &settings { (card(asker, setting)) }
        (tls::card(portal, asker))
    }
}

/// What it is about, and the command that sets it.
fn about(name: SettingName) -> (&'static str, &'static str) {
    match name {
        SettingName::Registration => (
            "Whether strangers may ask for accounts",
            "docklet user registration open",
        ),
        SettingName::Oidc => (
            "By which OpenID provider people log in",
            "docklet oidc set --label Example --issuer https://id.example.org --client-id docklet",
        ),
        SettingName::Pam => (
            "Whether people log in by the PAM of the masters' machines",
            "docklet pam set --service docklet",
        ),
        SettingName::UsualQuota => (
            "What everybody may have, where nothing else is said",
            "docklet quota set --usual --vnodes 8",
        ),
        SettingName::ImageQuota => (
            "Bytes of images that everybody may have",
            "docklet setting set image-quota '{\"bytes\":10737418240}'",
        ),
        SettingName::UsualHome => (
            "What a home holds, in MiB",
            "docklet setting set usual-home '{\"disk_mib\":10240}'",
        ),
        SettingName::Trash => (
            "How long what was deleted can be had back, and when what stands still is released",
            "docklet setting set trash '{\"undo_minutes\":10,\"release\":{\"warn_after_days\":7,\"grace_days\":7,\"keep_days\":30}}'",
        ),
        SettingName::Bandwidth => (
            "What each vnode may send and receive, in kbit/s",
            "docklet setting set bandwidth '{\"sent\":100000,\"received\":100000}'",
        ),
        SettingName::BandwidthCeiling => (
            "What owners may wish at most, in kbit/s",
            "docklet setting set bandwidth-ceiling '{\"sent\":null,\"received\":null}'",
        ),
        SettingName::DiskOvercommit => (
            "How much disk may be promised, in percent of what there is",
            "docklet setting set disk-overcommit '{\"percent\":150}'",
        ),
        SettingName::Rebalance => (
            "When the leader evens out workers by itself",
            "docklet rebalance policy --on",
        ),
        SettingName::Autopilot => (
            "How the leader looks after the masters",
            "docklet master autopilot",
        ),
        SettingName::Beans => (
            "How the site uses beans, and what things cost",
            "docklet beans settings",
        ),
        SettingName::Mail => (
            "By which server mails are sent; its secret is kept and never shown",
            "docklet mail server",
        ),
        SettingName::Acme => (
            "How the cluster gets itself public certificates; its keys are kept and never shown",
            "docklet tls acme",
        ),
    }
}

fn card(asker: &Asker, setting: &SettingView) -> Markup {
    let word = setting.name.word();
    let (what, command) = about(setting.name);
    html! {
        section.card data-setting=(word) aria-labelledby={"setting-" (word)} {
            h2 id={"setting-" (word)} { (word) }
            p.hint { (what) }
            (facts(&setting.value))
            @if let Some(last) = setting.changes.first() {
                details {
                    summary { "Changed " @if setting.changes.len() == 1 { "once, " } @else { (setting.changes.len()) " times, last " } (instant(last.at)) }
                    (history(asker, setting))
                }
            } @else { p.muted { "Never changed." } }
            (by_command(command))
        }
    }
}

/// A value's fields, as it stands in JSON.
fn facts(value: &Value) -> Markup {
    html! {
        @match value {
            Value::Object(fields) if !fields.is_empty() => {
                dl.facts {
                    @for (name, field) in fields { @let (label, words) = said(name, field);
                        div { dt { (label) } dd { (words) } } }
                }
            }
            Value::Object(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => p.muted { "As it comes: nothing was set." },
        }
    }
}

/// A field's name without its unit, and its value with it.
fn said(name: &str, value: &Value) -> (String, String) {
    let number = value.as_u64();
    let unit = name.rsplit_once('_').map_or(("", name), |parts| parts);
    let (label, words) = match (unit, number) {
        ((rest, "ms"), Some(ms)) => (rest, duration(ms)),
        ((rest, "mib"), Some(amount)) => (rest, mib(amount)),
        ((rest, "permille"), Some(part)) => (
            rest,
            format!(
                "{} %",
                f64::from(u32::try_from(part).unwrap_or(u32::MAX)) / 10.0
            ),
        ),
        ((rest, "minutes"), Some(minutes)) => (rest, format!("{minutes} min")),
        ((_, "bytes"), Some(amount)) => (name, QuotaItem::ImageBytes.words(amount)),
        ((_, "percent"), Some(part)) => (name, format!("{part} %")),
        (_, Some(plain)) => (name, count(plain)),
        (_, None) => (name, text(value)),
    };
    (label.replace('_', " "), words)
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "no limit".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        Value::Object(_) | Value::Number(_) | Value::Array(_) => value.to_string(),
    }
}

fn history(asker: &Asker, setting: &SettingView) -> Markup {
    html! {
        table {
            thead { tr { th { "When" } th { "By" } th { "From" } th { "To" } th { span.unseen { "Action" } } } }
            tbody {
                @for (place, change) in setting.changes.iter().enumerate() {
                    tr data-change=(change.change) {
                        td.main data-label="When" { (instant(change.at)) }
                        td data-label="By" { (change.by.as_deref().unwrap_or("–")) }
                        td data-label="From" { code { (change.before) } }
                        td data-label="To" { code { (change.after) } }
                        td.act { (go_back(asker, setting, change, place)) }
                    }
                }
            }
        }
    }
}

fn go_back(
    asker: &Asker,
    setting: &SettingView,
    change: &SettingChangeView,
    place: usize,
) -> Markup {
    let newest = place == 0;
    html! {
        form method="post" action={"/settings/" (setting.name.word()) "/undo"} {
            (csrf(asker))
            @if !newest { input type="hidden" name="to" value=(change.change); }
            button.quiet type="submit" { @if newest { "Undo" } @else { "Back to this" } }
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct Undone {
    csrf: String,
    to: Option<LogIndex>,
}

pub(crate) async fn undo(
    State(portal): State<Portal>,
    asker: Asker,
    Path(name): Path<String>,
    Form(form): Form<Undone>,
) -> Result<Response, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let command = back(named(&name)?, form.to);
    let receipt = propose(&portal, &asker, command).await?;
    let path = format!("/settings?after={}", receipt.index);
    Ok(Redirect::to(&path).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn amounts_are_said_with_their_units() {
        let say = |name: &str, value: Value| said(name, &value);
        let pair = |label: &str, words: &str| (label.to_owned(), words.to_owned());
        assert_eq!(say("hold_ms", json!(600_000)), pair("hold", "600 s"));
        assert_eq!(say("disk_mib", json!(10_240)), pair("disk", "10 GiB"));
        assert_eq!(
            say("threshold_permille", json!(205)),
            pair("threshold", "20.5 %")
        );
        assert_eq!(say("percent", json!(150)), pair("percent", "150 %"));
        assert_eq!(say("moves_max", json!(10)), pair("moves max", "10"));
        assert_eq!(say("sent", Value::Null), pair("sent", "no limit"));
    }
}
