//! What only the trail is to have. Since version 3.

use super::{Decision, Ground, plain_text};
use crate::audit::command::AuditCommand;
use crate::audit::event::AuditEvent;
use crate::event::{Event, VnodeRef};
use crate::permit;
use crate::refusal::Refusal;

/// Longest name of a program.
const PROGRAM_LEN_MAX: usize = 255;

pub(super) fn decide(ground: Ground<'_>, command: &AuditCommand) -> Result<Decision, Refusal> {
    let actor = ground.entry.actor;
    let by = permit::person(ground.state, actor)?.id;
    let vnode = permit::visible_vnode(ground.state, actor, command.vnode())?;
    let about = VnodeRef::from(vnode);
    let event = match command {
        AuditCommand::OpenTerminal { .. } => AuditEvent::TerminalOpened { about, by },
        AuditCommand::RunProgram { program, .. } => {
            plain_text("program", program, PROGRAM_LEN_MAX)?;
            let program = program.clone();
            AuditEvent::ProgramRun { about, by, program }
        }
    };
    Ok(Decision::quiet(vec![Event::Audit(event)]))
}
