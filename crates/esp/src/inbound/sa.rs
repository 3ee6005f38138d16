//! One inbound SA: replay check, ICV, window, padding, next header, in that order (RFC 4303 3.4).

use std::cell::OnceCell;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use crypto::OpeningKey;
use crypto::cipher::{KeyError, check_keys};
use policy::child::Mode;
use policy::names::{PeerName, RuleName};
use policy::sa::{Bucket, ChildId, Encapsulation, Hosts, SaSpec};
use policy::selector::Selectors;
use wire::esp::{HEADER, Header, TRAILER, Trailer};
use wire::ip::protocol::NO_NEXT_HEADER;

use crate::counters::SaCounters;
use crate::cover::Cover;
use crate::discard::Discard;
use crate::inbound::strict::Strict;
use crate::replay::{Refused, ReplayWindow, WindowImage};

/// Longest datagram looked at: what an IP packet can carry.
const MAX_DATAGRAM: usize = 65_535;
/// The ICV begins on such a boundary, whatever the cipher's block (RFC 4303 2.4).
const ALIGNMENT: usize = 4;

/// What an ESP datagram carried, as places in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// The payload without padding and trailer.
    pub range: Range<usize>,
    /// What it is: a protocol number.
    pub next_header: u8,
}

/// An inbound SA. It belongs to one thread.
///
/// A standby holds very many and uses none, so an SA shares its specification with the other
/// direction, and its key, window and counters are made when they are first needed.
pub struct InboundSa {
    spec: Arc<SaSpec>,
    key: Option<OpeningKey>,
    window: ReplayWindow,
    /// Present when nothing may be delivered twice, even if the bucket changes its owner.
    strict: Option<Box<Strict>>,
    counters: OnceCell<Arc<SaCounters>>,
    bucket: Bucket,
    iv_length: u8,
    block_length: u8,
    icv_length: u8,
    /// The window has moved since its image was taken last.
    moved: bool,
    /// It is on the list of those that have moved.
    listed: bool,
    /// Its counters were handed to whoever reports them.
    reported: bool,
}

impl InboundSa {
    /// Takes the inbound half of what was agreed. It is used while the gate of its bucket is open.
    ///
    /// # Errors
    /// [`KeyError`] when algorithms and keys do not fit one another.
    pub fn new(spec: Arc<SaSpec>, bucket: Bucket) -> Result<Self, KeyError> {
        let keys = &spec.inbound_keys;
        check_keys(
            spec.encryption,
            spec.integrity,
            keys.encryption.as_bytes(),
            keys.integrity.as_bytes(),
        )?;
        Ok(InboundSa {
            key: None,
            window: ReplayWindow::new(spec.replay_window, spec.esn),
            strict: None,
            counters: OnceCell::new(),
            bucket,
            iv_length: spec.encryption.iv_length() as u8,
            block_length: spec.encryption.block_length() as u8,
            icv_length: spec.encryption.icv_length_with(spec.integrity) as u8,
            moved: false,
            listed: false,
            reported: false,
            spec,
        })
    }

    /// The same SA, strict: it delivers only what lies below a ceiling that was granted, beginning
    /// with nothing, so that a survivor knows a number above everything that was delivered. One of
    /// [`Bucket::HOST`] has no survivor and stays as it is.
    #[must_use]
    pub fn strict(mut self) -> Self {
        if !self.bucket.is_host() {
            self.strict = Some(Box::default());
        }
        self
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

    /// The peer at the other end.
    pub(crate) fn peer(&self) -> &PeerName {
        &self.spec.peer
    }

    /// The host and which of those behind a NAT it is, where others may have the same address.
    #[inline]
    pub(crate) fn party(&self) -> Option<(IpAddr, u64)> {
        self.spec.party()
    }

    /// Transport or tunnel mode.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.spec.mode
    }

    /// Raw or in UDP, as agreed.
    #[must_use]
    pub fn encapsulation(&self) -> Encapsulation {
        self.spec.encapsulation
    }

