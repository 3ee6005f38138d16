//! Histories made of events, as a new owner, an old one and a bystander see them.

use super::*;
use cluster::DownReason;

struct World {
    history: History,
    begun: Instant,
}

impl World {
    fn of(node: &str) -> Self {
        let history = History {
            node: node.to_owned(),
            before: VecDeque::new(),
            seen: VecDeque::new(),
            down: BTreeMap::new(),
            closed: BTreeMap::new(),
            writer: None,
        };
        Self {
            history,
            begun: Instant::now(),
        }
    }

    fn at(&mut self, ms: u64, event: Event) {
        let now = self.begun + Duration::from_millis(ms);
        let clock = SystemTime::UNIX_EPOCH + Duration::from_millis(ms);
        self.history.take(&event, now, clock);
    }

    fn last(&self) -> Move {
        self.history.answer(1).moves.remove(0)
    }
}

fn mail() -> GroupName {
    GroupName::new("mail").unwrap()
}

fn moved(from: &str, to: &str, epoch: u64, reason: MoveReason) -> Event {
    Event::Cluster(cluster::Event::GroupMoved {
        group: mail(),
        from: NodeName::new(from).ok(),
        to: NodeName::new(to).unwrap(),
        epoch,
        reason,
    })
}

fn down(node: &str, silence: u64) -> Event {
    Event::Cluster(cluster::Event::NodeDown {
        node: NodeName::new(node).unwrap(),
        why: DownReason::Silence,
        silence: Some(Duration::from_millis(silence)),
    })
}

fn first(direction: Direction) -> Event {
    let group = mail();
    Event::FirstPacket { group, direction }
}

fn inherited(count: usize) -> Event {
    let group = mail();
    Event::Inherited { group, count }
}

#[test]
fn a_crash_is_measured_from_the_last_heartbeat_to_the_first_packet() {
    let mut world = World::of("be2");
    world.at(1000, down("be1", 100));
    world.at(1002, moved("be1", "be2", 7, MoveReason::NodeDown));
    world.at(1002, inherited(3));
    world.at(1004, Event::AddressesUp { group: mail() });
    world.at(1009, first(Direction::Inbound));
    world.at(1012, first(Direction::Outbound));
    // Another gate opens: it is not the first packet of this move any more.
    world.at(1500, first(Direction::Outbound));
    let seen = world.last();
    assert_eq!((seen.inherited, seen.ike_sas), (Some(true), Some(3)));
    assert_eq!(seen.reason, "node_down");
    let phases = &seen.phases;
    assert_eq!(phases.silence_ms, Some(100.0));
    assert_eq!(phases.decision_ms, Some(2.0));
    assert_eq!(phases.addresses_ms, Some(2.0));
    assert_eq!(phases.first_opened_ms, Some(7.0));
    assert_eq!(phases.first_sealed_ms, Some(10.0));
    assert_eq!(seen.gap_ms, Some(109.0));
}

#[test]
fn a_planned_move_is_measured_from_the_closed_gate_at_both_ends() {
    let mut new = World::of("be2");
    new.at(10, Event::LastWord { group: mail() });
    new.at(12, moved("be1", "be2", 8, MoveReason::Planned));
    new.at(13, inherited(1));
    new.at(15, first(Direction::Outbound));
    let seen = new.last();
    assert_eq!(seen.phases.handover_ms, Some(3.0));
    assert_eq!((seen.phases.silence_ms, seen.gap_ms), (None, Some(5.0)));
    let mut old = World::of("be1");
    let to = NodeName::new("be2").unwrap();
    old.at(8, Event::GateClosed { group: mail(), to });
    old.at(12, moved("be1", "be2", 8, MoveReason::Planned));
    old.at(15, first(Direction::Outbound));
    let seen = old.last();
    assert_eq!(seen.phases.handover_ms, Some(4.0));
    assert_eq!((seen.inherited, seen.gap_ms), (None, None));
    assert_eq!(seen.phases.first_sealed_ms, None, "it is not the new owner");
}

#[test]
fn a_packet_that_nobody_waited_for_measures_no_gap() {
    let mut world = World::of("be2");
    world.at(1000, down("be1", 100));
    world.at(1001, moved("be1", "be2", 7, MoveReason::NodeDown));
    world.at(1001, inherited(0));
    world.at(100_000, first(Direction::Outbound));
    let seen = world.last();
    assert_eq!(seen.inherited, Some(false));
    assert_eq!(seen.phases.first_sealed_ms, Some(98_999.0));
    assert_eq!(seen.gap_ms, None);
}

#[test]
fn a_move_that_came_to_nothing_does_not_lengthen_the_next() {
    let mut world = World::of("be2");
    world.at(10, Event::LastWord { group: mail() });
    world.at(9_000, moved("be1", "be2", 8, MoveReason::NodeDown));
    world.at(9_001, inherited(1));
    assert_eq!(world.last().phases.handover_ms, None);
}

#[test]
fn only_so_many_are_remembered_and_the_latest_are_given() {
    let mut world = World::of("be3");
    for epoch in 1..=REMEMBERED as u64 + 5 {
        world.at(epoch, moved("be1", "be2", epoch, MoveReason::Failback));
    }
    let all = world.history.answer(usize::MAX).moves;
    assert_eq!(all.len(), REMEMBERED);
    assert_eq!(all[0].epoch, 6);
    let two = world.history.answer(2).moves;
    let epochs: Vec<u64> = two.iter().map(|one| one.epoch).collect();
    assert_eq!(epochs, [REMEMBERED as u64 + 4, REMEMBERED as u64 + 5]);
}
