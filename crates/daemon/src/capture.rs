//! Which packets of the host come to the plane, and which may pass in clear (RFC 4301 section 5).
//!
//! Routing rules send what the policy protects to the TUN device; the kernel's packet filter holds
//! a copy of the policy that stays when the daemon dies. Both follow the policy's computed order.

mod filter;
mod guards;
mod prefixes;

use filter::Filter;
use linux::netlink::{Netlink, Route, Rule, RuleAction};
use linux::{Error, Family, Prefix};
use policy::{Action, Direction, Entry, RuleName, Spd};
pub(crate) use prefixes::prefixes;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use wire::ip::icmp::{MIN_V4, MIN_V6};

pub(crate) use filter::Applied;

/// The `inet` table of the fail-closed rules.
pub(crate) const NFT_TABLE: &str = "holdfast";
/// The table into which a packet goes that needs no protection.
const MAIN: u32 = 254;
/// What ESP adds to a packet at most, with room, in bytes: as 1400 is to 1500.
const ROOM: u32 = 100;
/// The protocol number of TCP.
const TCP: u8 = 6;
/// How long after a failure the kernel is asked again.
const RETRY: Duration = Duration::from_secs(2);
/// Where locally generated packets come from, as routing rules see it.
const LOOPBACK: &str = "lo";

/// What the capture needs to know of the plane.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The TUN device and its interface index; `None` where the kernel itself does ESP, and takes
    /// what it protects by its own policies.
    pub(crate) tun: Option<(String, u32)>,
    /// The MTU of protected routes, in bytes.
    pub(crate) mtu: u32,
    /// The routing table of protected traffic.
    pub(crate) table: u32,
    /// The mark of the daemon's own packets.
    pub(crate) mark: u32,
    /// The priority of the first routing rule.
    pub(crate) priority: u32,
    /// The TCP packets that pass, because they carry what is protected.
    pub(crate) tcp: Tcp,
}

/// Which TCP packets are those of IKE and ESP (RFC 9329).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tcp {
    /// The port at which peers may call.
    pub(crate) listens: Option<u16>,
    /// Whether we may call peers.
    pub(crate) calls: bool,
}

/// The routing rules, routes and filter rules in force.
pub(crate) struct Capture {
    settings: Settings,
    netlink: Netlink,
    filter: Filter,
    rules: Vec<Rule>,
    routes: Vec<Route>,
    /// Hosts to which less passes than to others, with the largest packet.
    narrow: BTreeMap<IpAddr, u16>,
    /// Hosts that are spoken to in clear text although their rule requires protection.
    soft: BTreeSet<(RuleName, IpAddr)>,
    failed: Option<Instant>,
}

