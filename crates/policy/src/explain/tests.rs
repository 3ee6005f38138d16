//! What the explanation says of packets that match, that do not, and that nobody can protect.

use std::sync::Arc;

use crypto::secret::Secret;

use super::*;
use crate::auth::Auth;
use crate::child::{ChildTemplate, Mode};
use crate::identity::Identity;
use crate::pad::IkeTemplate;
use crate::profile::{Profile, Side};
use crate::range::AddressRange;
use crate::rule::{AddressSpec, Filter, Negotiate, Origin};

fn range(text: &str) -> AddressRange {
    AddressRange::host(text.parse().unwrap())
}

fn peer(name: &str, addresses: Vec<AddressRange>) -> Peer {
    Peer {
        name: name.into(),
        addresses,
        local_id: Identity::Any,
        remote_id: Identity::Any,
        auth: Auth::psk(Secret::from_slice(b"key")),
        alternatives: Vec::new(),
        ike: IkeTemplate::modern(),
    }
}

fn spd() -> Spd {
    let vip = AddressSpec::Range(range("10.20.0.10"));
    let require = Action::Negotiate(Negotiate::require(Arc::new(ChildTemplate::transport())));
    let mail = Rule {
        name: "mail".into(),
        filters: Profile::Passwords.filters(&[AddressSpec::Me], &[vip], Side::Client),
        action: require,
        peer: None,
        origin: Origin::File,
    };
    let rest = Rule {
        name: "rest".into(),
        filters: vec![Filter::between(AddressSpec::Me, vip)],
        action: Action::Block,
        peer: None,
        origin: Origin::File,
    };
    Spd::build(vec![rest, mail], &["10.20.0.1".parse().unwrap()])
}

fn flow(dst_port: u16) -> Flow {
    Flow {
        src: "10.20.0.1".parse().unwrap(),
        dst: "10.20.0.10".parse().unwrap(),
        protocol: 6,
        src_port: 40_000,
        dst_port,
    }
}

#[test]
fn a_protected_packet() {
    let pad = Pad::new(vec![peer("backend", vec![range("10.20.0.10")])]);
    let explanation = explain(&spd(), &pad, &flow(143), Direction::Outbound);
    let expected = "The outbound packet tcp 10.20.0.1:40000 -> 10.20.0.10:143 leaves protected or \
not at all: the rule `mail` requires it.
It is negotiated with the peer `backend`, in transport mode, for 10.20.0.1/32[tcp] === \
10.20.0.10/32[tcp/110] 10.20.0.10/32[tcp/143].
This is place 2 of 3 in the order; what comes before does not match:
  1. `mail`, because its remote port is 143, not 110";
    assert_eq!(explanation.to_string(), expected);
    let Outcome::Rule(decision) = &explanation.outcome else {
        panic!("{explanation:?}")
    };
    assert_eq!((decision.place, decision.rule.as_str()), (2, "mail"));
    assert_eq!(
        decision.negotiation.as_ref().unwrap().peer,
        Ok("backend".into())
    );
}

#[test]
fn a_blocked_packet_and_one_that_no_rule_is_about() {
    let explanation = explain(&spd(), &Pad::default(), &flow(25), Direction::Outbound);
    assert!(
        explanation
            .to_string()
            .contains("is dropped: the rule `rest` blocks it.")
    );
    assert_eq!(explanation.earlier.len(), 2);
    let other = Flow {
        dst: "192.0.2.1".parse().unwrap(),
        ..flow(25)
    };
    let explanation = explain(&spd(), &Pad::default(), &other, Direction::Outbound);
    assert_eq!(explanation.outcome, Outcome::NoRule);
    let text = explanation.to_string();
    assert!(
        text.contains("passes in clear text: no rule is about it."),
        "{text}"
    );
    assert!(
        text.contains("its remote address is 192.0.2.1, not 10.20.0.10"),
        "{text}"
    );
}

#[test]
fn nobody_to_negotiate_with() {
    let elsewhere = Pad::new(vec![peer("other", vec![range("10.20.0.99")])]);
    let explanation = explain(&spd(), &elsewhere, &flow(110), Direction::Outbound);
    let text = explanation.to_string();
    assert!(
        text.contains("no peer has the packet's remote address"),
        "{text}"
    );

    let mut rule = spd().rules()[1].clone();
    let wanted = |rule: &Rule| select_peer(&elsewhere, rule, &flow(110), Direction::Outbound).err();
    rule.peer = Some("missing".into());
    assert_eq!(wanted(&rule), Some(NoPeerReason::Unknown("missing".into())));
    rule.peer = Some("other".into());
    assert_eq!(
        wanted(&rule),
        Some(NoPeerReason::OtherAddress("other".into()))
    );
    let child = ChildTemplate {
        mode: Mode::Tunnel,
        ..ChildTemplate::transport()
    };
    rule.action = Action::Negotiate(Negotiate::require(Arc::new(child)));
    assert_eq!(wanted(&rule), None, "a tunnel's end is not the packet's");
    let anywhere = Pad::new(vec![peer("other", Vec::new())]);
    let found = select_peer(&anywhere, &rule, &flow(110), Direction::Outbound).err();
    assert_eq!(found, Some(NoPeerReason::NoEndpoint("other".into())));
}
