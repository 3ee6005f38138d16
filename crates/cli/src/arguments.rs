//! The verbs and their options: one definition for parsing, help and errors.

mod dynamic;
mod interchange;
mod pki;

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

pub(crate) use dynamic::DynamicAction;
pub(crate) use interchange::{ExportTo, ImportFrom, ImportNetsh};
pub(crate) use pki::{CertificateOptions, PkiAction};

/// IPsec that holds when a node lets go.
#[derive(Parser)]
#[command(name = "holdfast", version, arg_required_else_help = true, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// Print one JSON object instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// The daemon's control socket, where it is not the usual one
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 failed, 2 usage, 3 the daemon is not running, 4 no permission,
5 not found, 6 timeout, 7 refused by the peer, 8 partly done.";

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Run the daemon in the foreground
    Daemon(DaemonOptions),
    /// Hold packets back until the daemon runs, as the configuration file says
    Boot(BootOptions),
    /// Read a configuration file, say what is wrong with it, change nothing
    Check(CheckOptions),
    /// Show SAs, rules, the data plane and counters of the running daemon
    Status(StatusOptions),
    /// Say what happens to a packet, and why
    Explain(ExplainOptions),
    /// Make a configuration file of another system's policy
    #[command(subcommand)]
    Import(ImportFrom),
    /// Write a configuration file as another system's policy
    #[command(subcommand)]
    Export(ExportTo),
    /// Read the configuration file again: all of it is applied, or nothing
    Reload,
    /// Rules that the running daemon has beside its files, and loses when it ends
    #[command(subcommand)]
    Dynamic(DynamicAction),
    /// Negotiate, rekey or delete security associations by hand
    #[command(subcommand)]
    Sa(SaAction),
    /// Show the cluster, move its groups
    #[command(subcommand)]
    Cluster(ClusterAction),
    /// Make certificates for nodes and peers, take them back, show them
    #[command(subcommand)]
    Pki(PkiAction),
    /// Print a fresh pre-shared key of 256 bits
    Psk,
    /// Build a cluster in network namespaces, move it, crash it, measure it (needs root)
    Lab(LabOptions),
    /// What outlives the daemon to clean up behind it
    #[command(name = daemon::GUARD_VERB, hide = true)]
    Guard,
    /// A service inside the lab
    #[command(name = lab::service::VERB, hide = true)]
    LabService(ServiceOptions),
}

#[derive(Args)]
pub(crate) struct DaemonOptions {
    /// The configuration file
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/etc/holdfast/holdfast.toml"
    )]
    pub(crate) config: PathBuf,
    /// The persistent policy, if there is such a file: it holds when the other cannot be used
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/etc/holdfast/persistent.toml"
    )]
    pub(crate) persistent: PathBuf,
    /// Write session keys for Wireshark to this folder: whoever reads it can read the traffic
    #[arg(long, value_name = "DIR")]
    pub(crate) wireshark_keys: Option<PathBuf>,
    /// Do not reserve sequence numbers: for tests that prove that repeated ones would be found
    #[arg(long, hide = true)]
    pub(crate) sabotage_reservation: bool,
    /// Write events as lines of JSON
    #[arg(long)]
    pub(crate) log_json: bool,
}

#[derive(Args)]
pub(crate) struct BootOptions {
    /// The configuration file, of which only `[policy]` is looked at
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/etc/holdfast/holdfast.toml"
    )]
    pub(crate) config: PathBuf,
    /// Whatever the file says
    #[arg(long, value_name = "MODE", value_parser = daemon::BOOT_MODES)]
    pub(crate) mode: Option<String>,
}

#[derive(Args)]
pub(crate) struct CheckOptions {
    /// The configuration file
    #[arg(value_name = "FILE", default_value = "/etc/holdfast/holdfast.toml")]
    pub(crate) file: PathBuf,
}

#[derive(Args)]
pub(crate) struct StatusOptions {
    /// Show it again each second until interrupted
    #[arg(long)]
    pub(crate) watch: bool,
}

