//! One outbound SA: sequence numbers under a ceiling, and sealing in place (RFC 4303 3.3).

use std::cell::OnceCell;
use std::net::IpAddr;
use std::sync::Arc;

use crypto::SealingKey;
use crypto::cipher::{KeyError, check_keys};
use policy::child::{DontFragment, Mode};
use policy::names::RuleName;
use policy::sa::{Bucket, ChildId, Encapsulation, SaSpec};
use policy::selector::Selectors;
use wire::esp::{HEADER, Header, TRAILER, padding, write_trailer};

use crate::counters::SaCounters;
use crate::cover::Cover;
use crate::discard::Discard;
use crate::mtu::Overhead;
use crate::outbound::batch::Path;
use crate::reservation::{MAX_AHEAD, NotGranted};

/// No sequence number reaches this: the IV holds 48 bits of it, and no IV may repeat under a key.
const SEQUENCE_LIMIT: u64 = 1 << 48;
/// The same without extended numbers: the counter must not cycle (RFC 4303 3.3.3).
const SHORT_SEQUENCE_LIMIT: u64 = u32::MAX as u64;

/// The ECN field of a traffic class.
const ECN: u8 = 0b11;

/// Whether numbers for a packet are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// They are.
    Enough,
    /// They must be granted first.
    Later,
    /// The counter has not as many left.
    Never,
}

/// An outbound SA. It belongs to one thread.
///
/// The IV of an AEAD is `epoch (16 bits) | low 48 bits of the sequence number`: unique under the
/// key as long as no two holders of the key send under one epoch and one number. CBC encrypts that
/// number under the key, which makes it unpredictable (RFC 3602 section 3).
///
/// In [`Bucket::HOST`] it may use every number, in epoch 0. In any other bucket it uses what was
/// reserved: `next <= ceiling`, and a survivor, which knows the ceiling, begins there.
///
/// A standby holds very many and uses none, so an SA shares its specification with the other
/// direction, and its key and its counters are made when they are first needed.
pub struct OutboundSa {
    spec: Arc<SaSpec>,
    key: Option<SealingKey>,
    counters: OnceCell<Arc<SaCounters>>,
    next: u64,
    ceiling: u64,
    /// The number from which on more is asked for.
    refill_at: u64,
    local: IpAddr,
    remote: IpAddr,
    encapsulation: Encapsulation,
    /// The longest payload that passes.
    longest: u32,
    /// The epoch in which it was used last; `None` if another owner may have used it since.
    epoch: Option<u16>,
    bucket: Bucket,
    iv_length: u8,
    block_length: u8,
    icv_length: u8,
    /// More was asked for because the ceiling is near.
    asked: bool,
    /// It is on the list of those that ask.
    listed: bool,
    /// Its counters were handed to whoever reports them.
    reported: bool,
}

impl OutboundSa {
    /// Takes the outbound half of what was agreed. The first sequence number is 1. In
    /// [`Bucket::HOST`] it may be used at once; in another bucket it begins with ceiling 1: nothing
    /// may be sent before numbers are granted, and only while the bucket's gate is open.
    ///
    /// # Errors
    /// [`KeyError`] when algorithms and keys do not fit one another.
    pub fn new(spec: Arc<SaSpec>, bucket: Bucket) -> Result<Self, KeyError> {
        let keys = &spec.outbound_keys;
        check_keys(
            spec.encryption,
            spec.integrity,
            keys.encryption.as_bytes(),
            keys.integrity.as_bytes(),
        )?;
        let (ceiling, epoch) = match bucket.is_host() {
            true => (limit(spec.esn), Some(0)),
            false => (1, None),
        };
        Ok(OutboundSa {
            key: None,
            counters: OnceCell::new(),
            next: 1,
            ceiling,
            refill_at: u64::MAX,
            local: spec.local,
            remote: spec.remote,
            encapsulation: spec.encapsulation,
            longest: u32::MAX,
            epoch,
            bucket,
            iv_length: spec.encryption.iv_length() as u8,
            block_length: spec.encryption.block_length() as u8,
            icv_length: spec.encryption.icv_length_with(spec.integrity) as u8,
            asked: false,
            listed: false,
            reported: false,
            spec,
        })
    }

