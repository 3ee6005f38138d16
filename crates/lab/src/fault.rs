//! Faults: programs killed or frozen, cables cut, heartbeats lost on one way; and their cures.

use std::io::Write;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};

use linux::netns;
use linux::process::{self, Signal};

use crate::addresses::*;
use crate::error::{Error, kernel};
use crate::hosts::{Hosts, Plan};
use crate::leftovers;
use crate::shape::Shape;
use crate::topology::{self, Cables};

/// The table of nftables that holds what the lab drops; the daemons have tables of their own.
const TABLE: &str = "hf-lab";

/// What can happen to a node, or to a member of the witness.
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
    /// No packet passes between the node and the others; all reach everybody else.
    Partition,
    /// The node's heartbeats do not arrive.
    OneWay,
    /// The node's cable to the witness is cut.
    Unwitnessed,
    /// The node reaches neither the other nodes nor the witness, and everybody else.
    Isolation,
    /// No node reaches another one, and none reaches the witness.
    Dark,
    /// No node reaches the witness, whose members do not reach each other.
    WitnessLoss,
    /// The process of a member of the witness is killed.
    MemberKill,
    /// The cable of a member of the witness is cut.
    MemberCut,
    /// A member of the witness stands still.
    MemberFreeze,
}

impl Fault {
    /// What can happen to every node.
    pub(crate) const ANYWHERE: [Fault; 6] = [
        Fault::PowerCut,
        Fault::ProcessKill,
        Fault::LinkLoss,
        Fault::Freeze,
        Fault::Partition,
        Fault::OneWay,
    ];

    /// What can happen to a node besides, where there is a witness.
    pub(crate) const WITNESSED: [Fault; 4] = [
        Fault::Unwitnessed,
        Fault::Isolation,
        Fault::Dark,
        Fault::WitnessLoss,
    ];

    /// What can happen to a member of the witness.
    pub(crate) const MEMBERS: [Fault; 3] =
        [Fault::MemberKill, Fault::MemberCut, Fault::MemberFreeze];

    /// The name in the report.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Fault::PowerCut => "power-cut",
            Fault::ProcessKill => "process-kill",
            Fault::LinkLoss => "link-loss",
            Fault::Freeze => "freeze",
            Fault::Partition => "partition",
            Fault::OneWay => "one-way",
            Fault::Unwitnessed => "unwitnessed",
            Fault::Isolation => "isolation",
            Fault::Dark => "dark",
            Fault::WitnessLoss => "witness-loss",
            Fault::MemberKill => "etcd-kill",
            Fault::MemberCut => "etcd-cut",
            Fault::MemberFreeze => "etcd-freeze",
        }
    }
}

/// Does it, and undoes it.
pub(crate) struct Faults {
    shape: Shape,
    cables: Cables,
}

