//! The steps by name, with the words that tell a counterexample.

use crate::witness::Wish;
use std::fmt;

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// An owner sends an ESP packet.
    Send(usize),
    /// An owner asks for a higher ceiling.
    Reserve(usize),
    /// An owner makes an IKE message.
    Begin(usize),
    /// An owner lets an IKE message leave.
    Transmit(usize),
    /// An owner sends everything to a node.
    Sync(usize, usize),
    /// The second reads the next message of the first.
    Deliver(usize, usize),
    /// A node takes over without asking.
    TakeOver(usize),
    /// An owner replaces its pair of SAs.
    Replace(usize),
    /// A node asks the witness.
    Ask(usize, Wish),
    /// The witness carries out what a node asked for.
    CarryOut(usize),
    /// A node reads the witness's answer.
    Learn(usize),
    /// An owner sees in the witness's record that it owns no longer.
    See(usize),
    /// A node loses its memory.
    Crash(usize),
    /// A node starts with nothing.
    Start(usize),
    /// An owner loses its connection to a node.
    Break(usize, usize),
    /// Two nodes connect.
    Connect(usize, usize),
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(n) => write!(f, "node {n} sends an ESP packet"),
            Self::Reserve(n) => write!(f, "node {n} asks for a higher ceiling"),
            Self::Begin(n) => write!(f, "node {n} makes an IKE message"),
            Self::Transmit(n) => write!(f, "node {n} lets an IKE message leave"),
            Self::Sync(n, m) => write!(f, "node {n} sends everything to node {m}"),
            Self::Deliver(n, m) => write!(f, "node {m} reads what node {n} sent"),
            Self::TakeOver(n) => write!(f, "node {n} takes over"),
            Self::Replace(n) => write!(f, "node {n} replaces its SAs"),
            Self::Ask(n, Wish::Promote(_)) => write!(f, "node {n} asks to be the owner"),
            Self::Ask(n, Wish::Anew(..)) => write!(f, "node {n} asks to be the owner, new SAs"),
            Self::Ask(n, Wish::Shrink(_, m)) => write!(f, "node {n} asks: node {m} not in sync"),
            Self::Ask(n, Wish::Add(_, m)) => write!(f, "node {n} asks: node {m} in sync"),
            Self::CarryOut(n) => write!(f, "the witness decides on node {n}'s request"),
            Self::Learn(n) => write!(f, "node {n} reads the witness's answer"),
            Self::See(n) => write!(f, "node {n} sees that it owns no longer"),
            Self::Crash(n) => write!(f, "node {n} crashes"),
            Self::Start(n) => write!(f, "node {n} starts with nothing"),
            Self::Break(n, m) => write!(f, "node {n} loses its connection to node {m}"),
            Self::Connect(n, m) => write!(f, "nodes {n} and {m} connect"),
        }
    }
}
