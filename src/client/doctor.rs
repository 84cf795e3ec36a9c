//! `docklet worker doctor`: what this machine can do as a worker. No cluster is asked.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use docklet_agent::doctor::{Finding, examine};
use docklet_control::id::UnixMs;
use docklet_link::Own;
use docklet_raft::machine_clock;

use super::output::{Rows, instant, print, remark};
use crate::cli::Print;
use crate::exit::Class;

/// Ends with a fault if something is missing without which no vnode runs; with a directory of an agent or a master, also of
/// how long that can prove who it is.
pub fn run(format: Print, dir: Option<&Path>) -> anyhow::Result<ExitCode> {
    let mut findings = examine(&std::env::current_exe()?);
    findings.extend(dir.map(certificate));
    print(format.format, &findings, |findings| rows(findings))?;
    let missing = |finding: &&Finding| finding.required && !finding.there;
    let missing = findings.iter().filter(missing).count();
    if missing == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    remark(&format!(
        "This machine cannot be a worker: {missing} of what is required is missing."
    ));
    Ok(ExitCode::from(Class::Fault as u8))
}

/// The certificate in a directory of an agent or a master.
fn certificate(dir: &Path) -> Finding {
    let now_ms = machine_clock()().0;
    let proof = Own::load(dir).and_then(|own| own.proof());
    let (there, says) = match proof {
        Ok(proof) if proof.ends_ms <= now_ms => (
            false,
            format!(
                "ended at {}: a master renews it when it starts; for a worker an admin runs `docklet worker readmit` with its name, and it joins --again",
                instant(UnixMs(proof.ends_ms))
            ),
        ),
        Ok(proof) if proof.due_ms(Duration::ZERO) <= now_ms => (
            true,
            format!(
                "until {}, and it should have been renewed: look at its log, and at whether it reaches a master",
                instant(UnixMs(proof.ends_ms))
            ),
        ),
        Ok(proof) => (true, format!("until {}", instant(UnixMs(proof.ends_ms)))),
        Err(fault) => (
            false,
            format!("{fault}: give the directory of an agent or a master"),
        ),
    };
    Finding {
        what: "certificate",
        required: true,
        there,
        says,
    }
}

fn rows(findings: &[Finding]) -> Rows {
    let mut rows = Rows::new(&["what", "there", "required", "found, or what to do"]);
    for finding in findings {
        let word = |yes| if yes { "yes" } else { "no" }.to_owned();
        rows.add([
            finding.what.to_owned(),
            word(finding.there),
            word(finding.required),
            finding.says.clone(),
        ]);
    }
    rows
}
