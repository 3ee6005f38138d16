//! Whose a flow is when several peers share the address of a NAT (RFC 7296 2.23.1, RFC 5382 5,
//! RFC 4787 4.3).
//!
//! Two hosts behind one NAT look alike to this host: one address, and perhaps the same ports. A
//! flow belongs to whoever used it first, so that nobody takes over what another has begun.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use policy::names::PeerName;
use wire::ip::{Flow, protocol};

/// Flows remembered in all: some 6 MB.
const MAX_FLOWS: usize = 65_536;
/// Flows of one peer: it must not use up the room of the others behind its NAT.
pub const MAX_FLOWS_OF_ONE: usize = 16_384;
/// Refusals that wait to be fetched.
const MAX_REFUSALS: usize = 16;
/// How long a silent TCP connection stays its peer's, in seconds (RFC 5382 REQ-5).
pub const CONNECTION: u32 = 2 * 3600 + 4 * 60;
/// The same while it begins and after it has ended (RFC 5382 REQ-5), and for what is no TCP
/// (RFC 4787 REQ-5).
pub const BRIEF: u32 = 5 * 60;
/// Nanoseconds in a second.
const SECOND: u64 = 1_000_000_000;
/// How often the time of a flow in use is noted anew, in seconds.
const NOTED: u64 = 8;
/// Flows that the inbound worker remembers for that time; a power of two.
const RECENT: usize = 1024;

/// A flow was refused because it is another peer's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The flow, as it came in.
    pub flow: Flow,
    /// Who wanted it.
    pub wanted_by: PeerName,
    /// Who has it; `None` when too many flows of its peer are remembered already.
    pub owner: Option<PeerName>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Refusal {
            flow,
            wanted_by,
            owner,
        } = self;
        let Some(owner) = owner else {
            return write!(
                f,
                "{flow} of {wanted_by} is refused: {MAX_FLOWS_OF_ONE} connections of it are \
                 remembered, which is all that one of several peers behind a NAT may have"
            );
        };
        write!(
            f,
            "{flow} of {wanted_by} is refused: another host behind the same NAT ({owner}) uses \
             these addresses and ports. It is taken when that one ends its SA, or is silent \
             for {BRIEF} s ({CONNECTION} s in an open TCP connection); another source port works \
             at once"
        )
    }
}

/// Which flow is whose. The inbound worker writes and the outbound worker reads; both ask once per
/// flow and not per packet.
#[derive(Default)]
pub struct Sharing {
    table: Mutex<Table>,
    /// How often a flow has gone from one peer to another.
    changes: AtomicU64,
}

#[derive(Default)]
struct Table {
    flows: BTreeMap<Flow, Entry>,
    /// Peers by the host that their selectors name, in the order in which they came.
    hosts: BTreeMap<IpAddr, Vec<Party>>,
    /// How many flows each has.
    counts: BTreeMap<u64, usize>,
    refusals: VecDeque<Refusal>,
    /// The second in which outlived flows were last looked for.
    swept: u32,
}

struct Party {
    number: u64,
    name: PeerName,
    /// How many SAs it has.
    sas: usize,
}

struct Entry {
    party: u64,
    /// The second in which it ends.
    until: u32,
    /// Somebody else wanted it, and that was told.
    told: bool,
}

impl Sharing {
    /// A table without flows.
    #[must_use]
    pub fn new() -> Self {
        Sharing::default()
    }

    /// The next flow that was refused: each is told once for as long as it is another's.
    #[must_use]
    pub fn poll_refusal(&self) -> Option<Refusal> {
        self.table().refusals.pop_front()
    }

    /// How often a flow has gone from one peer to another: decisions made before may be wrong.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// A peer behind a NAT has one more SA.
    pub(crate) fn join(&self, host: IpAddr, number: u64, name: &PeerName) {
        let mut table = self.table();
        let parties = table.hosts.entry(host).or_default();
        match parties.iter_mut().find(|party| party.number == number) {
            Some(party) => party.sas += 1,
            None => parties.push(Party {
                number,
                name: name.clone(),
                sas: 1,
            }),
        }
    }

    /// A peer behind a NAT has one SA less. With the last one its flows are free.
    pub(crate) fn leave(&self, host: IpAddr, number: u64) {
        let mut table = self.table();
        let Some(parties) = table.hosts.get_mut(&host) else {
            return;
        };
        for party in parties.iter_mut().filter(|party| party.number == number) {
            party.sas = party.sas.saturating_sub(1);
        }
        parties.retain(|party| party.sas > 0);
        if parties.is_empty() {
            table.hosts.remove(&host);
        }
    }

    /// Whose a flow is that goes out; one that nobody has used is the oldest peer's, and stays so.
    pub(crate) fn owner(&self, outbound: &Flow, now: u64) -> Option<u64> {
        let flow = key(outbound.reversed());
        let mut table = self.table();
        if let Some(entry) = table.flows.get(&flow)
            && table.has(flow.src, entry.party)
        {
            return Some(entry.party);
        }
        let oldest = table.hosts.get(&flow.src)?.first()?.number;
        table.insert(flow, oldest, seconds(now) + BRIEF);
        Some(oldest)
    }

