//! What is written reads back; whatever else a file may be is refused with a reason.

use std::io::Read;
use std::sync::Arc;

use docklet_control::State;
use docklet_control::id::{LogIndex, UnixMs};
use docklet_control::rows::{self, StateHash, Table};
use sha2::{Digest, Sha256};

use super::format::{self, BackupHeader, End, HEAD_BYTES, Kind};
use super::write::write_in_blocks;
use super::{Backup, BackupFault, load, verify, write};
use crate::store::Frozen;
use crate::store::tests::support::after;

const USERS: u64 = 1_500;
/// Short blocks, so that there are many.
const BLOCK_BYTES: usize = 8_192;

fn frozen(users: u64) -> Frozen {
    let mut state = State::default();
    for index in 1..=users {
        state = after(&state, 1, index);
    }
    Frozen {
        index: LogIndex(users),
        state: Arc::new(state),
        ..Frozen::default()
    }
}

fn written(frozen: &Frozen) -> (Vec<u8>, Backup) {
    let mut bytes = Vec::new();
    let backup = write_in_blocks(frozen, UnixMs(77), BLOCK_BYTES, &mut bytes);
    (bytes, backup.expect("written"))
}

fn refusal(bytes: &[u8]) -> String {
    match verify(bytes) {
        Ok(backup) => panic!("taken for whole: {backup:?}"),
        Err(fault) => fault.to_string(),
    }
}

#[test]
fn what_is_written_reads_back_and_says_what_it_is() {
    let frozen = frozen(USERS);
    let (bytes, backup) = written(&frozen);
    assert_eq!(backup.bytes, bytes.len() as u64);
    assert_eq!(verify(bytes.as_slice()).expect("whole"), backup);
    let (read, state) = load(bytes.as_slice()).expect("whole");
    assert_eq!((read, state), (backup.clone(), (*frozen.state).clone()));
    assert_eq!(backup.header.index, LogIndex(USERS));
    assert_eq!(backup.header.hash, frozen.hash());
    assert_eq!(backup.header.cluster_name, "lab");
    assert_eq!(backup.tables[&Table::Users], USERS);
    let mut one_block = Vec::new();
    write(&frozen, UnixMs(77), &mut one_block).expect("written");
    assert_eq!(load(one_block.as_slice()).expect("whole").1, *frozen.state);
}

#[test]
fn a_file_that_was_cut_off_anywhere_is_refused() {
    let (bytes, _) = written(&frozen(USERS));
    let end = bytes.len();
    assert!(end > 4 * 4_096, "{end} bytes are more than a few pieces");
    let pieces = (0..end).step_by(4_096).skip(1);
    for cut in pieces.chain(8..HEAD_BYTES + 8).chain(end - 80..end) {
        let told = refusal(&bytes[..cut]);
        let place = format!("it ends at byte {cut} ");
        assert!(
            told.starts_with(&place) && told.contains("copy it again"),
            "{cut}: {told}"
        );
    }
    for cut in 0..8 {
        assert!(matches!(
            verify(&bytes[..cut]),
            Err(BackupFault::NotABackup)
        ));
    }
}

#[test]
fn a_flipped_bit_anywhere_is_refused() {
    let (mut bytes, _) = written(&frozen(60));
    for offset in 0..bytes.len() {
        let bit = 1 << (offset % 8);
        bytes[offset] ^= bit;
        let told = refusal(&bytes);
        assert!(
            ["use", "give", "take"]
                .iter()
                .any(|next| told.contains(next)),
            "{offset}: {told}"
        );
        bytes[offset] ^= bit;
    }
    verify(bytes.as_slice()).expect("whole again");
}

#[test]
fn what_follows_on_the_end_is_refused() {
    let (mut bytes, _) = written(&frozen(60));
    bytes.push(0);
    assert!(refusal(&bytes).contains("something follows on its end"));
}

#[test]
fn what_is_no_backup_is_told_apart_from_a_newer_and_an_older_one() {
    assert!(matches!(
        verify(&b"PK\x03\x04 a zip file"[..]),
        Err(BackupFault::NotABackup)
    ));
    let (bytes, _) = written(&frozen(3));
    let of_format = |format: u8| {
        let mut bytes = bytes.clone();
        bytes[8] = format;
        bytes
    };
    let (newer, older) = (refusal(&of_format(2)), refusal(&of_format(0)));
    assert!(
        newer.contains("format 2") && newer.contains("as new as"),
        "{newer}"
    );
    assert!(
        older.contains("format 0") && older.contains("older Docklet"),
        "{older}"
    );
}

