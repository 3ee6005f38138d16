//! SAs that the owner of a half of the data plane is to look at (RFC 4301 4.4.2).

use std::collections::VecDeque;

/// A list of SAs, first come first served. Each is on it once at most, which the SA itself
/// remembers, so that there is always room and a packet never makes the list grow.
pub(crate) struct Due<K>(VecDeque<K>);

impl<K: Copy> Due<K> {
    /// Nothing is due.
    pub(crate) fn new() -> Self {
        Due(VecDeque::new())
    }

    /// Makes room for `count` SAs. What SAs that are gone have left on the list goes.
    pub(crate) fn make_room(&mut self, count: usize, belongs: impl Fn(K) -> bool) {
        if self.0.len() > count {
            self.0.retain(|key| belongs(*key));
        }
        self.0.reserve(count.saturating_sub(self.0.len()));
    }

    /// Whether nothing is due.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts an SA on the list.
    pub(crate) fn push(&mut self, key: K) {
        self.0.push_back(key);
    }

    /// Takes the first from the list.
    pub(crate) fn pop(&mut self) -> Option<K> {
        self.0.pop_front()
    }
}
