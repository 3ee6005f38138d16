//! Sealed datagrams side by side, so that one system call sends many (RFC 4303 3.3, RFC 3948 2.1).

use std::net::IpAddr;

use policy::sa::Encapsulation;

/// Datagrams in one run at most: what `UDP_SEGMENT` takes on every kernel that has it.
pub const MAX_RUN_DATAGRAMS: usize = 64;
/// Bytes in one run at most, below the 65,507 that a UDP datagram can carry.
pub const MAX_RUN_BYTES: usize = 65_000;
/// Room that a batch keeps beyond the last packet it invites, in bytes.
const ROOM: usize = 1 << 17;

/// Where the datagrams of a run go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// ESP datagrams: each is the payload of a UDP datagram or of an IP packet of protocol 50,
    /// whose header the sending socket makes.
    Esp {
        /// Our outer address.
        local: IpAddr,
        /// The peer's outer address.
        remote: IpAddr,
        /// Raw, or in UDP or TCP and on which ports.
        encapsulation: Encapsulation,
        /// Traffic class of the outer header: DSCP and ECN of the packet inside.
        traffic_class: u8,
        /// Whether nobody may fragment it on its way.
        dont_fragment: bool,
    },
    /// Whole IP packets that the policy lets pass as they are.
    Clear {
        /// Where they go.
        destination: IpAddr,
    },
}

impl Path {
    /// The same path for a packet with another outer header.
    #[must_use]
    pub(crate) fn with_header(self, traffic_class: u8, dont_fragment: bool) -> Self {
        match self {
            Path::Esp {
                local,
                remote,
                encapsulation,
                ..
            } => Path::Esp {
                local,
                remote,
                encapsulation,
                traffic_class,
                dont_fragment,
            },
            clear => clear,
        }
    }
}

/// Datagrams that follow one another, all of one size except that the last may be shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Where they go.
    pub path: Path,
    /// Where the first begins in the batch's buffer.
    pub offset: usize,
    /// Bytes of all of them.
    pub length: usize,
    /// Bytes of each but the last.
    pub segment_size: usize,
    /// How many there are.
    pub count: usize,
}

/// What one pass over the TUN queue gives to the sockets: filled, sent, cleared, used again.
pub struct OutboundBatch {
    buffer: Vec<u8>,
    used: usize,
    runs: Vec<Run>,
    capacity: usize,
}

impl OutboundBatch {
    /// A batch that asks to be sent once `capacity` bytes are in it.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let buffer = vec![0; capacity + ROOM];
        OutboundBatch {
            buffer,
            used: 0,
            runs: Vec::with_capacity(256),
            capacity,
        }
    }

    /// Forgets what was in it and keeps the memory.
    pub fn clear(&mut self) {
        self.used = 0;
        self.runs.clear();
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Whether it should be sent before the next packet: the next might make the buffer grow.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.used >= self.capacity
    }

    /// Bytes in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.used
    }

    /// The runs in the order of sending, each with its bytes.
    pub fn runs(&self) -> impl Iterator<Item = (&Run, &[u8])> {
        self.runs.iter().map(|run| {
            (
                run,
                self.buffer
                    .get(run.offset..run.offset + run.length)
                    .unwrap_or_default(),
            )
        })
    }

    /// Every datagram by itself, in the order of sending.
    pub fn datagrams(&self) -> impl Iterator<Item = (&Path, &[u8])> {
        self.runs().flat_map(|(run, bytes)| {
            bytes
                .chunks(run.segment_size.max(1))
                .map(move |datagram| (&run.path, datagram))
        })
    }

    /// Room for `length` more bytes, wherever the next datagram will begin. The buffer grows when
    /// a packet cut into very small segments needs more than any packet of usual size.
    pub(crate) fn room(&mut self, length: usize) -> &mut [u8] {
        let end = self.used + length;
        if end > self.buffer.len() {
            self.buffer.resize(end, 0);
        }
        self.buffer.get_mut(self.used..end).unwrap_or_default()
    }

    /// Takes the first `length` bytes of the room as a datagram for `path`.
    pub(crate) fn commit(&mut self, path: Path, length: usize) {
        let offset = self.used;
        self.used += length;
        if let Some(run) = self.runs.last_mut() {
            let open = run.length == run.count * run.segment_size;
            let fits = length <= run.segment_size
                && run.count < MAX_RUN_DATAGRAMS
                && run.length + length <= MAX_RUN_BYTES;
            if open && fits && run.path == path {
                run.length += length;
                run.count += 1;
                return;
            }
        }
        self.runs.push(Run {
            path,
            offset,
            length,
            segment_size: length,
            count: 1,
        });
    }
}
