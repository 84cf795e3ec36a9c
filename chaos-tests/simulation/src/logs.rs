//! What masters log: listened to, and told with the story where `RUST_LOG` asks for it.

use std::cell::RefCell;
use std::fmt;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::trace::Trace;

thread_local! {
    static SPEAKER: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Whoever logs while this lives is this machine.
pub struct Speaks;

impl Drop for Speaks {
    fn drop(&mut self) {
        SPEAKER.with_borrow_mut(String::clear);
    }
}

/// From now on this machine speaks.
pub fn as_machine(name: &str) -> Speaks {
    SPEAKER.with_borrow_mut(|speaker| {
        speaker.clear();
        speaker.push_str(name);
    });
    Speaks
}

/// Simulated time, and who speaks.
struct Heading(Trace);

impl FormatTime for Heading {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let now = self.0.now_ms();
        let (seconds, millis) = (now / 1_000, now % 1_000);
        SPEAKER.with_borrow(|speaker| write!(writer, "{seconds:>4}.{millis:03} {speaker:<8}"))
    }
}

/// Begins to listen to logs, and to tell them if they are asked for.
pub fn begin(trace: &Trace, aloud: bool) {
    let told = (aloud && std::env::var_os("RUST_LOG").is_some()).then(|| {
        tracing_subscriber::fmt::layer()
            .with_timer(Heading(trace.clone()))
            .with_ansi(false)
            .with_filter(EnvFilter::from_default_env())
    });
    tracing_subscriber::registry()
        .with(crate::paths::layer(trace.clone()))
        .with(told)
        .init();
}