impl Capture {
    /// Puts the filter rules of the first policy into force, then removes what else a killed
    /// predecessor left in the way.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(crate) fn new(
        settings: Settings,
        first: &Spd,
    ) -> Result<(Self, mpsc::UnboundedReceiver<Applied>), Error> {
        let soft = BTreeSet::new();
        let (filter, applied) = Filter::begin(guards::ruleset(first, &settings, &soft))?;
        let mut netlink = Netlink::open()?;
        for family in Family::BOTH {
            let ours = |rule: &Rule| {
                rule.action == RuleAction::Lookup(settings.table)
                    || (rule.owner == linux::netlink::OWNER && rule.priority >= settings.priority)
            };
            for rule in netlink.rules(family)?.iter().filter(|rule| ours(rule)) {
                netlink.delete_rule(rule)?;
            }
        }
        Ok((
            Self {
                settings,
                netlink,
                filter,
                rules: Vec::new(),
                routes: Vec::new(),
                narrow: BTreeMap::new(),
                soft,
                failed: None,
            },
            applied,
        ))
    }

    /// Puts a policy into force. Filter rules that differ follow in the filter's thread: until
    /// then what was protected before stays so.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(crate) fn apply(&mut self, spd: &Spd) -> Result<(), Error> {
        let ruleset = guards::ruleset(spd, &self.settings, &self.soft);
        self.filter.want(ruleset);
        let (rules, routes) = self.wanted(spd);
        let outcome = self.follow(&rules, &routes);
        if outcome.is_err() {
            self.failed = Some(Instant::now());
        }
        outcome
    }

    /// Takes note of which TCP packets are ours, for the next time that a policy is put into force.
    /// Says whether that is news.
    pub(crate) fn carry_tcp(&mut self, tcp: Tcp) -> bool {
        std::mem::replace(&mut self.settings.tcp, tcp) != tcp
    }

    /// Takes note of what passes to hosts, for the next time that a policy is put into force. Says
    /// whether that is news.
    pub(crate) fn narrow(&mut self, hosts: BTreeMap<IpAddr, u16>) -> bool {
        let is_news = hosts != self.narrow;
        self.narrow = hosts;
        is_news
    }

    /// Takes note of who is spoken to in clear text, for the next time that a policy is put into
    /// force. Says whether that is news.
    pub(crate) fn soften(&mut self, soft: BTreeSet<(RuleName, IpAddr)>) -> bool {
        let is_news = soft != self.soft;
        self.soft = soft;
        is_news
    }

    /// Changes what is there into what is wanted, and keeps count of each step, so that a step
    /// that fails leaves nothing unaccounted for.
    fn follow(&mut self, rules: &[Rule], routes: &[Route]) -> Result<(), Error> {
        for route in routes {
            if !self.routes.contains(route) {
                self.netlink.add_route(route)?;
                self.routes
                    .retain(|known| known.destination != route.destination);
                self.routes.push(route.clone());
            }
        }
        for rule in rules {
            if !self.rules.contains(rule) {
                self.netlink.add_rule(rule)?;
                self.rules.push(rule.clone());
            }
        }
        for place in (0..self.rules.len()).rev() {
            if let Some(rule) = self.rules.get(place).filter(|rule| !rules.contains(rule)) {
                self.netlink.delete_rule(rule)?;
                self.rules.remove(place);
            }
        }
        let wanted = |known: &Route| {
            routes
                .iter()
                .any(|new| new.destination == known.destination)
        };
        for place in (0..self.routes.len()).rev() {
            if let Some(route) = self.routes.get(place).filter(|route| !wanted(route)) {
                self.netlink.delete_route(route)?;
                self.routes.remove(place);
            }
        }
        Ok(())
    }

    /// Whether the last attempt failed, and some time ago: then it is time for another.
    pub(crate) fn retry_due(&mut self) -> bool {
        let due = self.failed.is_some_and(|failed| failed.elapsed() >= RETRY);
        if due {
            self.failed = None;
        }
        due
    }

    /// Takes note that filter rules were applied, or were not.
    pub(crate) fn applied(&mut self, outcome: &Applied) {
        self.filter.applied(outcome);
        if outcome.is_err() {
            self.failed = Some(Instant::now());
        }
    }

    /// Whether the filter holds the policy that was last put into force, or cannot.
    pub(crate) fn settled(&self) -> bool {
        self.filter.settled()
    }

    /// Takes the routing rules back when the daemon ends in good order. The filter rules stay:
    /// what the policy protects does not pass in clear because nobody protects it any more.
    pub(crate) fn withdraw(mut self) {
        for rule in self.rules.drain(..) {
            let _ = self.netlink.delete_rule(&rule);
        }
        self.filter.end();
    }

    /// Packets that the filter has dropped in clear so far; `None` when it cannot be read.
    pub(crate) fn dropped() -> Option<u64> {
        let counters = linux::nft::counters(NFT_TABLE).ok()?;
        Some(counters.iter().map(|counter| counter.packets).sum())
    }

    fn wanted(&mut self, spd: &Spd) -> (Vec<Rule>, Vec<Route>) {
        let mut rules = Vec::new();
        let mut routes: Vec<Route> = Vec::new();
        let Some((_, index)) = self.settings.tun else {
            return (rules, routes);
        };
        for family in Family::BOTH {
            let first = Rule::new(family, self.settings.priority, RuleAction::Lookup(MAIN));
            // What the kernel says of connections that it does not know has no mark; of other
            // packets from this port the filter asks for one.
            if let Some(port) = self.settings.tcp.listens {
                rules.push(Rule {
                    incoming: Some(LOOPBACK.to_owned()),
                    protocol: Some(TCP),
                    source_ports: Some((port, port)),
                    ..first.clone()
                });
            }
            rules.push(Rule {
                mark: Some((self.settings.mark, u32::MAX)),
                ..first
            });
        }
        for (entry, priority) in spd.entries().iter().zip(self.settings.priority + 1..) {
            let Some(rule) = spd.rule_of(entry) else {
                continue;
            };
            if entry.dormant || !entry.takes(Direction::Outbound) {
                continue;
            }
            let table = match rule.action {
                Action::Exempt | Action::Permit => MAIN,
                Action::Block => continue,
                Action::Negotiate(_) => self.settings.table,
            };
            let here = entry_rules(entry, priority, table, spd);
            rules.extend(
                here.into_iter()
                    .filter(|rule| !rules.contains(rule))
                    .collect::<Vec<_>>(),
            );
            if table == self.settings.table {
                self.add_routes(entry, index, &mut routes);
                self.add_narrow(entry, index, &mut routes);
            }
        }
        (rules, routes)
    }

    /// The source address of a new connection is the one that the host would take without us.
    fn add_routes(&mut self, entry: &Entry, index: u32, routes: &mut Vec<Route>) {
        for destination in prefixes(&entry.pair.remote.addresses) {
            if routes
                .iter()
                .any(|known| known.destination == destination.network())
            {
                continue;
            }
            let source = match destination.length() {
                0 => None,
                _ => self.preferred_source(destination),
            };
            routes.push(Route {
                link: Some(index),
                mtu: Some(self.settings.mtu),
                source,
                ..Route::new(destination, self.settings.table)
            });
        }
    }

    /// Hosts to which less passes have routes that say so: an ICMP message does not reach a route
    /// that was chosen by ports.
    fn add_narrow(&mut self, entry: &Entry, index: u32, routes: &mut Vec<Route>) {
        let hosts = self
            .narrow
            .iter()
            .map(|(host, mtu)| (*host, u32::from(*mtu)));
        let hosts: Vec<(IpAddr, u32)> = hosts
            .filter(|(host, _)| entry.pair.remote.addresses.contains(*host))
            .collect();
        for (host, mtu) in hosts {
            let least = if host.is_ipv4() { MIN_V4 } else { MIN_V6 };
            let fits = mtu.saturating_sub(ROOM).max(least.into());
            let mtu = fits.min(self.settings.mtu);
            let destination = Prefix::host(host);
            let same = |route: &&mut Route| route.destination == destination;
            match routes.iter_mut().find(same) {
                Some(route) => route.mtu = Some(mtu),
                None => routes.push(Route {
                    link: Some(index),
                    mtu: Some(mtu),
                    source: self.preferred_source(destination),
                    ..Route::new(destination, self.settings.table)
                }),
            }
        }
    }

    fn preferred_source(&mut self, destination: Prefix) -> Option<IpAddr> {
        self.netlink
            .route_get(destination.address(), self.settings.mark)
            .ok()?
            .source
    }
}