#[derive(Args)]
pub(crate) struct ExplainOptions {
    /// ADDRESS:PORT of the sender; an IPv6 address stands in brackets
    pub(crate) source: String,
    /// ADDRESS:PORT of the receiver
    pub(crate) destination: String,
    /// tcp, udp, icmp, ... or a number
    #[arg(default_value = "tcp")]
    pub(crate) protocol: String,
    /// Explain by this configuration file instead of the running daemon
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// With --config: an address of the host (may be repeated)
    #[arg(long, value_name = "ADDRESS", requires = "config")]
    pub(crate) me: Vec<std::net::IpAddr>,
}

#[derive(Subcommand)]
pub(crate) enum SaAction {
    /// Negotiate the SAs of a rule now
    Initiate {
        /// The rule's name
        rule: String,
    },
    /// Show SAs of main mode and IKE SAs, and statistics, as IP Security Monitor does
    MainMode,
    /// Show SAs of quick mode, and statistics, as IP Security Monitor does
    QuickMode,
    /// Rekey the CHILD_SAs of a rule, or the IKE SAs of a peer
    Rekey(SaTarget),
    /// Delete the CHILD_SAs of a rule, or everything with a peer
    Delete(SaTarget),
    /// Send peers to another gateway, and wait until they confirm it: to empty this host
    Redirect {
        /// Only this peer; every peer when it is not given
        #[arg(long)]
        peer: Option<String>,
        /// The IP address of the other gateway
        #[arg(long, value_name = "ADDRESS")]
        to: std::net::IpAddr,
    },
}

#[derive(Args)]
#[group(required = true, multiple = false)]
pub(crate) struct SaTarget {
    /// The rule's name
    #[arg(long)]
    pub(crate) rule: Option<String>,
    /// The peer's name
    #[arg(long)]
    pub(crate) peer: Option<String>,
}

#[derive(Subcommand)]
pub(crate) enum ClusterAction {
    /// Make the cluster's authority, and a file for each node that proves who it is to the others
    Init {
        /// The nodes' names, as in [[cluster.node]]
        #[arg(required = true)]
        nodes: Vec<String>,
        /// Where the authority and the files are kept
        #[arg(long, value_name = "DIR", default_value = "/etc/holdfast/cluster")]
        dir: PathBuf,
        /// Make files anew for nodes that have one
        #[arg(long)]
        renew: bool,
    },
    /// Install this node's file, which `cluster init` made
    Join {
        /// The file, NAME.join
        file: PathBuf,
        /// Where the daemon looks for it
        #[arg(long, value_name = "DIR", default_value = "/etc/holdfast/cluster")]
        dir: PathBuf,
    },
    /// Nodes, links, groups and their copies, as the local member sees them
    Status,
    /// Who moved what, when and why, and how long each step took, as the local member knows it
    History {
        /// Only so many of the latest
        #[arg(long, value_name = "N")]
        last: Option<u32>,
    },
    /// Move a group to another node
    Move {
        /// The group's name
        group: String,
        /// The node that shall own it; the other one when not given
        #[arg(long)]
        to: Option<String>,
    },
    /// Keep what this node owns, but take nothing over
    Pause,
    /// End a pause
    Resume,
}

