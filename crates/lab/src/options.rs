//! What the caller of the lab may choose.

use std::path::PathBuf;
use std::str::FromStr;

/// One thing the lab does to the cluster while a client watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Mail through IPsec, every wire captured, nothing happens to the cluster.
    Protect,
    /// The address moves from one node to the other because the operator says so.
    PlannedMove,
    /// Every process of the active node is killed and its links are cut at once.
    Crash,
}

impl Scenario {
    /// All scenarios in the order in which the lab runs them.
    pub const ALL: [Scenario; 3] = [Scenario::Protect, Scenario::PlannedMove, Scenario::Crash];

    /// The name on the command line, in the report and in the result folder.
    pub fn name(self) -> &'static str {
        match self {
            Scenario::Protect => "protect",
            Scenario::PlannedMove => "planned-move",
            Scenario::Crash => "crash",
        }
    }
}

impl FromStr for Scenario {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|s| s.name() == text)
            .ok_or_else(|| {
                let names: Vec<&str> = Self::ALL.iter().map(|s| s.name()).collect();
                format!(
                    "there is no scenario {text:?}; choose from {}",
                    names.join(", ")
                )
            })
    }
}

/// How the lab is to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The scenarios to run, in this order; empty means all of them.
    pub scenarios: Vec<Scenario>,
    /// How often each scenario is run; at least 1.
    pub runs: u32,
    /// Install nftables and Dovecot first, if they are missing.
    pub setup: bool,
    /// Leave the lab standing after the last scenario.
    pub keep: bool,
    /// Have the daemons write Wireshark key tables into the result folder.
    pub keys: bool,
    /// Put IKE and ESP on UDP port 4500 instead of raw ESP.
    pub udp_encap: bool,
    /// The ESP proposal, as the daemon's configuration writes it; the daemon's own when absent.
    pub esp: Option<String>,
    /// No IPsec at all, and the lab itself moves the address: the control experiment, in which
    /// the counter of clear packets must not stay at zero.
    pub plain: bool,
    /// Use the built-in mail service and relay even where Dovecot is installed.
    pub builtin_mail: bool,
    /// Where captures, logs and `report.json` go.
    pub out: PathBuf,
    /// A planned move whose outage is longer than this, in milliseconds, fails.
    pub max_planned_ms: Option<f64>,
    /// A crash whose outage is longer than this, in milliseconds, fails.
    pub max_crash_ms: Option<f64>,
    /// The program that has the verbs `daemon`, `cluster` and `lab-service`; this very program
    /// when absent.
    pub program: Option<PathBuf>,
    /// Write progress lines to standard error.
    pub progress: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            scenarios: Vec::new(),
            runs: 1,
            setup: false,
            keep: false,
            keys: false,
            udp_encap: false,
            esp: None,
            plain: false,
            builtin_mail: false,
            out: PathBuf::from("lab-results"),
            max_planned_ms: None,
            max_crash_ms: None,
            program: None,
            progress: true,
        }
    }
}

impl Options {
    /// The scenarios to run: those chosen, or all.
    pub fn chosen(&self) -> Vec<Scenario> {
        if self.scenarios.is_empty() {
            Scenario::ALL.to_vec()
        } else {
            self.scenarios.clone()
        }
    }

    /// The bound on the outage of `scenario`, in milliseconds, if there is one.
    pub fn bound_ms(&self, scenario: Scenario) -> Option<f64> {
        match scenario {
            Scenario::Protect => None,
            Scenario::PlannedMove => self.max_planned_ms,
            Scenario::Crash => self.max_crash_ms,
        }
    }
}
