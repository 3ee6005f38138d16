//! Which connections there are, and which of them nobody uses (RFC 9329 section 6.1).

use crate::plane::{Ends, Stream};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Connections at once; each costs a descriptor.
const MAX: usize = 10_000;
/// Connections at once in which no IKE SA goes: beyond it the oldest gives way.
const MAX_UNUSED: usize = 128;
/// Of these, how many one address may have: peers behind one NAT begin one after another.
const MAX_UNUSED_OF_ONE: usize = 8;
/// How long a connection may be there without an IKE SA that goes in it: before the handshake is
/// over, or after its IKE SA has another.
const UNUSED: Duration = Duration::from_secs(10);
/// Connections looked at in one turn, so that very many do not hold up heartbeats.
const TURN: usize = 256;

/// All connections.
#[derive(Default)]
pub(crate) struct Table {
    streams: BTreeMap<u64, Arc<Stream>>,
    by_ends: BTreeMap<Ends, u64>,
    /// Those in which no IKE SA goes, with since when.
    unused: BTreeMap<u64, Instant>,
    /// Where the last turn has ended.
    seen: u64,
    displaced: u64,
}

impl Table {
    /// How many have given way to younger ones.
    pub(crate) fn displaced(&self) -> u64 {
        self.displaced
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Stream>> {
        self.streams.values()
    }

    pub(crate) fn get(&self, number: u64) -> Option<&Arc<Stream>> {
        self.streams.get(&number)
    }

    /// The connection between two ends.
    pub(crate) fn of(&self, ends: Ends) -> Option<Arc<Stream>> {
        let number = self.by_ends.get(&ends)?;
        self.streams.get(number).cloned()
    }

    /// Whether another may come in between these ends; what is to go for it, if so.
    pub(crate) fn make_room(&mut self, ends: Ends) -> Option<Vec<Arc<Stream>>> {
        // The kernel has no two of the same ends: the one that is here has ended.
        let mut outdated: Vec<Arc<Stream>> = self.of(ends).into_iter().collect();
        let unused = || {
            self.unused
                .keys()
                .filter_map(|number| self.streams.get(number))
        };
        let from = ends.remote.ip();
        let same = unused().filter(|one| one.ends.remote.ip() == from);
        if same.count() >= MAX_UNUSED_OF_ONE || self.streams.len() >= MAX {
            return None;
        }
        if self.unused.len() >= MAX_UNUSED {
            // They are numbered as they come.
            outdated.extend(unused().next().cloned());
            self.displaced += 1;
        }
        Some(outdated)
    }

    pub(crate) fn enter(&mut self, stream: Arc<Stream>, now: Instant) {
        self.unused.insert(stream.number, now);
        self.by_ends.insert(stream.ends, stream.number);
        self.streams.insert(stream.number, stream);
    }

    pub(crate) fn remove(&mut self, number: u64) -> Option<Arc<Stream>> {
        let stream = self.streams.remove(&number)?;
        self.unused.remove(&number);
        if self.by_ends.get(&stream.ends) == Some(&number) {
            self.by_ends.remove(&stream.ends);
        }
        Some(stream)
    }

    /// Those that have ended, or that nobody has used for too long. Of very many a part is looked
    /// at in each turn.
    pub(crate) fn outdated(&mut self, is_used: impl Fn(Ends) -> bool, now: Instant) -> Vec<u64> {
        let rest = self.streams.range(self.seen.saturating_add(1)..);
        let turn: Vec<&Arc<Stream>> = rest.map(|(_, stream)| stream).take(TURN).collect();
        self.seen = match turn.last() {
            Some(last) if turn.len() == TURN => last.number,
            _ => 0,
        };
        let mut outdated = Vec::new();
        for stream in turn {
            let number = stream.number;
            let since = match is_used(stream.ends) {
                true => {
                    self.unused.remove(&number);
                    None
                }
                false => Some(*self.unused.entry(number).or_insert(now)),
            };
            let too_long = |since| now.saturating_duration_since(since) >= UNUSED;
            if stream.has_ended() || since.is_some_and(too_long) {
                outdated.push(number);
            }
        }
        outdated
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    fn ends(address: u8, port: u16) -> Ends {
        Ends {
            local: ([192, 0, 2, 1], 4500).into(),
            remote: ([198, 51, 100, address], port).into(),
        }
    }

    /// A table with so many connections of so many addresses, and a socket to make more of.
    fn flooded(addresses: u8, each: u16) -> (Table, TcpStream, Instant) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        #[expect(clippy::disallowed_methods, reason = "only a place to count from")]
        let now = Instant::now();
        let mut table = Table::default();
        for address in 0..addresses {
            for port in 0..each {
                come(&mut table, &socket, ends(address, 1000 + port), now);
            }
        }
        (table, socket, now)
    }

    /// A connection comes in. How many gave way to it; `None` when it was refused.
    fn come(table: &mut Table, socket: &TcpStream, ends: Ends, now: Instant) -> Option<usize> {
        let outdated = table.make_room(ends)?;
        for stream in &outdated {
            table.remove(stream.number);
        }
        let number = table.streams.keys().next_back().map_or(1, |last| last + 1);
        let socket = socket.try_clone().unwrap();
        table.enter(Arc::new(Stream::new(socket, ends, number, true)), now);
        Some(outdated.len())
    }

    #[test]
    fn a_flood_of_connections_is_bounded_and_the_oldest_gives_way() {
        let (mut table, socket, now) = flooded(100, 20);
        assert_eq!(table.streams.len(), MAX_UNUSED);
        assert_eq!(
            table.displaced(),
            100 * MAX_UNUSED_OF_ONE as u64 - MAX_UNUSED as u64
        );
        assert_eq!(come(&mut table, &socket, ends(200, 7), now), Some(1));
        // One that is used gives way to nobody.
        let kept = ends(200, 7);
        table.outdated(|ends| ends == kept, now);
        for port in 0..1_000 {
            come(&mut table, &socket, ends((port % 100) as u8, port), now);
        }
        assert!(table.of(kept).is_some() && table.streams.len() == MAX_UNUSED + 1);
    }

    #[test]
    fn one_address_cannot_have_them_all() {
        let (mut table, socket, now) = flooded(1, 20);
        assert_eq!(table.streams.len(), MAX_UNUSED_OF_ONE);
        assert_eq!(come(&mut table, &socket, ends(0, 7), now), None);
        assert_eq!(come(&mut table, &socket, ends(1, 7), now), Some(0));
        // The same ends again: what had them has ended.
        assert_eq!(come(&mut table, &socket, ends(1, 7), now), Some(1));
        // Once they carry an IKE SA there is room for others behind the same NAT.
        assert!(table.outdated(|_| true, now).is_empty());
        assert_eq!(come(&mut table, &socket, ends(0, 8), now), Some(0));
    }

    #[test]
    fn one_that_nobody_uses_ends_and_so_does_one_that_nobody_uses_any_more() {
        let (mut table, _socket, now) = flooded(1, 2);
        let first = ends(0, 1000);
        let used = |ends: Ends| ends == first;
        let later = |seconds| now + Duration::from_secs(seconds);
        assert!(table.outdated(used, later(9)).is_empty());
        assert_eq!(table.outdated(used, later(10)), [2]);
        table.remove(2);
        assert!(table.outdated(used, later(1000)).is_empty());
        assert!(table.outdated(|_| false, later(1001)).is_empty());
        assert_eq!(table.outdated(|_| false, later(1011)), [1]);
        // One that has ended is told whoever uses it.
        table.of(first).unwrap().end();
        assert_eq!(table.outdated(|_| true, later(1012)), [1]);
    }

    #[test]
    fn very_many_are_looked_at_in_turns() {
        let (mut table, socket, now) = flooded(0, 0);
        for port in 0..600 {
            come(&mut table, &socket, ends(1, 1 + port), now);
            table.outdated(|_| true, now);
            table.outdated(|_| true, now);
            table.outdated(|_| true, now);
        }
        assert_eq!(table.streams.len(), 600);
        table.all().for_each(|stream| stream.end());
        let told: usize = (0..3).map(|_| table.outdated(|_| true, now).len()).sum();
        assert_eq!(told, 600);
    }
}
