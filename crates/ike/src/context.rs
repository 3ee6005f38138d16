//! What every step may use besides its own state: time, randomness, numbers and the output queue.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use crypto::Random;
use policy::sa::ChildId;

use crate::config::Config;
use crate::event::Event;
use crate::id::IkeSaId;
use crate::limits;
use crate::output::Output;
use crate::v2::nat::Path;

/// ESP SPIs up to this one are reserved (RFC 4303 section 2.1).
const RESERVED_SPI: u32 = 255;

/// Numbers that must be unique within the endpoint, and where each child lives.
#[derive(Default)]
pub(crate) struct Registry {
    ike: BTreeSet<IkeSaId>,
    esp: BTreeSet<u32>,
    homes: BTreeMap<ChildId, IkeSaId>,
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

    /// An inbound SPI that no child came to use.
    pub(crate) fn release_esp(&mut self, spi: u32) {
        self.esp.remove(&spi);
    }

    /// An IKE SA is no more.
    pub(crate) fn release_ike(&mut self, ike: IkeSaId) {
        self.ike.remove(&ike);
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
    pub(crate) outputs: &'a mut VecDeque<Output>,
    pub(crate) registry: &'a mut Registry,
}

impl Context<'_> {
    /// The moment after a configured time.
    pub(crate) fn after(&self, time: Duration) -> Instant {
        self.now + time.min(limits::FOREVER)
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    pub(crate) fn transmit(&mut self, path: &Path, bytes: Vec<u8>) {
        let (local, remote) = (path.local, path.remote);
        self.outputs.push_back(Output::Transmit {
            local,
            remote,
            bytes,
        });
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

    /// An unused SPI for an inbound ESP SA. It is reserved from here on.
    pub(crate) fn reserve_esp(&mut self) -> u32 {
        loop {
            let spi = (self.random_u64() >> 32) as u32;
            if spi > RESERVED_SPI && self.registry.esp.insert(spi) {
                return spi;
            }
        }
    }
}
