//! Properties of the heartbeat: nothing but the very bytes that a member sealed is accepted.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;

fn key(fill: u8) -> ClusterKey {
    ClusterKey::from_slice(&[fill; 32]).unwrap()
}

fn node() -> impl Strategy<Value = NodeName> {
    "[a-z0-9._-]{1,12}".prop_map(|name| NodeName::new(&name).unwrap())
}

fn group() -> impl Strategy<Value = GroupName> {
    "[A-Z0-9._-]{1,12}".prop_map(|name| GroupName::new(&name).unwrap())
}

fn life() -> impl Strategy<Value = Life> {
    (node(), any::<u64>()).prop_map(|(node, incarnation)| Life { node, incarnation })
}

fn claim() -> impl Strategy<Value = Claim> {
    (any::<u64>(), option::of(life()), 0u8..7).prop_map(|(epoch, owner, reason)| Claim {
        epoch,
        owner,
        reason: MoveReason::from_number(reason).unwrap(),
    })
}

fn peer() -> impl Strategy<Value = PeerReport> {
    (node(), any::<u64>(), any::<u64>(), any::<u64>(), 0u8..14).prop_map(
        |(node, incarnation, sequence, answered, verdict)| PeerReport {
            node,
            incarnation,
            sequence,
            answered,
            verdict: Refusal::from_number(verdict),
        },
    )
}

fn report() -> impl Strategy<Value = GroupReport> {
    (group(), claim(), 0u8..5, 0u8..3).prop_map(|(group, claim, state, ability)| GroupReport {
        group,
        claim,
        state: GroupState::from_number(state).unwrap(),
        ability: Ability::from_number(ability).unwrap(),
    })
}