    /// Our outer address, as agreed.
    #[must_use]
    pub fn local(&self) -> IpAddr {
        self.spec.local
    }

    /// The peer's outer address, as agreed.
    #[must_use]
    pub fn remote(&self) -> IpAddr {
        self.spec.remote
    }

    /// The two hosts of transport mode, as they are seen here.
    #[must_use]
    pub fn hosts(&self) -> Hosts {
        self.spec.hosts()
    }

    /// The two hosts of transport mode as the peer wrote them.
    #[must_use]
    pub fn written(&self) -> Option<Hosts> {
        self.spec.nat.written
    }

    /// The SPI that we chose.
    #[must_use]
    pub fn spi(&self) -> u32 {
        self.spec.inbound_spi
    }

    /// The traffic it carries.
    #[must_use]
    pub fn selectors(&self) -> &Selectors {
        &self.spec.selectors
    }

    /// The anti-replay window.
    #[must_use]
    pub fn window(&self) -> &ReplayWindow {
        &self.window
    }

    /// Refuses every sequence number up to and including this one from now on.
    pub fn set_floor(&mut self, sequence: u64) {
        self.window.set_floor(sequence);
    }

    /// Its statistics, shared with whoever reports them.
    #[must_use]
    pub fn counters(&self) -> Arc<SaCounters> {
        Arc::clone(self.count())
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

    /// Verifies and decrypts a datagram in place.
    ///
    /// The order is that of RFC 4303 3.4: lengths, replay window (asked, not changed), ICV, window
    /// (changed), padding, next header. The caller has found the SA by the datagram's SPI.
    ///
    /// # Errors
    /// The [`Discard`] that applies first. Until the ICV is right nothing about the SA changes.
    pub fn open(&mut self, datagram: &mut [u8], now: u64) -> Result<Payload, Discard> {
        let length = datagram.len();
        self.check_lengths(length)?;
        let start = HEADER + usize::from(self.iv_length);
        let end = length - usize::from(self.icv_length);
        let (sequence, verified) = self.verify(datagram, start, end)?;
        if !verified {
            self.count().unauthentic();
            return Err(Discard::Authentication);
        }
        if let Some(strict) = &mut self.strict
            && !strict.admit(sequence)
        {
            self.count_dropped();
            return Err(Discard::InboundCeiling);
        }
        self.window.accept(sequence);
        self.moved = true;
        self.count()
            .passed(1, length as u64, self.window.highest(), now);
        let payload = unpad(datagram, start..end);
        if matches!(payload, Err(discard) if discard != Discard::Dummy) {
            self.count_dropped();
        }
        payload
    }

    /// Counts a packet that was authentic and dropped all the same.
    pub(crate) fn count_dropped(&self) {
        self.count().dropped(1);
    }

    /// Called before it is used in an epoch: a strict SA that another owner had used takes
    /// everything below its ceiling as seen.
    #[inline]
    pub(crate) fn enter(&mut self, epoch: u16) {
        if let Some(strict) = &mut self.strict
            && let Some(floor) = strict.enter(epoch)
        {
            self.window.set_floor(floor);
        }
    }

    /// Whether it delivers only what lies below a granted ceiling.
    #[must_use]
    pub fn is_strict(&self) -> bool {
        self.strict.is_some()
    }

    /// Whether it is on the list of those that ask for a higher ceiling.
    pub(crate) fn is_asking(&self) -> bool {
        self.strict
            .as_ref()
            .is_some_and(|strict| strict.is_listed())
    }

    /// What makes it strict, if it is.
    pub(crate) fn strictness(&mut self) -> Option<&mut Strict> {
        self.strict.as_deref_mut()
    }

    /// The first number above all that came: to ask for more from there.
    pub(crate) fn next(&self) -> u64 {
        let refused = self.strict.as_ref().map_or(0, |strict| strict.refused());
        self.window.highest().max(refused).saturating_add(1)
    }

    /// Whether it is to be put on the list of windows that have moved.
    pub(crate) fn is_news(&mut self) -> bool {
        self.moved && !std::mem::replace(&mut self.listed, self.moved)
    }

    /// Its window, if it is on the list of those that have moved; then it no longer is.
    pub(crate) fn take_news(&mut self) -> Option<WindowImage> {
        self.moved = false;
        std::mem::take(&mut self.listed).then(|| self.window.image())
    }

    /// Whether it is on the list of windows that have moved.
    pub(crate) fn is_listed(&self) -> bool {
        self.listed
    }

    /// Takes in what another holder of the SA had seen.
    pub(crate) fn restore(&mut self, image: &WindowImage) {
        self.window.restore(image);
    }

    fn count(&self) -> &Arc<SaCounters> {
        self.counters.get_or_init(Arc::default)
    }

    fn check_lengths(&self, length: usize) -> Result<(), Discard> {
        if length > MAX_DATAGRAM {
            return Err(Discard::InboundTooLong);
        }
        let fixed = HEADER + usize::from(self.iv_length) + usize::from(self.icv_length);
        let text = length.checked_sub(fixed).ok_or(Discard::InboundShort)?;
        let block = usize::from(self.block_length);
        if text < TRAILER.max(block) {
            return Err(Discard::InboundShort);
        }
        if text % block.max(ALIGNMENT) == 0 {
            Ok(())
        } else {
            Err(Discard::InboundAlignment)
        }
    }

    /// Asks the window and then the cipher.
    fn verify(
        &mut self,
        datagram: &mut [u8],
        start: usize,
        end: usize,
    ) -> Result<(u64, bool), Discard> {
        let (rest, icv) = datagram
            .split_at_mut_checked(end)
            .ok_or(Discard::InboundShort)?;
        let (rest, text) = rest
            .split_at_mut_checked(start)
            .ok_or(Discard::InboundShort)?;
        let (header, iv) = Header::parse(rest).ok_or(Discard::InboundShort)?;
        let Header { spi, sequence: low } = header;
        let sequence = self
            .window
            .infer(low)
            .map_err(|refused| self.refuse(refused))?;
        self.window
            .check(sequence)
            .map_err(|refused| self.refuse(refused))?;
        let key = match &self.key {
            Some(key) => key,
            None => {
                let key = prepare(&self.spec).map_err(|_| Discard::Authentication)?;
                self.key.insert(key)
            }
        };
        let cover = Cover::new(spi, sequence, self.spec.esn, key.encryption().is_aead());
        let opened = key.open(iv, cover.aad(), cover.suffix(), text, icv);
        Ok((sequence, opened.is_ok()))
    }

    fn refuse(&self, refused: Refused) -> Discard {
        self.count().replayed();
        match refused {
            Refused::Zero => Discard::SequenceZero,
            Refused::TooOld => Discard::ReplayOld,
            Refused::Seen => Discard::ReplaySeen,
        }
    }
}

/// Prepares the key; that it fits was checked when the SA was made.
#[cold]
fn prepare(spec: &SaSpec) -> Result<OpeningKey, KeyError> {
    let keys = &spec.inbound_keys;
    OpeningKey::new(
        spec.encryption,
        spec.integrity,
        keys.encryption.as_bytes(),
        keys.integrity.as_bytes(),
    )
}

/// Takes trailer and padding off a plaintext (RFC 4303 2.4 to 2.6).
fn unpad(datagram: &[u8], text: Range<usize>) -> Result<Payload, Discard> {
    let plain = datagram.get(text.clone()).ok_or(Discard::Padding)?;
    let Trailer {
        payload_length,
        next_header,
    } = Trailer::parse(plain).map_err(|_| Discard::Padding)?;
    match next_header {
        NO_NEXT_HEADER => Err(Discard::Dummy),
        _ => Ok(Payload {
            range: text.start..text.start + payload_length,
            next_header,
        }),
    }
}
