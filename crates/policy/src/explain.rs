//! What happens to a packet, and why: which rule decides, and why the earlier ones do not.

use std::fmt;

use wire::ip::Flow;

use crate::difference::Difference;
use crate::exemption::{self, Exemption};
use crate::names::{PeerName, RuleName};
use crate::pad::{Pad, Peer};
use crate::protocol::{ProtocolName, has_ports, is_icmp};
use crate::rule::{Action, Rule};
use crate::selector::{Direction, Selectors};
use crate::spd::{Match, Spd, Verdict};

/// What happens to one packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The packet.
    pub flow: Flow,
    /// Which way it goes.
    pub direction: Direction,
    /// What decides.
    pub outcome: Outcome,
    /// The entries that were compared before, in order, each with the first difference. Entries of
    /// one rule with the same difference stand here once.
    pub earlier: Vec<Passed>,
    /// How many entries the policy has.
    pub entries: usize,
}

/// An entry that did not match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// Its rule.
    pub rule: RuleName,
    /// Its place in the order, from 1.
    pub place: usize,
    /// The first thing in which the packet differs.
    pub difference: Difference,
}

/// What decides about a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing: such packets are exempt and pass.
    Exempt(Exemption),
    /// No rule is about it: it passes.
    NoRule,
    /// A rule.
    Rule(Box<Decision>),
}

/// What a rule decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The rule.
    pub rule: RuleName,
    /// The place of the entry that matched, from 1.
    pub place: usize,
    /// What it does.
    pub action: Action,
    /// Whether the rule is for an address that this host does not have.
    pub dormant: bool,
    /// Whether protection would be negotiated, with whom and for what; `None` for permit and block.
    pub negotiation: Option<Negotiation>,
}

/// With whom protection would be negotiated, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiation {
    /// The peer, or why there is none.
    pub peer: Result<PeerName, NoPeerReason>,
    /// The selectors that would be asked for.
    pub selectors: Selectors,
}

/// Why there is nobody to negotiate with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoPeerReason {
    /// The rule names a peer that does not exist.
    Unknown(PeerName),
    /// The rule's peer may not have this address (transport mode talks to the packet's).
    OtherAddress(PeerName),
    /// No peer has this address.
    NobodyThere,
    /// Tunnel mode needs a peer with one exact address, and this one has none.
    NoEndpoint(PeerName),
}

impl fmt::Display for NoPeerReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoPeerReason::Unknown(name) => write!(f, "there is no peer `{name}`"),
            NoPeerReason::OtherAddress(name) => {
                write!(
                    f,
                    "the peer `{name}` may not have the packet's remote address"
                )
            }
            NoPeerReason::NobodyThere => f.write_str("no peer has the packet's remote address"),
            NoPeerReason::NoEndpoint(name) => {
                write!(f, "the peer `{name}` has no exact address to call it at")
            }
        }
    }
}

/// The peer that a rule negotiates with for a packet, and the address to call it at.
///
/// # Errors
/// [`NoPeerReason`] when there is none.
pub fn select_peer<'a>(
    pad: &'a Pad,
    rule: &Rule,
    flow: &Flow,
    direction: Direction,
) -> Result<(&'a Peer, std::net::IpAddr), NoPeerReason> {
    let remote = match direction {
        Direction::Outbound => flow.dst,
        Direction::Inbound => flow.src,
    };
    let tunnel = rule
        .action
        .child()
        .is_some_and(|child| child.mode == crate::child::Mode::Tunnel);
    let peer = match &rule.peer {
        Some(name) => pad
            .find_by_name(name)
            .ok_or_else(|| NoPeerReason::Unknown(name.clone()))?,
        None => *pad
            .find_by_address(remote)
            .first()
            .ok_or(NoPeerReason::NobodyThere)?,
    };
    if tunnel {
        let endpoint = peer.endpoint();
        return endpoint
            .map(|endpoint| (peer, endpoint))
            .ok_or_else(|| NoPeerReason::NoEndpoint(peer.name.clone()));
    }
    if !peer.has_address(remote) {
        return Err(NoPeerReason::OtherAddress(peer.name.clone()));
    }
    Ok((peer, remote))
}

/// Says what happens to a packet and why.
#[must_use]
pub fn explain(spd: &Spd, pad: &Pad, flow: &Flow, direction: Direction) -> Explanation {
    let verdict = spd.lookup(flow, direction);
    let before = match &verdict {
        Verdict::Exempt(_) => 0,
        Verdict::Rule(found) => found.place,
        Verdict::NoRule => spd.entries().len(),
    };
    let mut earlier: Vec<Passed> = Vec::new();
    for (index, entry) in spd.entries().iter().take(before).enumerate() {
        let difference = Difference::of_packet(flow, direction, entry);
        let (Some(rule), Some(difference)) = (spd.rule_of(entry), difference) else {
            continue;
        };
        let again = |passed: &Passed| passed.rule == rule.name && passed.difference == difference;
        if !earlier.iter().any(again) {
            earlier.push(Passed {
                rule: rule.name.clone(),
                place: index + 1,
                difference,
            });
        }
    }
    let outcome = match verdict {
        Verdict::Exempt(exemption) => Outcome::Exempt(exemption),
        Verdict::NoRule => Outcome::NoRule,
        Verdict::Rule(found) => Outcome::Rule(Box::new(decide(&found, pad, flow, direction))),
    };
    Explanation {
        flow: *flow,
        direction,
        outcome,
        earlier,
        entries: spd.entries().len(),
    }
}