    /// The pair it belongs to.
    #[must_use]
    pub fn id(&self) -> ChildId {
        self.spec.id
    }

    /// Who may use it.
    #[must_use]
    pub fn bucket(&self) -> Bucket {
        self.bucket
    }

    /// The rule that asked for it.
    #[must_use]
    pub fn rule(&self) -> &RuleName {
        &self.spec.rule
    }

    /// The host and which of those behind a NAT it is, where others may have the same address.
    pub(crate) fn party(&self) -> Option<(IpAddr, u64)> {
        self.spec.party()
    }

    /// Transport or tunnel mode.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.spec.mode
    }

    /// The SPI that the peer chose.
    #[must_use]
    pub fn spi(&self) -> u32 {
        self.spec.outbound_spi
    }

    /// The traffic it carries.
    #[must_use]
    pub fn selectors(&self) -> &Selectors {
        &self.spec.selectors
    }

    /// Where its datagrams go; the traffic class is 0.
    #[must_use]
    pub fn path(&self) -> Path {
        Path::Esp {
            local: self.local,
            remote: self.remote,
            encapsulation: self.encapsulation,
            traffic_class: 0,
            dont_fragment: false,
        }
    }

    /// The traffic class of an outer header around a packet of this one (RFC 4301 5.1.2.1,
    /// RFC 6040 4.1).
    pub(crate) fn traffic_class(&self, inner: u8) -> u8 {
        let dscp = self.spec.outer.dscp.filter(|_| self.mode() == Mode::Tunnel);
        dscp.map_or(inner, |dscp| dscp << 2 | inner & ECN)
    }

    /// Whether nobody may fragment what is sealed of a packet that has this bit.
    pub(crate) fn sets_dont_fragment(&self, inner: bool) -> bool {
        match (self.mode(), self.spec.outer.dont_fragment) {
            (Mode::Transport, _) | (_, DontFragment::Copy) => inner,
            (_, DontFragment::Set) => true,
            (_, DontFragment::Clear) => false,
        }
    }

    /// The longest payload that passes on the path; endless while nothing is known of it.
    #[inline]
    pub(crate) fn longest(&self) -> usize {
        self.longest as usize
    }

    /// What is known of the path: the largest packet that passes, or nothing.
    pub(crate) fn set_path_mtu(&mut self, mtu: Option<u16>) {
        let overhead = Overhead {
            mode: Mode::Tunnel,
            encapsulation: self.encapsulation,
            ipv6: self.remote.is_ipv6(),
            encryption: self.spec.encryption,
            integrity: self.spec.integrity,
        };
        let longest = mtu.map_or(u32::MAX, |mtu| overhead.inner_mtu(mtu.into()) as u32);
        self.longest = longest;
    }

    /// The peer's host of transport mode, as it is seen here.
    pub(crate) fn host(&self) -> IpAddr {
        self.spec.hosts().remote
    }

    /// The peer's outer address.
    pub(crate) fn remote(&self) -> IpAddr {
        self.remote
    }

    /// Its statistics, shared with whoever reports them.
    #[must_use]
    pub fn counters(&self) -> Arc<SaCounters> {
        Arc::clone(self.counted())
    }

    /// Its counters, once: when it has begun to count.
    #[inline]
    pub(crate) fn begins(&mut self) -> Option<Arc<SaCounters>> {
        if self.reported {
            return None;
        }
        let counters = self.counters.get().cloned();
        self.reported = counters.is_some();
        counters
    }

    /// The next sequence number.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The first sequence number that may not be used.
    #[must_use]
    pub fn ceiling(&self) -> u64 {
        self.ceiling
    }

    /// Sets the first sequence number that may not be used, never beyond what the counter holds:
    /// 2^32 - 1, with extended numbers 2^48. Of an SA whose numbers are reserved nothing changes:
    /// its ceiling is granted.
    pub fn set_ceiling(&mut self, ceiling: u64) {
        if self.bucket.is_host() {
            self.ceiling = ceiling.min(self.limit());
        }
    }

    /// Takes over how far the owner of the SA may go; that is another host. Below this ceiling
    /// everything may have been sent: here the first number is the ceiling, once the gate is open.
    /// Never goes back; of an SA of [`Bucket::HOST`] nothing changes.
    pub fn follow(&mut self, ceiling: u64) {
        if !self.bucket.is_host() {
            self.ceiling = self.ceiling.max(ceiling).min(self.limit());
            self.epoch = None;
        }
    }

    /// The owner has stopped, with this as its next number: everything below was sent, nothing
    /// above, whatever its ceiling was. Not below what was sent here.
    pub(crate) fn set_exact(&mut self, next: u64) {
        self.ceiling = next.min(self.limit()).max(self.next);
        self.epoch = None;
    }

    /// Called before it is used in an epoch. If it was used in another before, or another owner may
    /// have used it, it goes on at the ceiling: whatever was sent lies below.
    ///
    /// Any other epoch counts, not only a higher one, because an epoch may name a node and the
    /// times that it became the owner. A jump is always safe: numbers only go up.
    #[inline]
    pub(crate) fn enter(&mut self, epoch: u16) {
        if self.epoch != Some(epoch) {
            self.next = self.next.max(self.ceiling);
            self.epoch = Some(epoch);
            self.asked = false;
        }
    }

    /// Raises the ceiling, never lowers it, and says from which number on more is to be asked for.
    pub(crate) fn grant(&mut self, ceiling: u64, refill_at: u64) -> Result<(), NotGranted> {
        let sent = self.next - 1;
        if self.spec.esn && ceiling.saturating_sub(sent) >= MAX_AHEAD {
            return Err(NotGranted::TooFar {
                child: self.id(),
                ceiling,
                sent,
            });
        }
        self.ceiling = self.ceiling.max(ceiling).min(self.limit());
        self.refill_at = refill_at;
        self.asked = false;
        Ok(())
    }

    /// What a naive implementation would do after a takeover: see `Outbound::sabotage_reservation`.
    pub(crate) fn ignore_reservation(&mut self) {
        self.ceiling = self.limit();
        self.epoch = Some(0);
    }

    /// Whether numbers for this many segments are there.
    #[inline]
    pub(crate) fn room(&self, segments: usize) -> Room {
        let end = self.next.saturating_add(segments as u64);
        if end <= self.ceiling {
            Room::Enough
        } else if end <= self.limit() {
            Room::Later
        } else {
            Room::Never
        }
    }

    /// Whether it is time, for the first time since the last grant, to ask for more numbers. There
    /// are no more to ask for when the ceiling is what the counter holds.
    #[inline]
    pub(crate) fn nears_ceiling(&mut self) -> bool {
        let near = self.next >= self.refill_at && !self.asked && self.ceiling < self.limit();
        self.asked |= near;
        near
    }

    /// Puts it on the list of those that ask; says whether it was not there.
    pub(crate) fn list(&mut self) -> bool {
        !std::mem::replace(&mut self.listed, true)
    }

    /// Takes it from the list of those that ask.
    pub(crate) fn unlist(&mut self) {
        self.listed = false;
    }

    /// Whether it is on the list of those that ask.
    pub(crate) fn is_listed(&self) -> bool {
        self.listed
    }

    /// The first number that cannot have been sent. Exactly the next one if it was used in the last
    /// epoch in which this host owned it; otherwise all that is known is the ceiling.
    pub(crate) fn first_unused(&self, last_epoch: Option<u16>) -> u64 {
        match self.epoch {
            Some(epoch) if Some(epoch) == last_epoch => self.next,
            _ => self.next.max(self.ceiling),
        }
    }

    /// Sends between other addresses or in another encapsulation from now on: the peer has moved,
    /// as an authentic IKE message said (RFC 7296 2.23), or this host has (RFC 4555). Key, numbers
    /// and counters go on.
    pub fn redirect(&mut self, from: IpAddr, to: IpAddr, encapsulation: Encapsulation) {
        (self.local, self.remote, self.encapsulation) = (from, to, encapsulation);
    }

    /// Continues at a later sequence number. Numbers never go back: an earlier one changes nothing.
    pub fn advance_to(&mut self, next: u64) {
        self.next = self.next.max(next);
    }

    /// Where the payload lies in a datagram: behind SPI, sequence number and IV.
    #[must_use]
    pub fn payload_offset(&self) -> usize {
        HEADER + usize::from(self.iv_length)
    }

    /// Length of the datagram that carries `payload` bytes.
    #[must_use]
    pub fn sealed_length(&self, payload: usize) -> usize {
        let trailer = padding(payload, self.block_length.into()) + TRAILER;
        self.payload_offset() + payload + trailer + usize::from(self.icv_length)
    }

    /// Makes an ESP datagram of a payload that already lies at [`Self::payload_offset`] in
    /// `datagram`, which is [`Self::sealed_length`] long. Takes the next sequence number.
    ///
    /// # Errors
    /// [`Discard::OutboundCeiling`] when no number is left, [`Discard::SealFailed`] when the
    /// lengths do not fit. Nothing is sent then, and a number that was taken is not used again.
    pub fn seal(
        &mut self,
        datagram: &mut [u8],
        payload: usize,
        next_header: u8,
    ) -> Result<(), Discard> {
        if datagram.len() != self.sealed_length(payload) {
            return Err(Discard::SealFailed);
        }
        let sequence = self.next;
        if sequence >= self.ceiling {
            return Err(Discard::OutboundCeiling);
        }
        if self.key.is_none() {
            self.key = Some(prepare(&self.spec).map_err(|_| Discard::SealFailed)?);
        }
        self.next += 1;
        self.fill(datagram, payload, next_header, sequence)
            .ok_or(Discard::SealFailed)
    }

    /// Counts datagrams that were sealed.
    pub(crate) fn count(&self, packets: u64, bytes: u64, now: u64) {
        self.counted().passed(packets, bytes, self.next - 1, now);
    }

    /// Counts packets that could not be sealed.
    pub(crate) fn count_dropped(&self, packets: u64) {
        self.counted().dropped(packets);
    }

    fn counted(&self) -> &Arc<SaCounters> {
        self.counters.get_or_init(Arc::default)
    }

    fn limit(&self) -> u64 {
        limit(self.spec.esn)
    }

    fn fill(&self, datagram: &mut [u8], payload: usize, next: u8, sequence: u64) -> Option<()> {
        let key = self.key.as_ref()?;
        let (header, rest) = datagram.split_first_chunk_mut::<HEADER>()?;
        let (iv, rest) = rest.split_at_mut_checked(self.iv_length.into())?;
        let text_length = rest.len().checked_sub(self.icv_length.into())?;
        let (text, icv) = rest.split_at_mut_checked(text_length)?;
        let spi = self.spec.outbound_spi;
        *header = Header {
            spi,
            sequence: sequence as u32,
        }
        .emit();
        let epoch = u64::from(self.epoch.unwrap_or(0));
        let number = epoch << 48 | sequence & (SEQUENCE_LIMIT - 1);
        key.write_iv(number, iv).ok()?;
        if !write_trailer(text.get_mut(payload..)?, next) {
            return None;
        }
        let cover = Cover::new(spi, sequence, self.spec.esn, key.encryption().is_aead());
        key.seal(iv, cover.aad(), cover.suffix(), text, icv).ok()
    }
}

/// The first number that an SA never uses.
fn limit(esn: bool) -> u64 {
    if esn {
        SEQUENCE_LIMIT
    } else {
        SHORT_SEQUENCE_LIMIT
    }
}

/// Prepares the key; that it fits was checked when the SA was made.
#[cold]
fn prepare(spec: &SaSpec) -> Result<SealingKey, KeyError> {
    let keys = &spec.outbound_keys;
    SealingKey::new(
        spec.encryption,
        spec.integrity,
        keys.encryption.as_bytes(),
        keys.integrity.as_bytes(),
    )
}
