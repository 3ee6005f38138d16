//! Opened packets of one receive batch, joined where they can be, as writes for a TUN device.

use std::ops::Range;

use crate::inbound::coalesce::{Coalescer, HEADER_ROOM, Joined};
use crate::inbound::segment::Segment;
use crate::offload::Offload;

/// One packet for the host: a header of its own and pieces of the receive buffer behind it. Given
/// to one gathering write after the header that describes `offload`.
pub struct Write {
    offload: Offload,
    header: [u8; HEADER_ROOM],
    header_length: usize,
    pieces: Vec<Range<usize>>,
    joined: Option<Joined>,
}

impl Write {
    /// What the TUN device must know of the packet.
    #[must_use]
    pub fn offload(&self) -> &Offload {
        &self.offload
    }

    /// The first bytes of the packet; may be none.
    #[must_use]
    pub fn header(&self) -> &[u8] {
        self.header.get(..self.header_length).unwrap_or_default()
    }

    /// Places in the receive buffer of what follows the header, in order; at most
    /// [`MAX_PIECES`](crate::inbound::MAX_PIECES).
    #[must_use]
    pub fn pieces(&self) -> &[Range<usize>] {
        &self.pieces
    }

    /// Length of the packet in bytes.
    #[must_use]
    pub fn length(&self) -> usize {
        self.header_length
            + self
                .pieces
                .iter()
                .map(ExactSizeIterator::len)
                .sum::<usize>()
    }

    /// The packet in one piece, `buffer` being the receive buffer.
    #[must_use]
    pub fn to_vec(&self, buffer: &[u8]) -> Vec<u8> {
        let mut packet = self.header().to_vec();
        for piece in &self.pieces {
            packet.extend_from_slice(buffer.get(piece.clone()).unwrap_or_default());
        }
        packet
    }

    fn empty() -> Self {
        Write {
            offload: Offload::NONE,
            header: [0; HEADER_ROOM],
            header_length: 0,
            pieces: Vec::new(),
            joined: None,
        }
    }

    /// Starts anew with a header, given in parts, and one piece.
    fn set(&mut self, header: &[&[u8]], piece: Range<usize>) {
        self.offload = Offload::NONE;
        self.joined = None;
        self.header_length = 0;
        for part in header {
            let end = self.header_length + part.len();
            if let Some(space) = self.header.get_mut(self.header_length..end) {
                space.copy_from_slice(part);
                self.header_length = end;
            }
        }
        self.pieces.clear();
        self.pieces.push(piece);
    }

    /// Whether a segment continues this packet; it is then expected as the next piece.
    fn accept(&mut self, segment: &Segment<'_>, intact: bool, buffer: &[u8]) -> bool {
        let Some(joined) = &mut self.joined else {
            return false;
        };
        let header = self.header.get(..self.header_length).unwrap_or_default();
        let first = self
            .pieces
            .first()
            .and_then(|piece| buffer.get(piece.clone()));
        joined.accept(
            header,
            first.unwrap_or_default(),
            segment,
            intact,
            self.pieces.len(),
        )
    }
}

/// The packets of one receive batch. Fill it, [`finish`](Self::finish) it, write it out, clear it.
pub struct InboundBatch {
    writes: Vec<Write>,
    used: usize,
    coalescer: Coalescer,
}

impl InboundBatch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        InboundBatch {
            writes: Vec::new(),
            used: 0,
            coalescer: Coalescer::new(),
        }
    }

    /// Forgets what was in it and keeps the memory.
    pub fn clear(&mut self) {
        self.used = 0;
        self.coalescer.clear();
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// How many writes are in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.used
    }

    /// The writes, in an order that keeps the order within every flow.
    pub fn writes(&self) -> impl Iterator<Item = &Write> {
        self.writes.iter().take(self.used)
    }

    /// Completes the headers of joined packets. Nothing is to be added after that.
    pub fn finish(&mut self) {
        for write in self.writes.iter_mut().take(self.used) {
            if let Some(joined) = write.joined.take()
                && write.pieces.len() > 1
            {
                let header = write
                    .header
                    .get_mut(..write.header_length)
                    .unwrap_or_default();
                write.offload = joined.finish(header);
            }
        }
        self.coalescer.clear();
    }

    /// Adds a packet: `header`, if it has one that is not in the buffer, and its place in it;
    /// `intact` when its transport checksum was verified before.
    pub(crate) fn push(&mut self, header: &[u8], place: Range<usize>, intact: bool, buffer: &[u8]) {
        let packet = buffer.get(place.clone()).unwrap_or_default();
        let Some(segment) = Segment::parse(header, packet) else {
            // It may be of any flow, and nothing that comes after it may overtake it.
            self.coalescer.clear();
            self.next().set(&[header], place);
            return;
        };
        let tag = segment.tag();
        if !segment.is_joinable() {
            self.coalescer.close(tag);
            self.next().set(&[header], place);
            return;
        }
        let data = place.end - segment.data.len()..place.end;
        if let Some(write) = self
            .coalescer
            .find(tag)
            .and_then(|open| self.writes.get_mut(open))
            && write.accept(&segment, intact, buffer)
        {
            write.pieces.push(data);
            return;
        }
        let number = self.used;
        let write = self.next();
        write.set(&[segment.ip, segment.tcp], data);
        write.joined = Some(Joined::new(&segment, intact));
        self.coalescer.open(tag, number);
    }

    /// The next write, used before or new.
    fn next(&mut self) -> &mut Write {
        let number = self.used;
        if number == self.writes.len() {
            self.writes.push(Write::empty());
        }
        self.used += 1;
        &mut self.writes[number]
    }
}

impl Default for InboundBatch {
    fn default() -> Self {
        InboundBatch::new()
    }
}
