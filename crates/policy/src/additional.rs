//! Additional key exchanges: what is on offer, and what was agreed (RFC 9370 section 2.2.1).

use crypto::suite::Group;

/// How many there can be.
pub const MOST: usize = 7;

/// The word for an exchange that is left out.
pub(crate) const NONE: &str = "none";

/// What is on offer for each of the exchanges: methods in order of preference, `None` for leaving
/// it out; nothing where there is to be no such exchange.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdditionalOffer([Vec<Option<Group>>; MOST]);

/// The additional key exchanges that were agreed, in the order in which they are done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Additional([Option<Group>; MOST]);

impl AdditionalOffer {
    /// The choices for each exchange, in order.
    pub fn choices(&self) -> impl Iterator<Item = &[Option<Group>]> {
        self.0.iter().map(Vec::as_slice)
    }

    /// Adds a choice for an exchange, counted from 0; `false` if it is there, or there is no such
    /// exchange.
    pub fn add(&mut self, exchange: usize, choice: Option<Group>) -> bool {
        let Some(choices) = self.0.get_mut(exchange) else {
            return false;
        };
        let new = !choices.contains(&choice);
        if new {
            choices.push(choice);
        }
        new
    }

    /// Whether there may be an additional exchange.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.0.iter().flatten().any(Option::is_some)
    }
}

impl Additional {
    /// No additional key exchange.
    pub const NONE: Additional = Additional([None; MOST]);

    /// The methods for each of the exchanges, 0 for none. `None` if one is not known here.
    #[must_use]
    pub fn from_ids(ids: [u16; MOST]) -> Option<Self> {
        let mut additional = Additional::default();
        for (slot, id) in additional.0.iter_mut().zip(ids) {
            if id != 0 {
                *slot = Some(Group::from_id(id)?);
            }
        }
        Some(additional)
    }

    /// The methods' numbers for each of the exchanges, 0 for none.
    #[must_use]
    pub fn ids(self) -> [u16; MOST] {
        self.0.map(|group| group.map_or(0, Group::id))
    }

    /// The methods in the order in which they are done.
    pub fn groups(self) -> impl Iterator<Item = Group> {
        self.0.into_iter().flatten()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0.iter().all(Option::is_none)
    }
}

impl From<Additional> for AdditionalOffer {
    fn from(agreed: Additional) -> Self {
        AdditionalOffer(agreed.0.map(|group| match group {
            Some(group) => vec![Some(group)],
            None => Vec::new(),
        }))
    }
}
