//! What only the trail is to have. Since version 3.

use super::port::number_in;
use super::{Decision, Ground, in_range, plain_text};
use crate::audit::command::AuditCommand;
use crate::audit::event::AuditEvent;
use crate::audit::tried::{TriedOf, TriedThing};
use crate::event::{Event, VclusterRef, VnodeRef};
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
    let actor = ground.entry.actor;
    let Some(vnode) = command.vnode() else {
        return refused(ground, command);
    };
    let by = permit::person(ground.state, actor)?.id;
    let vnode = permit::visible_vnode(ground.state, actor, vnode)?;
    let about = VnodeRef::from(vnode);
    let event = match command {
        AuditCommand::OpenTerminal { .. } => AuditEvent::TerminalOpened { about, by },
        AuditCommand::RunProgram { program, .. } => {
            plain_text("program", program, PROGRAM_LEN_MAX)?;
            let program = program.clone();
            AuditEvent::ProgramRun { about, by, program }
        }
        AuditCommand::ReadFiles { path, .. } => {
            let path = told(path)?;
            AuditEvent::FilesRead { about, by, path }
        }
        AuditCommand::WriteFiles { path, .. } => {
            let path = told(path)?;
            AuditEvent::FilesWritten { about, by, path }
        }
        AuditCommand::DeleteFiles { path, .. } => {
            let path = told(path)?;
            AuditEvent::FilesDeleted { about, by, path }
        }
        AuditCommand::MoveFiles { from, to, .. } => {
            let (from, to) = (told(from)?, told(to)?);
            AuditEvent::FilesMoved {
                about,
                by,
                from,
                to,
            }
        }
        AuditCommand::ForwardPort { port, .. } => {
            number_in("port", *port, &(1..=u16::MAX))?;
            let port = *port;
            AuditEvent::PortForwarded { about, by, port }
        }
        AuditCommand::NoteRefused(_) => return refused(ground, command),
    };
    Ok(Decision::quiet(vec![Event::Audit(event)]))
}

/// What there is no more has no owner who could be told.
fn refused(ground: Ground<'_>, command: &AuditCommand) -> Result<Decision, Refusal> {
    let AuditCommand::NoteRefused(tried) = command else {
        return Ok(Decision::quiet(Vec::new()));
    };
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
    let event = AuditEvent::Refused { of, by, times };
    Ok(Decision::quiet(vec![Event::Audit(event)]))
}

fn told(path: &str) -> Result<String, Refusal> {
    plain_text("path", path, PATH_LEN_MAX)?;
    Ok(path.to_owned())
}
