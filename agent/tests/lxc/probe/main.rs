//! Runs inside a vnode as its root and tries each known way out. Prints a line for each try: its name, and what the
//! kernel said. It links to nothing of the agent, so that a container without any library can run it.

mod cgroups;
mod devices;
mod files;
mod identity;
mod kernel;
mod mounts;
mod namespaces;
mod noise;
mod race;
mod try_it;

use std::process::ExitCode;
use std::time::Duration;

use try_it::{Try, run};

fn main() -> ExitCode {
    let outside = std::env::args().nth(1).unwrap_or_default();
    match outside.as_str() {
        "measure" => noise::measure(Duration::from_secs(2)),
        "exhaust" => noise::exhaust(),
        "race" => {
            let arguments: Vec<String> = std::env::args().skip(2).collect();
            let [dir, times, targets @ ..] = &arguments[..] else {
                return ExitCode::FAILURE;
            };
            let times = times.parse().unwrap_or_default();
            return match race::race(dir, times, targets) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            };
        }
        _ => tries(&outside),
    }
    ExitCode::SUCCESS
}

fn tries(outside: &str) {
    let all: Vec<Try> = [
        kernel::tries(),
        devices::tries(),
        mounts::tries(),
        cgroups::tries(),
        namespaces::tries(outside),
        identity::tries(),
        files::tries(),
    ]
    .into_iter()
    .flatten()
    .collect();
    for one in &all {
        run(one);
    }
}
