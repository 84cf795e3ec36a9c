//! Deleting images, snapshots, groups, templates, accounts and notices with a way back. What is refused of deleting them for good is refused
//! here, too. Since version 3 (ADR 0044).

use super::super::account::leave;
use super::super::{Decision, Ground, group, image, notice, snapshot, template};
use super::account;
use crate::event::Event;
use crate::id::{Digest, LogIndex, NoticeId, UserId};
use crate::model::kept::{Kept, KeptGroup, KeptKind, KeptNotice, KeptThing};
use crate::model::receipt::Subject;
use crate::model::{PurseOf, Vnode};
use crate::name::Name;
use crate::permit;
use crate::refusal::Refusal;
use crate::snapshot::command::SnapshotOf;
use crate::trash::command::Thing;
use crate::trash::event::{KeptRef, TrashEvent};
use crate::trash::kept;

/// What deleting comes to, and what of it can be had back.
pub(super) type Deleted = (Decision, Option<(UserId, KeptThing)>);

pub(super) fn keep(ground: Ground<'_>, thing: &Thing) -> Result<Decision, Refusal> {
    let keeps = ground.state.trash_policy().undo_ms();
    let by = permit::person(ground.state, ground.entry.actor)?.id;
    if keeps == 0 {
        return for_good(ground, thing);
    }
    let (mut decision, there) = match thing {
        Thing::Image { image } => of_image(ground, image)?,
        Thing::ImageVersion { image, version } => of_version(ground, image, *version)?,
        Thing::Snapshots { of, name } => of_snapshots(ground, *of, name)?,
        Thing::Group { group } => of_group(ground, by, group)?,
        Thing::Template { template } => of_template(ground, by, template)?,
        Thing::Account { user, with_data } => account::discard(ground, by, *user, *with_data)?,
        Thing::Notice { notice } => of_notice(ground, by, *notice)?,
    };
    if let Some((owner, thing)) = there {
        let kept = Kept {
            number: ground.index,
            owner,
            by,
            at: ground.entry.at,
            until: ground.entry.at.plus_ms(keeps),
            thing,
        };
        for oldest in kept::too_many(ground.state, &kept) {
            decision.events.extend(gone(ground, oldest, by)?);
        }
        decision.events.push(trash(TrashEvent::Kept {
            kept: Box::new(kept),
        }));
    }
    Ok(decision)
}

fn trash(event: TrashEvent) -> Event {
    Event::Trash(event)
}

fn for_good(ground: Ground<'_>, thing: &Thing) -> Result<Decision, Refusal> {
    match thing {
        Thing::Image { image } => image::title::delete(ground, image),
        Thing::ImageVersion { image, version } => image::version::delete(ground, image, *version),
        Thing::Snapshots { of, name } => snapshot::delete(ground, *of, name),
        Thing::Group { group } => group::delete(ground, group),
        Thing::Template { template } => template::withdraw(ground, template),
        Thing::Account { user, with_data } => leave::delete(ground, *user, *with_data),
        Thing::Notice { notice } => notice::withdraw(ground, *notice).map(Decision::quiet),
    }
}

fn of_image(ground: Ground<'_>, text: &str) -> Result<Deleted, Refusal> {
    let decision = image::title::delete(ground, text)?;
    let title = image::title::own(ground, text, "delete this image")?;
    let shared = ground.state.image_groups.get(&title.key());
    let thing = KeptThing::Image {
        title: title.clone(),
        groups: shared
            .map(|shared| shared.groups.clone())
            .unwrap_or_default(),
    };
    Ok((decision, Some((title.owner, thing))))
}

fn of_version(ground: Ground<'_>, text: &str, digest: Digest) -> Result<Deleted, Refusal> {
    let decision = image::version::delete(ground, text, digest)?;
    let title = image::title::own(ground, text, "delete a version of this image")?;
    let mut versions = title.versions.iter();
    let version = versions.find(|version| version.digest == digest);
    let thing = version.map(|version| KeptThing::ImageVersion {
        name: title.name.clone(),
        version: version.clone(),
    });
    Ok((decision, thing.map(|thing| (title.owner, thing))))
}

/// Of those that were not taken there is nothing to have back.
fn of_snapshots(ground: Ground<'_>, of: SnapshotOf, name: &str) -> Result<Deleted, Refusal> {
    let (subject, going) = snapshot::going(ground, of, name)?;
    let (taken, others): (Vec<_>, Vec<_>) = going
        .into_iter()
        .partition(|(_, snapshot)| snapshot.is_taken());
    let deleted = others
        .into_iter()
        .map(|(vnode, snapshot)| snapshot::deleted(vnode, snapshot));
    let decision = Decision::new(subject, deleted.collect());
    let thing = taken.first().map(|(vnode, first)| KeptThing::Snapshots {
        vcluster: vnode.vcluster,
        name: first.name.clone(),
        of: taken.iter().map(|(_, snapshot)| snapshot.key()).collect(),
    });
    let owner = taken.first().map(|(vnode, _)| vnode.owner);
    Ok((decision, owner.zip(thing)))
}

