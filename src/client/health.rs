//! `docklet doctor`: how the cluster is, and what to do about what is not well.

use std::process::ExitCode;

use clap::Args;
use docklet_control::view::health::{Finding, Grade, HealthView, Kind, status_word};

use super::connection::Connection;
use super::output::{Format, Rows, instant, line, print, remark};
use crate::cli::Print;
use crate::exit::Class;

#[derive(Args)]
pub struct Doctor {
    /// Also show what is well
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    print: Print,
}

/// Ends with a fault if something does not work.
pub async fn run(ask: Doctor) -> anyhow::Result<ExitCode> {
    let connection = Connection::open()?;
    let view: HealthView = connection.get("/health").await?;
    let format = ask.print.format;
    if ask.all || format != Format::Table {
        print(format, &view, everything)?;
    }
    if format == Format::Table {
        for found in &view.findings {
            tell(found);
        }
    }
    match (view.findings.len(), view.grade) {
        (0, _) => remark("Nothing needs a hand."),
        (count, Grade::Bad) => {
            remark(&format!(
                "{count} of what was looked at need a hand; something does not work."
            ));
            return Ok(ExitCode::from(Class::Fault as u8));
        }
        (count, Grade::Well | Grade::Note | Grade::Warning) => {
            remark(&format!("{count} of what was looked at need a hand."));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn tell(found: &Finding) {
    let name = match found.kind {
        Kind::Subsystem => found.name.clone(),
        Kind::Master | Kind::Worker => format!("{} {}", found.kind.word(), found.name),
    };
    let since = found.since.map(|at| format!(" (since {})", instant(at)));
    let head = format!(
        "{}: {name}: {}{}",
        found.grade.word(),
        found.says,
        since.unwrap_or_default()
    );
    line(&super::output::plain(&head));
    if let Some(next) = &found.next {
        line(&super::output::plain(&format!("    {next}")));
    }
}

fn everything(view: &HealthView) -> Rows {
    let mut rows = Rows::new(&["what", "state", "since", "how it is"]);
    let since = |at: Option<_>| at.map_or_else(String::new, instant);
    for part in &view.subsystems {
        let grade = part.grade.word().to_owned();
        rows.add([
            part.name.clone(),
            grade,
            since(part.since),
            part.says.clone(),
        ]);
    }
    for master in &view.masters {
        let applied = master.applied.map(|index| format!(", entry {index}"));
        let version = master
            .version
            .as_ref()
            .map(|version| format!(", version {version}"));
        let disk = master
            .disk
            .map(|disk| format!(", {} % of its disk free", disk.free_percent()));
        let says = [Some(master.role.word().to_owned()), applied, version, disk];
        let says: String = says.into_iter().flatten().collect();
        let name = format!("master {}", master.name);
        rows.add([
            name,
            master.grade.word().to_owned(),
            since(master.silent_since),
            says,
        ]);
    }
    for worker in &view.workers {
        let disk = worker
            .disk
            .map(|disk| format!(", {} % of its disk free", disk.free_percent()));
        let says = format!(
            "{}, agent {}, {} vnodes{}",
            status_word(worker.status),
            worker.agent,
            worker.vnodes,
            disk.unwrap_or_default()
        );
        let name = format!("worker {}", worker.name);
        rows.add([
            name,
            worker.grade.word().to_owned(),
            instant(worker.status_since),
            says,
        ]);
    }
    rows
}
