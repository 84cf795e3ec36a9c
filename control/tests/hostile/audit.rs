//! What only the trail is to have, with values that hurt.

use docklet_control::audit::command::AuditCommand;
use docklet_control::id::VnodeId;
use docklet_control::{Actor, Command};
use proptest::prelude::*;

use super::{anybody, number, text};

pub fn asked() -> BoxedStrategy<(Actor, Command)> {
    (anybody(), command().prop_map(Command::Audit)).boxed()
}

pub fn command() -> BoxedStrategy<AuditCommand> {
    prop_oneof![
        number().prop_map(|vnode| AuditCommand::OpenTerminal {
            vnode: VnodeId(vnode)
        }),
        (number(), text()).prop_map(|(vnode, program)| AuditCommand::RunProgram {
            vnode: VnodeId(vnode),
            program,
        }),
    ]
    .boxed()
}
