//! What every step may use besides its own state: time, randomness, numbers and the output queue.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crypto::Random;
use policy::names::PeerName;
use policy::proposal::IkeSuite;
use policy::sa::{Bucket, ChildId};

use crate::carrier::Carrier;
use crate::command::Acquire;
use crate::config::Config;
use crate::error::Error;
use crate::event::Event;
use crate::gss::GssContexts;
use crate::id::IkeSaId;
use crate::limits;
use crate::output::Output;
use crate::path::Path;
use crate::v2::message::Sealed;
use crate::v2::status::Statuses;

/// ESP SPIs up to this one are reserved (RFC 4303 section 2.1).
const RESERVED_SPI: u32 = 255;

/// An SPI of a cluster is its bucket in the top octet and 24 random bits.
const BUCKET_SHIFT: u32 = 24;
const BUCKET_MASK: u32 = (1 << BUCKET_SHIFT) - 1;

/// Numbers that must be unique within the endpoint, and where each child lives.
#[derive(Default)]
pub(crate) struct Registry {
    ike: BTreeSet<IkeSaId>,
    esp: BTreeSet<u32>,
    homes: BTreeMap<ChildId, IkeSaId>,
    /// IKE SAs in use that are clones of each other; one that is being stepped is not in it.
    families: BTreeSet<(IkeSaId, IkeSaId)>,
    children: u64,
    births: u64,
}

impl Registry {
    /// The IKE SA that a child belongs to.
    pub(crate) fn home(&self, child: ChildId) -> Option<IkeSaId> {
        self.homes.get(&child).copied()
    }

    /// A child lives in this IKE SA from now on.
    pub(crate) fn settle(&mut self, child: ChildId, ike: IkeSaId) {
        self.homes.insert(child, ike);
    }

    /// A child is no more.
    pub(crate) fn forget(&mut self, child: ChildId, inbound_spi: u32) {
        self.homes.remove(&child);
        self.esp.remove(&inbound_spi);
    }

    /// An inbound SPI that another member of the cluster chose.
    pub(crate) fn claim_esp(&mut self, spi: u32) {
        self.esp.insert(spi);
    }

    /// The SPI of an IKE SA that another member of the cluster chose.
    pub(crate) fn claim_ike(&mut self, ike: IkeSaId) {
        self.ike.insert(ike);
    }

    /// Children are counted from here on; the count must not have begun.
    pub(crate) fn number_children_from(&mut self, first: u64) {
        self.children = first;
    }

    /// An inbound SPI that no child came to use.
    pub(crate) fn release_esp(&mut self, spi: u32) {
        self.esp.remove(&spi);
    }

    /// An IKE SA is no more.
    pub(crate) fn release_ike(&mut self, ike: IkeSaId) {
        self.ike.remove(&ike);
    }

    /// The IKE SAs in use that are clones of each other.
    pub(crate) fn family(&self, family: IkeSaId) -> impl Iterator<Item = IkeSaId> {
        let all = (family, IkeSaId(0))..=(family, IkeSaId(u64::MAX));
        self.families.range(all).map(|(_, ike)| *ike)
    }

    /// An IKE SA is in use.
    pub(crate) fn join_family(&mut self, family: IkeSaId, ike: IkeSaId) {
        self.families.insert((family, ike));
    }

    /// It is not, or not now.
    pub(crate) fn leave_family(&mut self, family: IkeSaId, ike: IkeSaId) {
        self.families.remove(&(family, ike));
    }

    /// How many IKE SAs there are, in whatever state.
    pub(crate) fn ike_count(&self) -> usize {
        self.ike.len()
    }

    /// Children get ascending numbers.
    pub(crate) fn next_child(&mut self) -> ChildId {
        self.children += 1;
        ChildId(self.children)
    }

    /// IKE SAs are counted as they begin, so that one can be called older than another.
    pub(crate) fn next_birth(&mut self) -> u64 {
        self.births += 1;
        self.births
    }
}

/// Lent to every step.
pub(crate) struct Context<'a> {
    pub(crate) now: Instant,
    pub(crate) config: &'a Config,
    pub(crate) random: &'a mut dyn Random,
    pub(crate) statuses: &'a Statuses,
    pub(crate) outputs: &'a mut VecDeque<Output>,
    pub(crate) registry: &'a mut Registry,
    pub(crate) contexts: &'a mut GssContexts,
}

