//! Printing: tables for people; JSON, YAML and CSV for programs. What others named is stripped of control characters first, or
//! stands escaped.

use std::io::{IsTerminal as _, Write as _};

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use docklet_control::model::Receipt;
use nix::sys::signal::{SigHandler, Signal, raise, signal};
use serde::Serialize;

/// Form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Table,
    /// All that there is to say
    Json,
    /// The same
    Yaml,
    /// The rows of the table
    Csv,
}

/// Prints a value: all of it, or the rows that `table` makes of it.
pub fn print<T: Serialize>(
    format: Format,
    value: &T,
    table: impl FnOnce(&T) -> Rows,
) -> anyhow::Result<()> {
    match format {
        Format::Json => line(&json(value)?),
        Format::Yaml => line(&yaml(value)?),
        Format::Csv => line(&table(value).csv()?),
        Format::Table => line(&table(value).render()),
    }
    Ok(())
}

/// Prints a value of which people are told in sentences, if programs are to read it; answers whether it did.
pub fn print_data<T: Serialize>(
    format: Format,
    value: &T,
    rows: impl FnOnce(&T) -> Rows,
) -> anyhow::Result<bool> {
    let is_data = format != Format::Table;
    if is_data {
        print(format, value, rows)?;
    }
    Ok(is_data)
}

/// As JSON, in several lines.
pub fn json<T: Serialize>(value: &T) -> anyhow::Result<String> {
    Ok(escaped(&serde_json::to_string_pretty(value)?))
}

/// The same JSON, in which what could steer a terminal stands escaped.
pub fn escaped(json: &str) -> String {
    let written = json.chars().map(|c| match acts(c) && c != '\n' {
        true => format!("\\u{:04x}", u32::from(c)),
        false => c.to_string(),
    });
    written.collect()
}

/// As YAML, without the last line's end. It says the same as JSON: names of fields, and numbers that are text there.
pub fn yaml<T: Serialize>(value: &T) -> anyhow::Result<String> {
    let data = serde_json::to_value(value)?;
    let text = serde_saphyr::to_string(&data)?;
    if text.chars().any(|c| acts(c) && c != '\n') {
        // JSON is YAML, and in it each letter can stand escaped.
        return json(&data);
    }
    Ok(text.trim_end_matches('\n').to_owned())
}

