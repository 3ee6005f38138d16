//! Replicators over ordered links that break, and a checker of what a survivor may go on with.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;

use super::*;

fn node(index: usize) -> NodeName {
    NodeName::new(["a", "b", "c"][index]).unwrap()
}

fn mail() -> GroupName {
    GroupName::new("mail").unwrap()
}

fn parcel(number: u64) -> Parcel {
    Parcel::new(number.to_be_bytes().to_vec())
}

fn number(parcel: &Parcel) -> u64 {
    u64::from_be_bytes(parcel.octets().try_into().unwrap())
}

/// The state is the set of numbers that were appended; a chunk carries one of them.
#[derive(Default)]
struct State {
    numbers: BTreeMap<u64, ()>,
    cursors: BTreeMap<NodeName, u64>,
}

struct Side {
    replicator: Replicator,
    state: State,
    /// What was committed, with the number at each position.
    given: BTreeMap<u64, u64>,
    seen_outside: Vec<u64>,
    forsaken: usize,
}

/// Two or three members, of which the first owns the group at first.
struct World {
    sides: Vec<Side>,
    wires: BTreeMap<(usize, usize), VecDeque<Parcel>>,
    epoch: u64,
    next: u64,
}

impl World {
    fn new(count: usize) -> Self {
        let side = |index| Side {
            replicator: Replicator::new(node(index), 1, false),
            state: State::default(),
            given: BTreeMap::new(),
            seen_outside: Vec::new(),
            forsaken: 0,
        };
        let mut world = Self {
            sides: (0..count).map(side).collect(),
            wires: BTreeMap::new(),
            epoch: 1,
            next: 1,
        };
        for index in 1..count {
            world.sides[index]
                .replicator
                .note_claim(&mail(), 1, &node(0));
        }
        assert!(!world.sides[0].replicator.own(&mail(), 1));
        for one in 0..count {
            for other in 0..count {
                if one != other {
                    world.sides[one].replicator.set_heard(&node(other), true);
                }
            }
        }
        world
    }

    fn link(&mut self, one: usize, other: usize, up: bool) {
        for (a, b) in [(one, other), (other, one)] {
            self.wires.insert((a, b), VecDeque::new());
            self.sides[a].replicator.set_linked(&node(b), up);
            self.drain(a);
        }
    }

    fn drain(&mut self, at: usize) {
        while let Some(output) = self.sides[at].replicator.poll_output() {
            let side = &mut self.sides[at];
            match output {
                ReplicaOutput::Send { to, message } => {
                    let to = (0..3).find(|index| node(*index) == to).unwrap();
                    if let Some(wire) = self.wires.get_mut(&(at, to)) {
                        wire.push_back(message);
                    }
                }
                ReplicaOutput::Fill { group, to, first } => {
                    let after = if first { 0 } else { side.state.cursors[&to] };
                    let next = side.state.numbers.range(after + 1..).next();
                    let next = next.map(|(number, ())| *number);
                    side.state.cursors.insert(to.clone(), next.unwrap_or(0));
                    let last = next.is_none();
                    side.replicator.chunk(&group, &to, next.map(parcel), last);
                }
                ReplicaOutput::Forsake { .. } => side.forsaken += 1,
                ReplicaOutput::Reset { .. } => side.state.numbers.clear(),
                ReplicaOutput::Apply { parcel, .. } => {
                    side.state.numbers.insert(number(&parcel), ());
                }
                ReplicaOutput::Committed { position, .. } => {
                    let (now, later) = side
                        .given
                        .iter()
                        .partition::<Vec<_>, _>(|(at, _)| **at <= position);
                    let later = later.into_iter().map(|(at, n)| (*at, *n)).collect();
                    side.seen_outside.extend(now.iter().map(|(_, n)| **n));
                    side.given = later;
                }
                _ => {}
            }
        }
    }

    fn append(&mut self, at: usize) {
        let number = self.next;
        self.next += 1;
        let side = &mut self.sides[at];
        side.state.numbers.insert(number, ());
        let position = side.replicator.append(&mail(), parcel(number));
        if position > 0 {
            let committed = side.replicator.committed(&mail()) >= position;
            match committed {
                true => side.seen_outside.push(number),
                false => {
                    side.given.insert(position, number);
                }
            }
        }
        self.drain(at);
    }

    /// Delivers one message, if there is one.
    fn deliver(&mut self, from: usize, to: usize) -> bool {
        let Some(wire) = self.wires.get_mut(&(from, to)) else {
            return false;
        };
        let Some(message) = wire.pop_front() else {
            return false;
        };
        let replicator = &mut self.sides[to].replicator;
        replicator.handle_message(&node(from), message.octets());
        self.drain(to);
        true
    }

    fn settle(&mut self) {
        let count = self.sides.len();
        while (0..count).any(|a| (0..count).any(|b| a != b && self.deliver(a, b))) {}
    }

