//! The heartbeat on the wire: the one datagram that members exchange (our own format, version 1).
//!
//! ```text
//! "HFhb" | version 1 | flags 1 | sender | incarnation 8 | sequence 8 | fingerprint 8
//! peers 1  | n × { node | incarnation 8 | sequence 8 | answered 8 | verdict 1 }
//! groups 1 | n × { group | epoch 8 | owner | incarnation 8 | reason 1 | state 1 | ability 1 }
//! request: 0, or id 8 (not 0) | to | 1 group target / 2 / 3
//! tag 32 = HMAC-SHA-256 over all of the above
//! ```
//! Numbers are big-endian; a name is its length in one byte and its bytes; an absent owner is a
//! name of length 0. Everything is said in every heartbeat, so losing one loses nothing.

use crate::claim::{Claim, Life};
use crate::codec::{Reader, put, put_name};
use crate::discard::Discard;
use crate::key::{ClusterKey, TAG_LENGTH};
use crate::limits::{MAX_GROUPS, MAX_HEARTBEAT, MAX_NAME, MAX_PEERS};
use crate::names::{GroupName, NodeName};
use crate::parts::{GroupConfig, Peer};
use crate::reason::{MoveReason, Refusal};
use crate::status::{Ability, GroupState};

const MAGIC: &[u8; 5] = b"HFhb\x01";
/// Magic, flags, a sender of one letter, three numbers, two counts, no request.
const SHORTEST: usize = 5 + 1 + 2 + 3 * 8 + 1 + 1 + 8 + TAG_LENGTH;

/// What the sender says of itself, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags {
    /// It keeps what it owns and takes nothing.
    pub(crate) paused: bool,
    /// It shuts down.
    pub(crate) leaving: bool,
    /// It has left.
    pub(crate) left: bool,
    /// It only listens so far.
    pub(crate) joining: bool,
    /// It wants to hear from the receiver at once.
    pub(crate) ask: bool,
    /// The sender's process has ended. It was sealed before, and says nothing else.
    pub(crate) died: bool,
    /// There is a witness, and the sender does not reach it.
    pub(crate) blind: bool,
}

/// What the sender has heard from one of its peers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PeerReport {
    pub(crate) node: NodeName,
    /// The peer's incarnation, and the latest sequence number heard from it; 0 and 0 if the
    /// sender does not hear it.
    pub(crate) incarnation: u64,
    pub(crate) sequence: u64,
    /// The latest request of the peer that was answered, and how.
    pub(crate) answered: u64,
    pub(crate) verdict: Option<Refusal>,
}

/// What the sender knows of a group, and does with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupReport {
    pub(crate) group: GroupName,
    pub(crate) claim: Claim,
    /// The group's state on the sender, whoever owns it.
    pub(crate) state: GroupState,
    /// Whether the sender could run it.
    pub(crate) ability: Ability,
}

/// What an operator asked on one node and another must do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Move { group: GroupName, to: NodeName },
    Pause,
    Resume,
}

/// An order under way; repeated in every heartbeat until it is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) id: u64,
    pub(crate) to: NodeName,
    pub(crate) order: Order,
}

/// A heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heartbeat {
    pub(crate) sender: Life,
    pub(crate) sequence: u64,
    pub(crate) fingerprint: u64,
    pub(crate) flags: Flags,
    pub(crate) peers: Vec<PeerReport>,
    pub(crate) groups: Vec<GroupReport>,
    pub(crate) request: Option<Request>,
}

/// The longest heartbeat of a node with these peers and groups, in bytes.
pub(crate) fn largest(node: &NodeName, peers: &[Peer], groups: &[GroupConfig]) -> usize {
    let names = peers.iter().map(|peer| &peer.name).chain([node]);
    let node_name = names
        .map(|name| name.as_str().len())
        .max()
        .unwrap_or(MAX_NAME);
    let group_name = groups
        .iter()
        .map(|group| group.name.as_str().len())
        .max()
        .unwrap_or(0);
    let peers: usize = peers.iter().map(|peer| 26 + peer.name.as_str().len()).sum();
    let groups: usize = groups
        .iter()
        .map(|group| 21 + group.name.as_str().len() + node_name)
        .sum();
    let request = 12 + 2 * node_name + group_name;
    MAGIC.len() + 1 + 1 + node_name + 24 + 2 + peers + groups + request + TAG_LENGTH
}

impl Heartbeat {
    /// The last word of a life, for somebody who outlives it.
    pub(crate) fn farewell(sender: Life, fingerprint: u64) -> Self {
        Self {
            sender,
            sequence: u64::MAX,
            fingerprint,
            flags: Flags {
                died: true,
                ..Flags::default()
            },
            peers: Vec::new(),
            groups: Vec::new(),
            request: None,
        }
    }

    /// Encodes and authenticates.
    pub(crate) fn seal(&self, key: &ClusterKey) -> Vec<u8> {
        let mut to = Vec::with_capacity(MAX_HEARTBEAT);
        to.extend_from_slice(MAGIC);
        to.push(self.flags.bits());
        put_name(&mut to, self.sender.node.as_str());
        for number in [self.sender.incarnation, self.sequence, self.fingerprint] {
            put(&mut to, number);
        }
        to.push(self.peers.len() as u8);
        for peer in &self.peers {
            put_name(&mut to, peer.node.as_str());
            for number in [peer.incarnation, peer.sequence, peer.answered] {
                put(&mut to, number);
            }
            to.push(peer.verdict.map_or(0, Refusal::number));
        }
        to.push(self.groups.len() as u8);
        for group in &self.groups {
            put_group(&mut to, group);
        }
        put_request(&mut to, self.request.as_ref());
        let tag = key.tag(&to);
        to.extend_from_slice(&tag);
        to
    }

