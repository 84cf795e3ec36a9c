//! What this door refuses leaves no entry. Who was refused what is somebody's to know all the same: it is counted here, by who
//! asked from where, why it was refused and about what, and noted in the audit trail once a minute. However much somebody
//! tries, it is a few entries a minute; what does not fit is noted as a number.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use docklet_control::audit::command::AuditCommand;
use docklet_control::audit::tried::{Tried, TriedOf};
use docklet_control::id::{ServiceId, UserId, VclusterId};
use docklet_control::name::Name;
use docklet_control::{Command, State as Known};
use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;

use crate::asker;
use crate::login;
use crate::problem::Problem;
use crate::serve::Portal;

/// How often what was counted is noted.
const EVERY: Duration = Duration::from_secs(60);
/// Entries of one time.
const NOTED_MAX: usize = 10;
/// Different ones that are remembered until then.
const REMEMBERED_MAX: usize = 500;
/// Refusals that say that somebody may not. Of what is absent only that is told which is another's.
const FORBIDDEN: [&str; 3] = ["not_permitted", "scope_missing", "login_needed"];
const ABSENT: &str = "not_found";

/// The counts.
#[derive(Clone, Default)]
pub(crate) struct Refused(Arc<Mutex<Counts>>);

#[derive(Default)]
struct Counts {
    /// Each as it will be noted, but for how often.
    tried: BTreeMap<Tried, u32>,
    /// How many more there were.
    more: u32,
}

impl Refused {
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, tried: Tried) {
        let counts = &mut *self.lock();
        let is_known = counts.tried.contains_key(&tried);
        if !is_known && counts.tried.len() >= REMEMBERED_MAX {
            counts.more = counts.more.saturating_add(1);
            return;
        }
        let times = counts.tried.entry(tried).or_default();
        *times = times.saturating_add(1);
    }

    /// Somebody gave a wrong password for an account of this name.
    pub(crate) fn login(&self, known: &Known, name: &str, client: IpAddr, problem: &Problem) {
        let name = Name::parse("user", name).ok();
        let user = name.and_then(|name| known.user_named(&name));
        self.count(Tried {
            by: None,
            from: client.to_canonical(),
            what: "log in".to_owned(),
            code: problem.code.to_owned(),
            of: user.map(|user| TriedOf::User(user.id)),
            times: 0,
        });
    }

    /// Somebody who knows the password gave a wrong code, or one that was used already.
    pub(crate) fn code(&self, user: UserId, client: IpAddr, problem: &Problem) {
        self.count(Tried {
            by: None,
            from: client.to_canonical(),
            what: "show a code".to_owned(),
            code: problem.code.to_owned(),
            of: Some(TriedOf::User(user)),
            times: 0,
        });
    }

    /// Somebody was refused at a service's own origin: whose visit it was, if it was one. Of what is no service nobody is told.
    pub(crate) fn at_service(
        &self,
        known: &Known,
        service: ServiceId,
        by: Option<UserId>,
        client: IpAddr,
        code: &str,
    ) {
        let Some(service) = known.services.get(&service) else {
            return;
        };
        self.count(Tried {
            by,
            from: client.to_canonical(),
            what: "use a service".to_owned(),
            code: code.to_owned(),
            of: Some(TriedOf::Vcluster(service.vcluster)),
            times: 0,
        });
    }

    /// What is to be noted now: what is about somebody's things first, and of that what was tried most.
    fn take(&self) -> Vec<Tried> {
        let counts = std::mem::take(&mut *self.lock());
        let tried = counts.tried.into_iter();
        let mut tried: Vec<Tried> = tried
            .map(|(tried, times)| Tried { times, ..tried })
            .collect();
        tried.sort_by_key(|tried| (tried.of.is_none(), std::cmp::Reverse(tried.times)));
        let rest = tried.split_off(tried.len().min(NOTED_MAX));
        let rest = rest.iter().map(|tried| tried.times);
        let more = rest.fold(counts.more, u32::saturating_add);
        let others = (more > 0).then(|| Tried {
            by: None,
            from: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            what: "other requests".to_owned(),
            code: "too_many".to_owned(),
            of: None,
            times: more,
        });
        tried.into_iter().chain(others).collect()
    }
}

/// Notes what was counted, for as long as this master serves.
pub(crate) async fn run(portal: Portal) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for tried in portal.refused.take() {
            let times = tried.times;
            let command = Command::Audit(AuditCommand::NoteRefused(tried));
            if let Err(problem) = login::propose(&portal, command).await {
                warn!(
                    times,
                    cause = problem.detail,
                    "what was refused is not noted"
                );
            }
        }
    }
}

/// Looks at each answer, and counts those that refuse.
pub(crate) async fn watch(State(portal): State<Portal>, request: Request, next: Next) -> Response {
    let asked = Asked::of(&request);
    let response = next.run(request).await;
    if let Some(problem) = response.extensions().get::<Problem>()
        && (problem.code == ABSENT || FORBIDDEN.contains(&problem.code))
    {
        asked.note(&portal, problem);
    }
    response
}

