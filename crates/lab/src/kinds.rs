//! What the caller of the lab may name: scenarios, ways of takeover, what stands beside.

use std::str::FromStr;

/// One thing the lab does to the cluster while a client watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Mail through IPsec, every wire captured, nothing happens to the cluster.
    Protect,
    /// The address moves from one node to the other because the operator says so.
    PlannedMove,
    /// Every process of the active node is killed and its links are cut at once.
    PowerCut,
    /// The active node's daemon is killed; its host lives on, with the address.
    ProcessKill,
    /// The active node's link to the back network is cut; heartbeats still pass.
    LinkLoss,
    /// The active node's daemon stands still for a while, then goes on as if nothing were.
    Freeze,
    /// The nodes lose each other; both still reach the front end.
    Partition,
    /// What the active node says to the other is lost; what the other says arrives.
    OneWay,
    /// A crash; then the dead node comes back as standby, and the address moves back to it.
    Rejoin,
    /// The active node's daemon is killed, and right after the takeover the other one's.
    Double,
    /// The address moves to the third node because the operator says so.
    MoveThird,
    /// The active node loses its power, and right after the takeover the next one.
    SecondCrash,
    /// A standby loses its power.
    StandbyLoss,
    /// A member of the witness is killed, and with it the active node.
    WitnessMember,
    /// The member that leads the witness is killed, and with it the active node.
    WitnessLeader,
    /// The witness is lost; the active node crashes meanwhile; the witness comes back.
    WitnessLoss,
    /// The active node reaches neither the other nodes nor the witness.
    Isolation,
    /// No node reaches another one or the witness, until all is back.
    Dark,
    /// The group's record in the witness is removed, and then the active node crashes.
    RecordLoss,
}

impl Scenario {
    /// All scenarios.
    pub const ALL: [Scenario; 19] = [
        Scenario::Protect,
        Scenario::PlannedMove,
        Scenario::PowerCut,
        Scenario::ProcessKill,
        Scenario::LinkLoss,
        Scenario::Freeze,
        Scenario::Partition,
        Scenario::OneWay,
        Scenario::Rejoin,
        Scenario::Double,
        Scenario::MoveThird,
        Scenario::SecondCrash,
        Scenario::StandbyLoss,
        Scenario::WitnessMember,
        Scenario::WitnessLeader,
        Scenario::WitnessLoss,
        Scenario::Isolation,
        Scenario::Dark,
        Scenario::RecordLoss,
    ];

    /// Those that the lab runs, in this order, when none is named.
    pub const USUAL: [Scenario; 3] = [Scenario::Protect, Scenario::PlannedMove, Scenario::PowerCut];

    /// The name on the command line, in the report and in the result folder.
    pub fn name(self) -> &'static str {
        match self {
            Scenario::Protect => "protect",
            Scenario::PlannedMove => "planned-move",
            Scenario::PowerCut => "crash",
            Scenario::ProcessKill => "process-kill",
            Scenario::LinkLoss => "link-loss",
            Scenario::Freeze => "freeze",
            Scenario::Partition => "partition",
            Scenario::OneWay => "one-way",
            Scenario::Rejoin => "rejoin",
            Scenario::Double => "double",
            Scenario::MoveThird => "move-third",
            Scenario::SecondCrash => "second-crash",
            Scenario::StandbyLoss => "standby-loss",
            Scenario::WitnessMember => "witness-member",
            Scenario::WitnessLeader => "witness-leader",
            Scenario::WitnessLoss => "witness-loss",
            Scenario::Isolation => "isolation",
            Scenario::Dark => "dark",
            Scenario::RecordLoss => "record-loss",
        }
    }

    /// What it is, in one line for people.
    pub fn title(self) -> &'static str {
        match self {
            Scenario::Protect => "mail and probes, and nothing happens",
            Scenario::PlannedMove => "a planned move",
            Scenario::PowerCut => "the active node loses its power",
            Scenario::ProcessKill => "the active node's daemon is killed",
            Scenario::LinkLoss => "the active node loses its link",
            Scenario::Freeze => "the active node's daemon is frozen, and goes on",
            Scenario::Partition => "the nodes lose each other, and find each other",
            Scenario::OneWay => "one direction of the heartbeats is lost",
            Scenario::Rejoin => "power cut, return as standby, planned move back",
            Scenario::Double => "a second failover right after the first one",
            Scenario::MoveThird => "a planned move to the third node",
            Scenario::SecondCrash => "a second power cut right after the first one",
            Scenario::StandbyLoss => "a standby loses its power",
            Scenario::WitnessMember => "a crash, with one member of the witness dead",
            Scenario::WitnessLeader => "a crash, with the leader of the witness dead",
            Scenario::WitnessLoss => "the witness is lost, a crash, and the witness is back",
            Scenario::Isolation => "the active node loses the other nodes and the witness",
            Scenario::Dark => "all nodes lose each other and the witness",
            Scenario::RecordLoss => "the witness forgets the group, then a crash",
        }
    }

    /// Whether the other node uses SAs on without any word of IKE, where they
    /// are replicated.
    pub(crate) fn keeps_sas(self) -> bool {
        matches!(
            self,
            Scenario::PlannedMove
                | Scenario::MoveThird
                | Scenario::PowerCut
                | Scenario::SecondCrash
                | Scenario::StandbyLoss
                | Scenario::WitnessMember
                | Scenario::RecordLoss
        )
    }

    /// Whether it is about a witness, or a third node, which there is only with one.
    pub fn needs_witness(self) -> bool {
        matches!(
            self,
            Scenario::MoveThird
                | Scenario::SecondCrash
                | Scenario::StandbyLoss
                | Scenario::WitnessMember
                | Scenario::WitnessLeader
                | Scenario::WitnessLoss
                | Scenario::Isolation
                | Scenario::Dark
                | Scenario::RecordLoss
        )
    }

    /// Whether the same SAs serve at its end as at its beginning, where a witness decides: none of
    /// it needs new ones.
    pub(crate) fn same_sas(self) -> bool {
        self.keeps_sas() || matches!(self, Scenario::WitnessLeader | Scenario::WitnessLoss)
    }

    /// Whether no probe may be lost, where a witness decides.
    pub(crate) fn loses_nothing(self) -> bool {
        matches!(
            self,
            Scenario::PlannedMove | Scenario::MoveThird | Scenario::StandbyLoss
        )
    }

    /// Whether it can be had without daemons: then the lab itself moves the address.
    pub fn works_plain(self) -> bool {
        Self::USUAL.contains(&self)
    }
}

