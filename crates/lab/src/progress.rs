//! Progress for people: plain lines on standard error, each with the time since the start.

use std::time::Instant;

/// Says what the lab is doing, or keeps quiet.
#[derive(Debug)]
pub(crate) struct Progress {
    start: Instant,
    on: bool,
}

impl Progress {
    /// The clock starts now; nothing is written when `on` is false.
    pub(crate) fn new(on: bool) -> Self {
        Self {
            start: Instant::now(),
            on,
        }
    }

    /// Writes one line.
    pub(crate) fn say(&self, text: impl AsRef<str>) {
        if self.on {
            eprintln!(
                "[{:6.1} s] {}",
                self.start.elapsed().as_secs_f64(),
                text.as_ref()
            );
        }
    }
}