/// What is kept of a request until it is answered.
struct Asked {
    headers: axum::http::HeaderMap,
    from: IpAddr,
    what: String,
    path: String,
    query: String,
}

impl Asked {
    fn of(request: &Request) -> Self {
        let route = request.extensions().get::<MatchedPath>();
        let route = route.map_or("another path", MatchedPath::as_str);
        let client = request.extensions().get::<ConnectInfo<SocketAddr>>();
        let client = client.map(|ConnectInfo(address)| address.ip().to_canonical());
        Self {
            headers: request.headers().clone(),
            from: client.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            what: format!("{} {route}", request.method()),
            path: request.uri().path().to_owned(),
            query: request.uri().query().unwrap_or_default().to_owned(),
        }
    }

    fn note(self, portal: &Portal, problem: &Problem) {
        let known = portal.master.local().state;
        let by = asker::who(&known, &self.headers);
        let of = self.about(&known, by);
        if problem.code == ABSENT && of.is_none() {
            return;
        }
        portal.refused.count(Tried {
            by,
            from: self.from,
            what: self.what,
            code: problem.code.to_owned(),
            of,
            times: 0,
        });
    }

    /// Somebody else's thing that the path names.
    fn about(&self, known: &Known, by: Option<UserId>) -> Option<TriedOf> {
        let mut segments = self
            .path
            .split('/')
            .skip_while(|part| !matches!(*part, "vclusters" | "images" | "open" | "services"));
        let query = |name: &str| {
            let mut pairs = self
                .query
                .split('&')
                .filter_map(|pair| pair.split_once('='));
            pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
        };
        let found = match (segments.next(), segments.next(), segments.next()) {
            (Some("images"), Some(first), second) => {
                let (owner, name) = match query("owner") {
                    Some(owner) => (owner, first),
                    None => (first, second?),
                };
                let owner = known.user_named(&Name::parse("user", owner).ok()?)?.id;
                let name = Name::parse("image", name).ok()?;
                known.image_titles.get(&(owner, name.clone()))?;
                (owner, TriedOf::Image { owner, name })
            }
            (Some("open" | "services"), Some(service), _) => {
                let row = known.services.get(&ServiceId(service.parse().ok()?))?;
                (row.owner, TriedOf::Vcluster(row.vcluster))
            }
            (_, vcluster, _) => {
                let id = vcluster.or_else(|| query("vcluster"))?.parse().ok()?;
                let row = known.vclusters.get(&VclusterId(id))?;
                (row.owner, TriedOf::Vcluster(row.id))
            }
        };
        Some(found)
            .filter(|(owner, _)| Some(*owner) != by)
            .map(|(_, of)| of)
    }
}

#[cfg(test)]
mod tests {
    use docklet_control::Refusal;
    use docklet_control::account::refusal::AccountRefusal;

    use super::*;

    fn tried(by: u64, of: Option<TriedOf>) -> Tried {
        Tried {
            by: Some(UserId(by)),
            from: IpAddr::V4(Ipv4Addr::LOCALHOST),
            what: "GET /x".to_owned(),
            code: ABSENT.to_owned(),
            of,
            times: 0,
        }
    }

    #[test]
    fn however_much_is_tried_a_few_are_noted_and_the_rest_is_a_number() {
        let refused = Refused::default();
        for by in 0..2_000 {
            refused.count(tried(by, None));
        }
        for _ in 0..3 {
            refused.count(tried(7, None));
        }
        let noted = refused.take();
        assert_eq!(noted.len(), NOTED_MAX + 1);
        let sum: u32 = noted.iter().map(|tried| tried.times).sum();
        assert_eq!(sum, 2_003);
        assert_eq!((noted[0].by, noted[0].times), (Some(UserId(7)), 4));
        assert!(refused.take().is_empty());
    }

    #[test]
    fn wrong_codes_are_told_to_whose_account_it_is_by_where_they_came_from() {
        let refused = Refused::default();
        let wrong = Problem::from(Refusal::from(AccountRefusal::CodeWrong));
        let (here, there) = ([127, 0, 0, 1].into(), [192, 0, 2, 7].into());
        for from in [here, here, there] {
            refused.code(UserId(2), from, &wrong);
        }
        let noted = refused.take();
        let told: Vec<(IpAddr, u32)> = noted.iter().map(|row| (row.from, row.times)).collect();
        assert_eq!(told, [(here, 2), (there, 1)]);
        for row in noted {
            assert_eq!(row.of, Some(TriedOf::User(UserId(2))));
            assert_eq!((row.by, row.code.as_str()), (None, "code_wrong"));
        }
    }

    #[test]
    fn what_is_about_somebody_comes_first() {
        let refused = Refused::default();
        for by in 0..50 {
            refused.count(tried(by, None));
            refused.count(tried(by, None));
        }
        let of = Some(TriedOf::Vcluster(VclusterId(1)));
        refused.count(tried(1, of.clone()));
        assert_eq!(refused.take()[0].of, of);
    }
}
