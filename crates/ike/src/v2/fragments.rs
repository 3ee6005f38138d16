//! Fragments of a message on their way in: put together after each has been authenticated (RFC 7383
//! sections 2.5 and 2.6).

use std::net::IpAddr;

use wire::ike::{Fragment, Header, Malformed, PayloadType, Reason};
use zeroize::Zeroizing;

use crate::carrier::Carrier;
use crate::discard::Discard;
use crate::limits;
use crate::path::Path;

/// Octets before an IKE message: the headers of IP and UDP, and the non-ESP marker.
const AROUND_V4: usize = 20 + UDP + MARKER;
const AROUND_V6: usize = 40 + UDP + MARKER;
const UDP: usize = 8;
const MARKER: usize = 4;

/// The longest message that is sent whole along a path, with a configured size of IP packets;
/// `None` for any. TCP cuts by itself (RFC 9329 section 7.5).
pub(crate) fn limit(fragments: &Fragments, size: Option<u16>, path: &Path) -> Option<usize> {
    let size = size.filter(|_| fragments.agreed && path.carrier == Carrier::Udp);
    size.map(|size| longest(size, path.remote.ip()))
}

fn longest(size: u16, remote: IpAddr) -> usize {
    let around = match remote {
        IpAddr::V4(_) => AROUND_V4,
        IpAddr::V6(_) => AROUND_V6,
    };
    usize::from(size).saturating_sub(around)
}

/// Part of every IKE SA whose messages are encrypted: whether fragments are taken, and what has
/// come of them. In each direction at most one message is being put together.
#[derive(Default)]
pub(crate) struct Fragments {
    /// Both sides said that they know fragments.
    pub(crate) agreed: bool,
    request: Option<Box<Pieces>>,
    response: Option<Box<Pieces>>,
}

/// What is here of one message.
struct Pieces {
    message_id: u32,
    first: PayloadType,
    /// Of the first fragment, by which the message is known again.
    digest: [u8; 32],
    slots: Vec<Option<Zeroizing<Vec<u8>>>>,
    missing: usize,
    octets: usize,
}

/// A fragment that the peer's key authenticates, without padding.
pub(crate) struct Piece {
    pub(crate) fragment: Fragment,
    /// The type of the first payload, if it is the first fragment.
    pub(crate) first: PayloadType,
    pub(crate) digest: [u8; 32],
    pub(crate) text: Zeroizing<Vec<u8>>,
}

/// A message that is complete.
pub(crate) struct Whole {
    pub(crate) first: PayloadType,
    pub(crate) digest: [u8; 32],
    pub(crate) text: Zeroizing<Vec<u8>>,
}

impl Fragments {
    /// What an IKE SA begins with.
    pub(crate) fn new(agreed: bool) -> Self {
        Fragments {
            agreed,
            ..Fragments::default()
        }
    }

    /// Whether a fragment is worth decrypting.
    ///
    /// # Errors
    /// Fragments were not agreed on, or it is here already, or the message has come in more.
    pub(crate) fn admit(&self, header: &Header, fragment: Fragment) -> Result<(), Discard> {
        if !self.agreed {
            return Err(Discard::Fragmented);
        }
        let known = self.of(header.flags.response);
        let Some(known) = known.filter(|one| one.message_id == header.message_id) else {
            return Ok(());
        };
        let index = usize::from(fragment.number).saturating_sub(1);
        let is_here = known.slots.get(index).is_some_and(Option::is_some);
        match usize::from(fragment.total).cmp(&known.slots.len()) {
            std::cmp::Ordering::Less => Err(Discard::Fragment),
            std::cmp::Ordering::Equal if is_here => Err(Discard::Fragment),
            _ => Ok(()),
        }
    }

    /// Takes a fragment that was admitted and is authentic; gives the message once it is complete.
    ///
    /// # Errors
    /// The peer's own: the message would be longer than any may be.
    pub(crate) fn add(
        &mut self,
        header: &Header,
        piece: Piece,
    ) -> Result<Option<Whole>, Malformed> {
        let total = usize::from(piece.fragment.total);
        let slot = self.slot(header.flags.response);
        // Cut into more pieces than before it may pass a narrower link: what came goes.
        let fits = |one: &Pieces| one.message_id == header.message_id && one.slots.len() == total;
        let mut pieces = match slot.take().filter(|one| fits(one)) {
            Some(pieces) => pieces,
            None => Box::new(Pieces::new(header.message_id, total)),
        };
        pieces.put(piece)?;
        if pieces.missing == 0 {
            return Ok(Some(pieces.join()));
        }
        *slot = Some(pieces);
        Ok(None)
    }

    /// A message of this direction came whole: what came of another is of no use any more.
    pub(crate) fn forget(&mut self, response: bool) {
        *self.slot(response) = None;
    }

    fn of(&self, response: bool) -> Option<&Pieces> {
        match response {
            true => self.response.as_deref(),
            false => self.request.as_deref(),
        }
    }

    fn slot(&mut self, response: bool) -> &mut Option<Box<Pieces>> {
        match response {
            true => &mut self.response,
            false => &mut self.request,
        }
    }
}

impl Pieces {
    fn new(message_id: u32, total: usize) -> Self {
        Pieces {
            message_id,
            first: PayloadType::NONE,
            digest: [0; 32],
            slots: (0..total).map(|_| None).collect(),
            missing: total,
            octets: 0,
        }
    }

    fn put(&mut self, piece: Piece) -> Result<(), Malformed> {
        let too_long = Malformed::new(Reason::MessageLength, self.octets);
        self.octets += piece.text.len();
        if self.octets > limits::REASSEMBLED {
            return Err(too_long);
        }
        if piece.fragment.number == 1 {
            (self.first, self.digest) = (piece.first, piece.digest);
        }
        let index = usize::from(piece.fragment.number).saturating_sub(1);
        let slot = self.slots.get_mut(index).filter(|slot| slot.is_none());
        if let Some(slot) = slot {
            *slot = Some(piece.text);
            self.missing -= 1;
        }
        Ok(())
    }

    fn join(self) -> Whole {
        // All at once: a vector that grows would leave its old octets behind.
        let mut text = Zeroizing::new(Vec::with_capacity(self.octets));
        for piece in self.slots.into_iter().flatten() {
            text.extend_from_slice(&piece);
        }
        Whole {
            first: self.first,
            digest: self.digest,
            text,
        }
    }
}

#[cfg(test)]
mod tests;
