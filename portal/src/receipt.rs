//! Receipts on pages: of somebody's own write, what came of it, in stages with their times. The stages are read from the log, as it
//! goes on; of what is no entry, as what a worker did with a file, the answer to the form carries them, sealed for who asked.

use axum::http::Method;
use axum::http::request::Parts;
use docklet_control::State;
use docklet_control::id::{LogIndex, UnixMs};
use docklet_control::model::User;
use docklet_control::view::course::Course;
use docklet_raft::{Followed, Follower, OnGap};
use serde::{Deserialize, Serialize};

use crate::asker::{Asker, now};
use crate::problem::Problem;
use crate::serve::Portal;

/// Entries that one look at a receipt reads.
const LOOK_MAX: usize = 2_000;
/// What one address carries of stages that are no entries.
const TOLD_MAX: usize = 10;
/// Names of the parts of an address.
const AFTER: &str = "after=";
const TOLD: &str = "told=";

/// A stage that is no entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) at: UnixMs,
    pub(crate) says: String,
}

impl Told {
    /// What is so as of now.
    pub(crate) fn now(says: impl Into<String>) -> Self {
        Self {
            at: now(),
            says: says.into(),
        }
    }
}

/// What a page says of a write of who looks at it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Receipt {
    pub(crate) course: Option<Course>,
    pub(crate) told: Vec<Told>,
}

impl Receipt {
    /// Of the page that somebody was sent to after a write: none if its address names none of theirs.
    pub(crate) async fn of_page(
        portal: &Portal,
        parts: &Parts,
        route: &str,
        (state, user): (&State, &User),
    ) -> Option<Self> {
        let is_page = parts.method == Method::GET && has_receipts(route);
        let query = parts.uri.query().filter(|_| is_page)?;
        let values = |name: &'static str| {
            let pairs = query.split('&');
            pairs.filter_map(move |pair| pair.strip_prefix(name))
        };
        let after = values(AFTER).next().and_then(|index| index.parse().ok());
        let course = match after {
            Some(index) => Following::of(portal, index).look(state, user).await,
            None => None,
        };
        let purpose = purpose(user);
        let told = values(TOLD).take(TOLD_MAX);
        let told = told.filter_map(|text| portal.sealer.open::<Vec<Told>>(&purpose, text));
        let receipt = Self {
            course,
            told: told.flatten().collect(),
        };
        (receipt != Self::default()).then_some(receipt)
    }

    /// The entry, if it is about one.
    pub(crate) fn index(&self) -> Option<LogIndex> {
        self.course.as_ref().map(|course| course.asked.index)
    }
}

/// Whether the address of a page says after which write it is looked at. On others the same word says something else.
pub(crate) fn has_receipts(route: &str) -> bool {
    let other = ["/api/", "/live/", "/assets/"];
    route != "/events" && !other.iter().any(|begin| route.starts_with(begin))
}

/// A page in answer to a form, which knows what came of that.
///
/// # Errors
/// This master does not come to know it in time.
pub(crate) async fn with_write(
    portal: &Portal,
    mut asker: Asker,
    index: LogIndex,
) -> Result<Asker, Problem> {
    let deadline = crate::asker::OWN_WRITE_DEADLINE;
    asker.frozen = portal.master.wait_applied(index, deadline).await?;
    let mut following = Following::of(portal, index);
    let course = following.look(&asker.frozen.state, &asker.user).await;
    asker.receipt = course.map(|course| {
        Receipt {
            course: Some(course),
            told: Vec::new(),
        }
        .into()
    });
    Ok(asker)
}

/// Stages as an address carries them: nobody else can make or read them.
pub(crate) fn sealed(portal: &Portal, asker: &Asker, told: &[Told]) -> String {
    portal.sealer.seal(&purpose(&asker.user), &told)
}

/// The same with the entry that they belong to, if there is one, after a path.
pub(crate) fn address(
    portal: &Portal,
    asker: &Asker,
    path: &str,
    (index, told): (Option<LogIndex>, &[Told]),
) -> String {
    let joint = if path.contains('?') { '&' } else { '?' };
    let index = index.map(|index| format!("{AFTER}{index}&"));
    let sealed = sealed(portal, asker, told);
    format!("{path}{joint}{}{TOLD}{sealed}", index.unwrap_or_default())
}

fn purpose(user: &User) -> String {
    format!("receipt of {}", user.id)
}

/// Reads on what comes of one entry.
pub(crate) struct Following {
    follower: Follower,
    index: LogIndex,
    course: Option<Course>,
    /// The entry is not kept, or not for who asks.
    is_none: bool,
}

impl Following {
    pub(crate) fn of(portal: &Portal, index: LogIndex) -> Self {
        let before = LogIndex(index.0.saturating_sub(1));
        Self {
            follower: portal.master.follower(before, OnGap::Skip),
            index,
            course: None,
            is_none: false,
        }
    }

    /// What has come of it so far.
    pub(crate) async fn look(&mut self, state: &State, user: &User) -> Option<Course> {
        for _ in 0..LOOK_MAX {
            if self.is_none {
                return None;
            }
            match self.follower.next().await {
                Ok(Some(Followed::Change(change))) => match &mut self.course {
                    Some(course) => drop(course.take(state, user, &change)),
                    None => {
                        let own = change.index == self.index;
                        self.course = own.then(|| Course::of(state, user, &change)).flatten();
                        self.is_none = self.course.is_none();
                    }
                },
                Ok(Some(Followed::Skipped(_) | Followed::Snapshot(_))) => {
                    self.is_none = self.course.is_none();
                }
                // Behind: another look, or another master, has it.
                Ok(None) | Err(_) => break,
            }
        }
        self.course.clone()
    }
}
