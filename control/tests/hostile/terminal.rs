//! Shared terminals, with values that hurt.

use docklet_control::id::{LogIndex, TerminalSession, UserId, VnodeId};
use docklet_control::terminal::command::TerminalCommand;
use docklet_control::{Actor, Command, State};
use proptest::prelude::*;
use proptest::sample::select;

use super::{anybody, number, secret};

pub fn asked() -> BoxedStrategy<(Actor, Command)> {
    let person = || select(vec![1, 2, 2, 3, 4]).prop_map(|id| Actor::User(UserId(id)));
    prop_oneof![
        4 => (person(), share()),
        3 => (person(), of_share()),
        2 => (Just(Actor::Duty), Just(TerminalCommand::Forget)),
        1 => (anybody(), command()),
    ]
    .prop_map(|(who, command)| (who, Command::Terminal(command)))
    .boxed()
}

pub fn anything() -> BoxedStrategy<Command> {
    command().prop_map(Command::Terminal).boxed()
}

fn command() -> BoxedStrategy<TerminalCommand> {
    prop_oneof![share(), of_share(), Just(TerminalCommand::Forget)].boxed()
}

fn share() -> BoxedStrategy<TerminalCommand> {
    let minutes = select(vec![0, 1, 1, 60, 10_080, 10_081, u32::MAX]);
    let vnode = prop_oneof![6 => 1_u64..8, 1 => number()].prop_map(VnodeId);
    let session = any::<u8>().prop_map(|byte| TerminalSession([byte; 16]));
    (vnode, session, secret(), any::<bool>(), minutes)
        .prop_map(
            |(vnode, session, secret, types, minutes)| TerminalCommand::Share {
                vnode,
                session,
                secret,
                types,
                minutes,
            },
        )
        .boxed()
}

fn of_share() -> BoxedStrategy<TerminalCommand> {
    prop_oneof![
        1 => number().prop_map(|share| TerminalCommand::Unshare {
            share: LogIndex(share)
        }),
        3 => secret().prop_map(|secret| TerminalCommand::Join { secret }),
    ]
    .boxed()
}

/// Links name what is there, now and then.
pub fn aim(command: &mut Command, state: &State) {
    let Command::Terminal(TerminalCommand::Unshare { share }) = command else {
        return;
    };
    if let Some((known, _)) = state.shares.first()
        && share.0 > 0
    {
        *share = *known;
    }
}
