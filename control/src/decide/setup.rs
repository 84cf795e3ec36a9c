//! The first entry of a cluster.

use super::{Decision, Ground, in_range, plain_text, socket_address};
use crate::command::InitCluster;
use crate::event::Event;
use crate::id::UserId;
use crate::model::{Master, Role, Settings, User};
use crate::name::Name;
use crate::refusal::Refusal;

pub(super) fn init_cluster(ground: Ground<'_>, init: &InitCluster) -> Result<Decision, Refusal> {
    if ground.state.settings.is_some() {
        return Err(Refusal::ClusterExists);
    }
    let events = vec![
        Event::ClusterInitialised {
            settings: settings(init)?,
        },
        Event::MasterJoined {
            master: first_master(ground, init)?,
        },
        Event::UserCreated {
            user: first_admin(ground, init)?,
        },
    ];
    Ok(Decision::quiet(events))
}

fn settings(init: &InitCluster) -> Result<Settings, Refusal> {
    let prefix = u64::from(init.cluster_net.prefix());
    in_range(
        "user_prefix",
        u64::from(init.user_prefix),
        prefix..=30,
        "bits",
    )?;
    in_range(
        "cpu_overcommit_percent",
        u64::from(init.cpu_overcommit_percent),
        1..=10_000,
        "percent",
    )?;
    in_range(
        "memory_overcommit_percent",
        u64::from(init.memory_overcommit_percent),
        1..=10_000,
        "percent",
    )?;
    in_range(
        "worker_timeout_ms",
        init.worker_timeout_ms,
        500..=3_600_000,
        "ms",
    )?;
    Ok(Settings {
        cluster: init.cluster,
        name: Name::parse("cluster", &init.cluster_name)?,
        cluster_net: init.cluster_net,
        user_prefix: init.user_prefix,
        cpu_overcommit_percent: init.cpu_overcommit_percent,
        memory_overcommit_percent: init.memory_overcommit_percent,
        worker_timeout_ms: init.worker_timeout_ms,
    })
}

fn first_master(ground: Ground<'_>, init: &InitCluster) -> Result<Master, Refusal> {
    socket_address("cluster_addr", &init.cluster_addr)?;
    socket_address("public_addr", &init.public_addr)?;
    Ok(Master {
        id: init.master,
        name: Name::parse("master", &init.master_name)?,
        cluster_addr: init.cluster_addr.clone(),
        public_addr: init.public_addr.clone(),
        joined_at: ground.entry.at,
    })
}

fn first_admin(ground: Ground<'_>, init: &InitCluster) -> Result<User, Refusal> {
    plain_text("password hash", &init.admin_password_hash, 300)?;
    Ok(User {
        id: UserId(1),
        name: Name::parse("user", &init.admin_name)?,
        role: Role::Admin,
        password_hash: init.admin_password_hash.clone(),
        created_at: ground.entry.at,
    })
}
