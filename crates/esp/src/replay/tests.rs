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

/// A window that has accepted these numbers, and those that another one would take.
fn window_of(size: u32, numbers: &[u64]) -> ReplayWindow {
    let mut window = ReplayWindow::new(size, true);
    numbers.iter().for_each(|number| window.accept(*number));
    window
}

fn numbers() -> impl Strategy<Value = Vec<u64>> {
    let number = prop_oneof![1u64..200, 1u64..3000, (1u64 << 32) - 700..(1 << 32) + 700];
    proptest::collection::vec(number, 0..80)
}

proptest! {
    #[test]
    fn a_restored_window_refuses_what_either_has_seen(
        size in prop_oneof![Just(64u32), Just(1024), Just(4096)],
        (here, there) in (numbers(), numbers()),
    ) {
        let (mut window, other) = (window_of(size, &here), window_of(size, &there));
        let before = window_of(size, &here);
        let image = other.image();
        window.restore(&image);
        let highest = before.highest().max(other.highest());
        prop_assert_eq!(window.highest(), highest);
        for sequence in highest.saturating_sub(5000).max(1)..highest + 100 {
            let expected = before.check(sequence).is_ok()
                && !image.has_seen(sequence)
                && highest < sequence + u64::from(size);
            prop_assert_eq!(window.check(sequence).is_ok(), expected, "{}", sequence);
            // What the image holds is what its window would take, but for the oldest.
            let taken = other.check(sequence).is_ok();
            let recent = other.highest() < sequence + 1024;
            prop_assert!(image.has_seen(sequence) || taken || other.highest() >= sequence + 64);
            prop_assert!(!taken || !recent || !image.has_seen(sequence));
        }
    }

    #[test]
    fn an_image_survives_its_encoding(numbers in numbers(), rest in any::<[u8; 3]>()) {
        let image = window_of(1024, &numbers).image();
        let mut octets = Vec::new();
        image.encode(&mut octets);
        prop_assert!(octets.len() <= WindowImage::MAX_LENGTH);
        octets.extend(rest);
        prop_assert_eq!(WindowImage::decode(&octets), Some((image, &rest[..])));
        for end in 0..octets.len() - rest.len() {
            prop_assert_eq!(WindowImage::decode(&octets[..end]), None);
        }
    }

    #[test]
    fn any_octets_are_an_image_that_can_be_restored_or_none(
        octets in proptest::collection::vec(any::<u8>(), 0..160),
    ) {
        if let Some((image, _)) = WindowImage::decode(&octets) {
            let mut window = window_of(1024, &[5]);
            window.restore(&image);
            prop_assert!(window.check(5).is_err());
            prop_assert!(window.check(image.highest()).is_err());
        }
    }
}

#[test]
fn packets_in_order_cost_an_image_of_19_octets() {
    let numbers: Vec<u64> = (1..5000).collect();
    let mut octets = Vec::new();
    window_of(1024, &numbers).image().encode(&mut octets);
    assert_eq!(octets.len(), 19);
    assert_eq!(WindowImage::MAX_LENGTH, 147);
}

#[test]
fn an_image_that_no_window_can_have_is_refused() {
    let image = |highest: u64, map: [u8; 3], word: u64| {
        let mut octets = highest.to_be_bytes().to_vec();
        octets.extend(map);
        octets.extend(word.to_be_bytes());
        WindowImage::decode(&octets).is_some()
    };
    assert!(image(3, [0, 0, 1], 0b1000));
    assert!(!image(3, [0, 0, 1], 0b1_1000), "a number above the highest");
    assert!(!image(3, [0, 0, 1], 0b0100), "the highest was not seen");
    assert!(!image(3, [0, 0, 0], 0), "a full word that cannot be full");
    assert!(!image(63, [2, 0, 0], 0), "a word beyond the last");
    assert!(image(63, [0, 0, 0], 0));
}

#[test]
fn an_image_of_another_keeper_is_as_if_it_were_ours() {
    let mut window = ReplayWindow::new(1024, true);
    for number in (1..=3000).filter(|number| number % 7 != 3) {
        window.accept(number);
    }
    let ours = window.image();
    let theirs = WindowImage::of(3000, |number| number % 7 != 3);
    for number in 1976..=3000 {
        assert_eq!(ours.has_seen(number), theirs.has_seen(number), "{number}");
    }
    let mut octets = Vec::new();
    theirs.encode(&mut octets);
    assert_eq!(
        WindowImage::decode(&octets).map(|(image, _)| image),
        Some(theirs)
    );
    let none = WindowImage::of(0, |_| false);
    let mut octets = Vec::new();
    none.encode(&mut octets);
    assert!(WindowImage::decode(&octets).is_some());
}