fn of_group(ground: Ground<'_>, by: UserId, text: &str) -> Result<Deleted, Refusal> {
    let state = ground.state;
    let decision = group::delete(ground, text)?;
    let group = group::named(ground, text)?;
    let all = (group.id, UserId(0))..=(group.id, UserId(u64::MAX));
    let shares = state.group_shares.range(all);
    let images = state.image_groups.values();
    let images = images.filter(|shared| shared.groups.contains(&group.id));
    let purse = state.purses.get(&PurseOf::Group(group.id));
    let thing = KeptThing::Group(Box::new(KeptGroup {
        group: group.clone(),
        quota: state.group_quotas.get(&group.id).cloned(),
        shares: shares.map(|(_, share)| share.clone()).collect(),
        images: images.map(|shared| shared.key()).collect(),
        templates: state.templates_for(group.id).cloned().collect(),
        beans: purse.map(|purse| purse.balance),
    }));
    Ok((decision, Some((by, thing))))
}

fn of_template(ground: Ground<'_>, by: UserId, text: &str) -> Result<Deleted, Refusal> {
    let decision = template::withdraw(ground, text)?;
    let template = Name::parse("template", text)?;
    let template = ground.state.templates.get(&template);
    let thing = template.map(|template| KeptThing::Template {
        template: template.clone(),
    });
    Ok((decision, thing.map(|thing| (by, thing))))
}

/// Mails that wait to say the same go with it, and do not come back.
fn of_notice(ground: Ground<'_>, by: UserId, id: NoticeId) -> Result<Deleted, Refusal> {
    let decision = Decision::quiet(notice::withdraw(ground, id)?);
    let notice = ground.state.notices.get(&id);
    let notice = notice.ok_or_else(|| Refusal::not_found("notice", id))?;
    let text = format!("notice-{id}").replace('.', "-");
    let thing = KeptThing::Notice(Box::new(KeptNotice {
        name: Name::parse("notice", &text)?,
        notice: notice.clone(),
    }));
    Ok((decision, Some((by, thing))))
}

/// Gone for good. Blobs that nothing means any more the leader forgets; of snapshots their workers are told, and what accounts own
/// goes first.
fn gone(ground: Ground<'_>, kept: &Kept, by: UserId) -> Result<Vec<Event>, Refusal> {
    if let Some(account) = kept.account() {
        return account::gone(ground, kept, account, by);
    }
    let state = ground.state;
    let about = KeptRef::from(kept);
    let snapshots = kept.snapshots().iter().filter_map(|key| {
        let vnode: &Vnode = state.vnodes.get(&key.0)?;
        Some(snapshot::deleted(vnode, state.snapshots.get(key)?))
    });
    let dropped = std::iter::once(trash(TrashEvent::Dropped { about }));
    Ok(dropped.chain(snapshots).collect())
}

/// What cannot go, because somebody's disk is being made of it, is found again by the next look.
pub(super) fn empty(ground: Ground<'_>) -> impl Iterator<Item = Event> {
    let over = kept::over(ground.state, ground.entry.at);
    over.flat_map(move |kept| gone(ground, kept, kept.by).unwrap_or_default())
}

fn theirs(ground: Ground<'_>, kind: KeptKind, number: LogIndex) -> Result<&Kept, Refusal> {
    let asker = permit::person(ground.state, ground.entry.actor)?;
    let kept = kept::find(ground.state, asker, kind, number);
    let what = format!("deleted {}", kind.word());
    kept.ok_or_else(|| Refusal::not_found(&what, number))
}

pub(super) fn drop(
    ground: Ground<'_>,
    kind: KeptKind,
    number: LogIndex,
) -> Result<Decision, Refusal> {
    let kept = theirs(ground, kind, number)?;
    let by = permit::person(ground.state, ground.entry.actor)?.id;
    Ok(Decision::quiet(gone(ground, kept, by)?))
}

/// It counts again, so there must be room for it, and its name must be free.
pub(super) fn recover(
    ground: Ground<'_>,
    kind: KeptKind,
    number: LogIndex,
    name: Option<&str>,
) -> Result<Decision, Refusal> {
    let kept = theirs(ground, kind, number)?;
    let name = match name {
        Some(text) => Name::parse(kind.word(), text)?,
        None => kept.name().clone(),
    };
    let mut subject = Subject::None;
    let mut events = match &kept.thing {
        KeptThing::Image { title, groups } => image::again::title(ground, title, groups, &name)?,
        KeptThing::ImageVersion { name: of, version } => {
            if name != *of {
                return Err(Refusal::Malformed {
                    what: "name".to_owned(),
                    cause: "a version comes back to its image, and has no name of its own"
                        .to_owned(),
                });
            }
            image::again::version(ground, (kept.owner, of.clone()), version)?
        }
        KeptThing::Snapshots {
            vcluster,
            of,
            name: was,
        } => {
            subject = Subject::Vcluster(*vcluster);
            snapshot::check_again(ground, of, &name, name != *was)?;
            Vec::new()
        }
        KeptThing::Group(kept) => group::again(ground, kept, &name)?,
        KeptThing::Template { template } => template::again(ground, template, &name)?,
        KeptThing::Account(account) => {
            subject = Subject::User(account.user);
            account::again(ground, account, &name)?
        }
        KeptThing::Notice(kept) => {
            if name != kept.name {
                return Err(Refusal::Malformed {
                    what: "name".to_owned(),
                    cause: "a notice has none: it comes back as it was".to_owned(),
                });
            }
            notice::again(ground, &kept.notice)?
        }
    };
    let about = KeptRef::from(kept);
    events.push(trash(TrashEvent::Recovered { about, name }));
    Ok(Decision::new(subject, events))
}
