//! Who has a flow, for how long, and what becomes of it.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::fixtures::address;

const FIRST: u64 = 11;
const SECOND_PARTY: u64 = 22;
const MINUTE: u64 = 60 * SECOND;

fn flow(port: u16) -> Flow {
    Flow {
        src: address(false, 7),
        dst: address(false, 1),
        protocol: protocol::TCP,
        src_port: port,
        dst_port: 110,
    }
}

fn two() -> (Arc<Sharing>, Claims) {
    let sharing = Arc::new(Sharing::new());
    let host = address(false, 7);
    sharing.join(host, FIRST, &PeerName::new("first"));
    sharing.join(host, SECOND_PARTY, &PeerName::new("second"));
    (Arc::clone(&sharing), Claims::new(sharing))
}

#[test]
fn a_flow_is_whose_who_used_it_first_and_the_other_is_told_once() {
    let (sharing, mut claims) = two();
    assert!(claims.claim(&flow(40_000), FIRST, true, 0));
    assert!(claims.claim(&flow(40_000), FIRST, false, 1));
    for now in 2..9 {
        assert!(!claims.claim(&flow(40_000), SECOND_PARTY, true, now));
    }
    assert!(claims.claim(&flow(40_001), SECOND_PARTY, true, 9));
    let out = |port| flow(port).reversed();
    assert_eq!(sharing.owner(&out(40_000), 9), Some(FIRST));
    assert_eq!(sharing.owner(&out(40_001), 9), Some(SECOND_PARTY));
    let refusal = Refusal {
        flow: flow(40_000),
        wanted_by: PeerName::new("second"),
        owner: Some(PeerName::new("first")),
    };
    assert_eq!(sharing.poll_refusal(), Some(refusal));
    assert_eq!(sharing.poll_refusal(), None);
    assert_eq!(sharing.changes(), 0);
}

#[test]
fn what_nobody_used_is_the_oldest_peer_s_and_stays_so() {
    let (sharing, mut claims) = two();
    assert_eq!(sharing.owner(&flow(5).reversed(), 0), Some(FIRST));
    assert!(!claims.claim(&flow(5), SECOND_PARTY, true, 1));
    let unknown = Flow {
        src: address(false, 8),
        ..flow(5)
    };
    assert_eq!(sharing.owner(&unknown.reversed(), 0), None);
}

#[test]
fn a_silent_connection_is_kept_as_long_as_a_nat_would_keep_it() {
    for (brief, minutes) in [(true, 5), (false, 124)] {
        let (sharing, mut claims) = two();
        assert!(claims.claim(&flow(1), FIRST, brief, 0));
        let end = minutes * MINUTE;
        assert!(!claims.claim(&flow(1), SECOND_PARTY, true, end - SECOND));
        assert!(claims.claim(&flow(1), SECOND_PARTY, true, end));
        assert_eq!(sharing.owner(&flow(1).reversed(), end), Some(SECOND_PARTY));
        assert_eq!(sharing.changes(), 1);
    }
}

#[test]
fn a_flow_in_use_never_grows_old() {
    let (_, mut claims) = two();
    for minute in 0..300 {
        assert!(claims.claim(&flow(1), FIRST, false, minute * MINUTE));
    }
    assert!(!claims.claim(&flow(1), SECOND_PARTY, true, 300 * MINUTE));
}

#[test]
fn with_the_last_sa_of_a_peer_its_flows_are_free() {
    let (sharing, mut claims) = two();
    let host = address(false, 7);
    assert!(claims.claim(&flow(1), FIRST, false, 0));
    sharing.join(host, FIRST, &PeerName::new("first"));
    sharing.leave(host, FIRST);
    assert!(!claims.claim(&flow(1), SECOND_PARTY, true, 1));
    sharing.leave(host, FIRST);
    assert!(claims.claim(&flow(1), SECOND_PARTY, true, 2));
    assert_eq!(sharing.owner(&flow(1).reversed(), 2), Some(SECOND_PARTY));
}

#[test]
fn echoes_and_their_answers_are_one_flow() {
    let (sharing, mut claims) = two();
    let echo = Flow {
        protocol: protocol::ICMP,
        src_port: 0x0800,
        dst_port: 0,
        ..flow(0)
    };
    assert!(claims.claim(&echo, SECOND_PARTY, true, 0));
    let answer = Flow {
        src_port: 0,
        ..echo.reversed()
    };
    assert_eq!(sharing.owner(&answer, 1), Some(SECOND_PARTY));
}

#[test]
fn one_peer_cannot_use_up_the_room_of_the_others() {
    let (sharing, mut claims) = two();
    let many = |port: usize| Flow {
        dst_port: (port >> 16) as u16,
        ..flow(port as u16)
    };
    for port in 0..MAX_FLOWS_OF_ONE {
        assert!(claims.claim(&many(port), SECOND_PARTY, false, 1));
    }
    assert!(!claims.claim(&many(MAX_FLOWS_OF_ONE), SECOND_PARTY, false, 1));
    assert_eq!(sharing.poll_refusal().unwrap().owner, None);
    assert!(claims.claim(&many(MAX_FLOWS_OF_ONE), FIRST, false, 1));
    // The oldest peer's own flows need not be remembered to be its own.
    for port in 0..=MAX_FLOWS_OF_ONE {
        assert!(claims.claim(&many(1 << 20 | port), FIRST, false, 1));
    }
    assert_eq!(sharing.table().flows.len(), 2 * MAX_FLOWS_OF_ONE);
    // What has ended makes room.
    let later = u64::from(CONNECTION) * SECOND + 2 * SECOND;
    assert!(claims.claim(&many(1 << 22), SECOND_PARTY, false, later));
}

proptest! {
    /// Against a model without time: the first has it, whatever the order of what comes.
    #[test]
    fn the_first_has_it(steps in proptest::collection::vec((0u16..12, any::<bool>()), 1..400)) {
        let (sharing, mut claims) = two();
        let mut model = BTreeMap::new();
        for (now, (port, second)) in steps.into_iter().enumerate() {
            let party = if second { SECOND_PARTY } else { FIRST };
            let owner = *model.entry(port).or_insert(party);
            let has_it = claims.claim(&flow(port), party, false, now as u64);
            prop_assert_eq!(has_it, owner == party);
            prop_assert_eq!(sharing.owner(&flow(port).reversed(), now as u64), Some(owner));
        }
        let counted: usize = sharing.table().counts.values().sum();
        prop_assert_eq!(counted, model.len());
    }
}
