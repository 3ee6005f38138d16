//! What the caller of the lab may choose.

use std::path::PathBuf;
use std::time::Duration;

pub use crate::kinds::{Beside, FrontEnd, Ike, Plane, Sabotage, Scenario, Takeover};
use crate::shape::Shape;

/// Where the nodes' ESP runs unless the caller says otherwise.
pub const PLANE: Plane = Plane::User;

/// How SAs survive their node unless the caller says otherwise.
pub const TAKEOVER: Takeover = Takeover::Replicate;

/// More SAs than this cannot be wanted: each needs a rule, and a daemon takes 4,096 of them.
pub const MOST_SAS: u16 = 4000;

/// Time between two probes.
const PROBE_INTERVAL: Duration = Duration::from_millis(1);
/// How long the active node's daemon is frozen.
const FREEZE: Duration = Duration::from_secs(10);

/// How the lab is to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The scenarios to run, in this order; empty means [`Scenario::USUAL`].
    pub scenarios: Vec<Scenario>,
    /// How often each scenario is run; at least 1.
    pub runs: u32,
    /// Install nftables, Dovecot and etcd first, if they are missing.
    pub setup: bool,
    /// Leave the lab standing after the last scenario.
    pub keep: bool,
    /// Have the daemons write Wireshark key tables into the result folder.
    pub keys: bool,
    /// Put IKE and ESP on UDP port 4500 instead of raw ESP.
    pub udp_encap: bool,
    /// The ESP proposal, as the daemon's configuration writes it; the daemon's own when absent.
    pub esp: Option<String>,
    /// Where the nodes' ESP runs; the front end's runs in user space.
    pub plane: Plane,
    /// How SAs survive their node, as the daemons' configuration has it.
    pub takeover: Takeover,
    /// Time between two heartbeats of a node; the daemon's own when absent.
    pub heartbeat: Option<Duration>,
    /// So many heartbeats missing in a row, and a node counts as gone; the daemon's own when
    /// absent.
    pub missed: Option<u32>,
    /// Three nodes, and an etcd that decides between them, in the place of two.
    pub witness: bool,
    /// Whose IKE and ESP the front end has.
    pub front_end: FrontEnd,
    /// The version of IKE that it speaks with the nodes.
    pub ike: Ike,
    /// What the nodes' daemons do wrong on purpose.
    pub sabotage: Option<Sabotage>,
    /// Time between two probes; above zero.
    pub probe_interval: Duration,
    /// How many SAs there are besides those of mail and probe, at most [`MOST_SAS`].
    pub more_sas: u16,
    /// How long [`Scenario::Freeze`] stops the active node's daemon.
    pub freeze: Duration,
    /// What is measured beside the scenarios, in the same way.
    pub beside: Option<Beside>,
    /// No IPsec at all, and the lab itself moves the address: the control experiment, in which
    /// the counter of clear packets must not stay at zero.
    pub plain: bool,
    /// Use the built-in mail service and relay even where Dovecot is installed.
    pub builtin_mail: bool,
    /// Where captures, logs and `report.json` go.
    pub out: PathBuf,
    /// A planned move whose outage is longer than this, in milliseconds, fails.
    pub max_planned_ms: Option<f64>,
    /// A power cut or the death of a daemon whose outage is longer than this, in milliseconds,
    /// fails.
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
            plane: PLANE,
            takeover: TAKEOVER,
            heartbeat: None,
            missed: None,
            witness: false,
            front_end: FrontEnd::Holdfast,
            ike: Ike::V2,
            sabotage: None,
            probe_interval: PROBE_INTERVAL,
            more_sas: 0,
            freeze: FREEZE,
            beside: None,
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
    /// What the cluster is made of.
    pub(crate) fn shape(&self) -> Shape {
        match self.witness {
            true => Shape::Witnessed,
            false => Shape::Pair,
        }
    }

    /// The scenarios to run: those chosen, or the usual ones.
    pub fn chosen(&self) -> Vec<Scenario> {
        if self.scenarios.is_empty() {
            Scenario::USUAL.to_vec()
        } else {
            self.scenarios.clone()
        }
    }

    /// Whether mail passes, and IPv6: through our own front end only.
    pub(crate) fn has_mail(&self) -> bool {
        self.front_end == FrontEnd::Holdfast
    }

    /// Whether SAs are to go to the other node.
    pub(crate) fn replicates(&self) -> bool {
        !self.plain && self.takeover == Takeover::Replicate
    }

    /// The bound on the outage of `scenario`, in milliseconds, if there is one.
    pub fn bound_ms(&self, scenario: Scenario) -> Option<f64> {
        match scenario {
            Scenario::PlannedMove | Scenario::MoveThird => self.max_planned_ms,
            Scenario::PowerCut
            | Scenario::ProcessKill
            | Scenario::SecondCrash
            | Scenario::WitnessMember => self.max_crash_ms,
            _ => None,
        }
    }
}
