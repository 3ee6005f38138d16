//! What happens to a packet, and why: the question as people write it, the answer as the contract.

use api::{Explanation, Passed};
use node::Node;
use policy::explain::{Outcome, explain as judge};
use policy::{Direction, Flow, Origin, Pad, Spd, protocol};
use serde_json::Value;
use std::net::{IpAddr, SocketAddr};

/// Explains a packet by a policy. With a `node`, says too whether an SA protects it now.
///
/// # Errors
/// A sentence, when the question is no packet.
pub(crate) fn explain(
    spd: &Spd,
    pad: &Pad,
    node: Option<&Node>,
    source: &str,
    destination: &str,
    protocol: &str,
) -> Result<Value, String> {
    let flow = flow(source, destination, protocol)?;
    let own = |address: &IpAddr| spd.local_addresses().contains(address);
    let (direction, word) = match (own(&flow.src), own(&flow.dst)) {
        (true, _) => (Direction::Outbound, "outbound"),
        (false, true) => (Direction::Inbound, "inbound"),
        (false, false) => (Direction::Outbound, "forwarded"),
    };
    let judged = judge(spd, pad, &flow, direction);
    let (rule, action, negotiation) = match &judged.outcome {
        Outcome::Exempt(_) | Outcome::NoRule => (None, "pass", None),
        Outcome::Rule(decision) => (
            Some(&decision.rule),
            decision.action.word(),
            decision.negotiation.as_ref(),
        ),
    };
    let peer = negotiation.and_then(|negotiation| negotiation.peer.as_ref().ok());
    let selectors = negotiation.map(|negotiation| {
        let pairs = negotiation.selectors.pairs();
        pairs
            .map(|pair| format!("{} === {}", pair.local, pair.remote))
            .collect()
    });
    let protected_now = node.filter(|_| negotiation.is_some()).map(|node| {
        let sas = node.ike().status(std::time::Instant::now());
        let mut children = sas.iter().flat_map(|sa| &sa.children);
        children.any(|child| child.selectors.contains(&flow, direction))
    });
    let origin = rule.and_then(|name| {
        let found = spd.rules().iter().find(|rule| rule.name == *name);
        found.map(|rule| rule.origin)
    });
    let mut text = judged.to_string();
    if let Some(name) = rule.filter(|_| origin == Some(Origin::Dynamic)) {
        text += &format!("\n`{name}` is dynamic: it is gone when the daemon ends.");
    }
    let passed = judged.earlier.iter().map(|passed| Passed {
        rule: passed.rule.to_string(),
        difference: passed.difference.to_string(),
    });
    let explanation = Explanation {
        packet: flow.to_string(),
        direction: word.to_owned(),
        rule: rule.map(ToString::to_string),
        origin: origin.map(|origin| origin.word().to_owned()),
        action: action.to_owned(),
        peer: peer.map(ToString::to_string),
        selectors: selectors.unwrap_or_default(),
        protected_now,
        passed: passed.collect(),
        text,
    };
    serde_json::to_value(explanation).map_err(|error| error.to_string())
}

fn flow(source: &str, destination: &str, protocol: &str) -> Result<Flow, String> {
    let (source, destination) = (side(source)?, side(destination)?);
    if source.is_ipv4() != destination.is_ipv4() {
        return Err("one address is IPv4 and the other IPv6: no packet has both".to_owned());
    }
    let number = protocol::parse(protocol).ok_or_else(|| {
        format!("`{protocol}` is no protocol; write tcp, udp, icmp, icmpv6, sctp or a number")
    })?;
    Ok(Flow {
        src: source.ip(),
        dst: destination.ip(),
        protocol: number,
        src_port: source.port(),
        dst_port: destination.port(),
    })
}

/// `ADDRESS:PORT`, or an address alone.
fn side(text: &str) -> Result<SocketAddr, String> {
    if let Ok(both) = text.parse() {
        return Ok(both);
    }
    let address: Result<IpAddr, _> = text.trim_matches(['[', ']']).parse();
    address
        .map(|address| SocketAddr::new(address, 0))
        .map_err(|_| {
            format!("`{text}` is not ADDRESS:PORT; write 10.0.0.5:110 or [2001:db8::5]:110")
        })
}
