//! IKEv1 with our own timers: it comes back as soon as IKEv2, and believes no forged word.

use policy::IkeVersion;
use sim::frame::{Content, FRONT, Frame, HostId, KeyLabel};
use sim::scenario::takeover::{self, Fault, Takeover};
use sim::{Settings, World};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};
use wire::isakmp::vendor::Vendor;
use wire::isakmp::{
    self, ExchangeType, Flags, Header, Notification, NotifyType, Payload, ProtocolId,
};

/// The node that has the group.
const OWNER: HostId = 1;
/// Forged datagrams of each attack, one per millisecond.
const FORGED: u64 = 10_000;

fn begun() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "only a place to count from")]
    Instant::now()
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn run(settings: Settings, fault: Fault, seed: u64) -> Takeover {
    let takeover = takeover::run(settings, fault, seed, begun()).expect("traffic flows again");
    assert_eq!(takeover.violations, Vec::<String>::new());
    takeover
}

/// The figures of IKEv2 are those of `kb821839.rs`; these are the same bounds.
#[test]
fn modern_timers_take_200_ms_for_a_move_and_a_second_for_a_crash() {
    for seed in 1..=10 {
        let settings = || takeover::modern(seed).with_ikev1(None);
        assert_eq!(settings().version, IkeVersion::V1);
        let gap = |fault| run(settings(), fault, seed).outage.gap();
        let (planned, crash) = (gap(Fault::PlannedMove), gap(Fault::Crash));
        assert!(planned <= ms(200), "seed {seed}: {planned:?}");
        assert!(crash <= ms(1000), "seed {seed}: {crash:?}");
    }
}

/// KB980915 in our own time: the host is away for half a second, and its clients are back as soon
/// as it serves again, within a second.
#[test]
fn kb980915_a_short_reboot_takes_as_long_as_the_reboot() {
    for seed in 1..=5 {
        let settings = takeover::modern(seed).with_ikev1(None);
        let gap = run(settings, Fault::Reboot(ms(500)), seed).outage.gap();
        assert!(gap <= ms(1500), "seed {seed}: {gap:?}");
    }
}

/// A front end and its node that speak with each other, both in good health.
fn in_use() -> World {
    let mut settings = Settings::modern().with_ikev1(None);
    settings.limits.ike_sas = 1000;
    let mut world = World::new(settings, 1, begun()).with_capture().running();
    world.run(ms(2000));
    assert_eq!(
        (world.ends()[FRONT].len(), world.owner(0)),
        (1, Some(OWNER))
    );
    world
}

fn from_group(world: &World, to: HostId, bytes: Vec<u8>) -> Frame {
    let (client, group) = (world.addresses().client(), world.addresses().group(0));
    let (src, dst) = match to {
        FRONT => (group, client),
        _ => (client, group),
    };
    let content = Content::Ike {
        src_port: 500,
        dst_port: 500,
        bytes,
    };
    Frame { src, dst, content }
}

/// The headers of the ISAKMP messages that a host has sent, with what follows them.
fn sent(world: &World, host: HostId) -> Vec<(Duration, Header, Vec<u8>)> {
    let of_host = world.wire().iter().filter(|one| one.host == host);
    let ike = of_host.filter_map(|one| match &one.frame.content {
        Content::Ike { bytes, .. } => {
            let (header, body) = isakmp::decode_header(bytes).ok()?;
            Some((one.at, header, body.to_vec()))
        }
        _ => None,
    });
    ike.collect()
}

/// Asserts that an attack has changed nothing: the same pairs, no other main mode, every request
/// answered, and so many questions.
fn nothing_changed(world: &World, before: &Before, questions: RangeInclusive<usize>) {
    assert_eq!(world.ends(), before.ends);
    let since = world.events()[before.events..].iter();
    let told: Vec<&ike::Event> = since
        .filter_map(|(_, _, event)| match event {
            node::Event::Ike(event) => Some(event),
            _ => None,
        })
        .collect();
    let asked = |event: &&&ike::Event| matches!(event, ike::Event::LivenessCheck { .. });
    let count = told.iter().filter(asked).count();
    assert!(questions.contains(&count), "{count} questions");
    let other = told.iter().find(|event| !asked(event));
    assert_eq!(other, None);
    let (requests, answers) = world.delivery().requests(before.at, world.time() - ms(200));
    assert!(requests > 100);
    assert_eq!(requests, answers);
    assert_eq!(world.violations(), []);
}

