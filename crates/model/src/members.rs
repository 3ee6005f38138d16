//! A set of nodes, one bit each.

/// A set of nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Members(u8);

impl Members {
    /// The first `count` nodes.
    #[must_use]
    pub fn first(count: usize) -> Self {
        Self((1 << count) - 1)
    }

    /// One node.
    #[must_use]
    pub fn only(node: usize) -> Self {
        Self(1 << node)
    }

    /// Whether `node` belongs to it.
    #[must_use]
    pub fn has(self, node: usize) -> bool {
        self.0 & (1 << node) != 0
    }

    /// Whether nobody belongs to it.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The set with `node`.
    #[must_use]
    pub fn with(self, node: usize) -> Self {
        Self(self.0 | 1 << node)
    }

    /// The set without `node`.
    #[must_use]
    pub fn without(self, node: usize) -> Self {
        Self(self.0 & !(1 << node))
    }

    /// The nodes, lowest first.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        (0..8).filter(move |node| self.has(*node))
    }
}
