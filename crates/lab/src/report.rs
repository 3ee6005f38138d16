//! What a run of the lab found: one JSON object for programs, one table for people.

use std::fs;
use std::thread;

use serde::Serialize;

use crate::oracle::Findings;
use crate::statistics::quantile;

/// The figures of KB821839 for Windows Server 2003, beside which ours are put.
#[derive(Clone, Copy, Debug)]
pub struct KbFigure {
    /// The scenario's name here.
    pub scenario: &'static str,
    /// The outage as the article states it.
    pub outage: &'static str,
    /// Why it takes that long.
    pub why: &'static str,
}

/// KB821839: what the move of a virtual address costs there.
pub const KB_FIGURES: [KbFigure; 3] = [
    KbFigure {
        scenario: "planned-move",
        outage: "3 to 6 s",
        why: "SAs deleted cleanly, then renegotiation",
    },
    KbFigure {
        scenario: "crash",
        outage: "6 min",
        why: "5 min idle timer, then 1 min of IKE",
    },
    KbFigure {
        scenario: "crash",
        outage: "2 min",
        why: "with NLBSFlags=1: 1 min idle timer, then 1 min of IKE",
    },
];

/// The whole result.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Version of this format: 1.
    pub schema: u32,
    /// Where it was measured.
    pub host: Host,
    /// One entry per scenario, in the order of the run.
    pub scenarios: Vec<Outcome>,
}

/// The machine and the programs that were measured.
#[derive(Clone, Debug, Serialize)]
pub struct Host {
    /// The kernel's release.
    pub kernel: String,
    /// Processors that the lab could use.
    pub cores: usize,
    /// This program's version.
    pub holdfast: String,
}

/// What one scenario showed; with several runs, the worst of each.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Outcome {
    /// The scenario's name; of foreign software, what it is.
    pub name: String,
    /// How SAs survive their node: `replicate`, `renegotiate`, or `none` without IPsec.
    pub takeover: String,
    /// Longest time between two answers to the probe, in milliseconds; the worst of all runs.
    pub outage_ms: f64,
    /// The outage of each run, in milliseconds, in order.
    pub outages_ms: Vec<f64>,
    /// The median of the outages, in milliseconds.
    pub p50_ms: f64,
    /// The outage that 99 of 100 runs do not exceed, in milliseconds.
    pub p99_ms: f64,
    /// What each event of the scenario cost, in order.
    pub events: Vec<Event>,
    /// Whose IKE and ESP the front end had: `holdfast` or `strongswan`.
    pub front_end: String,
    /// The version of IKE: `ikev2` or `ikev1`.
    pub ike: String,
    /// SAs besides those of mail and probe.
    pub more_sas: u16,
    /// Time between two probes, in milliseconds.
    pub probe_interval_ms: f64,
    /// Probes sent, in all runs.
    pub probes_sent: u64,
    /// Probes that were never answered, in all runs.
    pub probes_lost: u64,
    /// Packets of a protected port seen in clear on the back network or the heartbeat link.
    pub clear_packets: u64,
    /// ESP packets on the same wires, raw or in UDP.
    pub esp_packets: u64,
    /// What the wire oracle saw of what left the virtual addresses, in all runs.
    pub oracle: Findings,
    /// IKE messages on the same wires after the event; the most of any run.
    pub ike_messages_after: u64,
    /// IKE messages between the first event and the first answer after it; the most of any run.
    pub ike_messages_until_back: u64,
    /// The mail service behind the address: `dovecot`, `built-in` or `none`.
    pub service: String,
    /// The front end's proxy: `dovecot`, `relay` or `none`.
    pub proxy: String,
    /// From the event to the end of the first POP3 and IMAP session that worked after it, in
    /// milliseconds; the worst of all runs. Absent when mail never came back.
    pub mail_ms: Option<f64>,
    /// How the daemons carry ESP: `raw`, `udp`, or `none` without IPsec.
    pub transport: String,
    /// Packets that the captures missed; above 0 the counts are a lower bound.
    pub capture_dropped: u64,
    /// Whether every assertion held in every run.
    pub ok: bool,
    /// The assertions that did not hold, as sentences.
    pub failures: Vec<String>,
}

/// What one event of a scenario cost, in all runs: the longest silence that ended after it, and
/// began before the next event.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Event {
    /// The event.
    pub name: String,
    /// The silence in each run, in milliseconds, in order.
    pub gaps_ms: Vec<f64>,
    /// Their median.
    pub p50_ms: f64,
    /// What 99 of 100 do not exceed.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
    /// Probes lost in these silences.
    pub probes_lost: u64,
}

impl Host {
    /// This machine.
    pub(crate) fn this() -> Self {
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            kernel: kernel.trim().to_owned(),
            cores: thread::available_parallelism().map_or(1, usize::from),
            holdfast: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

impl Event {
    /// Adds what it cost in one run, or one more time.
    pub(crate) fn add(&mut self, gap_ms: f64, lost: u64) {
        self.gaps_ms.push(gap_ms);
        self.p50_ms = quantile(&self.gaps_ms, 0.5);
        self.p99_ms = quantile(&self.gaps_ms, 0.99);
        self.max_ms = self.max_ms.max(gap_ms);
        self.probes_lost += lost;
    }
}

impl Report {
    /// Whether every scenario held all its assertions.
    pub fn ok(&self) -> bool {
        self.scenarios.iter().all(|s| s.ok)
    }

    /// The report as one line of JSON.
    ///
    /// # Errors
    /// None in practice: every field can be written.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}
