//! Terminals that are shared by a link.

use docklet_control::Command;
use docklet_control::id::{LogIndex, SecretHash, TerminalSession, VnodeId};
use docklet_control::terminal::command::TerminalCommand;

use super::{ADA, ADMIN, BOB, OPERATOR, Site, alike};

const LINK: SecretHash = SecretHash([3; 32]);

fn share(vnode: u64, secret: SecretHash) -> Command {
    Command::Terminal(TerminalCommand::Share {
        vnode: VnodeId(vnode),
        session: TerminalSession([1; 16]),
        secret,
        types: true,
        minutes: 60,
    })
}

fn unshare(share: u64) -> Command {
    let share = LogIndex(share);
    Command::Terminal(TerminalCommand::Unshare { share })
}

fn join(secret: SecretHash) -> Command {
    Command::Terminal(TerminalCommand::Join { secret })
}

#[test]
fn so_does_a_shared_terminal() {
    let mut site = Site::begun();
    site.done(ADA, share(1, LINK));
    let number = site.index;
    let other = SecretHash([4; 32]);
    for actor in [BOB, OPERATOR] {
        let there = ("\"1\"", vec![share(1, other)]);
        alike(&site, actor, there, ("\"77\"", vec![share(77, other)]));
        let known = number.to_string();
        let there = (known.as_str(), vec![unshare(number)]);
        alike(&site, actor, there, ("77", vec![unshare(77)]));
    }
    site.done(BOB, join(LINK));
    let wrong = site.refused(BOB, join(other)).to_string();
    site.done(ADMIN, unshare(number));
    for actor in [ADA, BOB, OPERATOR, ADMIN] {
        assert_eq!(site.refused(actor, join(LINK)).to_string(), wrong);
    }
}
