//! Parts of lists that may be long: which part a request asks for, how an answer says where the next one is, and what stands
//! above and below a part on a page.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use docklet_control::view::part::{Part, Wanted};
use maud::{Markup, html};
use serde::{Deserialize, Serialize};

/// Rows on a page.
const ROWS_OF_PAGE: usize = 100;
/// Rows of an answer to a program that does not say how many it wants, and the most that it gets.
const ROWS_OF_ANSWER: usize = 500;
/// A list with fewer rows is seen at a glance.
const ROWS_TO_SEARCH: usize = 12;
const TOTAL: HeaderName = HeaderName::from_static("docklet-total");

/// What a request says of the part that it wants. Other fields of a query are others' to read.
#[derive(Clone, Debug, Default, Deserialize, schemars::JsonSchema)]
pub(crate) struct Asked {
    /// What names must have in them.
    #[serde(default)]
    find: String,
    /// Where the part begins, as the answer before has told.
    #[serde(default)]
    from: Option<String>,
    #[serde(default)]
    limit: Option<usize>,
}

impl Asked {
    pub(crate) fn for_page(&self) -> Wanted {
        self.wanted(ROWS_OF_PAGE)
    }

    fn for_program(&self) -> Wanted {
        self.wanted(ROWS_OF_ANSWER)
    }

    fn wanted(&self, most: usize) -> Wanted {
        Wanted {
            find: self.find.trim().to_owned(),
            from: self.from.clone(),
            limit: Some(self.limit.unwrap_or(most).clamp(1, most)),
        }
    }

    /// The path of what shows this part.
    pub(crate) fn at(&self, path: &str) -> String {
        let limit = self.limit.map(|limit| limit.to_string());
        let said = [
            ("find", Some(&*self.find).filter(|find| !find.is_empty())),
            ("from", self.from.as_deref()),
            ("limit", limit.as_deref()),
        ];
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in said {
            query.extend_pairs(value.map(|value| (name, value)));
        }
        match query.finish().as_str() {
            "" => path.to_owned(),
            query => format!("{path}?{query}"),
        }
    }

    fn from(&self, key: Option<&str>) -> Self {
        Self {
            from: key.map(str::to_owned),
            ..self.clone()
        }
    }
}

/// A part of a list for a program: the rows, how many there are, and where the next part is (RFC 8288).
pub(crate) type Rows<T> = With<Vec<T>>;

/// What a program is answered with such a part in it.
pub(crate) struct With<B> {
    body: B,
    total: usize,
    next: Option<HeaderValue>,
}

impl<B> With<B> {
    /// The same in another body.
    pub(crate) fn map<C>(self, body: impl FnOnce(B) -> C) -> With<C> {
        With {
            body: body(self.body),
            total: self.total,
            next: self.next,
        }
    }
}

impl<B: Serialize> IntoResponse for With<B> {
    fn into_response(self) -> Response {
        let mut response = ([(TOTAL, self.total)], Json(self.body)).into_response();
        if let Some(next) = self.next {
            response.headers_mut().insert(header::LINK, next);
        }
        response
    }
}

/// Answers a program with the part of a list that it asks for.
pub(crate) fn answer<T>(
    asked: &Asked,
    path: &str,
    look: impl FnOnce(&Wanted) -> Part<T>,
) -> Rows<T> {
    let part = look(&asked.for_program());
    let next = part.next.as_deref().map(|next| {
        let at = asked.from(Some(next)).at(path);
        HeaderValue::try_from(format!("<{at}>; rel=\"next\"")).ok()
    });
    With {
        body: part.rows,
        total: part.total,
        next: next.flatten(),
    }
}

/// The field above a list by which one looks for names, if the list is long.
pub(crate) fn finder<T>(asked: &Asked, part: &Part<T>, path: &str, what: &str) -> Markup {
    html! {
        @if part.total > ROWS_TO_SEARCH || !asked.find.is_empty() {
            form.finder.inline method="get" action=(path) role="search" {
                input type="search" name="find" value=(asked.find) maxlength="60" placeholder={"Find " (what)} aria-label={"Find " (what) " by name"};
                button.button.secondary.small type="submit" { "Find" }
                @if !asked.find.is_empty() { a href=(path) { "Show all" } }
            }
        }
    }
}

/// What stands below a part of a list: which it is, and the way to the others.
pub(crate) fn pager<T>(asked: &Asked, part: &Part<T>, path: &str) -> Markup {
    let whole = part.before == 0 && part.next.is_none();
    html! {
        @if part.total == 0 && !asked.find.is_empty() {
            p.muted { "Nothing has “" (asked.find) "” in its name." }
        } @else if !whole {
            nav.pager aria-label="Parts of the list" {
                span.muted { (part.before + 1) " to " (part.before + part.rows.len()) " of " (part.total) }
                @if part.before > 0 { a href=(asked.from(None).at(path)) { "First" } }
                @if let Some(next) = &part.next { a href=(asked.from(Some(next)).at(path)) rel="next" { "Next" } }
            }
        }
    }
}
