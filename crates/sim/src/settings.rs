//! What a world is made of: addresses, timers, times that services take, traffic, limits.

use std::ops::Range;
use std::time::Duration;

use node::Replicate;

use policy::proposal::{EspProposal, default_esp};
use policy::timers::{ChildLifetime, IkeLifetime, Timers};
use policy::{IkePort, IkeVersion, Legacy, version};

use crate::addresses::{Addresses, CLIENT};
use crate::frame::{FRONT, HostId, SECOND_FRONT, THIRD, is_front};
use crate::network::Link;
use crate::sabotage::Sabotage;

/// How long the driver of a node takes for what the node wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceTimes {
    /// From the order to start a group to its addresses being up.
    pub address_up: Duration,
    /// When an address is announced, counted from its coming up.
    pub announcements: Vec<Duration>,
    /// From the addresses to the services being up.
    pub services_start: Duration,
    /// Stopping the services; they refuse work from the beginning.
    pub services_stop: Duration,
    /// Taking the addresses off.
    pub release: Duration,
    /// From a change of the addresses to the node hearing of it.
    pub notice: Duration,
}

impl ServiceTimes {
    /// A Linux host with services that are always running.
    #[must_use]
    pub fn modern() -> Self {
        let ms = Duration::from_millis;
        ServiceTimes {
            address_up: ms(2),
            announcements: [0, 50, 250, 1000].map(ms).to_vec(),
            services_start: ms(5),
            services_stop: ms(5),
            release: ms(2),
            notice: ms(1),
        }
    }
}

/// What the applications send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// Gap between two requests of the front end to a group.
    pub probe: Duration,
    /// Gap between two messages that a group's service sends unasked, if it does.
    pub push: Option<Duration>,
    /// Gap between two packets of the service that no rule is about, if it is used.
    pub open: Option<Duration>,
    /// Most octets that a message is filled up with.
    pub filling: usize,
}

/// Bounds that must hold at every moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// SA pairs that ESP of one host holds.
    pub pairs: usize,
    /// IKE SAs of one host.
    pub ike_sas: usize,
    /// Requests that wait in one IKE SA.
    pub queued: usize,
    /// Packets of one host that wait for an SA.
    pub pending: usize,
    /// Effects of one node that wait for a copy.
    pub held: usize,
    /// Octets of strays that one node keeps.
    pub strays: usize,
}

/// What is made of fast failover in IKEv1 ([MS-IKEE] section 3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FastFailover {
    /// The nodes say that they are members of a cluster.
    pub advertised: bool,
    /// The front end takes its peer for one, whatever it says.
    pub assumed: bool,
}

impl FastFailover {
    /// What `NLBSFlags` = 1 means, or 0, where both sides have it.
    #[must_use]
    pub fn both(nlbs_flags: bool) -> Self {
        FastFailover {
            advertised: nlbs_flags,
            assumed: nlbs_flags,
        }
    }
}

/// Everything that a world is made of, except its seed.
#[derive(Clone, Debug)]
pub struct Settings {
    /// IPv6 instead of IPv4.
    pub ipv6: bool,
    /// Groups of the cluster, each with one address: 1 or 2.
    pub groups: usize,
    /// Whether rules say `me` for the host's own side, or name the group's address.
    pub me: bool,
    /// The version of IKE that everybody speaks, and how old its algorithms are.
    pub version: IkeVersion,
    /// As [`Settings::version`].
    pub legacy: Option<Legacy>,
    /// What is made of fast failover, in IKEv1.
    pub fast_failover: FastFailover,
    /// Quick modes that one main mode of IKEv1 may have, 0 for any number.
    pub quick_modes: u32,
    /// Retransmission, liveness, idle time, hints.
    pub timers: Timers,
    /// Life of CHILD SAs.
    pub child: ChildLifetime,
    /// Life of IKE SAs.
    pub ike: IkeLifetime,
    /// Algorithms of ESP.
    pub esp: Vec<EspProposal>,
    /// Ports of IKE.
    pub port: IkePort,
    /// Interval of heartbeats.
    pub heartbeat: Duration,
    /// Missed heartbeats that mean death.
    pub missed: u32,
    /// The driver of the groups.
    pub services: ServiceTimes,
    /// The applications.
    pub traffic: Traffic,
    /// How often a node hears what its SAs carry.
    pub usage: Duration,
    /// How long a neighbour that does not answer is believed in.
    pub neighbour: Duration,
    /// Every link, at first.
    pub link: Link,
    /// What must not be exceeded.
    pub limits: Limits,
    /// How long after the last fault the cluster may take to settle.
    pub settle: Duration,
    /// Whether SAs survive a change of owner, and how strictly; `None`: peers negotiate anew.
    pub replicate: Option<Replicate>,
    /// Whether the front end is a cluster too.
    pub front_cluster: bool,
    /// Whether a witness decides who owns what, and the cluster has a third node.
    pub witness: bool,
    /// How long the data plane may take at most to see an order of the node.
    pub lag: Duration,
    /// How often the data plane tells how far its inbound windows have moved.
    pub windows: Duration,
    /// A host that breaks a promise on purpose.
    pub sabotage: Option<Sabotage>,
}