/// What is shown again: a table takes the place of the one before in a terminal, documents follow one another.
pub fn begin_anew(format: Format) {
    match format {
        Format::Table if std::io::stdout().is_terminal() => line("\x1b[H\x1b[2J"),
        Format::Yaml => line("---"),
        Format::Table | Format::Json | Format::Csv => {}
    }
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

    /// As CSV (RFC 4180, with plain line ends and without the last one): words of the head are names, with `_` between their
    /// parts. What a spreadsheet would take for a formula is text.
    pub fn csv(self) -> anyhow::Result<String> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        if !self.head.is_empty() {
            writer.write_record(self.head.iter().map(|word| word.replace(' ', "_")))?;
        }
        for row in self.rows {
            writer.write_record(row.into_iter().map(as_text))?;
        }
        let text = String::from_utf8(writer.into_inner()?)?;
        Ok(text.trim_end_matches('\n').to_owned())
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

/// A cell that begins as a formula begins with an apostrophe instead; numbers stay what they are.
fn as_text(cell: String) -> String {
    let begins = cell.starts_with(['=', '+', '-', '@']);
    if begins && cell != "-" && cell.parse::<f64>().is_err() {
        return format!("'{cell}");
    }
    cell
}

/// Text without what could steer a terminal, or turn around in which order its letters are read.
pub fn plain(text: &str) -> String {
    text.chars().filter(|c| !acts(*c)).collect()
}

/// Whether a terminal does something else with it than to show it where it stands.
fn acts(c: char) -> bool {
    c.is_control() || turns(c)
}

/// Marks of direction (Unicode's bidirectional algorithm, 2.1 to 2.6).
fn turns(c: char) -> bool {
    matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

/// An instant as people read it.
pub fn instant(at: docklet_control::id::UnixMs) -> String {
    let ms = i64::try_from(at.0).unwrap_or(i64::MAX);
    let stamp = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    stamp.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fills the clipboard, sets a title, asks for an answer, draws, links, turns letters around.
    const STEERING: [&str; 9] = [
        "\x1b]52;c;cm0gLXJmIC8=\x07",
        "\x1b]0;root@host\x07",
        "\x1b[6n",
        "\x1bPq#0;2;0;0;0#0~~@@\x1b\\",
        "\x1b]8;;https://evil.example\x1b\\",
        "\u{9b}31m",
        "\r\n\x08\x7f\0",
        "\x1b[99999999999999999999H",
        "\u{202e}\u{2066}\u{200f}",
    ];

    #[test]
    fn nothing_in_a_table_steers_the_terminal() {
        let mut rows = Rows::new(&["name", "note"]);
        for text in STEERING {
            rows.add(["lab".to_owned(), format!("a{text}b")]);
        }
        let shown = rows.render();
        assert_eq!(shown.lines().count(), STEERING.len() + 1, "{shown:?}");
        for letter in shown.chars().filter(|letter| *letter != '\n') {
            assert!(!acts(letter), "{shown:?}");
        }
    }

    #[test]
    fn nothing_in_data_steers_the_terminal_and_nothing_of_it_is_lost() {
        let texts = STEERING.map(|text| format!("a{text}b"));
        let data = serde_json::json!({"texts": texts, STEERING[5]: [{"deep": STEERING.concat()}]});
        let json = json(&data).expect("plain data");
        let line = escaped(&data.to_string());
        let yaml = yaml(&data).expect("plain data has a YAML form");
        for written in [&json, &line, &yaml] {
            let steers = written.chars().find(|c| acts(*c) && *c != '\n');
            assert_eq!(steers, None, "{written:?}");
        }
        for read in [serde_json::from_str(&json), serde_json::from_str(&line)] {
            let read: serde_json::Value = read.expect("JSON");
            assert_eq!(read, data);
        }
        let read: serde_json::Value = serde_saphyr::from_str(&yaml).expect(&yaml);
        assert_eq!(read, data, "{yaml}");
        for text in STEERING {
            let mut rows = Rows::new(&["name"]);
            rows.add([format!("a{text}b")]);
            let csv = rows.csv().expect("one row");
            assert!(!csv.chars().any(|c| acts(c) && c != '\n'), "{csv:?}");
        }
    }

    #[test]
    fn words_of_people_stay_as_they_are() {
        for text in ["Grüße, 世界", "a – b", "שלום", "👩‍🔬"] {
            assert_eq!(plain(text), text);
        }
        assert_eq!(plain("a\x1b[31mb"), "a[31mb");
    }

    #[test]
    fn yaml_reads_back_as_what_json_says() {
        let texts = [
            "",
            "yes",
            "No",
            "null",
            "~",
            "1",
            "0x10",
            "1e3",
            ".5",
            "1_000",
            "- a",
            "a: b",
            "#",
            "a #b",
            "*a",
            "&a",
            "!a",
            "%a",
            "@a",
            "`a",
            "[a",
            "{a",
            "|",
            ">",
            "'",
            "\"",
            "\\",
            " lead",
            "trail ",
            "two\nlines\n",
            "\t",
            "\u{1b}[2J",
            "2026-01-01",
            "é",
            "---",
            "...",
            "?",
            "=",
            "<<",
            "12:30:45",
            "\u{2028}",
            "\r",
            "0o7",
            "007",
            "true",
            "on",
        ];
        for text in texts {
            let data = serde_json::json!({"text": text, "list": [text, {"deep": text}], text: 1});
            let written = yaml(&data).expect("plain data has a YAML form");
            let read: serde_json::Value = serde_saphyr::from_str(&written).expect(&written);
            assert_eq!(read, data, "{written}");
            assert!(!written.contains('\u{1b}'), "{written}");
        }
        let numbers = serde_json::json!({"a": u64::MAX, "b": i64::MIN, "c": 0.5, "d": null, "e": true, "f": [], "g": {}});
        let read: serde_json::Value =
            serde_saphyr::from_str(&yaml(&numbers).expect("it is plain")).expect("it was written");
        assert_eq!(read, numbers);
    }

    #[test]
    fn csv_has_names_and_quotes_and_no_formulas() {
        let mut rows = Rows::new(&["cpu milli", "name"]);
        rows.add(["-5".to_owned(), "a, \"b\"".to_owned()]);
        rows.add(["-".to_owned(), "=1+1".to_owned()]);
        let written = rows.csv().expect("rows of one length");
        assert_eq!(written, "cpu_milli,name\n-5,\"a, \"\"b\"\"\"\n-,'=1+1");
    }
}