impl FromStr for Scenario {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "power-cut" {
            return Ok(Scenario::PowerCut);
        }
        named(text, "scenario", &Self::ALL, Scenario::name)
    }
}

/// Where the nodes' ESP runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plane {
    /// In their daemons.
    User,
    /// In the kernel, which must have it.
    Kernel,
}

impl Plane {
    /// Both.
    pub const ALL: [Plane; 2] = [Plane::User, Plane::Kernel];

    /// The word in the daemon's configuration.
    pub fn name(self) -> &'static str {
        match self {
            Plane::User => "user",
            Plane::Kernel => "kernel",
        }
    }
}

impl FromStr for Plane {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        named(text, "plane", &Self::ALL, Plane::name)
    }
}

/// How SAs survive their node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takeover {
    /// They go to the other node, which uses them on.
    Replicate,
    /// They do not: peers negotiate anew.
    Renegotiate,
}

impl Takeover {
    /// Both.
    pub const ALL: [Takeover; 2] = [Takeover::Replicate, Takeover::Renegotiate];

    /// The word in the daemon's configuration.
    pub fn name(self) -> &'static str {
        match self {
            Takeover::Replicate => "replicate",
            Takeover::Renegotiate => "renegotiate",
        }
    }
}

impl FromStr for Takeover {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        named(text, "takeover", &Self::ALL, Takeover::name)
    }
}

/// Whose IKE and ESP the front end has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrontEnd {
    /// Ours.
    Holdfast,
    /// Debian's strongSwan with its user-space ESP: one tunnel for the probe, without mail and
    /// without IPv6.
    Strongswan,
}

impl FrontEnd {
    /// All.
    pub const ALL: [FrontEnd; 2] = [FrontEnd::Holdfast, FrontEnd::Strongswan];

    /// The program's name.
    pub fn name(self) -> &'static str {
        match self {
            FrontEnd::Holdfast => "holdfast",
            FrontEnd::Strongswan => "strongswan",
        }
    }
}

impl FromStr for FrontEnd {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        named(text, "front end", &Self::ALL, FrontEnd::name)
    }
}

/// The version of IKE that front end and nodes speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ike {
    /// RFC 7296.
    V2,
    /// RFC 2409.
    V1,
}

impl Ike {
    /// Both.
    pub const ALL: [Ike; 2] = [Ike::V2, Ike::V1];

    /// The word in the daemon's configuration.
    pub fn name(self) -> &'static str {
        match self {
            Ike::V2 => "ikev2",
            Ike::V1 => "ikev1",
        }
    }
}

impl FromStr for Ike {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        named(text, "version of IKE", &Self::ALL, Ike::name)
    }
}

/// What the nodes' daemons do wrong on purpose, so that the lab proves that it would find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// They reserve no sequence numbers, so a survivor repeats some.
    Reservation,
}

impl Sabotage {
    /// All.
    pub const ALL: [Sabotage; 1] = [Sabotage::Reservation];

    /// What is left out.
    pub fn name(self) -> &'static str {
        match self {
            Sabotage::Reservation => "reservation",
        }
    }

    /// The option of the daemon.
    pub(crate) fn option(self) -> &'static str {
        match self {
            Sabotage::Reservation => "--sabotage-reservation",
        }
    }
}

impl FromStr for Sabotage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        named(text, "sabotage", &Self::ALL, Sabotage::name)
    }
}

/// Foreign software that is measured beside ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beside {
    /// Debian's keepalived moves a plain address, without IPsec.
    Keepalived,
}

impl Beside {
    /// All.
    pub const ALL: [Beside; 1] = [Beside::Keepalived];

    /// The program's name.
    pub fn name(self) -> &'static str {
        match self {
            Beside::Keepalived => "keepalived",
        }
    }
}

impl FromStr for Beside {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        named(text, "program beside", &Self::ALL, Beside::name)
    }
}

/// The one of `all` that has this name, or a sentence with their names.
fn named<T: Copy>(
    text: &str,
    what: &str,
    all: &[T],
    name: fn(T) -> &'static str,
) -> Result<T, String> {
    let found = all.iter().copied().find(|&one| name(one) == text);
    found.ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|&one| name(one)).collect();
        format!(
            "there is no {what} {text:?}; choose from {}",
            names.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back() {
        for scenario in Scenario::ALL {
            assert_eq!(scenario.name().parse(), Ok(scenario));
        }
        assert_eq!("power-cut".parse(), Ok(Scenario::PowerCut));
        let refusal = "sleep".parse::<Takeover>().unwrap_err();
        assert!(
            refusal.ends_with("choose from replicate, renegotiate"),
            "{refusal}"
        );
    }
}
