//! Services and what goes to ports of vnodes.

use docklet_control::audit::command::AuditCommand;
use docklet_control::id::{SecretHash, ServiceId, VnodeId};
use docklet_control::model::PortNumber;
use docklet_control::service::command::{NewAudience, NewService, ServiceCommand};
use docklet_control::{Actor, Command};

use super::{Site, alike};

/// What the image declared is somebody else's, and looks as if it were not there.
pub fn alike_too(site: &Site, actor: Actor) {
    let known = site.state.services.keys().next();
    let known = known.expect("the image declares one").0;
    alike(
        site,
        actor,
        (&format!("\"{known}\""), of_service(known)),
        ("\"777\"", of_service(777)),
    );
    alike(
        site,
        actor,
        ("\"1\"", of_vnode(1)),
        ("\"77\"", of_vnode(77)),
    );
}

/// Everything that is asked of a service by its number.
fn of_service(id: u64) -> Vec<Command> {
    let service = ServiceId(id);
    let commands = [
        ServiceCommand::Remove { service },
        ServiceCommand::Share {
            service,
            with: NewAudience::default(),
        },
        ServiceCommand::Open {
            service,
            ticket: SecretHash([8; 32]),
            session: SecretHash([9; 32]),
        },
    ];
    commands.map(Command::Service).into()
}

fn of_vnode(id: u64) -> Vec<Command> {
    let (vnode, port) = (VnodeId(id), PortNumber(8_888));
    let new = NewService {
        vnode,
        name: "friday".to_owned(),
        port,
        path: String::new(),
        tells_user: false,
    };
    vec![
        Command::Audit(AuditCommand::ForwardPort { vnode, port }),
        Command::Service(ServiceCommand::Add(new)),
    ]
}
