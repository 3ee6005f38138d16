//! One line per event, for people or for programs.

use std::collections::VecDeque;
use std::fmt::Display;
use std::time::{Duration, Instant, SystemTime};

/// Failures kept for `holdfast status`.
const REMEMBERED: usize = 16;
/// Lines that may be written within [`WINDOW`]: what a flood of bad datagrams may cost at most.
const MAX_LINES: u32 = 200;
const WINDOW: Duration = Duration::from_secs(1);

/// The log: standard error, where the journal or a terminal reads it.
pub(crate) struct Log {
    json: bool,
    failures: VecDeque<String>,
    window: Instant,
    written: u32,
    suppressed: u64,
}

impl Log {
    pub(crate) fn new(json: bool) -> Self {
        Self {
            json,
            failures: VecDeque::new(),
            window: Instant::now(),
            written: 0,
            suppressed: 0,
        }
    }

    /// Writes one event; `kind` is a word for programs.
    pub(crate) fn event(&mut self, kind: &str, text: &str) {
        self.tell(kind, &text);
    }

    /// The same of something that is put into words only when there is room for the line: in a
    /// storm of handshakes there is none for most of them.
    pub(crate) fn tell(&mut self, kind: &str, what: &dyn Display) {
        if self.window.elapsed() >= WINDOW {
            let suppressed = std::mem::take(&mut self.suppressed);
            self.window = Instant::now();
            self.written = 0;
            if suppressed > 0 {
                self.write("log", &format!("{suppressed} lines were suppressed"));
            }
        }
        match self.written < MAX_LINES {
            true => self.write(kind, &what.to_string()),
            false => self.suppressed += 1,
        }
    }

    /// Writes a failure and remembers it for the status.
    pub(crate) fn failure(&mut self, kind: &str, text: &str) {
        self.event(kind, text);
        if self.failures.front().is_some_and(|last| last == text) {
            return;
        }
        self.failures.truncate(REMEMBERED - 1);
        self.failures.push_front(text.to_owned());
    }

    /// What failed lately, newest first.
    pub(crate) fn failures(&self) -> Vec<String> {
        self.failures.iter().cloned().collect()
    }

    fn write(&mut self, kind: &str, text: &str) {
        self.written += 1;
        let time = humantime::format_rfc3339_millis(SystemTime::now());
        if self.json {
            let line = serde_json::json!({
                "time": time.to_string(), "event": kind, "message": text,
            });
            eprintln!("{line}");
        } else {
            eprintln!("{time} {kind:<8} {text}");
        }
    }
}
