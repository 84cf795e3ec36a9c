//! Looks at a frozen state and an entry, and answers with what will happen or with a refusal. Changes nothing.

mod account;
mod acme;
mod audit;
mod bean;
mod certificate;
mod drain;
mod drill;
mod generation;
mod group;
mod home;
mod identity;
mod idle;
mod image;
mod limit;
mod lost;
mod machine;
mod master;
mod moves;
mod notice;
mod person;
mod port;
mod quota;
mod rebalance;
mod role;
mod schedule;
mod service;
mod setting;
mod setup;
mod snapshot;
mod template;
mod terminal;
mod trash;
mod vcluster;
mod version;
mod vnode;
mod wishes;

use crate::command::{Command, Entry};
use crate::event::Event;
use crate::evolve::evolve;
use crate::id::LogIndex;
use crate::model::receipt::Subject;
use crate::model::{Rules, SizeChange, Wishes};
use crate::permit;
use crate::refusal::Refusal;
use crate::state::State;

/// What an accepted entry does.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// What it is about.
    pub subject: Subject,
    /// What happens, in order; empty if all is as asked for already.
    pub events: Vec<Event>,
}

impl Decision {
    fn new(subject: Subject, events: Vec<Event>) -> Self {
        Self { subject, events }
    }

    fn quiet(events: Vec<Event>) -> Self {
        Self::new(Subject::None, events)
    }
}

/// What one entry stands on while it is decided.
#[derive(Clone, Copy)]
struct Ground<'e> {
    state: &'e State,
    index: LogIndex,
    entry: &'e Entry,
}

/// Decides `entry`, which stands at `index` of the log.
///
/// # Errors
/// Why nothing of it happens.
pub fn decide(state: &State, index: LogIndex, entry: &Entry) -> Result<Decision, Refusal> {
    if state.settings.is_none() && !matches!(entry.command, Command::InitCluster(_)) {
        return Err(Refusal::ClusterMissing);
    }
    permit::check(state, entry.actor, &entry.command)?;
    crate::version::check(state, &entry.command)?;
    let ground = Ground {
        state,
        index,
        entry,
    };
    dispatch(ground)
}

