//! One state of the whole: nodes, links, witness, what the peer has seen, and what was spent.

use crate::members::Members;
use crate::message::Message;
use crate::node::{NODES, Node, Owner, Stored};
use crate::pair::{Claim, Pair};
use crate::setting::{BLOCK, Setting};
use crate::wire::Wire;
use crate::witness::{Request, Witness};

/// One state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The nodes.
    pub nodes: Vec<Node>,
    /// Messages under way, by sender and receiver.
    queues: [[Vec<Message>; NODES]; NODES],
    /// Whose end of which connection is open: `open[a]` has `b` while `a` believes in it.
    pub open: [Members; NODES],
    /// Which life of the other each end was told of when the connection was made.
    pub heard: [[u8; NODES]; NODES],
    /// The witness's record (unused without one).
    pub witness: Witness,
    /// Requests to the witness, one per node.
    pub requests: [Option<Request>; NODES],
    /// What left for the peer.
    pub wire: Wire,
    /// What of the bounds was used.
    pub spent: Spent,
}

/// What of the bounds was used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Spent {
    /// Pairs of SAs that were made.
    pub pairs: u8,
    /// Crashes.
    pub crashes: u8,
    /// Connections lost by an owner.
    pub breaks: u8,
    /// Takeovers.
    pub takeovers: u8,
}

impl State {
    /// Node 0 owns one pair of SAs; everybody is in sync and holds its first block.
    #[must_use]
    pub fn first(setting: &Setting) -> Self {
        let all = Members::first(setting.configuration.nodes());
        let mut pair = Pair::fresh(0);
        pair.ceiling = BLOCK;
        let mut nodes = vec![Node::empty(0); setting.configuration.nodes()];
        for node in &mut nodes {
            node.promise = Claim::FIRST;
            node.synced = Claim::FIRST;
            node.pair = Some(pair.clone());
        }
        let mut owner = Owner::alone(Claim::FIRST, 0);
        owner.limit = BLOCK;
        owner.required = all.without(0);
        owner.following = all.without(0);
        owner.in_sync = all;
        owner.stored = [Stored {
            ceiling: BLOCK,
            begun: 0,
        }; NODES];
        nodes[0].owner = Some(owner);
        nodes[0].synced = Claim::default();
        let mut open = [Members::default(); NODES];
        for node in setting.nodes() {
            open[node] = all.without(node);
        }
        Self {
            nodes,
            queues: Default::default(),
            open,
            heard: Default::default(),
            witness: Witness {
                claim: Claim::FIRST,
                in_sync: all,
            },
            requests: [None; NODES],
            wire: Wire::default(),
            spent: Spent {
                pairs: 1,
                ..Spent::default()
            },
        }
    }

    /// The node as an owner with its pair, if it runs and believes that it owns.
    #[must_use]
    pub fn owner(&self, node: usize) -> Option<(&Owner, &Pair)> {
        let node = &self.nodes[node];
        let owner = node.owner.as_ref().filter(|_| node.up)?;
        Some((owner, node.pair.as_ref()?))
    }

    /// The same, to be changed.
    pub fn owner_mut(&mut self, node: usize) -> Option<(&mut Owner, &mut Pair)> {
        let node = &mut self.nodes[node];
        Some((node.owner.as_mut()?, node.pair.as_mut()?))
    }

    /// Whether both ends of the connection between two nodes are open.
    #[must_use]
    pub fn connected(&self, a: usize, b: usize) -> bool {
        self.open[a].has(b) && self.open[b].has(a)
    }

    /// `from` sends; what nobody listens for is lost.
    pub fn send(&mut self, from: usize, to: usize, message: Message) {
        if self.connected(from, to) {
            self.queues[from][to].push(message);
        }
    }

    /// Whether a message is ready for `to`, and `to` would read it.
    #[must_use]
    pub fn deliverable(&self, from: usize, to: usize) -> bool {
        self.nodes[to].up && !self.queues[from][to].is_empty()
    }

    /// The message that is ready, seen from outside.
    #[must_use]
    pub fn ready(&self, from: usize, to: usize) -> Option<&Message> {
        self.queues[from][to].first()
    }

    /// Takes the first message of a queue.
    pub fn receive(&mut self, from: usize, to: usize) -> Option<Message> {
        let queue = &mut self.queues[from][to];
        (!queue.is_empty()).then(|| queue.remove(0))
    }

    /// `node` closes its end towards `other`: what was under way to it is lost, what it has sent
    /// may still arrive.
    pub fn close(&mut self, node: usize, other: usize) {
        self.open[node] = self.open[node].without(other);
        self.queues[other][node].clear();
        self.heard[node][other] = 0;
    }

    /// A new connection: nothing of the old one is left.
    pub fn connect(&mut self, a: usize, b: usize) {
        self.queues[a][b].clear();
        self.queues[b][a].clear();
        self.open[a] = self.open[a].with(b);
        self.open[b] = self.open[b].with(a);
        self.heard[a][b] = self.nodes[b].incarnation;
        self.heard[b][a] = self.nodes[a].incarnation;
    }
}