/// A file with these blocks, sound but for them.
fn forged(header: &BackupHeader, blocks: &[(Kind, usize, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = format::head(header);
    for (number, (kind, raw, body)) in (0..).zip(blocks) {
        bytes.extend(format::block(*kind, number, *raw, body));
    }
    let sum = Sha256::digest(&bytes);
    bytes.extend(sum);
    bytes
}

fn header() -> BackupHeader {
    written(&frozen(3)).1.header
}

fn row(table: u8, key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut row = vec![table];
    for part in [key, value] {
        let length = u32::try_from(part.len()).expect("short");
        row.extend(length.to_le_bytes());
    }
    [&row, key, value].concat()
}

#[test]
fn a_cluster_or_rows_of_a_newer_docklet_are_refused() {
    let newer = BackupHeader {
        cluster_version: 9_999,
        ..header()
    };
    let told = refusal(&forged(&newer, &[]));
    assert!(
        told.contains("version 9999") && told.contains("as new as"),
        "{told}"
    );
    let unknown = row(200, b"k", b"v");
    let told = refusal(&forged(&header(), &[(Kind::Plain, unknown.len(), unknown)]));
    assert!(told.contains("table 200"), "{told}");
    let newer = row(Table::Users as u8, b"k", &[9, 1, 1]);
    let told = refusal(&forged(&header(), &[(Kind::Plain, newer.len(), newer)]));
    assert!(told.contains("newer Docklet"), "{told}");
}

#[test]
fn sizes_that_a_file_claims_are_not_believed() {
    let mut long = format::head(&header());
    long[10..14].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(refusal(&long).contains("a header of 4294967295 bytes"));
    for place in [5, 9] {
        let mut block = format::block(Kind::Packed, 0, 8, &[0; 8]);
        block[place..place + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        let bytes = [format::head(&header()), block].concat();
        assert!(refusal(&bytes).contains("block of 4294967295 bytes"));
    }
    let mut claims = row(Table::Users as u8, b"", b"");
    claims[5..9].copy_from_slice(&u32::MAX.to_le_bytes());
    let told = refusal(&forged(&header(), &[(Kind::Plain, claims.len(), claims)]));
    assert!(told.contains("row of 4294967295 bytes"), "{told}");
}

#[test]
fn a_bomb_is_refused_before_it_unpacks() {
    let zeros = vec![0; format::BLOCK_RAW_MAX];
    let packed = zstd::bulk::compress(&zeros, 19).expect("packed");
    let told = refusal(&forged(
        &header(),
        &[(Kind::Packed, zeros.len(), packed.clone())],
    ));
    assert!(told.contains("for its packed length"), "{told}");
    // One that says less than it unpacks to.
    let told = refusal(&forged(
        &header(),
        &[(Kind::Packed, packed.len() * 2, packed)],
    ));
    assert!(told.contains("does not unpack to what it should"), "{told}");
}

#[test]
fn rows_that_are_missing_or_come_twice_are_refused() {
    let state = frozen(3).state;
    let all: Vec<_> = rows::iter(&state)
        .map(|(table, key, value)| row(table as u8, &key, &value))
        .collect();
    let with = |rows: &[Vec<u8>], claimed: Option<End>| {
        let body = rows.concat();
        let hash = rows::iter(&state).fold(StateHash::default(), |hash, (table, key, value)| {
            hash.with_row(table, &key, &value)
        });
        let honest = End {
            rows: rows.len() as u64,
            raw_bytes: body.len() as u64,
            hash,
        };
        let end = postcard::to_stdvec(&claimed.unwrap_or(honest)).expect("plain");
        let blocks = [(Kind::Plain, body.len(), body), (Kind::End, end.len(), end)];
        forged(&header(), &blocks)
    };
    load(with(&all, None).as_slice()).expect("sound");
    let told = refusal(&with(&all[1..], None));
    assert!(told.contains("rows were to come"), "{told}");
    let twice: Vec<_> = all.iter().chain(&all[..1]).cloned().collect();
    let told = refusal(&with(&twice, None));
    assert!(told.contains("rows were to come"), "{told}");
}

#[test]
fn a_state_that_breaks_a_rule_is_not_loaded() {
    let (_, whole) = written(&frozen(3));
    let state = frozen(3).state;
    // Everything but the masters, honestly summed up.
    let kept: Vec<_> = rows::iter(&state)
        .filter(|(table, ..)| *table != Table::Masters)
        .collect();
    let hash = kept
        .iter()
        .fold(StateHash::default(), |hash, (table, key, value)| {
            hash.with_row(*table, key, value)
        });
    let body = kept
        .iter()
        .map(|(table, key, value)| row(*table as u8, key, value))
        .collect::<Vec<_>>()
        .concat();
    let end = End {
        rows: kept.len() as u64,
        raw_bytes: body.len() as u64,
        hash,
    };
    let header = BackupHeader {
        rows: end.rows,
        hash,
        ..whole.header
    };
    let end = postcard::to_stdvec(&end).expect("plain");
    let bytes = forged(
        &header,
        &[(Kind::Plain, body.len(), body), (Kind::End, end.len(), end)],
    );
    verify(bytes.as_slice()).expect("the file itself is sound");
    match load(bytes.as_slice()) {
        Err(BackupFault::Unsound { broken }) => assert!(broken.contains("no master"), "{broken}"),
        other => panic!("{:?}", other.map(|(backup, _)| backup)),
    }
}

#[test]
fn a_file_of_any_length_costs_little_memory_to_refuse() {
    // Sixteen MiB of one row that never ends, block after block, as a reader would meet it: the row is refused by
    // its claim, not by what came.
    struct Endless(u64);
    impl Read for Endless {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            out.fill(0);
            self.0 += out.len() as u64;
            Ok(out.len())
        }
    }
    let mut endless = Endless(0);
    let chained = format::head(&header());
    let told = verify(chained.as_slice().chain(&mut endless)).expect_err("refused");
    assert!(matches!(told, BackupFault::Damaged { .. }), "{told}");
    assert!(endless.0 < 4_096, "{} bytes were read first", endless.0);
}

#[test]
fn nothing_is_written_of_a_cluster_that_is_not_made() {
    let told = write(&Frozen::default(), UnixMs(1), &mut Vec::new());
    assert!(matches!(told, Err(BackupFault::NoCluster)));
}