/// The routing rules of one line of the policy. An address of this host needs no `from`: a new
/// connection has no source yet when its first packet is routed.
fn entry_rules(entry: &Entry, priority: u32, table: u32, spd: &Spd) -> Vec<Rule> {
    let (local, remote) = (&entry.pair.local, &entry.pair.remote);
    let family = Family::of(local.addresses.start());
    let own = local
        .addresses
        .as_host()
        .is_some_and(|host| spd.local_addresses().contains(&host));
    let sources: Vec<Option<Prefix>> = match own {
        true => vec![None],
        false => prefixes(&local.addresses).into_iter().map(Some).collect(),
    };
    let with_ports = matches!(local.protocol, 6 | 17 | 132);
    let ports = |range: policy::PortRange| {
        (with_ports && !range.is_any()).then_some((range.start.max(1), range.end))
    };
    let mut rules = Vec::new();
    for from in sources {
        for to in prefixes(&remote.addresses) {
            rules.push(Rule {
                from: from.filter(|prefix| prefix.length() > 0),
                to: (to.length() > 0).then_some(to),
                incoming: own.then(|| LOOPBACK.to_owned()),
                protocol: (local.protocol != 0).then_some(local.protocol),
                source_ports: ports(local.ports),
                destination_ports: ports(remote.ports),
                ..Rule::new(family, priority, RuleAction::Lookup(table))
            });
        }
    }
    rules
}