    /// Whether a peer may use a flow that came in: it has it already, or nobody has.
    fn claim(&self, flow: Flow, party: u64, brief: bool, now: u64) -> bool {
        let now = seconds(now);
        let until = now + if brief { BRIEF } else { CONNECTION };
        let mut table = self.table();
        let (host, known) = (flow.src, table.flows.get(&flow));
        match known.map(|entry| (entry.party, entry.until, entry.told)) {
            Some((owner, ..)) if owner == party => {
                if let Some(entry) = table.flows.get_mut(&flow) {
                    entry.until = until;
                }
            }
            Some((owner, end, told)) if end > now && table.has(host, owner) => {
                if !told {
                    table.refuse(flow, party, Some(owner));
                }
                return false;
            }
            Some(_) => {
                table.remove(&flow);
                table.insert(flow, party, until);
                self.changes.fetch_add(1, Ordering::Release);
            }
            None if table.has_room(party, now) => table.insert(flow, party, until),
            // What is not remembered is taken for the oldest peer's.
            None if table.is_oldest(host, party) => {}
            None => {
                table.refuse(flow, party, None);
                return false;
            }
        }
        true
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn has(&self, host: IpAddr, number: u64) -> bool {
        let mut parties = self.hosts.get(&host).into_iter().flatten();
        parties.any(|party| party.number == number)
    }

    fn is_oldest(&self, host: IpAddr, number: u64) -> bool {
        let first = self.hosts.get(&host).and_then(|parties| parties.first());
        first.is_some_and(|party| party.number == number)
    }

    fn insert(&mut self, flow: Flow, party: u64, until: u32) {
        let entry = Entry {
            party,
            until,
            told: false,
        };
        if let Some(old) = self.flows.insert(flow, entry) {
            self.uncount(old.party);
        }
        *self.counts.entry(party).or_default() += 1;
    }

    fn remove(&mut self, flow: &Flow) {
        if let Some(old) = self.flows.remove(flow) {
            self.uncount(old.party);
        }
    }

    fn uncount(&mut self, party: u64) {
        if let Some(count) = self.counts.get_mut(&party) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&party);
            }
        }
    }

    /// Whether another flow of a peer can be remembered, if need be in the place of what is over.
    fn has_room(&mut self, party: u64, now: u32) -> bool {
        let full = |table: &Table| {
            let own = table.counts.get(&party).copied().unwrap_or(0);
            own >= MAX_FLOWS_OF_ONE || table.flows.len() >= MAX_FLOWS
        };
        if full(self) && self.swept != now {
            self.swept = now;
            let over = |(flow, entry): (&Flow, &Entry)| {
                let ended = entry.until <= now || !self.has(flow.src, entry.party);
                ended.then_some(*flow)
            };
            let over: Vec<Flow> = self.flows.iter().filter_map(over).collect();
            over.iter().for_each(|flow| self.remove(flow));
        }
        !full(self)
    }

    fn refuse(&mut self, flow: Flow, party: u64, owner: Option<u64>) {
        if let Some(entry) = self.flows.get_mut(&flow) {
            entry.told = true;
        }
        let name = |number: u64| {
            let parties = self.hosts.get(&flow.src)?;
            let party = parties.iter().find(|party| party.number == number)?;
            Some(party.name.clone())
        };
        let Some(wanted_by) = name(party).filter(|_| self.refusals.len() < MAX_REFUSALS) else {
            return;
        };
        let owner = owner.and_then(name);
        self.refusals.push_back(Refusal {
            flow,
            wanted_by,
            owner,
        });
    }
}

/// The inbound worker's view: what it has asked lately it does not ask again.
pub(crate) struct Claims {
    pub(crate) sharing: std::sync::Arc<Sharing>,
    recent: Box<[Option<(Flow, u64, u64)>]>,
}

impl Claims {
    pub(crate) fn new(sharing: std::sync::Arc<Sharing>) -> Self {
        Claims {
            sharing,
            recent: vec![None; RECENT].into_boxed_slice(),
        }
    }

    /// Whether a peer may use a flow. `brief`: its connection begins or ends.
    pub(crate) fn claim(&mut self, flow: &Flow, party: u64, brief: bool, now: u64) -> bool {
        let flow = key(*flow);
        let place = self.recent.get_mut(place(&flow));
        if let Some(Some((known, owner, until))) = &place
            && (*known, *owner) == (flow, party)
            && now < *until
            && !brief
        {
            return true;
        }
        let has_it = self.sharing.claim(flow, party, brief, now);
        if let Some(place) = place.filter(|_| has_it && !brief) {
            *place = Some((flow, party, now.saturating_add(NOTED * SECOND)));
        }
        has_it
    }
}

/// What is told apart of a flow: of ICMP, whose answers have another type, only the hosts.
fn key(flow: Flow) -> Flow {
    match flow.protocol {
        protocol::ICMP | protocol::ICMPV6 | protocol::MOBILITY => Flow {
            src_port: 0,
            dst_port: 0,
            ..flow
        },
        _ => flow,
    }
}

fn place(flow: &Flow) -> usize {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => u64::from(address.to_bits()),
        IpAddr::V6(address) => (address.to_bits() >> 64) as u64 ^ address.to_bits() as u64,
    };
    let ports = u64::from(flow.src_port) << 16 | u64::from(flow.dst_port);
    let mixed = bits(flow.src).rotate_left(7) ^ bits(flow.dst).rotate_left(29) ^ ports;
    (mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize & (RECENT - 1)
}

/// Seconds of the caller's clock.
fn seconds(now: u64) -> u32 {
    u32::try_from(now / SECOND).unwrap_or(u32::MAX - CONNECTION)
}

#[cfg(test)]
mod tests;
