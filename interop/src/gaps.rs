//! Pings around one event, and what a series of such events cost: gaps and losses.

use crate::table::Table;

/// Pings of a probe, and the seconds between them.
const PINGS: usize = 400;
const INTERVAL: f64 = 0.01;
/// Longer than a takeover takes on a machine that is busy with other work: nobody waits for a clock
/// here, and whether the same SAs went on is judged by counts.
const LIMIT_MS: f64 = 5_000.0;

/// The words of a probe's `ping`.
pub(crate) fn ping(address: &str) -> String {
    format!("ping -n -D -c {PINGS} -i {INTERVAL} -W 1 {address}")
}

/// What came of the pings around one event.
#[derive(Clone, Copy)]
pub(crate) struct Probed {
    answered: usize,
    /// The longest time between two answers.
    gap_ms: f64,
}

impl Probed {
    /// Reads what `ping` said.
    pub(crate) fn read(said: &str) -> Self {
        let times = times(said);
        let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
        Probed {
            answered: times.len(),
            gap_ms: gaps.fold(0.0, f64::max) * 1e3,
        }
    }

    fn judge(self) -> Result<String, String> {
        let lost = PINGS - self.answered;
        let figure = format!("gap {:.0} ms, {lost} of {PINGS} pings lost", self.gap_ms);
        match self.answered > 1 && self.gap_ms < LIMIT_MS {
            true => Ok(figure),
            false => Err(figure),
        }
    }
}

/// When each answer came, in seconds: `[1732577.123456] 64 bytes from ...`.
fn times(said: &str) -> Vec<f64> {
    let time = |line: &str| {
        let (time, rest) = line.strip_prefix('[')?.split_once(']')?;
        rest.contains(" bytes from ").then(|| time.parse().ok())?
    };
    said.lines().filter_map(time).collect()
}

/// Events of one kind in a row.
pub(crate) struct Series {
    what: &'static str,
    peer: &'static str,
    probes: Vec<Probed>,
}

impl Series {
    /// None yet.
    pub(crate) fn new(what: &'static str, peer: &'static str) -> Self {
        Series {
            what,
            peer,
            probes: Vec::new(),
        }
    }

    /// A row for one event.
    pub(crate) fn add(&mut self, table: &mut Table, probed: Result<Probed, String>) {
        self.probes.extend(probed.as_ref().ok());
        let what = format!("{} {}", self.what, self.probes.len());
        table.add(&what, self.peer, probed.and_then(Probed::judge));
    }

    /// A row for all of them.
    pub(crate) fn finish(self, table: &mut Table) {
        let mut gaps: Vec<f64> = self.probes.iter().map(|probed| probed.gap_ms).collect();
        gaps.sort_by(f64::total_cmp);
        let (Some(worst), Some(median)) = (gaps.last(), gaps.get(gaps.len() / 2)) else {
            return;
        };
        let pings = gaps.len() * PINGS;
        let lost = pings
            - self
                .probes
                .iter()
                .map(|probed| probed.answered)
                .sum::<usize>();
        let what = format!("{}, {} in all", self.what, gaps.len());
        let figure =
            format!("gap {median:.0} ms median, {worst:.0} ms worst; {lost} of {pings} lost");
        table.add(&what, self.peer, Ok(figure));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_pings() {
        let said = "PING 10.63.0.100\n[10.5] 64 bytes from 10.63.0.100: icmp_seq=1\n\
                    [10.75] 64 bytes from 10.63.0.100: icmp_seq=2\n--- statistics";
        assert_eq!(times(said), [10.5, 10.75]);
        let probed = Probed::read(said);
        assert_eq!(probed.answered, 2);
        assert!(probed.judge().unwrap().starts_with("gap 250 ms"));
        assert!(Probed::read("").judge().is_err(), "silence is no success");
    }
}
