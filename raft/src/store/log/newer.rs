//! Entries that a newer program wrote. Their kind may be one that this program does not know; but their version stands
//! before that, and says what is the matter.

use std::io;

use docklet_control::Refusal;
use docklet_control::model::ClusterVersion;
use serde::Deserialize;

use crate::fault::RaftFault;
use crate::types::{LogEntry, LogId};

/// How every entry goes on after its log id, in every version.
#[derive(Deserialize)]
enum Payload {
    Blank,
    Normal(u16),
}

/// Decodes an entry of the log.
///
/// # Errors
/// `TooOld` if it was written in a version that this program does not know; or it is none.
pub fn decode(bytes: &[u8]) -> io::Result<LogEntry> {
    postcard::from_bytes(bytes).map_err(|error| match version(bytes) {
        Some(agreed) if agreed > ClusterVersion::CURRENT.0 => {
            io::Error::other(RaftFault::TooOld(Refusal::ProgramTooOld {
                knows: ClusterVersion::CURRENT.0,
                agreed,
            }))
        }
        Some(_) | None => io::Error::other(error),
    })
}

fn version(bytes: &[u8]) -> Option<u16> {
    let begun = postcard::take_from_bytes::<(LogId, Payload)>(bytes).ok()?;
    match begun.0.1 {
        Payload::Blank => None,
        Payload::Normal(version) => Some(version),
    }
}

#[cfg(test)]
mod tests {
    use docklet_control::command::ENTRY_VERSION;
    use docklet_control::id::{MasterId, RequestId, UnixMs};
    use docklet_control::{Actor, Command, Entry};
    use openraft::EntryPayload;
    use openraft::entry::RaftEntry;
    use openraft::testing::common::log_id;

    use super::*;
    use crate::types::{Proposal, Types};

    fn written(version: u16) -> Vec<u8> {
        let entry = Entry {
            version,
            request: RequestId(7),
            at: UnixMs(1),
            actor: Actor::Door(MasterId(1)),
            command: Command::ForgetExpired,
        };
        let payload = EntryPayload::Normal(Proposal(entry.into()));
        let entry = LogEntry::new(log_id::<Types>(1, 1, 9), payload);
        postcard::to_stdvec(&entry).expect("plain data")
    }

    #[test]
    fn a_command_of_a_newer_version_is_told_from_damage() {
        let newer = ClusterVersion::CURRENT.0 + 1;
        decode(&written(newer)).expect("what is known can be read, whatever its version");
        let unknown = |version| {
            let mut bytes = written(version);
            *bytes.last_mut().expect("a command") = 120;
            decode(&bytes).expect_err("there is no such command")
        };
        let fault = RaftFault::of_thread(unknown(newer));
        assert!(matches!(
            fault,
            RaftFault::TooOld(Refusal::ProgramTooOld { agreed, .. }) if agreed == newer
        ));
        let fault = RaftFault::of_thread(unknown(ENTRY_VERSION));
        assert!(matches!(fault, RaftFault::Io(_)));
    }
}