/// What an attack must not change.
struct Before {
    at: Duration,
    ends: sim::checker::Ends,
    events: usize,
}

fn before(world: &World) -> Before {
    Before {
        at: world.time(),
        ends: world.ends(),
        events: world.events().len(),
    }
}

/// Words that anybody can say, a thousand times a second: that the other end does not know our
/// cookies, or our ESP, and ESP that nobody knows. All of it is worth one question a second, which
/// the peer answers.
#[test]
fn forged_hints_cost_a_question_a_second_and_no_sa() {
    let mut world = in_use();
    let (_, last, _) = sent(&world, FRONT).pop().expect("both have spoken");
    let spi = world.ends()[FRONT][0].outbound_spi;
    let begun = before(&world);
    for number in 0..FORGED {
        let flags = Flags::default();
        let (one, other) = (last.initiator_cookie, last.responder_cookie);
        let header = Header::new(
            one,
            other,
            ExchangeType::INFORMATIONAL,
            flags,
            number as u32,
        );
        let notification = match number % 3 {
            0 => Notification::new(ProtocolId::ISAKMP, NotifyType::INVALID_COOKIE, Vec::new()),
            1 => Notification::esp(spi, NotifyType::INVALID_SPI, Vec::new()),
            _ => Notification::new(
                ProtocolId::ISAKMP,
                NotifyType::NO_PROPOSAL_CHOSEN,
                Vec::new(),
            ),
        };
        let bytes = isakmp::encode(&header, &[Payload::Notification(notification)]).unwrap();
        let mut frame = from_group(&world, FRONT, bytes);
        if number % 5 == 0 {
            let spi = 0x1000 + number as u32;
            frame.content = Content::Esp {
                ports: None,
                key: KeyLabel::default(),
                bytes: [spi.to_be_bytes(), [0, 0, 0, 1]].concat().repeat(8),
            };
        }
        world.inject(FRONT, frame);
        world.run(ms(1));
    }
    world.run(ms(1000));
    nothing_changed(&world, &begun, 9..=11);
    // The questions, and that some ESP is unknown, which is said at most four times a second.
    let said = sent(&world, FRONT).into_iter();
    let said = said.filter(|(at, _, _)| *at >= begun.at).count();
    assert!(said <= 11 + 44, "{said}");
}

/// First messages that say Vid-Initial-Contact, which nothing ever authenticates: the SAs that are
/// there stay, and half-open main modes have their bound.
#[test]
fn a_forged_initial_contact_ends_nothing() {
    let mut world = in_use();
    let first = sent(&world, FRONT).into_iter();
    let first = first.map(|(_, header, body)| (header, body));
    let mut first = first.filter(|(header, _)| header.responder_cookie == 0);
    let (header, body) = first.next_back().expect("the front end has called");
    let chain = isakmp::decode_payloads(header.next_payload, &body, false).unwrap();
    let payloads: Vec<Payload> = chain.payloads.into_iter().map(|one| one.payload).collect();
    let contact = Payload::VendorId(Vendor::InitialContact.octets());
    assert!(payloads.contains(&contact), "the front end was alone");
    let begun = before(&world);
    for number in 0..FORGED {
        let header = Header {
            initiator_cookie: header.initiator_cookie ^ (number + 1),
            ..header
        };
        let bytes = isakmp::encode(&header, &payloads).unwrap();
        let frame = from_group(&world, OWNER, bytes);
        world.inject(OWNER, frame);
        world.run(ms(1));
    }
    world.run(ms(1000));
    nothing_changed(&world, &begun, 0..=0);
    let node = world.host(OWNER).node().expect("it runs");
    let half_open = node.ike().half_open();
    assert!((1..=100).contains(&half_open), "{half_open}");
}
