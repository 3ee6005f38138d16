//! IKE messages on their way from the inbound worker to the control thread.
//!
//! A flood of first messages costs neither an allocation nor a wake-up each, and what belongs to a
//! handshake or an SA that is known has a lane of its own: it is not lost behind the flood, and it
//! is read first (RFC 7296 section 2.6).

use policy::Transport;
use std::mem;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Messages that may wait in one lane: at some microseconds each, what the control thread reads in
/// less than a twentieth of a second. More are dropped: IKE sends again.
const MAX_LETTERS: usize = 4096;
/// Their octets in all; any one message finds room in an empty lane.
const MAX_OCTETS: usize = 2 << 20;
/// Where the SPI of the responder is in a message: zero in the first one of a handshake.
const RESPONDER_SPI: Range<usize> = 8..16;

/// One message, in its lane's octets.
struct Letter {
    transport: Transport,
    local: SocketAddr,
    remote: SocketAddr,
    place: Range<usize>,
}

/// Messages in their order.
#[derive(Default)]
struct Lane {
    octets: Vec<u8>,
    letters: Vec<Letter>,
}

impl Lane {
    /// Whether there was room.
    fn put(
        &mut self,
        transport: Transport,
        local: SocketAddr,
        remote: SocketAddr,
        message: &[u8],
    ) -> bool {
        let place = self.octets.len()..self.octets.len() + message.len();
        if self.letters.len() == MAX_LETTERS || place.end > MAX_OCTETS {
            return false;
        }
        self.octets.extend_from_slice(message);
        self.letters.push(Letter {
            transport,
            local,
            remote,
            place,
        });
        true
    }

    fn clear(&mut self) {
        self.octets.clear();
        self.letters.clear();
    }
}

/// What both threads share: messages that name an SPI of ours, and those that begin something.
#[derive(Default)]
struct Shared {
    lanes: Mutex<[Lane; 2]>,
    filled: Notify,
    dropped: AtomicU64,
}

impl Shared {
    fn lanes(&self) -> MutexGuard<'_, [Lane; 2]> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the worker puts messages.
pub(crate) struct Slot {
    shared: Arc<Shared>,
}

impl Slot {
    /// Puts a datagram's message in, or drops it when there is no room.
    pub(crate) fn put(&self, local: SocketAddr, remote: SocketAddr, message: &[u8]) {
        self.put_by(Transport::Udp, local, remote, message);
    }

    /// Puts a message in. Says whether there was room; who sent one by TCP does not send it again.
    pub(crate) fn put_by(
        &self,
        transport: Transport,
        local: SocketAddr,
        remote: SocketAddr,
        message: &[u8],
    ) -> bool {
        let begins = message.get(RESPONDER_SPI) == Some(&[0; 8]);
        let [known, first] = &mut *self.shared.lanes();
        let lane = if begins { first } else { known };
        let fits = lane.put(transport, local, remote, message);
        if !fits {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
        fits
    }

    /// Tells the reader that there is something to read.
    pub(crate) fn wake(&self) {
        self.shared.filled.notify_one();
    }
}

/// A message that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    /// What carried it.
    pub(crate) transport: Transport,
    /// Where it arrived.
    pub(crate) local: SocketAddr,
    /// Whence it came.
    pub(crate) remote: SocketAddr,
    /// The message, without a marker.
    pub(crate) bytes: &'a [u8],
}

/// Where the control thread reads them.
pub(crate) struct Mailbox {
    shared: Arc<Shared>,
    /// What was fetched, and how far it was read.
    fetched: [(Lane, usize); 2],
}

impl Mailbox {
    /// An empty one, and where to put messages.
    pub(crate) fn new() -> (Self, Slot) {
        let shared = Arc::<Shared>::default();
        let slot = Slot {
            shared: Arc::clone(&shared),
        };
        let mailbox = Mailbox {
            shared,
            fetched: Default::default(),
        };
        (mailbox, slot)
    }

    /// Returns when there is something to read, or was a moment ago.
    pub(crate) async fn filled(&self) {
        if self
            .fetched
            .iter()
            .all(|(lane, read)| *read == lane.letters.len())
        {
            self.shared.filled.notified().await;
        }
    }

    /// Fetches what has come in for each lane that is read to its end. The other thread gets the
    /// emptied buffers back, so that nothing is allocated in the long run.
    pub(crate) fn fetch(&mut self) {
        let mut lanes = self.shared.lanes();
        for ((lane, read), filled) in self.fetched.iter_mut().zip(&mut *lanes) {
            if *read == lane.letters.len() {
                lane.clear();
                mem::swap(lane, filled);
                *read = 0;
            }
        }
    }

    /// The next message of what was fetched.
    pub(crate) fn next(&mut self) -> Option<Message<'_>> {
        let mut lanes = self.fetched.iter_mut();
        let (lane, read) = lanes.find(|(lane, read)| *read < lane.letters.len())?;
        let letter = lane.letters.get(*read)?;
        *read += 1;
        Some(Message {
            transport: letter.transport,
            local: letter.local,
            remote: letter.remote,
            bytes: lane.octets.get(letter.place.clone())?,
        })
    }

    /// How many messages found no room.
    pub(crate) fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: [u8; 28] = [0; 28];
    const KNOWN: [u8; 28] = [7; 28];

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    fn read(mailbox: &mut Mailbox) -> Vec<u16> {
        let mut ports = Vec::new();
        mailbox.fetch();
        while let Some(message) = mailbox.next() {
            ports.push(message.remote.port());
        }
        ports
    }

    #[test]
    fn what_is_known_is_read_before_what_begins() {
        let (mut mailbox, slot) = Mailbox::new();
        slot.put(address(500), address(1), &FIRST);
        slot.put(address(500), address(2), &KNOWN);
        slot.put(address(500), address(3), &FIRST);
        mailbox.fetch();
        assert_eq!(
            mailbox.next().map(|message| message.bytes),
            Some(&KNOWN[..])
        );
        assert_eq!(
            mailbox.next().map(|message| message.remote),
            Some(address(1))
        );
        // It overtakes what was fetched before it.
        slot.put(address(500), address(4), &KNOWN);
        assert_eq!(read(&mut mailbox), [4, 3]);
        assert!(read(&mut mailbox).is_empty());
    }

    #[test]
    fn a_flood_of_first_messages_takes_no_room_from_the_others() {
        let (mut mailbox, slot) = Mailbox::new();
        for _ in 0..MAX_LETTERS + 5 {
            slot.put(address(500), address(1), &FIRST);
        }
        slot.put(address(4500), address(2), &KNOWN);
        assert_eq!(mailbox.dropped(), 5);
        let ports = read(&mut mailbox);
        assert_eq!((ports.len(), ports[0]), (MAX_LETTERS + 1, 2));
    }

    #[test]
    fn octets_are_bounded_too() {
        let (mut mailbox, slot) = Mailbox::new();
        let large = vec![7; 65_000];
        for _ in 0..100 {
            slot.put(address(500), address(1), &large);
        }
        let kept = MAX_OCTETS / large.len();
        assert_eq!(read(&mut mailbox).len(), kept);
        assert_eq!(mailbox.dropped(), 100 - kept as u64);
    }

    #[tokio::test]
    async fn the_reader_wakes_when_something_came() {
        let (mailbox, slot) = Mailbox::new();
        slot.put(address(500), address(1), &FIRST);
        slot.wake();
        mailbox.filled().await;
    }
}
