//! `docklet worker doctor`: what this machine can do as a worker. No cluster is asked.

use std::process::ExitCode;

use docklet_agent::doctor::{Finding, examine};

use super::output::{Rows, print, remark};
use crate::cli::Print;
use crate::exit::Class;

/// Ends with a fault if something is missing without which no vnode runs.
pub fn run(format: Print) -> anyhow::Result<ExitCode> {
    let findings = examine(&std::env::current_exe()?);
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
