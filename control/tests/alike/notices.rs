//! What can be asked of notices.

use docklet_control::Command;
use docklet_control::id::{LogIndex, NoticeId};
use docklet_control::model::notice::Severity;
use docklet_control::notice::command::{Audience, NewNotice, NoticeCommand};

/// Something said to a group.
pub fn announce(group: &str) -> Command {
    Command::Notice(NoticeCommand::Announce(NewNotice {
        to: Audience::Group(group.to_owned()),
        severity: Severity::Info,
        title: "news".to_owned(),
        body: String::new(),
        link: String::new(),
        ttl_ms: None,
        mail: false,
    }))
}

/// Everything that is asked of a notice by its number.
pub fn of_notice(entry: u64) -> Vec<Command> {
    let notice = NoticeId {
        entry: LogIndex(entry),
        part: 0,
    };
    let commands = [
        NoticeCommand::Withdraw { notice },
        NoticeCommand::Read {
            notices: vec![notice],
        },
    ];
    commands.map(Command::Notice).into()
}
