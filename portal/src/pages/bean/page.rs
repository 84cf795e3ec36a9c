//! The page of beans as a whole.

use axum::extract::Query;
use docklet_control::model::PurseOf;
use docklet_control::view::bean;
use maud::{Markup, html};
use serde::Deserialize;

use super::{in_use, settings};
use crate::api::bean::month;
use crate::asker::Asker;
use crate::pages::{Page, whole, whole_anew};
use crate::part::Asked;
use crate::problem::Problem;

/// Which month's statement.
#[derive(Deserialize)]
pub(crate) struct Wanted {
    month: Option<String>,
}

impl Wanted {
    fn stream(&self, asked: &Asked) -> String {
        let path = asked.at("/live/beans");
        let Some(month) = &self.month else {
            return path;
        };
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("month", month);
        let joint = if path.contains('?') { '&' } else { '?' };
        format!("{path}{joint}{}", query.finish())
    }
}

pub(crate) async fn show(
    asker: Asker,
    Query(wanted): Query<Wanted>,
    Query(asked): Query<Asked>,
) -> Result<Markup, Problem> {
    let body = body(&asker, &wanted, &asked)?;
    let page = Page {
        title: "Beans",
        asker: &asker,
        live: Some(wanted.stream(&asked)),
        script: None,
    };
    Ok(page.render(whole(&body)))
}

pub(crate) fn fragments(asker: &Asker, wanted: &Wanted, asked: &Asked) -> Vec<(String, Markup)> {
    let body = body(asker, wanted, asked);
    body.map(|body| whole_anew(&body)).unwrap_or_default()
}

fn body(asker: &Asker, wanted: &Wanted, asked: &Asked) -> Result<Markup, Problem> {
    let month = month(wanted.month.as_deref())?;
    let state = &asker.frozen.state;
    let statement = bean::statement(state, PurseOf::User(asker.user.id), month);
    let free = html! {
        div.empty {
            p { "This site does not use beans: nothing costs anything." }
            @if asker.user.is_admin() {
                p.muted { "Say below what things cost, and beans are counted from then on." }
            } @else {
                p { a href="/usage" { "See what you use" } }
            }
        }
    };
    Ok(html! {
        h1 { "Beans" }
        p { "What vnodes use while they run is paid in beans: CPU, memory, disk, ports, network and GPUs. Whoever has none left makes and starts nothing new, and what runs is stopped after a while." }
        @match bean::show(state, &asker.user) {
            None => (free),
            Some(view) => (in_use(asker, asked, &view, statement.as_ref())),
        }
        @if asker.user.is_admin() { (settings(asker)) }
    })
}