#[derive(Args)]
pub(crate) struct LabOptions {
    /// protect, planned-move, crash (these three when none is named), process-kill, link-loss,
    /// freeze, partition, one-way, rejoin, double; or chaos: random faults, one after the other
    pub(crate) scenarios: Vec<LabWork>,
    /// How many faults of chaos
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) faults: u32,
    /// What decides the faults of chaos
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(crate) seed: u64,
    /// How often each scenario is run
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) runs: u32,
    /// Install nftables, Dovecot and etcd first, if they are missing
    #[arg(long)]
    pub(crate) setup: bool,
    /// Leave the lab standing, to play in it
    #[arg(long)]
    pub(crate) keep: bool,
    /// Remove a lab that was kept, and do nothing else
    #[arg(long, conflicts_with_all = ["keep", "setup"])]
    pub(crate) down: bool,
    /// Write Wireshark key tables beside the captures
    #[arg(long)]
    pub(crate) keys: bool,
    /// Put IKE and ESP on UDP port 4500 instead of raw ESP
    #[arg(long)]
    pub(crate) udp_encap: bool,
    /// The ESP proposal, for example aes256-sha256, which tshark decrypts
    #[arg(long, value_name = "PROPOSAL", conflicts_with = "plain")]
    pub(crate) esp: Option<String>,
    /// Where the nodes' ESP runs: user, or kernel where it has ESP
    #[arg(long, value_name = "PLACE", default_value = lab::PLANE.name())]
    pub(crate) plane: lab::Plane,
    /// How SAs survive their node: replicate or renegotiate
    #[arg(long, value_name = "WAY", default_value = lab::TAKEOVER.name())]
    pub(crate) takeover: lab::Takeover,
    /// Time between two heartbeats of a node, in whole milliseconds; the daemon's own if not given
    #[arg(long, value_name = "MS", value_parser = milliseconds)]
    pub(crate) heartbeat: Option<Duration>,
    /// So many heartbeats missing in a row, and a node counts as gone
    #[arg(long, value_name = "N")]
    pub(crate) missed: Option<u32>,
    /// Three nodes, and an etcd of three members that decides between them
    #[arg(long, conflicts_with = "plain")]
    pub(crate) witness: bool,
    /// Whose IKE and ESP the front end has: holdfast or strongswan (IPv4, without mail)
    #[arg(long, value_name = "PROGRAM", default_value = lab::FrontEnd::Holdfast.name(),
        conflicts_with = "plain")]
    pub(crate) front_end: lab::FrontEnd,
    /// The version of IKE between front end and nodes: ikev2 or ikev1
    #[arg(long, value_name = "VERSION", default_value = lab::Ike::V2.name(),
        conflicts_with = "plain")]
    pub(crate) ike: lab::Ike,
    /// Have the nodes leave something out, which the wire oracle must notice: reservation
    #[arg(long, value_name = "WHAT", conflicts_with = "plain")]
    pub(crate) sabotage: Option<lab::Sabotage>,
    /// Time between two probes, in milliseconds
    #[arg(long, value_name = "MS", default_value = "1", value_parser = milliseconds)]
    pub(crate) probe_interval: Duration,
    /// How long the scenario freeze stops a daemon, in milliseconds
    #[arg(long, value_name = "MS", default_value = "10000", value_parser = milliseconds)]
    pub(crate) freeze: Duration,
    /// Have so many SAs besides those of mail and probe
    #[arg(long, value_name = "N", default_value_t = 0,
        value_parser = clap::value_parser!(u16).range(..=i64::from(lab::MOST_SAS)))]
    pub(crate) sas: u16,
    /// Measure foreign software in the same way: keepalived moves a plain address
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) beside: Option<lab::Beside>,
    /// The control experiment: no IPsec, so clear packets must be seen
    #[arg(long)]
    pub(crate) plain: bool,
    /// Use the built-in mail service even where Dovecot is installed
    #[arg(long)]
    pub(crate) builtin_mail: bool,
    /// Where captures, logs and report.json go
    #[arg(long, value_name = "DIR", default_value = "lab-results")]
    pub(crate) out: PathBuf,
    /// Fail when a planned move interrupts for longer, in milliseconds
    #[arg(long, value_name = "MS")]
    pub(crate) max_planned: Option<f64>,
    /// Fail when a crash interrupts for longer, in milliseconds
    #[arg(long, value_name = "MS")]
    pub(crate) max_crash: Option<f64>,
    /// No progress lines
    #[arg(long)]
    pub(crate) quiet: bool,
}

/// What the lab is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LabWork {
    /// One scenario.
    Scenario(lab::Scenario),
    /// Many faults in a row.
    Chaos,
}

impl FromStr for LabWork {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "chaos" => Ok(LabWork::Chaos),
            _ => text.parse().map(LabWork::Scenario),
        }
    }
}

/// A time in milliseconds, which may have a fraction: a microsecond to an hour.
fn milliseconds(text: &str) -> Result<Duration, String> {
    match text.strip_suffix("ms").unwrap_or(text).parse::<f64>() {
        Ok(ms) if (0.001..=3_600_000.0).contains(&ms) => Ok(Duration::from_secs_f64(ms / 1e3)),
        _ => Err("give milliseconds, from 0.001 to 3600000".to_owned()),
    }
}

#[derive(Args)]
pub(crate) struct ServiceOptions {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) arguments: Vec<String>,
}