impl Context<'_> {
    /// The moment after a configured time.
    pub(crate) fn after(&self, time: Duration) -> Instant {
        self.now + time.min(limits::FOREVER)
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    /// Warns of an IKE SA whose algorithms can be broken.
    pub(crate) fn warn_of_ike(&mut self, ike: IkeSaId, peer: &PeerName, suite: IkeSuite) {
        if suite.is_legacy() {
            self.event(Event::LegacyAlgorithms {
                peer: peer.clone(),
                child: None,
                ike,
                suite: suite.to_string(),
            });
        }
    }

    /// Sends a message. Without a connection it waits where it is kept: see `v2::stream`.
    pub(crate) fn transmit(&mut self, path: &Path, bytes: Vec<u8>) {
        if path.carrier.waits() {
            return;
        }
        let (local, remote) = (path.local, path.remote);
        self.outputs.push_back(Output::Transmit {
            transport: path.carrier.transport(),
            local,
            remote,
            bytes,
        });
    }

    /// Asks for a TCP connection.
    pub(crate) fn open_stream(&mut self, ike: IkeSaId, local: IpAddr, remote: SocketAddr) {
        self.outputs
            .push_back(Output::OpenStream { ike, local, remote });
    }

    /// Whether a request of a handshake that is due again is to be sent. In TCP nothing gets lost,
    /// but there may be no connection, and then one is asked for.
    pub(crate) fn sends_again(&mut self, ike: IkeSaId, path: &Path) -> bool {
        if path.carrier.wants() {
            self.open_stream(ike, path.local.ip(), path.remote);
        }
        path.carrier == Carrier::Udp
    }

    /// Sends a message that may consist of fragments.
    pub(crate) fn transmit_all(&mut self, path: &Path, message: &Sealed) {
        message
            .iter()
            .for_each(|bytes| self.transmit(path, bytes.clone()));
    }

    pub(crate) fn nonce(&mut self) -> Vec<u8> {
        let mut nonce = vec![0; limits::NONCE];
        self.random.fill(&mut nonce);
        nonce
    }

    fn random_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.random.fill(&mut bytes);
        u64::from_be_bytes(bytes)
    }

    /// Some duration from zero up to `most`.
    pub(crate) fn jitter(&mut self, most: Duration) -> Duration {
        let nanoseconds = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
        match nanoseconds.checked_add(1) {
            Some(range) => Duration::from_nanos(self.random_u64() % range),
            None => Duration::from_nanos(self.random_u64()),
        }
    }

    /// An unused SPI for an IKE SA, never zero. It is reserved from here on.
    pub(crate) fn reserve_ike(&mut self) -> IkeSaId {
        loop {
            let ike = IkeSaId(self.random_u64());
            if ike.0 != 0 && self.registry.ike.insert(ike) {
                return ike;
            }
        }
    }

    /// The bucket of a local address.
    pub(crate) fn bucket(&self, local: IpAddr) -> Bucket {
        let bucket = self.config.buckets.get(&local);
        bucket.copied().unwrap_or(Bucket::HOST)
    }

    /// An unused SPI for an inbound ESP SA of a local address. It is reserved from here on. An
    /// address that moves between the members of a cluster has its bucket in the top octet, so that
    /// SPIs chosen by different members never meet (RFC 6027 section 3.9).
    pub(crate) fn reserve_esp(&mut self, local: IpAddr) -> u32 {
        let bucket = self.config.buckets.get(&local);
        loop {
            let drawn = (self.random_u64() >> 32) as u32;
            let spi = match bucket {
                Some(bucket) => u32::from(bucket.0) << BUCKET_SHIFT | drawn & (BUCKET_MASK),
                None if self.config.buckets.is_empty() => drawn,
                None => drawn & BUCKET_MASK,
            };
            if spi > RESERVED_SPI && self.registry.esp.insert(spi) {
                return spi;
            }
        }
    }
}

/// Tells that traffic stays unprotected.
pub(crate) fn acquire_failed(acquire: Acquire, error: Error, ctx: &mut Context<'_>) {
    let Acquire {
        rule,
        peer,
        local,
        remote,
        selectors,
        ..
    } = acquire;
    ctx.event(Event::AcquireFailed {
        rule,
        peer,
        local,
        remote,
        selectors: Box::new(selectors),
        error,
    });
}