fn decide(found: &Match<'_>, pad: &Pad, flow: &Flow, direction: Direction) -> Decision {
    let negotiation = found.rule.action.child().map(|_| Negotiation {
        peer: select_peer(pad, found.rule, flow, direction).map(|(peer, _)| peer.name.clone()),
        selectors: found.selectors(flow, direction),
    });
    Decision {
        rule: found.rule.name.clone(),
        place: found.place + 1,
        action: found.rule.action.clone(),
        dormant: found.entry.dormant,
        negotiation,
    }
}

/// Prints a packet: `tcp 10.0.0.1:40000 -> 10.0.0.5:110`.
#[derive(Clone, Copy, Debug)]
pub struct FlowText<'a>(pub &'a Flow);

impl fmt::Display for FlowText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Flow {
            src,
            dst,
            protocol,
            src_port,
            dst_port,
        } = *self.0;
        let name = ProtocolName(protocol);
        if has_ports(protocol) {
            let source = std::net::SocketAddr::new(src, src_port);
            let destination = std::net::SocketAddr::new(dst, dst_port);
            return write!(f, "{name} {source} -> {destination}");
        }
        write!(f, "{name} {src} -> {dst}")?;
        if is_icmp(protocol) {
            write!(f, " (type {}, code {})", src_port >> 8, src_port & 0xff)?;
        }
        Ok(())
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "The {} packet {} ", self.direction, FlowText(&self.flow))?;
        match &self.outcome {
            Outcome::Exempt(exemption) => {
                return write!(f, "passes, whatever the rules say: {exemption}.");
            }
            Outcome::NoRule if self.entries == 0 => {
                return f.write_str("passes in clear text: there are no rules.");
            }
            Outcome::NoRule => f.write_str("passes in clear text: no rule is about it.")?,
            Outcome::Rule(decision) => write!(f, "{decision}")?,
        }
        if let Outcome::Rule(decision) = &self.outcome {
            write!(
                f,
                "\nThis is place {} of {} in the order",
                decision.place, self.entries
            )?;
            if self.earlier.is_empty() {
                return f.write_str(".");
            }
            f.write_str("; what comes before does not match:")?;
        } else {
            f.write_str("\nWhat was compared:")?;
        }
        for Passed {
            rule,
            place,
            difference,
        } in &self.earlier
        {
            write!(f, "\n  {place}. `{rule}`, because {difference}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Decision { rule, action, .. } = self;
        match action {
            Action::Exempt => {
                return write!(
                    f,
                    "passes in clear text, whatever other rules say: `{rule}` is a default \
                     exemption, {}.",
                    exemption::why(rule)
                );
            }
            Action::Permit => {
                return write!(f, "passes in clear text: the rule `{rule}` permits it.");
            }
            Action::Block => return write!(f, "is dropped: the rule `{rule}` blocks it."),
            Action::Negotiate(_) if self.dormant => {
                return write!(
                    f,
                    "is dropped: the rule `{rule}` protects it, but this host does not have the \
                     local address at the moment, so nothing can be negotiated."
                );
            }
            Action::Negotiate(negotiate) if negotiate.passive => write!(
                f,
                "passes in clear text until the peer begins to protect it: the rule `{rule}` \
                 answers, and begins nothing."
            )?,
            Action::Negotiate(negotiate) if negotiate.required => {
                write!(
                    f,
                    "leaves protected or not at all: the rule `{rule}` requires it."
                )?;
                if let Some(soft) = negotiate.soft {
                    let silence = soft.after.as_secs_f32();
                    let refused = if soft.despite_answer {
                        " or refuses"
                    } else {
                        ""
                    };
                    write!(
                        f,
                        " It leaves in clear text to a peer that says nothing for {silence} \
                         s{refused}: `soft`."
                    )?;
                }
                if negotiate.inpass {
                    f.write_str(" What comes in clear text is taken: `inpass`.")?;
                }
            }
            Action::Negotiate(_) => write!(
                f,
                "is protected if the peer speaks IPsec, else in clear text: the rule `{rule}` \
                 requests it."
            )?,
        }
        let Some(Negotiation { peer, selectors }) = &self.negotiation else {
            return Ok(());
        };
        let mode = action
            .child()
            .map(|child| child.mode.to_string())
            .unwrap_or_default();
        match peer {
            Ok(peer) => write!(
                f,
                "\nIt is negotiated with the peer `{peer}`, in {mode} mode, for {selectors}."
            ),
            Err(reason) => write!(f, "\nNothing can be negotiated, because {reason}."),
        }
    }
}

#[cfg(test)]
mod tests;
