//! One inbound SA: replay check, ICV, window, padding, next header, in that order (RFC 4303 3.4).

use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use crypto::OpeningKey;
use crypto::cipher::KeyError;
use policy::child::Mode;
use policy::names::RuleName;
use policy::sa::{ChildId, Encapsulation, SaSpec};
use policy::selector::Selectors;
use wire::esp::{HEADER, Header, TRAILER, Trailer};
use wire::ip::protocol::NO_NEXT_HEADER;

use crate::counters::SaCounters;
use crate::cover::Cover;
use crate::discard::Discard;
use crate::replay::{Refused, ReplayWindow};

/// Longest datagram looked at: what an IP packet can carry.
const MAX_DATAGRAM: usize = 65_535;

/// What an ESP datagram carried, as places in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// The payload without padding and trailer.
    pub range: Range<usize>,
    /// What it is: a protocol number.
    pub next_header: u8,
}

/// An inbound SA. It belongs to one thread.
pub struct InboundSa {
    id: ChildId,
    rule: RuleName,
    mode: Mode,
    encapsulation: Encapsulation,
    local: IpAddr,
    remote: IpAddr,
    spi: u32,
    selectors: Selectors,
    key: OpeningKey,
    iv_length: usize,
    block_length: usize,
    alignment: usize,
    esn: bool,
    window: ReplayWindow,
    counters: Arc<SaCounters>,
}

impl InboundSa {
    /// Takes the inbound half of what was agreed.
    ///
    /// # Errors
    /// [`KeyError`] when algorithms and keys do not fit one another.
    pub fn new(spec: &SaSpec) -> Result<Self, KeyError> {
        let keys = &spec.inbound_keys;
        let key = OpeningKey::new(
            spec.encryption,
            spec.integrity,
            keys.encryption.as_bytes(),
            keys.integrity.as_bytes(),
        )?;
        Ok(InboundSa {
            id: spec.id,
            rule: spec.rule.clone(),
            mode: spec.mode,
            encapsulation: spec.encapsulation,
            local: spec.local,
            remote: spec.remote,
            spi: spec.inbound_spi,
            selectors: spec.selectors.clone(),
            key,
            iv_length: spec.encryption.iv_length(),
            block_length: spec.encryption.block_length(),
            alignment: spec.encryption.block_length().max(4),
            esn: spec.esn,
            window: ReplayWindow::new(spec.replay_window, spec.esn),
            counters: Arc::default(),
        })
    }

    /// The pair it belongs to.
    #[must_use]
    pub fn id(&self) -> ChildId {
        self.id
    }

    /// The rule that asked for it.
    #[must_use]
    pub fn rule(&self) -> &RuleName {
        &self.rule
    }

    /// Transport or tunnel mode.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Raw or in UDP, as agreed.
    #[must_use]
    pub fn encapsulation(&self) -> Encapsulation {
        self.encapsulation
    }

    /// Our outer address, as agreed.
    #[must_use]
    pub fn local(&self) -> IpAddr {
        self.local
    }

    /// The peer's outer address, as agreed.
    #[must_use]
    pub fn remote(&self) -> IpAddr {
        self.remote
    }

    /// The SPI that we chose.
    #[must_use]
    pub fn spi(&self) -> u32 {
        self.spi
    }

    /// The traffic it carries.
    #[must_use]
    pub fn selectors(&self) -> &Selectors {
        &self.selectors
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
        Arc::clone(&self.counters)
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
        let start = HEADER + self.iv_length;
        let end = length - self.key.icv_length();
        let (sequence, verified) = self.verify(datagram, start, end)?;
        if !verified {
            self.counters.unauthentic();
            return Err(Discard::Authentication);
        }
        self.window.accept(sequence);
        self.counters
            .passed(1, length as u64, self.window.highest(), now);
        let payload = unpad(datagram, start..end);
        if matches!(payload, Err(discard) if discard != Discard::Dummy) {
            self.counters.dropped(1);
        }
        payload
    }

    /// Counts a packet that was authentic and dropped all the same.
    pub(crate) fn count_dropped(&self) {
        self.counters.dropped(1);
    }

    fn check_lengths(&self, length: usize) -> Result<(), Discard> {
        if length > MAX_DATAGRAM {
            return Err(Discard::InboundTooLong);
        }
        let fixed = HEADER + self.iv_length + self.key.icv_length();
        let text = length.checked_sub(fixed).ok_or(Discard::InboundShort)?;
        if text < TRAILER.max(self.block_length) {
            return Err(Discard::InboundShort);
        }
        if text % self.alignment == 0 {
            Ok(())
        } else {
            Err(Discard::InboundAlignment)
        }
    }

    /// Asks the window and then the cipher.
    fn verify(
        &self,
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
        let cover = Cover::new(spi, sequence, self.esn, self.key.encryption().is_aead());
        let opened = self.key.open(iv, cover.aad(), cover.suffix(), text, icv);
        Ok((sequence, opened.is_ok()))
    }

    fn refuse(&self, refused: Refused) -> Discard {
        self.counters.replayed();
        match refused {
            Refused::Zero => Discard::SequenceZero,
            Refused::TooOld => Discard::ReplayOld,
            Refused::Seen => Discard::ReplaySeen,
        }
    }
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
