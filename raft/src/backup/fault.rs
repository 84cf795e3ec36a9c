//! Why a file is not taken for a backup, or not for one that can be restored here.

use docklet_control::model::ClusterId;
use docklet_control::rows::RowFault;

use super::format::{FORMAT, FORMAT_OLDEST};

/// What is wrong with a backup; each says what to do next. Nothing was made or changed.
#[derive(Debug, thiserror::Error)]
pub enum BackupFault {
    #[error(
        "it does not begin like a backup of Docklet: give the file that `docklet backup` wrote, not one that was packed or encrypted afterwards"
    )]
    NotABackup,
    #[error(
        "it has format {found}, and this program reads {FORMAT_OLDEST} to {FORMAT}: use a Docklet as new as the one that wrote it"
    )]
    FormatNewer { found: u16 },
    #[error(
        "it has format {found}, and this program reads {FORMAT_OLDEST} to {FORMAT}: restore it with an older Docklet, upgrade that cluster, and take a new backup"
    )]
    FormatOlder { found: u16 },
    #[error(
        "its cluster had version {found}, and this program knows up to {known}: use a Docklet as new as the masters of that cluster"
    )]
    ClusterNewer { found: u16, known: u16 },
    #[error(
        "it ends at byte {offset} in the middle of {what}: the copy is not complete, copy it again or use another backup"
    )]
    Truncated { offset: u64, what: &'static str },
    #[error(
        "it is damaged at byte {offset}: {cause}; copy it again from where it was written, or use another backup"
    )]
    Damaged { offset: u64, cause: String },
    #[error(
        "at byte {offset} it claims a {what} of {given} bytes, at most {most} are accepted: it was not written by Docklet, or is damaged; use another backup"
    )]
    TooLong {
        offset: u64,
        what: &'static str,
        given: u64,
        most: u64,
    },
    #[error(
        "a row before byte {offset} cannot be read: it was written by a newer Docklet, or is damaged; use a Docklet as new as the one that wrote it, or another backup"
    )]
    Row {
        offset: u64,
        #[source]
        source: RowFault,
    },
    #[error(
        "it holds a row of table {number}, which this program does not know: use a Docklet as new as the one that wrote it"
    )]
    UnknownTable { number: u8 },
    #[error(
        "it is of cluster {found}, not of {wanted}: give a backup of that cluster, or leave the cluster out"
    )]
    OtherCluster { found: ClusterId, wanted: ClusterId },
    #[error(
        "its state breaks a rule of Docklet ({broken}): it was not written by Docklet; use another backup"
    )]
    Unsound { broken: String },
    #[error("it cannot be read")]
    Read(#[source] std::io::Error),
    #[error("it cannot be written")]
    Write(#[source] std::io::Error),
    #[error(
        "the cluster is not made yet, so there is nothing to back up: run `docklet master init` first"
    )]
    NoCluster,
}
