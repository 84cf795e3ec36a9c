//! What happened, for people: the newest first, as far as they may see it.

use docklet_control::id::LogIndex;
use docklet_control::view::happened::{self, Happened, Topic, Wish};
use serde::Deserialize;

use crate::asker::Asker;
use crate::problem::Problem;
use crate::serve::Portal;

/// Entries that are read at once.
const PART: u64 = 500;

/// How much one question finds at most, and at how many entries it looks: who finds fewer asks on from where it ended.
#[derive(Clone, Copy)]
pub(crate) struct Most {
    pub(crate) rows: usize,
    pub(crate) entries: u64,
}

/// What somebody looks for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Sought {
    /// A topic's word; all if empty.
    pub(crate) topic: String,
    /// A part of the name of a thing.
    pub(crate) thing: String,
    /// Who did it.
    pub(crate) who: String,
    /// Only what came after this entry.
    pub(crate) after: Option<u64>,
    /// Only what came before this entry.
    pub(crate) before: Option<u64>,
    /// Of a stream that comes back: the last that it was sent.
    pub(crate) seen: Option<u64>,
}

impl Sought {
    pub(crate) fn wish(&self) -> Wish {
        let word = self.topic.trim();
        Wish {
            topic: Topic::ALL.into_iter().find(|topic| topic.word() == word),
            thing: self.thing.trim().to_owned(),
            who: self.who.trim().to_owned(),
            ..Wish::default()
        }
    }

    /// Whether everything is wanted.
    pub(crate) fn is_all(&self) -> bool {
        self.wish() == Wish::default()
    }

    /// The path of a page that shows the same, with other ends.
    pub(crate) fn at(&self, path: &str, after: Option<u64>, before: Option<u64>) -> String {
        let numbers = [("after", after), ("before", before)];
        let words = [
            ("topic", self.topic.trim()),
            ("thing", self.thing.trim()),
            ("who", self.who.trim()),
        ];
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(words.into_iter().filter(|(_, word)| !word.is_empty()));
        for (name, number) in numbers {
            query.extend_pairs(number.map(|number| (name, number.to_string())));
        }
        match query.finish().as_str() {
            "" => path.to_owned(),
            query => format!("{path}?{query}"),
        }
    }
}

/// What was found, the newest first.
pub(crate) struct Found {
    pub(crate) rows: Vec<Happened>,
    /// More may have come before this entry; none if this was all.
    pub(crate) before: Option<u64>,
    /// What came up to this entry is no longer kept.
    pub(crate) cut: Option<LogIndex>,
}

/// Looks back from the newest.
///
/// # Errors
/// The disk failed.
pub(crate) async fn find(
    portal: &Portal,
    asker: &Asker,
    (sought, wish): (&Sought, &Wish),
    most: Most,
) -> Result<Found, Problem> {
    let frozen = &asker.frozen;
    let floor = sought.after.unwrap_or(0);
    let newest = frozen.index.0;
    let before = sought
        .before
        .map_or(newest, |before| before.saturating_sub(1));
    let mut upto = before.min(newest);
    let stop = upto.saturating_sub(most.entries).max(floor);
    let mut rows = Vec::new();
    while upto > stop {
        let from = upto.saturating_sub(PART).max(stop);
        let read = portal.master.changes(LogIndex(from), LogIndex(upto)).await;
        let (kept_after, changes) = read?;
        for change in changes.iter().rev() {
            rows.extend(happened::show(&frozen.state, &asker.user, change, wish));
            if rows.len() == most.rows {
                let more = change.index.0 > floor + 1;
                return Ok(Found {
                    rows,
                    before: more.then_some(change.index.0),
                    cut: None,
                });
            }
        }
        if kept_after.0 > from {
            return Ok(Found {
                rows,
                before: None,
                cut: Some(kept_after),
            });
        }
        upto = from;
    }
    Ok(Found {
        rows,
        before: (upto > floor).then_some(upto + 1),
        cut: None,
    })
}
