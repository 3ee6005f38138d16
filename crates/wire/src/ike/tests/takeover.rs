//! Tokens, counters and tickets: what is written is what is read, and nothing else is.

use super::*;
use proptest::prelude::*;

/// Through the octets of a payload and back.
fn over_the_wire(notify: Notify) -> Notify {
    let (first, octets) = encode_payloads(&[Payload::Notify(notify)]).unwrap();
    match decode_payloads(first, &octets).unwrap().remove(0) {
        Payload::Notify(notify) => notify,
        other => panic!("{other:?}"),
    }
}

proptest! {
    #[test]
    fn counters_round_trip(nonce: [u8; 4], send: u32, receive: u32, short: u32, long: u64) {
        let sync = MessageIdSync { nonce, send, receive };
        let notify = over_the_wire(sync.to_notify());
        prop_assert_eq!(MessageIdSync::of(&notify), Some(sync));
        prop_assert_eq!(ReplayCounterSync::of(&notify), None);
        let sides = [ReplayCounterSync::Short(short), ReplayCounterSync::Extended(long)];
        for (side, delta) in sides.into_iter().zip([u64::from(short), long]) {
            let notify = over_the_wire(side.to_notify());
            prop_assert_eq!(ReplayCounterSync::of(&notify), Some(side));
            prop_assert_eq!(MessageIdSync::of(&notify), None);
            prop_assert_eq!(side.delta(), delta);
        }
    }

    #[test]
    fn tokens_and_tickets_round_trip(
        data in prop::collection::vec(any::<u8>(), 0..200),
        seconds: u32,
    ) {
        let token = over_the_wire(Notify::crash_token(&data));
        let fits = (16..=128).contains(&data.len());
        prop_assert_eq!(token.as_crash_token(), fits.then_some(&data[..]));
        let ticket = LifetimeTicket { seconds, ticket: data.clone() };
        let read = LifetimeTicket::of(&over_the_wire(ticket.to_notify()));
        prop_assert_eq!(read, (!data.is_empty()).then_some(ticket));
    }

    #[test]
    fn data_of_another_length_or_type_is_nothing(
        kind: u16,
        data in prop::collection::vec(any::<u8>(), 0..24),
    ) {
        let notify = |kind| Notify::new(kind, data.clone());
        let sync = MessageIdSync::of(&notify(NotifyType::IKEV2_MESSAGE_ID_SYNC));
        prop_assert_eq!(sync.is_some(), data.len() == 12);
        let counters = ReplayCounterSync::of(&notify(NotifyType::IPSEC_REPLAY_COUNTER_SYNC));
        prop_assert_eq!(counters.is_some(), matches!(data.len(), 4 | 8));
        let ticket = LifetimeTicket::of(&notify(NotifyType::TICKET_LT_OPAQUE));
        prop_assert_eq!(ticket.is_some(), data.len() > 4);
        prop_assume!(![16409, 16419, 16422, 16423].contains(&kind));
        let other = notify(NotifyType(kind));
        prop_assert!(MessageIdSync::of(&other).is_none() && other.as_crash_token().is_none());
        prop_assert!(ReplayCounterSync::of(&other).is_none());
        prop_assert!(LifetimeTicket::of(&other).is_none());
    }
}

#[test]
fn the_octets_are_those_of_the_rfcs() {
    let octets = |notify: Notify| encode_payloads(&[Payload::Notify(notify)]).unwrap().1;
    let sync = MessageIdSync {
        nonce: [1, 2, 3, 4],
        send: 5,
        receive: 6,
    };
    let expected = [
        0, 0, 0, 20, 0, 0, 0x40, 0x26, 1, 2, 3, 4, 0, 0, 0, 5, 0, 0, 0, 6,
    ];
    assert_eq!(octets(sync.to_notify()), expected);
    let counters = octets(ReplayCounterSync::Short(7).to_notify());
    assert_eq!(counters, [0, 0, 0, 12, 0, 0, 0x40, 0x27, 0, 0, 0, 7]);
    let token = octets(Notify::crash_token(&[9; 16]));
    assert_eq!(token[..8], [0, 0, 0, 24, 1, 0, 0x40, 0x23]);
    let ticket = LifetimeTicket {
        seconds: 8,
        ticket: vec![9],
    };
    let expected = [0, 0, 0, 13, 0, 0, 0x40, 0x19, 0, 0, 0, 8, 9];
    assert_eq!(octets(ticket.to_notify()), expected);
}
