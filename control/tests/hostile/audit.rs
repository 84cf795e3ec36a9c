//! What only the trail is to have, with values that hurt.

use std::net::{IpAddr, Ipv4Addr};

use docklet_control::audit::command::AuditCommand;
use docklet_control::audit::tried::{Tried, TriedOf};
use docklet_control::id::{MasterId, UserId, VclusterId, VnodeId};
use docklet_control::model::PortNumber;
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
        (number(), text()).prop_map(|(vnode, path)| AuditCommand::ReadFiles {
            vnode: VnodeId(vnode),
            path,
        }),
        (number(), text()).prop_map(|(vnode, path)| AuditCommand::WriteFiles {
            vnode: VnodeId(vnode),
            path,
        }),
        (number(), text()).prop_map(|(vnode, path)| AuditCommand::DeleteFiles {
            vnode: VnodeId(vnode),
            path,
        }),
        (number(), text(), text()).prop_map(|(vnode, from, to)| AuditCommand::MoveFiles {
            vnode: VnodeId(vnode),
            from,
            to,
        }),
        (number(), any::<u16>()).prop_map(|(vnode, port)| AuditCommand::ForwardPort {
            vnode: VnodeId(vnode),
            port: PortNumber(port),
        }),
        number().prop_map(|master| AuditCommand::TransferLeadership {
            master: MasterId(master)
        }),
        number().prop_map(|master| AuditCommand::DrainMaster {
            master: MasterId(master)
        }),
        (tried(), text(), any::<u32>()).prop_map(|(of, what, times)| {
            AuditCommand::NoteRefused(Tried {
                by: Some(UserId(2)),
                from: IpAddr::V4(Ipv4Addr::LOCALHOST),
                what,
                code: "not_found".to_owned(),
                of,
                times,
            })
        }),
    ]
    .boxed()
}

fn tried() -> impl Strategy<Value = Option<TriedOf>> {
    let of = prop_oneof![
        number().prop_map(|id| TriedOf::Vcluster(VclusterId(id))),
        number().prop_map(|id| TriedOf::User(UserId(id))),
    ];
    proptest::option::of(of)
}
