//! Exit codes by class, and how errors are told.

use std::process::ExitCode;

use crate::client::output::plain;

/// What kind of failure a command ended with; 2 is clap's for a wrong command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Class {
    /// Something broke.
    Fault = 1,
    /// The request is wrong in itself.
    Invalid = 2,
    /// There is no such thing.
    NotFound = 3,
    /// The state does not allow it now.
    Conflict = 4,
    /// Not logged in, or not allowed.
    Denied = 5,
    /// No master or no quorum answers.
    Unavailable = 6,
    /// `--wait` ran out of time; the change itself was accepted.
    Timeout = 7,
    /// This machine's master was removed from its cluster: starting it again is in vain.
    Removed = 8,
    /// This program knows less than what its cluster has agreed on: only a newer one can be a master of it.
    TooOld = 9,
}

/// A failure with its class.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub class: Class,
    pub message: String,
}

impl Failure {
    /// A failure of this class.
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        Self {
            class,
            message: message.into(),
        }
    }
}

/// Tells an error on standard error and gives its exit code.
#[expect(
    clippy::print_stderr,
    reason = "this is where a command's error is told"
)]
pub fn report(error: &anyhow::Error) -> ExitCode {
    eprintln!("{}", told(error));
    let class = error
        .downcast_ref::<Failure>()
        .map_or(Class::Fault, |failure| failure.class);
    ExitCode::from(class as u8)
}

/// As it is told. A server has a say in it: nothing of that steers the terminal.
fn told(error: &anyhow::Error) -> String {
    let text = format!("docklet: {error:#}");
    let lines: Vec<String> = text.lines().map(plain).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_error_of_a_server_steers_the_terminal() {
        let said = "no \x1b]52;c;cm0=\x07such\u{9b}2J thing\r\nsecond \u{202e}line";
        let error = Failure::new(Class::NotFound, said);
        let error = anyhow::Error::new(error).context("ask");
        let wanted = "docklet: ask: no ]52;c;cm0=such2J thing\nsecond line";
        assert_eq!(told(&error), wanted);
    }
}
