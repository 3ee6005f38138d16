//! SAs found by SPI, at a cost that does not grow with their number (RFC 4301 4.4.2).

/// SAs by SPI: a slab of entries and an open-addressing index over it.
///
/// The index is never more than half full and its hash is a fixed multiplication: the SPIs in it
/// were chosen by us at random, so nobody outside can arrange for collisions. Growing happens when
/// an SA is installed, never when a packet is looked up.
pub struct Sad<T> {
    entries: Vec<Option<(u32, T)>>,
    free: Vec<u32>,
    index: Box<[Slot]>,
    count: usize,
}

#[derive(Clone, Copy)]
struct Slot {
    spi: u32,
    /// 0 when empty, otherwise the place in `entries` plus one.
    entry: u32,
}

const EMPTY: Slot = Slot { spi: 0, entry: 0 };
const FIRST_SLOTS: usize = 64;

impl<T> Sad<T> {
    /// An empty database.
    #[must_use]
    pub fn new() -> Self {
        let index = vec![EMPTY; FIRST_SLOTS].into_boxed_slice();
        Sad {
            entries: Vec::new(),
            free: Vec::new(),
            index,
            count: 0,
        }
    }

    /// How many SAs there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Puts an SA under its SPI and returns the one that was there.
    pub fn insert(&mut self, spi: u32, sa: T) -> Option<T> {
        if let Some(present) = self.get_mut(spi) {
            return Some(std::mem::replace(present, sa));
        }
        if (self.count + 1) * 2 > self.index.len() {
            self.grow();
        }
        let place = match self.free.pop() {
            Some(place) => place as usize,
            None => {
                self.entries.push(None);
                self.entries.len() - 1
            }
        };
        if let Some(entry) = self.entries.get_mut(place) {
            *entry = Some((spi, sa));
        }
        self.count += 1;
        self.link(spi, place as u32 + 1);
        None
    }

    /// Takes an SA out.
    pub fn remove(&mut self, spi: u32) -> Option<T> {
        let (slot, _) = self.find(spi);
        let slot = slot?;
        let entry = self.index.get(slot)?.entry;
        self.unlink(slot);
        self.count -= 1;
        self.free.push(entry - 1);
        self.entries
            .get_mut(entry as usize - 1)?
            .take()
            .map(|(_, sa)| sa)
    }

    /// The SA with this SPI.
    #[must_use]
    pub fn get(&self, spi: u32) -> Option<&T> {
        let place = self.place(spi)?;
        self.entries.get(place)?.as_ref().map(|(_, sa)| sa)
    }

    /// The SA with this SPI, to be changed.
    pub fn get_mut(&mut self, spi: u32) -> Option<&mut T> {
        let place = self.place(spi)?;
        self.entries.get_mut(place)?.as_mut().map(|(_, sa)| sa)
    }

    /// Every SA, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.entries.iter().flatten().map(|(spi, sa)| (*spi, sa))
    }

    /// How many slots of the index a lookup of this SPI reads: the measure of its cost.
    #[must_use]
    pub fn probes(&self, spi: u32) -> usize {
        self.find(spi).1
    }

    fn place(&self, spi: u32) -> Option<usize> {
        let slot = self.find(spi).0?;
        Some(self.index.get(slot)?.entry as usize - 1)
    }

    fn find(&self, spi: u32) -> (Option<usize>, usize) {
        let mask = self.index.len() - 1;
        let mut at = home(spi, self.index.len());
        for probes in 1..=self.index.len() {
            match self.index.get(at) {
                Some(slot) if slot.entry != 0 && slot.spi == spi => return (Some(at), probes),
                Some(slot) if slot.entry != 0 => at = (at + 1) & mask,
                _ => return (None, probes),
            }
        }
        (None, self.index.len())
    }

    fn link(&mut self, spi: u32, entry: u32) {
        let mask = self.index.len() - 1;
        let mut at = home(spi, self.index.len());
        while self.index.get(at).is_some_and(|slot| slot.entry != 0) {
            at = (at + 1) & mask;
        }
        if let Some(slot) = self.index.get_mut(at) {
            *slot = Slot { spi, entry };
        }
    }

    /// Empties a slot and moves later members of its run back, so that no run has a hole.
    fn unlink(&mut self, slot: usize) {
        let mask = self.index.len() - 1;
        let mut hole = slot;
        let mut at = (slot + 1) & mask;
        while let Some(next) = self.index.get(at).copied().filter(|next| next.entry != 0) {
            let wants = home(next.spi, self.index.len());
            if at.wrapping_sub(wants) & mask >= at.wrapping_sub(hole) & mask {
                if let Some(target) = self.index.get_mut(hole) {
                    *target = next;
                }
                hole = at;
            }
            at = (at + 1) & mask;
        }
        if let Some(target) = self.index.get_mut(hole) {
            *target = EMPTY;
        }
    }

    fn grow(&mut self) {
        let slots = self.index.len() * 2;
        let old = std::mem::replace(&mut self.index, vec![EMPTY; slots].into_boxed_slice());
        for slot in old.iter().filter(|slot| slot.entry != 0) {
            self.link(slot.spi, slot.entry);
        }
    }
}

impl<T> Default for Sad<T> {
    fn default() -> Self {
        Sad::new()
    }
}

/// Fibonacci hashing: the top bits of a product spread any pattern of SPIs.
fn home(spi: u32, slots: usize) -> usize {
    let bits = slots.trailing_zeros();
    (u64::from(spi).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - bits)) as usize
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn as_a_map(steps in proptest::collection::vec((0u8..3, 0u32..200), 1..600)) {
            let mut sad = Sad::new();
            let mut model = BTreeMap::new();
            for (number, (step, spi)) in steps.into_iter().enumerate() {
                // Half of the SPIs share their low bits.
                let spi = if spi % 2 == 0 { spi << 20 } else { spi };
                match step {
                    0 => prop_assert_eq!(sad.insert(spi, number), model.insert(spi, number)),
                    1 => prop_assert_eq!(sad.remove(spi), model.remove(&spi)),
                    _ => prop_assert_eq!(sad.get(spi), model.get(&spi)),
                }
                prop_assert_eq!(sad.len(), model.len());
            }
            let mut all: Vec<_> = sad.iter().map(|(spi, value)| (spi, *value)).collect();
            all.sort_unstable();
            prop_assert_eq!(all, model.into_iter().collect::<Vec<_>>());
        }
    }

    /// A simple generator of SPIs that look random.
    fn spis(count: u32) -> impl Iterator<Item = u32> {
        let mut state = 0x1234_5678u32;
        (0..count).map(move |_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state
        })
    }

    #[test]
    fn lookups_cost_the_same_with_ten_and_with_a_hundred_thousand_sas() {
        let mean = |count: u32| {
            let mut sad = Sad::new();
            for spi in spis(count) {
                sad.insert(spi, ());
            }
            let total: usize = spis(count).map(|spi| sad.probes(spi)).sum();
            total as f64 / f64::from(count)
        };
        for count in [10, 1_000, 100_000] {
            let mean = mean(count);
            assert!(mean < 2.0, "{count} SAs: {mean} slots read per lookup");
        }
    }
}