    /// Authenticates under any of the keys, then decodes.
    ///
    /// # Errors
    /// The reason to discard the datagram.
    pub(crate) fn open<'k>(
        datagram: &[u8],
        mut keys: impl Iterator<Item = &'k ClusterKey>,
    ) -> Result<Self, Discard> {
        if !(SHORTEST..=MAX_HEARTBEAT).contains(&datagram.len()) {
            return Err(Discard::Length);
        }
        if !datagram.starts_with(MAGIC) {
            return Err(Discard::Magic);
        }
        let end = datagram.len().saturating_sub(TAG_LENGTH);
        let (body, tag) = datagram.split_at_checked(end).ok_or(Discard::Length)?;
        if !keys.any(|key| key.verify(body, tag)) {
            return Err(Discard::Tag);
        }
        let mut reader = Reader::new(body.get(MAGIC.len()..).ok_or(Discard::Length)?);
        let heartbeat = reader.heartbeat().ok_or(Discard::Malformed)?;
        if reader.is_empty() {
            Ok(heartbeat)
        } else {
            Err(Discard::Malformed)
        }
    }
}

impl Flags {
    fn bits(self) -> u8 {
        let flags = [
            self.paused,
            self.leaving,
            self.left,
            self.joining,
            self.ask,
            self.died,
            self.blind,
        ];
        flags
            .iter()
            .rev()
            .fold(0, |bits, flag| bits << 1 | u8::from(*flag))
    }

    fn from_bits(bits: u8) -> Option<Self> {
        let flag = |position: u8| bits >> position & 1 == 1;
        (bits >> 7 == 0).then(|| Self {
            paused: flag(0),
            leaving: flag(1),
            left: flag(2),
            joining: flag(3),
            ask: flag(4),
            died: flag(5),
            blind: flag(6),
        })
    }
}

fn put_group(to: &mut Vec<u8>, report: &GroupReport) {
    put_name(to, report.group.as_str());
    put(to, report.claim.epoch);
    put_name(to, report.claim.owner_name().map_or("", NodeName::as_str));
    put(
        to,
        report
            .claim
            .owner
            .as_ref()
            .map_or(0, |life| life.incarnation),
    );
    to.push(report.claim.reason.number());
    to.push(report.state.number());
    to.push(report.ability.number());
}

fn put_request(to: &mut Vec<u8>, request: Option<&Request>) {
    put(to, request.map_or(0, |request| request.id));
    let Some(request) = request else { return };
    put_name(to, request.to.as_str());
    match &request.order {
        Order::Move { group, to: target } => {
            to.push(1);
            put_name(to, group.as_str());
            put_name(to, target.as_str());
        }
        Order::Pause => to.push(2),
        Order::Resume => to.push(3),
    }
}

impl Reader<'_> {
    fn heartbeat(&mut self) -> Option<Heartbeat> {
        let flags = Flags::from_bits(self.byte()?)?;
        let sender = Life {
            node: self.node()?,
            incarnation: self.number()?,
        };
        let sequence = self.number()?;
        let fingerprint = self.number()?;
        let peers = self.count(MAX_PEERS)?;
        let peers = (0..peers)
            .map(|_| self.peer())
            .collect::<Option<Vec<_>>>()?;
        let groups = self.count(MAX_GROUPS)?;
        let groups = (0..groups)
            .map(|_| self.report())
            .collect::<Option<Vec<_>>>()?;
        let request = self.request()?;
        Some(Heartbeat {
            sender,
            sequence,
            fingerprint,
            flags,
            peers,
            groups,
            request,
        })
    }

    fn peer(&mut self) -> Option<PeerReport> {
        Some(PeerReport {
            node: self.node()?,
            incarnation: self.number()?,
            sequence: self.number()?,
            answered: self.number()?,
            verdict: match self.byte()? {
                0 => None,
                number => Some(Refusal::from_number(number)?),
            },
        })
    }

    fn report(&mut self) -> Option<GroupReport> {
        let group = self.group()?;
        let epoch = self.number()?;
        let owner = match self.text()? {
            "" => None,
            name => Some(NodeName::new(name).ok()?),
        };
        let incarnation = self.number()?;
        let owner = match (owner, incarnation) {
            (Some(node), incarnation) => Some(Life { node, incarnation }),
            (None, 0) => None,
            (None, _) => return None,
        };
        let reason = MoveReason::from_number(self.byte()?)?;
        let claim = Claim {
            epoch,
            owner,
            reason,
        };
        let state = GroupState::from_number(self.byte()?)?;
        Some(GroupReport {
            group,
            claim,
            state,
            ability: Ability::from_number(self.byte()?)?,
        })
    }

    /// The outer `None` is a malformed request, the inner one no request.
    fn request(&mut self) -> Option<Option<Request>> {
        let id = self.number()?;
        if id == 0 {
            return Some(None);
        }
        let to = self.node()?;
        let order = match self.byte()? {
            1 => Order::Move {
                group: self.group()?,
                to: self.node()?,
            },
            2 => Order::Pause,
            3 => Order::Resume,
            _ => return None,
        };
        Some(Some(Request { id, to, order }))
    }
}

#[cfg(test)]
mod tests;
