//! Following what happens, across masters.

use std::process::ExitCode;

use clap::Args;
use docklet_control::Change;

use super::connection::Connection;
use super::output::{self, Format, Rows, instant, line, remark};
use super::stream::{Gap, Stream, Told};
use crate::cli::Print;

#[derive(Args)]
pub struct Events {
    /// First entry of the log to show
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Show what comes after this entry of the log: the last that was seen
    #[arg(long, value_name = "INDEX", conflicts_with = "from")]
    after: Option<u64>,
    /// End after this many changes
    #[arg(long)]
    limit: Option<usize>,
    /// Where changes are no longer kept, print the state instead and go on from there
    #[arg(long)]
    snapshot: bool,
    #[command(flatten)]
    print: Print,
}

pub async fn run(events: Events) -> anyhow::Result<ExitCode> {
    let connection = Connection::open()?;
    let after = events.after.map(|after| after.saturating_add(1));
    let gap = match events.snapshot {
        true => Gap::Snapshot,
        false => Gap::Skip,
    };
    let mut stream = Stream::from(&connection, after.unwrap_or(events.from), gap);
    let mut left = events.limit.unwrap_or(usize::MAX);
    let format = events.print.format;
    if format == Format::Csv {
        line(&head().csv()?);
    }
    while left > 0 {
        match stream.next().await? {
            Told::Change(change, text) => {
                left -= 1;
                print_change(format, &change, &text)?;
            }
            Told::Snapshot(text) => match format {
                Format::Table | Format::Json => line(&output::escaped(&text)),
                // What is JSON is YAML as well.
                Format::Yaml => line(&format!("---\n{}", output::escaped(&text))),
                Format::Csv => remark("The state is no row: ask for it as JSON or YAML."),
            },
            Told::Skipped => {}
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn head() -> Rows {
    Rows::new(&["entry", "at", "event", "about"])
}

fn print_change(format: Format, change: &Change, text: &str) -> anyhow::Result<()> {
    match format {
        Format::Json => line(&output::escaped(text)),
        Format::Yaml => {
            line("---");
            line(&output::yaml(change)?);
        }
        Format::Csv => {
            let mut rows = Rows::new(&[]);
            for (name, about) in named(change) {
                let (entry, at) = (change.index.to_string(), instant(change.at));
                rows.add([entry, at, name, about]);
            }
            line(&rows.csv()?);
        }
        Format::Table => {
            for (name, about) in named(change) {
                let about: String = output::plain(&about).chars().take(140).collect();
                let at = instant(change.at);
                line(&format!("{:>8}  {at}  {name:<22} {about}", change.index));
            }
        }
    }
    Ok(())
}

/// Names of its events, and what they say.
fn named(change: &Change) -> impl Iterator<Item = (String, String)> {
    change.events.iter().map(|event| {
        let text = serde_json::to_value(event).unwrap_or_default();
        let named = text.as_object().and_then(|object| object.iter().next());
        let named = named.map(|(name, about)| (name.clone(), about.to_string()));
        named.unwrap_or_default()
    })
}
