//! What members say to each other over their links: our own format, version 1.
//!
//! ```text
//! version 1 | kind 1 | group | epoch 8 | fill 4 | position 8 | parcel: the rest
//! ```
//! Numbers are big-endian; a name is its length in one byte and its bytes. A link is ordered, and
//! both its ends have proved who they are.

use crate::codec::{Reader, put, put_name};
use crate::names::GroupName;
use crate::parcel::Parcel;

const VERSION: u8 = 1;

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Whoever owns the group may offer it.
    Ask,
    /// The sender owns the group: who wants a copy may say so.
    Offer,
    /// The sender wants a copy of the group's state; `position` names its process.
    Want,
    /// A copy begins: what the receiver has is void.
    Begin,
    /// A part of the state as it is now.
    Chunk,
    /// The chunk is stored; the next, please.
    More,
    /// A change, to be stored before its effects are seen.
    Record,
    /// Everything up to `position` has been sent.
    Complete,
    /// Everything up to `position` is stored.
    Stored,
    /// The receiver is in sync: the owner waits for it from now on.
    InSync,
    /// A change that nobody waits for.
    Loose,
    /// A datagram for the group that came to the sender.
    Stray,
}

impl Kind {
    const ALL: [Self; 12] = [
        Self::Ask,
        Self::Offer,
        Self::Want,
        Self::Begin,
        Self::Chunk,
        Self::More,
        Self::Record,
        Self::Complete,
        Self::Stored,
        Self::InSync,
        Self::Loose,
        Self::Stray,
    ];

    fn number(self) -> u8 {
        let position = Self::ALL.iter().position(|kind| *kind == self);
        position.map_or(u8::MAX, |position| position as u8)
    }
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) kind: Kind,
    pub(crate) group: GroupName,
    /// Of the ownership that it belongs to.
    pub(crate) epoch: u64,
    /// Which copy of this ownership, counted by the owner.
    pub(crate) fill: u32,
    pub(crate) position: u64,
    pub(crate) parcel: Option<Parcel>,
}

impl Message {
    /// A message that says nothing beyond its kind.
    pub(crate) fn plain(kind: Kind, group: &GroupName, epoch: u64) -> Self {
        Self {
            kind,
            group: group.clone(),
            epoch,
            fill: 0,
            position: 0,
            parcel: None,
        }
    }

    pub(crate) fn encode(&self) -> Parcel {
        let parcel = self.parcel.as_ref().map_or(&[][..], Parcel::octets);
        let mut to = Vec::with_capacity(64 + parcel.len());
        to.extend_from_slice(&[VERSION, self.kind.number()]);
        put_name(&mut to, self.group.as_str());
        put(&mut to, self.epoch);
        to.extend_from_slice(&self.fill.to_be_bytes());
        put(&mut to, self.position);
        to.extend_from_slice(parcel);
        Parcel::new(to)
    }

    /// Reads a message; `None` when it is none.
    pub(crate) fn decode(octets: &[u8]) -> Option<Self> {
        let mut from = Reader::new(octets);
        if from.byte()? != VERSION {
            return None;
        }
        let kind = *Kind::ALL.get(usize::from(from.byte()?))?;
        let (group, epoch) = (from.group()?, from.number()?);
        let fill = u32::from_be_bytes(from.take(4)?.try_into().ok()?);
        let position = from.number()?;
        let rest = from.rest();
        Some(Self {
            kind,
            group,
            epoch,
            fill,
            position,
            parcel: (!rest.is_empty()).then(|| Parcel::new(rest.to_vec())),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(
            kind in 0usize..12,
            numbers in any::<(u64, u32, u64)>(),
            parcel in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            let message = Message {
                kind: Kind::ALL[kind],
                group: GroupName::new("mail").unwrap(),
                epoch: numbers.0,
                fill: numbers.1,
                position: numbers.2,
                parcel: (!parcel.is_empty()).then(|| Parcel::new(parcel)),
            };
            prop_assert_eq!(Message::decode(message.encode().octets()), Some(message));
        }

        #[test]
        fn nothing_else_is_read_with_harm(octets in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = Message::decode(&octets);
        }
    }

    #[test]
    fn a_parcel_is_not_printed() {
        let parcel = Parcel::new(b"key".to_vec());
        assert_eq!(format!("{parcel:?}"), "Parcel(3 octets)");
    }
}
