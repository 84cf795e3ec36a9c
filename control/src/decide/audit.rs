//! What only the trail is to have. Since version 3.

use super::port::number_in;
use super::{Decision, Ground, in_range, plain_text};
use crate::audit::command::AuditCommand;
use crate::audit::event::AuditEvent;
use crate::audit::tried::{Tried, TriedOf, TriedThing};
use crate::event::{Event, VclusterRef, VnodeRef};
use crate::id::{MasterId, UserId, VnodeId};
use crate::permit;
use crate::refusal::Refusal;

/// Longest name of a program.
const PROGRAM_LEN_MAX: usize = 255;
/// Longest path; doors shorten what is longer.
const PATH_LEN_MAX: usize = 255;
/// Longest route and code of what a door refused.
const WHAT_LEN_MAX: usize = 255;
const CODE_LEN_MAX: usize = 60;

pub(super) fn decide(ground: Ground<'_>, command: &AuditCommand) -> Result<Decision, Refusal> {
    let event = match command {
        AuditCommand::OpenTerminal { vnode } => {
            let (about, by) = entered(ground, *vnode)?;
            AuditEvent::TerminalOpened { about, by }
        }
        AuditCommand::RunProgram { vnode, program } => {
            let (about, by) = entered(ground, *vnode)?;
            plain_text("program", program, PROGRAM_LEN_MAX)?;
            let program = program.clone();
            AuditEvent::ProgramRun { about, by, program }
        }
        AuditCommand::ReadFiles { vnode, path } => {
            let ((about, by), path) = (entered(ground, *vnode)?, told(path)?);
            AuditEvent::FilesRead { about, by, path }
        }
        AuditCommand::WriteFiles { vnode, path } => {
            let ((about, by), path) = (entered(ground, *vnode)?, told(path)?);
            AuditEvent::FilesWritten { about, by, path }
        }
        AuditCommand::DeleteFiles { vnode, path } => {
            let ((about, by), path) = (entered(ground, *vnode)?, told(path)?);
            AuditEvent::FilesDeleted { about, by, path }
        }
        AuditCommand::MoveFiles { vnode, from, to } => {
            let (about, by) = entered(ground, *vnode)?;
            let (from, to) = (told(from)?, told(to)?);
            AuditEvent::FilesMoved {
                about,
                by,
                from,
                to,
            }
        }
        AuditCommand::ForwardPort { vnode, port } => {
            let (about, by) = entered(ground, *vnode)?;
            number_in("port", *port, &(1..=u16::MAX))?;
            let port = *port;
            AuditEvent::PortForwarded { about, by, port }
        }
        AuditCommand::NoteRefused(tried) => refused(ground, tried)?,
        AuditCommand::TransferLeadership { master } => {
            let (master, by) = (known(ground, *master)?, asker(ground)?);
            AuditEvent::LeaderChosen { master, by }
        }
        AuditCommand::DrainMaster { master } => {
            let (master, by) = (known(ground, *master)?, asker(ground)?);
            AuditEvent::MasterDrained { master, by }
        }
    };
    Ok(Decision::quiet(vec![Event::Audit(event)]))
}

fn asker(ground: Ground<'_>) -> Result<UserId, Refusal> {
    Ok(permit::person(ground.state, ground.entry.actor)?.id)
}

/// The vnode into which they go.
fn entered(ground: Ground<'_>, vnode: VnodeId) -> Result<(VnodeRef, UserId), Refusal> {
    let by = asker(ground)?;
    let vnode = permit::visible_vnode(ground.state, ground.entry.actor, vnode)?;
    Ok((VnodeRef::from(vnode), by))
}

fn known(ground: Ground<'_>, master: MasterId) -> Result<MasterId, Refusal> {
    let row = ground.state.masters.get(&master);
    let row = row.ok_or_else(|| Refusal::not_found("master", master))?;
    Ok(row.id)
}

/// What there is no more has no owner who could be told.
fn refused(ground: Ground<'_>, tried: &Tried) -> Result<AuditEvent, Refusal> {
    let state = ground.state;
    plain_text("what was tried", &tried.what, WHAT_LEN_MAX)?;
    plain_text("code of a refusal", &tried.code, CODE_LEN_MAX)?;
    in_range(
        "tries",
        tried.times.into(),
        1..=u64::from(u32::MAX),
        "tries",
    )?;
    let of = match &tried.of {
        Some(TriedOf::Vcluster(id)) => {
            let row = state.vclusters.get(id);
            row.map(|row| TriedThing::Vcluster(VclusterRef::from(row)))
        }
        Some(TriedOf::Image { owner, name }) => {
            let title = state.image_titles.get(&(*owner, name.clone()));
            title.map(|title| TriedThing::Image {
                owner: title.owner,
                name: title.name.clone(),
            })
        }
        Some(TriedOf::User(id)) => state.users.get(id).map(|user| TriedThing::User(user.id)),
        None => None,
    };
    let by = tried.by.filter(|by| state.users.contains_key(by));
    let times = tried.times;
    Ok(AuditEvent::Refused { of, by, times })
}

fn told(path: &str) -> Result<String, Refusal> {
    plain_text("path", path, PATH_LEN_MAX)?;
    Ok(path.to_owned())
}