fn dispatch(ground: Ground<'_>) -> Result<Decision, Refusal> {
    match &ground.entry.command {
        Command::InitCluster(init) => setup::init_cluster(ground, init),
        Command::CreateJoinToken {
            secret_hash,
            role,
            ttl_ms,
            uses,
        } => machine::create_join_token(ground, *secret_hash, *role, *ttl_ms, *uses),
        Command::JoinMaster {
            secret_hash,
            name,
            cluster_addr,
            public_addr,
        } => master::join(ground, *secret_hash, name, cluster_addr, public_addr),
        Command::JoinWorker {
            secret_hash,
            name,
            data_addr,
            underlay,
            capacity,
        } => machine::join_worker(ground, *secret_hash, name, data_addr, *underlay, capacity),
        Command::DescribeWorker { worker, facts } => {
            machine::describe_worker(ground, *worker, facts)
        }
        Command::MarkWorker { worker, status } => machine::mark_worker(ground, *worker, *status),
        Command::CreateUser {
            name,
            role,
            password_hash,
        } => person::create_user(ground, name, *role, password_hash),
        Command::ChangePassword {
            user,
            password_hash,
        } => person::change_password(ground, *user, password_hash),
        Command::OpenSession {
            user,
            id,
            kind,
            ttl_ms,
        } => person::open_session(ground, *user, *id, *kind, *ttl_ms),
        Command::CloseSession { id } => Ok(person::close_session(ground, *id)),
        Command::ForgetExpired => Ok(person::forget_expired(ground)),
        Command::RegisterImage {
            name,
            digest,
            blob_bytes,
            spec,
            description,
            held_by,
        } => {
            let registration = image::Registration {
                name,
                digest: *digest,
                blob_bytes: *blob_bytes,
                spec,
                description,
                held_by: *held_by,
            };
            image::register(ground, &registration)
        }
        Command::ReportImage {
            worker,
            digest,
            held,
        } => image::report(ground, *worker, *digest, *held),
        Command::CreateVcluster {
            name,
            image,
            vnodes,
            size,
        } => {
            let asked = vcluster::Asked {
                name,
                vnodes: *vnodes,
                size: *size,
                wishes: Wishes::usual(),
                bandwidth: None,
                rules: Rules::usual(),
            };
            vcluster::create(ground, &asked, image)
        }
        Command::CreateVclusterWith(new) => {
            let asked = vcluster::Asked {
                name: &new.name,
                vnodes: new.vnodes,
                size: new.size,
                wishes: &new.wishes,
                bandwidth: new.bandwidth,
                rules: &new.rules,
            };
            vcluster::create(ground, &asked, &new.image)
        }
        Command::ResizeVcluster { vcluster, disk_mib } => {
            let change = SizeChange {
                disk_mib: Some(*disk_mib),
                ..SizeChange::default()
            };
            limit::resize(ground, *vcluster, &change)
        }
        Command::SetDiskOvercommit { overcommit } => {
            wishes::set_disk_overcommit(ground, *overcommit)
        }
        Command::StartVcluster { vcluster } => vcluster::start(ground, *vcluster),
        Command::StopVcluster { vcluster } => vcluster::stop(ground, *vcluster),
        Command::ScaleVcluster { vcluster, vnodes } => vcluster::scale(ground, *vcluster, *vnodes),
        Command::DeleteVcluster { vcluster } => vcluster::delete(ground, *vcluster),
        Command::PlaceVnodes { placed, unplaced } => Ok(vnode::place(ground, placed, unplaced)),
        Command::ReportVnodes { worker, reports } => vnode::report(ground, *worker, reports),
        Command::RemoveMaster {
            master,
            force,
            seats,
        } => master::remove(ground, *master, *force, seats),
        Command::ReplaceMaster {
            master,
            secret_hash,
            ttl_ms,
        } => master::replace(ground, *master, *secret_hash, *ttl_ms),
        Command::SetAutopilot { autopilot } => master::set_autopilot(ground, *autopilot),
        Command::Drill(command) => drill::decide(ground, command),
        Command::ReportDivergence { master, after } => {
            master::report_divergence(ground, *master, *after)
        }
        Command::RestoreCluster {
            cluster,
            last,
            master_name,
            cluster_addr,
            public_addr,
        } => {
            let new = generation::NewMaster {
                name: master_name,
                cluster_addr,
                public_addr,
            };
            generation::restore(ground, *cluster, *last, &new)
        }
        Command::RecoverCluster { master, last } => generation::recover(ground, *master, *last),
        Command::ReportProgram { program } => version::report_program(ground, program),
        Command::RaiseVersion { to } => version::raise(ground, *to),
        Command::RecordBackup => version::record_backup(ground),
        Command::AddPort {
            vnode,
            protocol,
            number,
            public,
        } => port::add(ground, *vnode, *protocol, *number, *public),
        Command::RemovePort { public } => port::remove(ground, *public),
        Command::LimitBandwidth { bandwidth } => port::limit_bandwidth(ground, *bandwidth),
        Command::Image(command) => image::decide(ground, command),
        Command::Snapshot(command) => snapshot::decide(ground, command),
        Command::Limit(command) => limit::decide(ground, command),
        Command::Group(command) => group::decide(ground, command),
        Command::Schedule(command) => schedule::decide(ground, command),
        Command::Move(command) => moves::decide(ground, command),
        Command::Drain(command) => drain::decide(ground, command),
        Command::Rebalance(command) => rebalance::decide(ground, command),
        Command::Quota(command) => quota::decide(ground, command),
        Command::SetRole { user, role } => role::set(ground, user, *role),
        Command::Account(command) => account::decide(ground, command),
        Command::Template(command) => template::decide(ground, command),
        Command::Audit(command) => audit::decide(ground, command),
        Command::Setting(command) => setting::decide(ground, command),
        Command::Trash(command) => trash::decide(ground, command),
        Command::Idle(command) => Ok(idle::decide(ground, command)),
        Command::Notice(command) => notice::decide(ground, command),
        Command::Bean(command) => bean::decide(ground, command),
        Command::Service(command) => service::decide(ground, command),
        Command::Terminal(command) => terminal::decide(ground, command),
        Command::Identity(command) => identity::decide(ground, command),
        Command::Acme(command) => acme::decide(ground, command),
        Command::Certificate(command) => certificate::decide(ground, command),
    }
}

/// What comes of reports in their order: each is decided with what came of those before it.
fn one_by_one<R, E: IntoIterator<Item = Event>>(
    ground: Ground<'_>,
    reports: &[R],
    decide: impl Fn(&State, &R) -> E,
) -> Decision {
    let mut state = ground.state.clone();
    let mut events = Vec::new();
    for report in reports {
        for event in decide(&state, report) {
            state = evolve(state, ground.entry.at, &event);
            events.push(event);
        }
    }
    Decision::quiet(events)
}

/// Refuses an amount outside `range`.
pub(crate) fn in_range(
    what: &str,
    given: u64,
    range: std::ops::RangeInclusive<u64>,
    unit: &str,
) -> Result<(), Refusal> {
    if range.contains(&given) {
        return Ok(());
    }
    Err(Refusal::OutOfRange {
        what: what.to_owned(),
        given,
        least: *range.start(),
        most: *range.end(),
        unit: unit.to_owned(),
    })
}

/// Refuses a text of more than `most` bytes, or with control characters in it.
fn plain_text(what: &str, given: &str, most: usize) -> Result<(), Refusal> {
    if given.len() > most {
        return Err(Refusal::TooLong {
            what: what.to_owned(),
            given: given.len() as u64,
            most: most as u64,
        });
    }
    if given.chars().any(char::is_control) {
        return Err(Refusal::Malformed {
            what: what.to_owned(),
            cause: "it contains control characters".to_owned(),
        });
    }
    Ok(())
}

/// The same, but it may have several lines.
fn lines(what: &str, given: &str, most: usize) -> Result<(), Refusal> {
    plain_text(what, &given.replace(['\n', '\t'], " "), most)
}

/// Refuses what is not `address:port`.
fn socket_address(what: &str, given: &str) -> Result<(), Refusal> {
    match given.parse::<std::net::SocketAddr>() {
        Ok(_) => Ok(()),
        Err(error) => Err(Refusal::Malformed {
            what: what.to_owned(),
            cause: error.to_string(),
        }),
    }
}
