//! The window against a model that remembers everything, and the corners of RFC 4303 App. A.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// Remembers every number ever accepted.
struct Model {
    esn: bool,
    size: u64,
    highest: u64,
    seen: BTreeSet<u64>,
}

impl Model {
    fn new(size: u32, esn: bool) -> Self {
        Model {
            esn,
            size: u64::from(size),
            highest: 0,
            seen: BTreeSet::new(),
        }
    }

    /// The lowest candidate with these 32 bits that is not left of the window: what App. A means.
    fn infer(&self, low: u32) -> Option<u64> {
        if !self.esn {
            return Some(u64::from(low));
        }
        let left = i128::from(self.highest) - i128::from(self.size) + 1;
        let first = left >> 32;
        (first..=first + 2)
            .map(|high| high << 32 | i128::from(low))
            .find(|candidate| *candidate >= left)
            .and_then(|candidate| u64::try_from(candidate).ok())
    }

    fn fresh(&self, sequence: u64) -> bool {
        let end = u128::from(sequence) + u128::from(self.size);
        sequence != 0 && end > u128::from(self.highest) && !self.seen.contains(&sequence)
    }

    fn accept(&mut self, sequence: u64) {
        self.seen.insert(sequence);
        self.highest = self.highest.max(sequence);
    }
}

fn agree(size: u32, esn: bool, start: u64, moves: &[(bool, u32)]) {
    let mut window = ReplayWindow::new(size, esn);
    let mut model = Model::new(size, esn);
    if start > 0 {
        window.accept(start);
        model.accept(start);
    }
    for (forward, distance) in moves {
        let distance = u64::from(*distance);
        let top = model.highest;
        let actual = if *forward {
            top.saturating_add(distance)
        } else {
            top - distance.min(top)
        };
        let actual = if esn {
            actual
        } else {
            actual.min(u64::from(u32::MAX))
        };
        let low = actual as u32;
        let inferred = window.infer(low).ok();
        assert_eq!(
            inferred,
            model.infer(low),
            "inference of {low:#x} at {top:#x}"
        );
        let Some(sequence) = inferred else { continue };
        let fresh = window.check(sequence).is_ok();
        assert_eq!(fresh, model.fresh(sequence), "{sequence:#x} at {top:#x}");
        if fresh {
            window.accept(sequence);
            model.accept(sequence);
        }
        assert_eq!(window.highest(), model.highest);
    }
}

fn moves() -> impl Strategy<Value = Vec<(bool, u32)>> {
    let distance = prop_oneof![
        0u32..4,
        0u32..70,
        0u32..300,
        900u32..1100,
        0u32..5000,
        any::<u32>()
    ];
    proptest::collection::vec((any::<bool>(), distance), 1..200)
}

proptest! {
    #[test]
    fn as_the_model_with_32_bits(
        start in prop_oneof![Just(0u64), 1u64..3000, 0xffff_f000u64..=0xffff_ffff],
        size in prop_oneof![Just(64u32), Just(128), Just(1024), Just(4096)],
        moves in moves(),
    ) {
        agree(size, false, start, &moves);
    }

    #[test]
    fn as_the_model_with_extended_numbers(
        start in prop_oneof![Just(0u64), 1u64..3000, (1u64 << 32) - 2000..(1u64 << 32) + 2000,
            (7u64 << 32) - 2000..(7u64 << 32) + 2000, u64::MAX - 5000..=u64::MAX - 4000],
        size in prop_oneof![Just(64u32), Just(1024), Just(32768)],
        moves in moves(),
    ) {
        agree(size, true, start, &moves);
    }
}

#[test]
fn zero_is_refused() {
    assert_eq!(ReplayWindow::new(1024, false).check(0), Err(Refused::Zero));
    assert_eq!(ReplayWindow::new(1024, true).check(0), Err(Refused::Zero));
}

#[test]
fn edges_of_the_window() {
    let mut window = ReplayWindow::new(64, false);
    window.accept(100);
    assert_eq!(window.check(100), Err(Refused::Seen));
    assert_eq!(window.check(37), Ok(()));
    assert_eq!(window.check(36), Err(Refused::TooOld));
    window.accept(37);
    assert_eq!(window.check(37), Err(Refused::Seen));
    window.accept(101);
    assert_eq!(window.check(37), Err(Refused::TooOld));
}

#[test]
fn a_check_changes_nothing() {
    let window = ReplayWindow::new(64, false);
    for _ in 0..3 {
        assert_eq!(window.check(5), Ok(()));
    }
    assert_eq!(window.highest(), 0);
}

#[test]
fn a_jump_forward_forgets_every_word() {
    let mut window = ReplayWindow::new(1024, false);
    for sequence in 1..=1024 {
        window.accept(sequence);
    }
    window.accept(1_000_000);
    for sequence in 1_000_000 - 1023..1_000_000 {
        assert_eq!(window.check(sequence), Ok(()));
    }
}

/// RFC 4303 A2.2 case B: the window spans two subspaces, a late packet belongs to the lower one.
#[test]
fn a_late_packet_across_the_boundary_belongs_to_the_lower_subspace() {
    let mut window = ReplayWindow::new(64, true);
    window.accept(1 << 32 | 5);
    assert_eq!(window.infer(0xffff_fff0), Ok(0xffff_fff0));
    assert_eq!(window.infer(6), Ok(1 << 32 | 6));
    assert_eq!(window.infer(0xffff_ff00), Ok(1 << 32 | 0xffff_ff00));
}

/// RFC 4303 A2.2 case A: the window lies in one subspace, a small number belongs to the next.
#[test]
fn a_small_number_belongs_to_the_next_subspace() {
    let mut window = ReplayWindow::new(64, true);
    window.accept(0xffff_ffff);
    assert_eq!(window.infer(0), Ok(1 << 32));
    assert_eq!(window.infer(0xffff_ffc0), Ok(0xffff_ffc0));
    assert_eq!(window.infer(0xffff_ffbf), Ok(1 << 32 | 0xffff_ffbf));
}

#[test]
fn before_the_first_subspace_and_after_the_last_there_is_nothing() {
    let mut window = ReplayWindow::new(64, true);
    assert_eq!(window.infer(0xffff_ffff), Err(Refused::TooOld));
    window.accept(u64::MAX);
    assert_eq!(window.infer(3), Err(Refused::TooOld));
    assert_eq!(window.check(u64::MAX), Err(Refused::Seen));
}

#[test]
fn nothing_up_to_the_floor_and_everything_after_it() {
    for floor in [0u64, 5, 63, 64, 1023, 1024, 4095, 1 << 40] {
        let mut window = ReplayWindow::new(1024, true);
        window.accept(3);
        window.set_floor(floor);
        for sequence in floor.saturating_sub(2000).max(4)..=floor {
            assert!(
                window.check(sequence).is_err(),
                "{sequence} after floor {floor}"
            );
        }
        for sequence in floor.max(3) + 1..floor + 3000 {
            assert_eq!(
                window.check(sequence),
                Ok(()),
                "{sequence} after floor {floor}"
            );
            window.accept(sequence);
            assert_eq!(window.check(sequence), Err(Refused::Seen));
        }
        window.set_floor(1);
        assert!(window.highest() > 1);
    }
}