impl Settings {
    /// The product's defaults, one group, IPv4, a good network.
    #[must_use]
    pub fn modern() -> Self {
        Settings {
            ipv6: false,
            groups: 1,
            me: true,
            version: IkeVersion::V2,
            legacy: None,
            fast_failover: FastFailover {
                advertised: true,
                assumed: false,
            },
            quick_modes: 0,
            timers: Timers::modern(),
            child: ChildLifetime::modern(),
            ike: IkeLifetime::modern(),
            esp: default_esp(),
            port: IkePort::Standard500,
            heartbeat: Duration::from_millis(20),
            missed: 5,
            services: ServiceTimes::modern(),
            traffic: Traffic {
                probe: Duration::from_millis(50),
                push: None,
                open: None,
                filling: 200,
            },
            usage: Duration::from_millis(100),
            neighbour: Duration::from_secs(1),
            link: Link::good(),
            limits: Limits {
                pairs: 24,
                ike_sas: 24,
                queued: ike::limits::QUEUE,
                pending: 2 * esp::outbound::MAX_PENDING_PACKETS,
                held: 1024,
                strays: 4 << 20,
            },
            settle: Duration::from_secs(2),
            replicate: None,
            front_cluster: false,
            witness: false,
            lag: Duration::ZERO,
            windows: Duration::from_millis(15),
            sabotage: None,
        }
    }

    /// The product's defaults with replicated SAs, of which a node never delivers twice what
    /// another may have delivered if `strict`.
    #[must_use]
    pub fn replicated(strict: bool) -> Self {
        Settings {
            replicate: Some(Replicate { strict }),
            lag: Duration::from_micros(400),
            ..Settings::modern()
        }
    }

    /// Two Windows Server 2003 nodes as KB821839 describes them: the timers of IPsec, heartbeats
    /// of 1.2 s of which six are missed, and times of resources in seconds.
    #[must_use]
    pub fn kb821839(nlbs_flags: bool) -> Self {
        let ms = Duration::from_millis;
        Settings {
            timers: Timers::kb821839(nlbs_flags),
            heartbeat: ms(1200),
            missed: 6,
            services: ServiceTimes {
                address_up: ms(1000),
                announcements: [0, 500, 1000].map(ms).to_vec(),
                services_start: ms(500),
                services_stop: ms(1000),
                release: ms(100),
                notice: ms(1),
            },
            settle: Duration::from_secs(30),
            ..Settings::modern()
        }
    }

    /// The same, with IKEv1 and its algorithms.
    #[must_use]
    pub fn with_ikev1(self, legacy: Option<Legacy>) -> Self {
        Settings {
            version: IkeVersion::V1,
            legacy,
            esp: version::default_esp(IkeVersion::V1, legacy),
            ..self
        }
    }

    /// [`Settings::kb821839`] with IKEv1 as Windows Server 2003 spoke it: its algorithms and
    /// lifetimes, and an idle time that fast failover shortens.
    #[must_use]
    pub fn windows2003(nlbs_flags: bool) -> Self {
        Settings {
            fast_failover: FastFailover::both(nlbs_flags),
            ike: IkeLifetime::of(Duration::from_secs(28_800)),
            child: ChildLifetime {
                bytes: Some(100_000 << 10),
                ..ChildLifetime::of(Duration::from_secs(3600))
            },
            ..Settings::kb821839(false).with_ikev1(Some(Legacy::Windows2003))
        }
    }

    /// Where everything is.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        Addresses {
            ipv6: self.ipv6,
            front_cluster: self.front_cluster,
        }
    }

    /// How long two hosts may have the address of a group that has just moved.
    pub(crate) fn linger(&self) -> Duration {
        match self.replicate {
            Some(_) => Duration::from_secs(1),
            None => Duration::ZERO,
        }
    }

    /// How many hosts there could be: one more than the highest number.
    #[must_use]
    pub fn hosts(&self) -> usize {
        match (self.witness, self.front_cluster) {
            (true, _) => THIRD + 1,
            (false, true) => SECOND_FRONT + 1,
            (false, false) => SECOND_FRONT,
        }
    }

    /// The hosts that there are.
    #[must_use]
    pub fn host_ids(&self) -> Vec<HostId> {
        let is_there = |host: &HostId| *host != SECOND_FRONT || self.front_cluster;
        (0..self.hosts()).filter(is_there).collect()
    }

    /// The nodes of the cluster.
    #[must_use]
    pub fn nodes(&self) -> Vec<HostId> {
        let ids = self.host_ids().into_iter();
        ids.filter(|host| !is_front(*host)).collect()
    }

    /// The groups that a host may own, by number.
    #[must_use]
    pub fn groups_of(&self, host: HostId) -> Range<usize> {
        match (is_front(host), self.front_cluster) {
            (true, true) => CLIENT..CLIENT + 1,
            (true, false) => 0..0,
            (false, _) => 0..self.groups,
        }
    }

    /// The members of each cluster.
    #[must_use]
    pub fn clusters(&self) -> Vec<Vec<HostId>> {
        let front = vec![FRONT, SECOND_FRONT];
        let front = self.front_cluster.then_some(front);
        front.into_iter().chain([self.nodes()]).collect()
    }

    /// The other members of a host's cluster.
    #[must_use]
    pub fn members(&self, host: HostId) -> Vec<HostId> {
        let same = |other: &HostId| *other != host && is_front(*other) == is_front(host);
        self.host_ids().into_iter().filter(same).collect()
    }
}
