//! Faults: daemons killed or frozen, cables cut, heartbeats lost on one way; and their cures.

use std::io::Write;
use std::process::{Command, Stdio};

use linux::netns;
use linux::process::{self, Signal};

use crate::addresses::*;
use crate::error::{Error, kernel};
use crate::hosts::{Hosts, Plan};
use crate::leftovers;
use crate::topology::{self, Cables, NODES, PORTS, other};

/// The table of nftables that holds what the lab drops; the daemons have tables of their own.
const TABLE: &str = "hf-lab";

/// What can happen to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// Every process is killed and every cable cut, as when the power goes.
    PowerCut,
    /// The daemon is killed.
    ProcessKill,
    /// The cable to the back network is cut.
    LinkLoss,
    /// The daemon stands still.
    Freeze,
    /// No packet passes between the nodes; both reach everybody else.
    Partition,
    /// The node's heartbeats do not arrive.
    OneWay,
}

impl Fault {
    /// All of them.
    pub(crate) const ALL: [Fault; 6] = [
        Fault::PowerCut,
        Fault::ProcessKill,
        Fault::LinkLoss,
        Fault::Freeze,
        Fault::Partition,
        Fault::OneWay,
    ];

    /// The name in the report.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Fault::PowerCut => "power-cut",
            Fault::ProcessKill => "process-kill",
            Fault::LinkLoss => "link-loss",
            Fault::Freeze => "freeze",
            Fault::Partition => "partition",
            Fault::OneWay => "one-way",
        }
    }
}

/// Does it, and undoes it.
pub(crate) struct Faults {
    cables: Cables,
}

impl Faults {
    /// Looks up what may be cut.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(crate) fn open() -> Result<Self, Error> {
        let cables = Cables::open()?;
        Ok(Self { cables })
    }

    /// Lets `fault` happen to `node` now.
    ///
    /// # Errors
    /// When the kernel refuses; a sentence, when nft does.
    pub(crate) fn inflict(
        &mut self,
        fault: Fault,
        node: &'static str,
        hosts: &Hosts,
    ) -> Result<(), Error> {
        match fault {
            Fault::PowerCut => {
                let processes = leftovers::processes(node)?;
                self.cables.back(node, false)?;
                self.cables.heartbeat(node, false)?;
                for pid in processes {
                    let _ = process::kill(pid, Signal::Kill);
                }
                // Whatever was forked since it was listed.
                leftovers::kill_all(node)
            }
            Fault::ProcessKill => signal(hosts, node, Signal::Kill),
            Fault::LinkLoss => self.cables.back(node, false),
            Fault::Freeze => signal(hosts, node, Signal::Stop),
            Fault::Partition => {
                nft(SWITCH, &partition())?;
                self.cables.heartbeat(node, false)
            }
            Fault::OneWay => nft(other(node), &deaf()),
        }
    }

    /// Ends `fault` at `node`: a dead daemon starts again, on a host that has booted if its power
    /// was cut.
    ///
    /// # Errors
    /// As [`Faults::inflict`], and when a program cannot be started.
    pub(crate) fn cure(
        &mut self,
        fault: Fault,
        node: &'static str,
        hosts: &mut Hosts,
        plan: &Plan<'_>,
    ) -> Result<(), Error> {
        match fault {
            Fault::PowerCut => {
                // A host that boots has none of the addresses that a daemon once brought up.
                topology::drop_vip(node)?;
                self.cables.heartbeat(node, true)?;
                self.cables.back(node, true)?;
                hosts.restart(plan, node, true)
            }
            Fault::ProcessKill => hosts.restart(plan, node, false),
            Fault::LinkLoss => self.cables.back(node, true),
            Fault::Freeze => signal(hosts, node, Signal::Continue),
            Fault::Partition => {
                nft(SWITCH, &format!("delete table bridge {TABLE}\n"))?;
                self.cables.heartbeat(node, true)
            }
            Fault::OneWay => nft(other(node), &format!("delete table inet {TABLE}\n")),
        }
    }
}

fn signal(hosts: &Hosts, node: &str, signal: Signal) -> Result<(), Error> {
    let Some(pid) = hosts.daemon_of(node) else {
        return Ok(());
    };
    process::kill(pid, signal).map_err(kernel(format!("send {signal:?} to the daemon of {node}")))
}

/// Nothing passes the switch from one node to the other: neither packets nor questions for
/// addresses.
fn partition() -> String {
    let port = |node| {
        PORTS
            .iter()
            .find(|(host, _)| *host == node)
            .map_or("", |(_, port)| port)
    };
    let [a, b] = NODES.map(port);
    format!(
        "table bridge {TABLE} {{\n chain between {{\n  type filter hook forward priority 0;\n  \
         iifname \"{a}\" oifname \"{b}\" drop\n  \
         iifname \"{b}\" oifname \"{a}\" drop\n }}\n}}\n"
    )
}

/// No heartbeat arrives, on whatever path.
fn deaf() -> String {
    format!(
        "table inet {TABLE} {{\n chain deaf {{\n  type filter hook input priority -300;\n  \
         udp dport {HEARTBEATS} drop\n }}\n}}\n"
    )
}

/// Has nft carry out `text` in a namespace.
fn nft(namespace: &str, text: &str) -> Result<(), Error> {
    let run = || -> std::io::Result<std::process::Output> {
        let mut nft = Command::new("nft")
            .args(["-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut input) = nft.stdin.take() {
            input.write_all(text.as_bytes())?;
        }
        nft.wait_with_output()
    };
    let output = netns::run(namespace, run)?.map_err(kernel("start nft, which drops packets"))?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(Error::Program {
        name: format!("nft in {namespace}"),
        detail: format!(
            "refused the rules of the fault: {}",
            words.lines().next().unwrap_or("it said nothing")
        ),
    })
}
