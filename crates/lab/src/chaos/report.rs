//! What chaos found: per kind of fault how often, how long without an answer, how long to recover.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::oracle::Findings;
use crate::report::{Event, Host};
use crate::statistics::{milliseconds, quantile};
use crate::verdict::After;

/// The whole result.
#[derive(Clone, Debug, Serialize)]
pub struct ChaosReport {
    /// Version of this format: 1.
    pub schema: u32,
    /// Where it was measured.
    pub host: Host,
    /// What decided the faults.
    pub seed: u64,
    /// Faults that were asked for.
    pub faults_asked: u32,
    /// Faults that happened.
    pub faults: u32,
    /// How long everything took, in seconds.
    pub duration_s: f64,
    /// Each fault, in order.
    pub each: Vec<FaultReport>,
    /// Per kind of fault.
    pub kinds: Vec<KindReport>,
    /// What the wire oracle saw.
    pub oracle: Findings,
    /// Probes sent, over IPv4 and IPv6.
    pub probes_sent: u64,
    /// Probes that were never answered.
    pub probes_lost: u64,
    /// Packets of a protected port seen in clear on the back network or the heartbeat link.
    pub clear_packets: u64,
    /// ESP packets on the same wires.
    pub esp_packets: u64,
    /// IKE messages on the same wires.
    pub ike_messages: u64,
    /// Whether everything held.
    pub ok: bool,
    /// What did not, as sentences.
    pub failures: Vec<String>,
}

/// One fault.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FaultReport {
    /// What it was.
    pub name: String,
    /// The node it happened to.
    pub node: String,
    /// When it began, in milliseconds since the captures began.
    pub at_ms: f64,
    /// How long it lasted, in milliseconds.
    pub lasted_ms: f64,
    /// The silence that it cost, in milliseconds.
    pub gap_ms: f64,
    /// From its end to one cluster again, in milliseconds, if that came in time.
    pub recovery_ms: Option<f64>,
}

/// One kind of fault.
#[derive(Clone, Debug, Default, Serialize)]
pub struct KindReport {
    /// How often it happened, and the silences that it cost, the fault's own length included.
    #[serde(flatten)]
    pub event: Event,
    /// From its end to one cluster again, each time in order, in milliseconds.
    pub recoveries_ms: Vec<f64>,
    /// How often that did not come in time.
    pub unrecovered: u32,
}

impl ChaosReport {
    pub(crate) fn new(chaos: (u32, u64)) -> Self {
        let (faults_asked, seed) = chaos;
        Self {
            schema: 1,
            host: Host::this(),
            seed,
            faults_asked,
            faults: 0,
            duration_s: 0.0,
            each: Vec::new(),
            kinds: Vec::new(),
            oracle: Findings::default(),
            probes_sent: 0,
            probes_lost: 0,
            clear_packets: 0,
            esp_packets: 0,
            ike_messages: 0,
            ok: false,
            failures: Vec::new(),
        }
    }

    /// Adds one fault.
    pub(crate) fn add(
        &mut self,
        after: &After,
        mut fault: FaultReport,
        recovery: Option<Duration>,
    ) {
        self.faults += 1;
        fault.name = after.what.to_owned();
        fault.gap_ms = milliseconds(after.gap.length);
        fault.recovery_ms = recovery.map(milliseconds);
        self.each.push(fault);
        let known = self
            .kinds
            .iter()
            .position(|kind| kind.event.name == after.what);
        let place = known.unwrap_or_else(|| {
            let mut kind = KindReport::default();
            kind.event.name = after.what.to_owned();
            self.kinds.push(kind);
            self.kinds.len() - 1
        });
        let Some(kind) = self.kinds.get_mut(place) else {
            return;
        };
        kind.event.add(milliseconds(after.gap.length), after.lost);
        match recovery {
            Some(time) => kind.recoveries_ms.push(milliseconds(time)),
            None => kind.unrecovered += 1,
        }
    }

    /// The report as one line of JSON.
    ///
    /// # Errors
    /// None in practice: every field can be written.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

impl fmt::Display for ChaosReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:14}{:>6}   {:26}   recovery p50 / p99 / max",
            "fault", "times", "no answer p50 / p99 / max"
        )?;
        for kind in &self.kinds {
            let event = &kind.event;
            let recoveries = [0.5, 0.99, 1.0].map(|share| quantile(&kind.recoveries_ms, share));
            writeln!(
                f,
                "{:14}{:>6}   {:26}   {}",
                event.name,
                event.gaps_ms.len(),
                three([event.p50_ms, event.p99_ms, event.max_ms]),
                three(recoveries),
            )?;
        }
        writeln!(f)?;
        for failure in &self.failures {
            writeln!(f, "FAILED: {failure}")?;
        }
        writeln!(
            f,
            "{} of {} faults in {:.0} s, seed {}; {} of {} probes lost; {} clear, {} ESP, {} IKE",
            self.faults,
            self.faults_asked,
            self.duration_s,
            self.seed,
            self.probes_lost,
            self.probes_sent,
            self.clear_packets,
            self.esp_packets,
            self.ike_messages,
        )?;
        write!(f, "{}", self.oracle)
    }
}

fn three(values: [f64; 3]) -> String {
    let [p50, p99, max] = values;
    format!("{p50:.0} / {p99:.0} / {max:.0} ms")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::Gap;
    use std::time::Instant;

    #[test]
    fn faults_are_counted_by_kind() {
        let mut report = ChaosReport::new((4, 9));
        for (what, ms, recovery) in [
            ("freeze", 100, Some(30)),
            ("one-way", 5, Some(10)),
            ("freeze", 120, None),
        ] {
            let gap = Gap {
                from: Instant::now(),
                length: Duration::from_millis(ms),
            };
            let after = After { what, gap, lost: 3 };
            let fault = FaultReport::default();
            report.add(&after, fault, recovery.map(Duration::from_millis));
        }
        assert_eq!((report.faults, report.kinds.len()), (3, 2));
        assert_eq!(report.kinds[0].event.probes_lost, 6);
        assert_eq!(report.kinds[0].unrecovered, 1);
        let each = report.each.iter().map(|fault| fault.recovery_ms);
        assert_eq!(each.collect::<Vec<_>>(), [Some(30.0), Some(10.0), None]);
        let text = report.to_string();
        let line = "freeze             2   100 / 120 / 120 ms           30 / 30 / 30 ms";
        assert!(text.contains(line), "{text}");
        assert!(report.to_json().unwrap().contains("\"name\":\"freeze\""));
    }
}