impl Faults {
    /// Looks up what may be cut.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(crate) fn open(shape: Shape) -> Result<Self, Error> {
        let cables = Cables::open(shape)?;
        Ok(Self { shape, cables })
    }

    /// Lets `fault` happen to `host` now.
    ///
    /// # Errors
    /// When the kernel refuses; a sentence, when nft does.
    pub(crate) fn inflict(
        &mut self,
        fault: Fault,
        host: &'static str,
        hosts: &Hosts,
    ) -> Result<(), Error> {
        match fault {
            Fault::PowerCut => {
                let processes = leftovers::processes(host)?;
                self.cables.back(host, false)?;
                self.cables.heartbeat(host, false)?;
                self.cables.witness(host, false)?;
                for pid in processes {
                    let _ = process::kill(pid, Signal::Kill);
                }
                // Whatever was forked since it was listed.
                leftovers::kill_all(host)
            }
            Fault::ProcessKill | Fault::MemberKill => signal(hosts, host, Signal::Kill),
            Fault::LinkLoss => self.cables.back(host, false),
            Fault::Freeze | Fault::MemberFreeze => signal(hosts, host, Signal::Stop),
            Fault::OneWay => {
                let mut others = self.shape.others(host);
                let from = self.shape.nodes().iter().filter(|node| node.host == host);
                let from: Vec<_> = from.flat_map(|n| [n.back.0, n.heartbeat]).collect();
                others.try_for_each(|other| nft(other, &deaf(&from)))
            }
            Fault::Unwitnessed | Fault::MemberCut => self.cables.witness(host, false),
            Fault::Partition | Fault::Isolation | Fault::Dark | Fault::WitnessLoss => {
                self.part(fault, host, false)
            }
        }
    }

    /// Ends `fault` at `host`: a dead program starts again, on a host that has booted if its
    /// power was cut.
    ///
    /// # Errors
    /// As [`Faults::inflict`], and when a program cannot be started.
    pub(crate) fn cure(
        &mut self,
        fault: Fault,
        host: &'static str,
        hosts: &mut Hosts,
        plan: &Plan<'_>,
    ) -> Result<(), Error> {
        match fault {
            Fault::PowerCut => {
                // A host that boots has none of the addresses that a daemon once brought up.
                topology::drop_vip(host)?;
                self.cables.heartbeat(host, true)?;
                self.cables.witness(host, true)?;
                self.cables.back(host, true)?;
                hosts.restart(plan, host, true)
            }
            Fault::ProcessKill | Fault::MemberKill => hosts.restart(plan, host, false),
            Fault::LinkLoss => self.cables.back(host, true),
            Fault::Freeze | Fault::MemberFreeze => signal(hosts, host, Signal::Continue),
            Fault::OneWay => {
                let mut others = self.shape.others(host);
                others.try_for_each(|other| nft(other, &format!("delete table inet {TABLE}\n")))
            }
            Fault::Unwitnessed | Fault::MemberCut => self.cables.witness(host, true),
            Fault::Partition | Fault::Isolation | Fault::Dark | Fault::WitnessLoss => {
                self.part(fault, host, true)
            }
        }
    }

    /// Parts hosts from each other, or lets them find each other again.
    fn part(&mut self, fault: Fault, host: &'static str, again: bool) -> Result<(), Error> {
        let parted: Vec<&str> = match fault {
            Fault::Dark => self.shape.hosts().collect(),
            Fault::WitnessLoss => Vec::new(),
            _ => vec![host],
        };
        let unwitnessed: &[&str] = match fault {
            Fault::Dark | Fault::WitnessLoss => self.shape.witnesses(),
            Fault::Isolation => &[host],
            _ => &[],
        };
        if !parted.is_empty() {
            match again {
                true => nft(SWITCH, &format!("delete table bridge {TABLE}\n"))?,
                false => nft(SWITCH, &partition(self.shape, &parted))?,
            }
        }
        for node in parted {
            self.cables.heartbeat(node, again)?;
        }
        for host in unwitnessed {
            self.cables.witness(host, again)?;
        }
        Ok(())
    }
}

fn signal(hosts: &Hosts, host: &str, signal: Signal) -> Result<(), Error> {
    let Some(pid) = hosts.main_of(host) else {
        return Ok(());
    };
    process::kill(pid, signal).map_err(kernel(format!("send {signal:?} to the daemon of {host}")))
}

/// Nothing passes the switch of the back network between these nodes and the others: neither
/// packets nor questions for addresses.
fn partition(shape: Shape, parted: &[&str]) -> String {
    let mut rules = String::new();
    let nodes = shape.nodes();
    for a in nodes.iter().filter(|node| parted.contains(&node.host)) {
        for b in nodes.iter().filter(|node| node.host != a.host) {
            for (a, b) in [(a.port, b.port), (b.port, a.port)] {
                rules.push_str(&format!("  iifname \"{a}\" oifname \"{b}\" drop\n"));
            }
        }
    }
    format!(
        "table bridge {TABLE} {{\n chain between {{\n  type filter hook forward priority 0;\n\
         {rules} }}\n}}\n"
    )
}

/// No heartbeat arrives from a node, on whatever path.
fn deaf(from: &[Ipv4Addr]) -> String {
    let from: Vec<String> = from.iter().map(Ipv4Addr::to_string).collect();
    let from = from.join(", ");
    format!(
        "table inet {TABLE} {{\n chain deaf {{\n  type filter hook input priority -300;\n  \
         ip saddr {{ {from} }} udp dport {HEARTBEATS} drop\n }}\n}}\n"
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_between_the_node_and_each_other_one() {
        let rules = |shape, parted: &[&str]| {
            let text = partition(shape, parted);
            let rules = text.lines().filter(|line| line.contains("oifname"));
            rules.map(str::to_owned).collect::<Vec<_>>()
        };
        let both_ways = [
            "  iifname \"p-be1\" oifname \"p-be2\" drop",
            "  iifname \"p-be2\" oifname \"p-be1\" drop",
        ];
        assert_eq!(rules(Shape::Pair, &[BE1]), both_ways);
        let one = rules(Shape::Witnessed, &[BE1]);
        assert_eq!(one.len(), 4);
        assert!(one.iter().all(|rule| rule.contains("p-be1")));
        let all = rules(Shape::Witnessed, &[BE1, BE2, BE3]);
        let between = |a: &str, b: &str| {
            let rule = format!("iifname \"{a}\" oifname \"{b}\"");
            all.iter().any(|one| one.contains(&rule))
        };
        assert!(between("p-be2", "p-be3") && between("p-be3", "p-be2"));
        assert!(!all.iter().any(|rule| rule.contains("p-fe")));
    }
}
