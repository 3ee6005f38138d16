//! Messages of main mode that are too large for the path, in parts ([MS-IKEE] section 3.3).

use std::collections::BTreeMap;
use std::time::Instant;

use policy::pad::{IkeTemplate, Peer};
use policy::version::Legacy;
use wire::isakmp::{Flags, Fragment, Header, Payload, decode_payloads};

use crate::discard::Discard;
use crate::limits;
use crate::path::Path;
use crate::v1::message::{Message, clear};

/// Octets of IPv4, UDP and the non-ESP marker before a message, and of the two headers in it.
const OVERHEAD_V4: usize = 20 + 8 + 4 + Header::LENGTH + 8;
/// The same with IPv6.
const OVERHEAD_V6: usize = OVERHEAD_V4 + 20;
/// What Windows cuts to where the path is IPv4.
const WINDOWS_SIZE: u16 = 576;

/// What has come of one message.
pub(crate) struct Fragments {
    id: u16,
    parts: BTreeMap<u8, Vec<u8>>,
    last: Option<u8>,
    octets: usize,
    until: Instant,
}

impl Fragments {
    fn new(id: u16, now: Instant) -> Self {
        Fragments {
            id,
            parts: BTreeMap::new(),
            last: None,
            octets: 0,
            until: now + limits::FRAGMENTS_LIFE,
        }
    }

    /// The whole message, if all of it is here.
    fn whole(&self) -> Option<Vec<u8>> {
        let last = self.last?;
        let complete =
            self.parts.len() == usize::from(last) && self.parts.keys().copied().eq(1..=last);
        complete.then(|| self.parts.values().flatten().copied().collect())
    }
}

/// Adds a message that is a part of another. The whole comes back with the last of them. Nothing of
/// it is authentic yet: what is kept is bounded, and gives way to a message with another number.
///
/// # Errors
/// It is none, or is here already, or all would be longer than a message may be.
pub(crate) fn add(
    kept: &mut Option<Box<Fragments>>,
    message: &Message<'_>,
    now: Instant,
) -> Result<Option<Vec<u8>>, Discard> {
    let chain = decode_payloads(message.header.next_payload, message.body, false);
    let chain = chain.map_err(|_| Discard::Malformed)?;
    let [one] = chain.payloads.as_slice() else {
        return Err(Discard::Malformed);
    };
    let Payload::Fragment(Fragment {
        id,
        number,
        last,
        data,
    }) = &one.payload
    else {
        return Err(Discard::Malformed);
    };
    let current = kept.take().filter(|one| one.id == *id && one.until > now);
    let mut fragments = current.unwrap_or_else(|| Box::new(Fragments::new(*id, now)));
    let octets = fragments.octets + data.len();
    let refused = if fragments.parts.contains_key(number) {
        Some(Discard::Fragment)
    } else if octets > limits::REASSEMBLED {
        Some(Discard::Malformed)
    } else {
        None
    };
    if let Some(discard) = refused {
        *kept = Some(fragments);
        return Err(discard);
    }
    fragments.octets = octets;
    fragments.parts.insert(*number, data.clone());
    if *last {
        fragments.last = Some(*number);
    }
    // Some peers give all their messages the same number: what is whole is forgotten.
    let whole = fragments.whole();
    if whole.is_none() {
        *kept = Some(fragments);
    }
    Ok(whole)
}

/// A message as it is sent to a peer that puts fragments together: whole where the path is sure to
/// take it.
pub(crate) fn split(message: Vec<u8>, header: &Header, peer: &Peer, path: &Path) -> Vec<Vec<u8>> {
    let Some(most) = most(&peer.ike, path).filter(|most| message.len() > most + 36) else {
        return vec![message];
    };
    let parts = message.chunks(most);
    let count = parts.len();
    let flags = Flags::default();
    let header = Header { flags, ..*header };
    // The number of the message: of its last octets, which differ from those of any other.
    let id = message
        .iter()
        .rev()
        .take(8)
        .fold(1_u16, |id, octet| id.rotate_left(3) ^ u16::from(*octet));
    let part = |(number, data): (u8, &[u8])| {
        let last = usize::from(number) == count;
        let data = data.to_vec();
        let fragment = Fragment {
            id,
            number,
            last,
            data,
        };
        clear(&header, &[Payload::Fragment(fragment)])
    };
    (1..=u8::MAX).zip(parts).map(part).collect()
}

/// Octets of a message that one fragment carries; `None` where none are sent.
fn most(ike: &IkeTemplate, path: &Path) -> Option<usize> {
    let size = match ike.legacy {
        Some(Legacy::Windows2003) if path.remote.is_ipv4() => Some(WINDOWS_SIZE),
        Some(Legacy::Windows2003) => Some(IkeTemplate::FRAGMENT_SIZE),
        None => ike.fragment_size,
    };
    let overhead = match path.remote.is_ipv4() {
        true => OVERHEAD_V4,
        false => OVERHEAD_V6,
    };
    usize::from(size?)
        .checked_sub(overhead)
        .filter(|most| *most > 0)
}