fn order() -> impl Strategy<Value = Order> {
    prop_oneof![
        (group(), node()).prop_map(|(group, to)| Order::Move { group, to }),
        Just(Order::Pause),
        Just(Order::Resume),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    (1u64.., node(), order()).prop_map(|(id, to, order)| Request { id, to, order })
}

fn heartbeat() -> impl Strategy<Value = Heartbeat> {
    let head = (life(), any::<u64>(), any::<u64>(), 0u8..64);
    (
        head,
        vec(peer(), 0..4),
        vec(report(), 0..8),
        option::of(request()),
    )
        .prop_map(
            |((sender, sequence, fingerprint, flags), peers, groups, request)| Heartbeat {
                sender,
                sequence,
                fingerprint,
                flags: Flags::from_bits(flags).unwrap(),
                peers,
                groups,
                request,
            },
        )
}

fn open(datagram: &[u8]) -> Result<Heartbeat, Discard> {
    Heartbeat::open(datagram, [key(1), key(2)].iter())
}

/// Any body under a good tag: what a faulty member could send.
fn sealed(body: &[u8]) -> Vec<u8> {
    let mut datagram = MAGIC.to_vec();
    datagram.extend_from_slice(body);
    let tag = key(1).tag(&datagram);
    datagram.extend_from_slice(&tag);
    datagram
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_is_sealed_is_opened(heartbeat in heartbeat()) {
        let datagram = heartbeat.seal(&key(1));
        prop_assert!(datagram.len() <= MAX_HEARTBEAT);
        prop_assert_eq!(open(&datagram), Ok(heartbeat.clone()));
        prop_assert_eq!(open(&heartbeat.seal(&key(2))), Ok(heartbeat.clone()));
        prop_assert_eq!(open(&heartbeat.seal(&key(3))), Err(Discard::Tag));
    }

    #[test]
    fn every_prefix_and_every_continuation_is_refused(heartbeat in heartbeat(), more in 0u8..) {
        let mut datagram = heartbeat.seal(&key(1));
        for length in 0..datagram.len() {
            prop_assert!(open(&datagram[..length]).is_err(), "a prefix of {length} bytes");
        }
        datagram.push(more);
        prop_assert!(open(&datagram).is_err());
    }

    #[test]
    fn a_body_cut_or_continued_under_a_good_tag_is_malformed(heartbeat in heartbeat()) {
        let datagram = heartbeat.seal(&key(1));
        let body = &datagram[MAGIC.len()..datagram.len() - TAG_LENGTH];
        for length in 0..body.len() {
            prop_assert!(open(&sealed(&body[..length])).is_err(), "a body of {length} bytes");
        }
        let longer = [body, &[0]].concat();
        prop_assert_eq!(open(&sealed(&longer)), Err(Discard::Malformed));
    }

    #[test]
    fn any_body_under_a_good_tag_is_decoded_or_refused(
        body in vec(any::<u8>(), 0..MAX_HEARTBEAT),
    ) {
        if let Ok(heartbeat) = open(&sealed(&body)) {
            prop_assert_eq!(heartbeat.seal(&key(1)), sealed(&body));
        }
    }

    /// The encoding is canonical: what is accepted is what the decoded value encodes to.
    #[test]
    fn a_changed_body_under_a_good_tag_is_canonical_or_refused(
        heartbeat in heartbeat(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let datagram = heartbeat.seal(&key(1));
        let mut body = datagram[MAGIC.len()..datagram.len() - TAG_LENGTH].to_vec();
        let at = at.index(body.len());
        body[at] = byte;
        if let Ok(heartbeat) = open(&sealed(&body)) {
            prop_assert_eq!(heartbeat.seal(&key(1)), sealed(&body));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn every_flipped_bit_is_refused(heartbeat in heartbeat()) {
        let mut datagram = heartbeat.seal(&key(1));
        for bit in 0..datagram.len() * 8 {
            datagram[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(open(&datagram).is_err(), "bit {bit}");
            datagram[bit / 8] ^= 1 << (bit % 8);
        }
        prop_assert!(open(&datagram).is_ok());
    }
}

#[test]
fn lengths_out_of_range_are_refused_first() {
    assert_eq!(open(&[]), Err(Discard::Length));
    assert_eq!(open(&[0; SHORTEST - 1]), Err(Discard::Length));
    assert_eq!(open(&[0; SHORTEST]), Err(Discard::Magic));
    assert_eq!(open(&[0; MAX_HEARTBEAT]), Err(Discard::Magic));
    assert_eq!(open(&[0; MAX_HEARTBEAT + 1]), Err(Discard::Length));
}

#[test]
fn the_largest_heartbeat_is_as_long_as_computed() {
    let name = |text: &str| NodeName::new(text).unwrap();
    let peers = [
        Peer {
            name: name("peer-1"),
            addresses: Vec::new(),
        },
        Peer {
            name: name("p2"),
            addresses: Vec::new(),
        },
    ];
    let groups = ["mail", "a-longer-one"]
        .map(|group| GroupConfig::new(GroupName::new(group).unwrap(), Vec::new()));
    let owner = Life {
        node: name("peer-1"),
        incarnation: 7,
    };
    let heartbeat = Heartbeat {
        sender: Life {
            node: name("node-1"),
            incarnation: 1,
        },
        sequence: 1,
        fingerprint: 1,
        flags: Flags::default(),
        peers: peers
            .iter()
            .map(|peer| PeerReport {
                node: peer.name.clone(),
                incarnation: 1,
                sequence: 1,
                answered: 0,
                verdict: None,
            })
            .collect(),
        groups: groups
            .iter()
            .map(|group| GroupReport {
                group: group.name.clone(),
                claim: Claim {
                    epoch: 1,
                    owner: Some(owner.clone()),
                    reason: MoveReason::Planned,
                },
                state: GroupState::Online,
                ability: Ability::Barred,
            })
            .collect(),
        request: Some(Request {
            id: 1,
            to: name("peer-1"),
            order: Order::Move {
                group: groups[1].name.clone(),
                to: name("node-1"),
            },
        }),
    };
    let sent = heartbeat.seal(&key(1)).len();
    assert_eq!(sent, largest(&heartbeat.sender.node, &peers, &groups));
}
