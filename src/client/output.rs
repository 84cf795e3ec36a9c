//! Printing: tables for people, JSON for programs. What others named is stripped of control characters first.

use std::io::Write as _;

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use docklet_control::model::Receipt;
use nix::sys::signal::{SigHandler, Signal, raise, signal};
use serde::Serialize;

/// Form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Table,
    Json,
}

/// Prints a value: as JSON, or as the rows that `table` makes of it.
pub fn print<T: Serialize>(
    format: Format,
    value: &T,
    table: impl FnOnce(&T) -> Rows,
) -> anyhow::Result<()> {
    match format {
        Format::Json => line(&serde_json::to_string_pretty(value)?),
        Format::Table => line(&table(value).render()),
    }
    Ok(())
}

/// Prints the receipt of an accepted change.
pub fn print_receipt(format: Format, receipt: &Receipt) -> anyhow::Result<()> {
    print(format, receipt, |receipt| {
        let mut rows = Rows::new(&["accepted", "entry", "at"]);
        rows.add([
            receipt.command.to_string(),
            receipt.index.to_string(),
            instant(receipt.at),
        ]);
        rows
    })
}

/// Prints one line for people, on standard error where it cannot get into data.
#[expect(
    clippy::print_stderr,
    reason = "progress and remarks are for people, beside the data"
)]
pub fn remark(text: &str) {
    eprintln!("{}", plain(text));
}

/// Takes back what a program in front may have asked of the terminal: its second screen, the mouse, marks around what is
/// pasted, other keys, no cursor, colours. The cursor is saved first, as leaving the second screen brings it to where it
/// was saved.
const MODES_OFF: &str = "\x1b7\x1b[?1049l\x1b[?1000;1002;1003;1006;2004;1l\x1b>\x1b[?25h\x1b[0m";

/// Says something on a line of its own, in a terminal in raw mode.
#[expect(clippy::print_stderr, reason = "this is where people are told")]
pub fn remark_raw(text: &str) {
    eprint!("\r\n[{}]\r\n", plain(text));
}

/// The same, after whatever was in front has ended.
#[expect(clippy::print_stderr, reason = "this is where people are told")]
pub fn remark_after_program(text: &str) {
    eprint!("{MODES_OFF}");
    remark_raw(text);
}

/// Prints a line of data.
pub fn line(text: &str) {
    let written = writeln!(std::io::stdout().lock(), "{text}");
    // Nobody else is there who could be told.
    drop(written.map_err(reader_gone));
}

/// A command whose reader has seen enough ends as by the signal, quietly, as in `docklet events | head`. The signal itself is
/// ignored: it would also come when a master hangs up, whose reason must still be heard.
pub fn reader_gone(error: std::io::Error) -> std::io::Error {
    if error.kind() == std::io::ErrorKind::BrokenPipe {
        // SAFETY: the default handler is no code of this program.
        let _ = unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) };
        let _ = raise(Signal::SIGPIPE);
    }
    error
}

/// Head and rows of a table.
pub struct Rows {
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Rows {
    pub fn new(head: &[&'static str]) -> Self {
        Self {
            head: head.to_vec(),
            rows: Vec::new(),
        }
    }

    pub fn add(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows
            .push(cells.into_iter().map(|cell| plain(&cell)).collect());
    }

    fn render(self) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table.set_header(self.head.iter().map(|word| word.to_uppercase()));
        table.add_rows(self.rows);
        // Each cell has a blank on either side; the outermost are no use to anybody.
        let lines = table.lines();
        let trimmed = lines.map(|line| {
            let line = line.strip_prefix(' ').unwrap_or(&line);
            line.trim_end().to_owned()
        });
        trimmed.collect::<Vec<_>>().join("\n")
    }
}

/// Text without what could steer a terminal.
pub fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

/// An instant as people read it.
pub fn instant(at: docklet_control::id::UnixMs) -> String {
    let ms = i64::try_from(at.0).unwrap_or(i64::MAX);
    let stamp = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    stamp.strftime("%Y-%m-%d %H:%M:%S").to_string()
}
