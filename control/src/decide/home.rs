//! What people's homes hold. How much is in them nobody knows here: a size below that takes nothing away, and nothing
//! more can be written.

use super::{Decision, Ground, in_range};
use crate::amount::DiskMib;
use crate::event::Event;
use crate::id::UserId;
use crate::limit::event::LimitEvent;
use crate::model::HomeUsual;
use crate::refusal::Refusal;

pub(super) fn set_usual(ground: Ground<'_>, usual: HomeUsual) -> Result<Decision, Refusal> {
    check(usual.disk_mib)?;
    let now = ground.state.usual_home.unwrap_or(HomeUsual::DEFAULT);
    let event = (now != usual).then_some(Event::Limit(LimitEvent::UsualHomeSet { usual }));
    Ok(Decision::quiet(event.into_iter().collect()))
}

pub(super) fn set(
    ground: Ground<'_>,
    user: UserId,
    disk_mib: Option<DiskMib>,
) -> Result<Decision, Refusal> {
    let state = ground.state;
    if !state.users.contains_key(&user) {
        return Err(Refusal::not_found("user", user));
    }
    disk_mib.map_or(Ok(()), check)?;
    let now = state.user_homes.get(&user).map(|row| row.disk_mib);
    let set = LimitEvent::HomeSet { user, disk_mib };
    let event = (now != disk_mib).then_some(Event::Limit(set));
    Ok(Decision::quiet(event.into_iter().collect()))
}

fn check(disk_mib: DiskMib) -> Result<(), Refusal> {
    in_range("home", disk_mib.0, HomeUsual::DISK_MIB_RANGE, "MiB")
}
