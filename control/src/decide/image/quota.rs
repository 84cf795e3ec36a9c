//! How many bytes of images people may have: set by admins. Since version 3.

use super::super::{Decision, Ground, in_range};
use crate::event::Event;
use crate::image::event::ImageEvent;
use crate::model::image::ImageQuota;
use crate::name::Name;
use crate::refusal::Refusal;

fn check(quota: ImageQuota) -> Result<(), Refusal> {
    let bytes = quota.bytes.unwrap_or_default();
    in_range("image quota", bytes, 0..=ImageQuota::BYTES_MAX, "bytes")
}

/// Who has more by now keeps it, and gets no more.
pub(super) fn set(ground: Ground<'_>, quota: ImageQuota) -> Result<Decision, Refusal> {
    check(quota)?;
    let same = ground.state.image_quota() == quota;
    let event = (!same).then_some(Event::Image(ImageEvent::QuotaSet { quota }));
    Ok(Decision::quiet(event.into_iter().collect()))
}

/// The person's own; that of everybody again if there is none.
pub(super) fn set_of(
    ground: Ground<'_>,
    user: &str,
    quota: Option<ImageQuota>,
) -> Result<Decision, Refusal> {
    quota.map_or(Ok(()), check)?;
    let name = Name::parse("user", user)?;
    let user = ground.state.user_named(&name);
    let user = user.ok_or_else(|| Refusal::not_found("user", &name))?.id;
    let known = ground.state.image_quotas.get(&user).map(|own| own.quota);
    let event = (known != quota).then_some(Event::Image(ImageEvent::QuotaOfSet { user, quota }));
    Ok(Decision::quiet(event.into_iter().collect()))
}
