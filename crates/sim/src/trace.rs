//! What happened, in order: a digest always, lines for people when they are asked for.

use std::fmt;
use std::time::Duration;

use crate::frame::HostId;

/// The trace of one run. Equal digests mean equal runs.
#[derive(Clone, Debug)]
pub struct Trace {
    digest: u64,
    events: u64,
    lines: Option<Vec<String>>,
}

impl Trace {
    /// An empty trace, that keeps lines or does not.
    #[must_use]
    pub fn new(with_lines: bool) -> Self {
        Trace {
            digest: 0xcbf2_9ce4_8422_2325,
            events: 0,
            lines: with_lines.then(Vec::new),
        }
    }

    /// Notes an event. Its bytes go into the digest, its line is made only if somebody wants it.
    pub fn note<T: fmt::Display>(
        &mut self,
        at: Duration,
        host: Option<HostId>,
        bytes: &[u8],
        line: impl FnOnce() -> T,
    ) {
        self.events += 1;
        self.mix(&at.as_nanos().to_be_bytes());
        self.mix(&[host.map_or(u8::MAX, |host| host as u8)]);
        self.mix(bytes);
        if let Some(lines) = &mut self.lines {
            let seconds = at.as_secs_f64();
            let host = host.map_or_else(|| "-".to_owned(), |host| host.to_string());
            lines.push(format!("{seconds:12.6} {host} {}", line()));
        }
    }

    /// A number that two runs share only if the same happened in both.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// How many events there were.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The lines, if they were kept.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        self.lines.as_deref().unwrap_or_default()
    }

    /// FNV-1a.
    fn mix(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.digest = (self.digest ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_an_event_counts() {
        let digest = |at, host, bytes: &[u8]| {
            let mut trace = Trace::new(false);
            trace.note(Duration::from_millis(at), host, bytes, || "");
            trace.digest()
        };
        let first = digest(1, Some(0), b"a");
        assert_eq!(first, digest(1, Some(0), b"a"));
        assert_ne!(first, digest(2, Some(0), b"a"));
        assert_ne!(first, digest(1, Some(1), b"a"));
        assert_ne!(first, digest(1, Some(0), b"b"));
    }
}