    /// `to` takes over; what it inherits must hold all that anybody outside has seen.
    fn take_over(&mut self, from: usize, to: usize) -> bool {
        self.epoch += 1;
        let inherits = self.sides[to].replicator.own(&mail(), self.epoch);
        if inherits {
            for seen in &self.sides[from].seen_outside {
                let has = self.sides[to].state.numbers.contains_key(seen);
                assert!(has, "{seen} was seen outside, and the survivor lacks it");
            }
        }
        self.drain(to);
        inherits
    }
}

#[test]
fn a_copy_is_filled_while_changes_go_on_and_is_then_waited_for() {
    let mut world = World::new(2);
    for _ in 0..5 {
        world.append(0);
    }
    assert_eq!(world.sides[0].seen_outside.len(), 5, "alone, nothing waits");
    world.link(0, 1, true);
    for _ in 0..3 {
        world.deliver(0, 1);
        world.deliver(1, 0);
        world.append(0);
    }
    world.settle();
    let guarded = Standing::Guarded(vec![node(1)]);
    assert_eq!(world.sides[0].replicator.standing(&mail()), Some(guarded));
    let seen = world.sides[0].seen_outside.len();
    world.append(0);
    assert_eq!(
        world.sides[0].seen_outside.len(),
        seen,
        "not before it is stored"
    );
    world.settle();
    assert_eq!(world.sides[0].seen_outside.len(), seen + 1);
    assert!(world.take_over(0, 1));
    assert_eq!(world.sides[1].state.numbers.len(), 9);
}

#[test]
fn who_loses_a_copy_is_bound_until_it_is_back_or_has_left() {
    for left in [false, true] {
        let mut world = World::new(2);
        world.link(0, 1, true);
        world.settle();
        world.link(0, 1, false);
        let bound = Standing::Bound(vec![node(1)]);
        assert_eq!(world.sides[0].replicator.standing(&mail()), Some(bound));
        world.append(0);
        assert!(world.sides[0].seen_outside.is_empty());
        match left {
            true => {
                world.sides[0].replicator.set_left(&node(1));
                world.drain(0);
                let alone = Some(Standing::Alone);
                assert_eq!(world.sides[0].replicator.standing(&mail()), alone);
            }
            false => {
                world.link(0, 1, true);
                world.settle();
                assert!(world.sides[0].replicator.is_in_sync(&mail(), &node(1)));
            }
        }
        assert_eq!(world.sides[0].seen_outside.len(), 1);
        assert_eq!(world.sides[0].forsaken, 0);
    }
}

/// The earlier life may have taken over, sent, and died: the owner that never heard of it must not
/// go on with what that life had, nor give it to the next one.
#[test]
fn what_an_earlier_life_had_is_forsaken() {
    for told in [false, true] {
        let mut world = World::new(2);
        world.append(0);
        world.link(0, 1, true);
        world.settle();
        world.link(0, 1, false);
        world.sides[1].replicator = Replicator::new(node(1), 2, false);
        world.sides[1].replicator.set_heard(&node(0), true);
        world.sides[1].replicator.note_claim(&mail(), 1, &node(0));
        if told {
            world.sides[0].replicator.set_ended(&node(1));
            world.drain(0);
        }
        assert_eq!(world.sides[0].forsaken, usize::from(told));
        world.link(0, 1, true);
        world.settle();
        assert_eq!(world.sides[0].forsaken, 1);
        assert!(world.sides[0].replicator.is_in_sync(&mail(), &node(1)));
    }
}

#[test]
fn a_promoted_member_answers_its_predecessor_no_more() {
    let mut world = World::new(2);
    world.link(0, 1, true);
    world.settle();
    world.append(0);
    assert!(world.take_over(0, 1));
    world.settle();
    assert!(
        world.sides[0].seen_outside.is_empty(),
        "the zombie commits nothing"
    );
    // It hears of its successor, and gets a copy from it.
    world.sides[0].replicator.note_claim(&mail(), 2, &node(1));
    world.drain(0);
    world.settle();
    assert!(world.sides[1].replicator.is_in_sync(&mail(), &node(0)));
}

#[test]
fn a_copy_of_an_older_epoch_is_not_gone_on_with() {
    let mut world = World::new(3);
    world.link(0, 1, true);
    world.link(0, 2, true);
    world.settle();
    assert!(world.take_over(0, 1));
    world.append(1);
    assert!(!world.take_over(1, 2), "its copy is of epoch 1");
}

proptest! {
    #[test]
    fn a_survivor_never_lacks_what_was_seen(steps in proptest::collection::vec(0u8..12, 1..200)) {
        let mut world = World::new(2);
        for step in steps {
            match step {
                0 => world.link(0, 1, true),
                1 => world.link(0, 1, false),
                2 => {
                    world.sides[0].replicator.set_heard(&node(1), false);
                    world.drain(0);
                }
                3 => {
                    world.sides[0].replicator.set_heard(&node(1), true);
                    world.drain(0);
                }
                4..=6 => world.append(0),
                7..=9 => { world.deliver(0, 1); }
                _ => { world.deliver(1, 0); }
            }
        }
        world.take_over(0, 1);
    }
}
