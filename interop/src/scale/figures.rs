//! Figures of running processes and interfaces, and moments out of a daemon's log.

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::space::Space;

const DAY: u64 = 86_400_000;

/// Resident memory of a process, in octets.
pub(crate) fn resident(pid: u32) -> Result<u64, String> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).map_err(|why| format!("{path}: {why}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    number
        .map(|kib| kib * 1024)
        .ok_or(format!("{path} has no VmRSS"))
}

/// Processor time of a process, all its threads, to a hundredth of a second.
pub(crate) fn worked(pid: u32) -> Duration {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after = text.rsplit(')').next().unwrap_or_default();
    let fields: Vec<u64> = after
        .split_whitespace()
        .map(|field| field.parse().unwrap_or(0))
        .collect();
    let of = |place: usize| fields.get(place).copied().unwrap_or(0);
    Duration::from_millis((of(11) + of(12)) * 10)
}

/// Octets that an interface has received.
pub(crate) fn received(space: &Space, interface: &str) -> Result<u64, String> {
    let read = || fs::read_to_string("/proc/thread-self/net/dev");
    let text = space.run(read)?.map_err(|why| format!("net/dev: {why}"))?;
    let prefix = format!("{interface}:");
    let line = text
        .lines()
        .find_map(|line| line.trim().strip_prefix(&prefix));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.ok_or(format!("no interface {interface}"))
}

/// A moment as the log has it: milliseconds of the day, in UTC.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_millis() as u64 % DAY
}

/// When the first line that contains `text` was written, after the moment `after`.
pub(crate) fn moment(log: &str, text: &str, after: u64) -> Option<u64> {
    let lines = log.lines().filter(|line| line.contains(text));
    let mut moments = lines.filter_map(read_moment);
    moments.find(|at| (*at + DAY - after) % DAY < DAY / 2)
}

/// Milliseconds from one moment to another.
pub(crate) fn between(from: u64, to: u64) -> u64 {
    (to + DAY - from) % DAY
}

/// `2026-01-31T12:34:56.789Z ...`
fn read_moment(line: &str) -> Option<u64> {
    let clock = line.split_once('T')?.1.split_once('Z')?.0;
    let mut parts = clock.split([':', '.']).map(str::parse::<u64>);
    let mut next = || parts.next()?.ok();
    let (hours, minutes, seconds, millis) = (next()?, next()?, next()?, next()?);
    Some(((hours * 60 + minutes) * 60 + seconds) * 1000 + millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_of_a_log() {
        let log = "2026-01-31T23:59:59.900Z cluster  be1 is up.\n\
                   2026-02-01T00:00:00.100Z cluster  be1 is down: silence.\n";
        let up = moment(log, "is up", 86_390_000).unwrap();
        let down = moment(log, "is down", up).unwrap();
        assert_eq!(between(up, down), 200);
        assert_eq!(moment(log, "is up", down), None);
    }
}
