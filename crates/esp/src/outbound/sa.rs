//! One outbound SA: sequence numbers under a ceiling, and sealing in place (RFC 4303 3.3).

use std::net::IpAddr;
use std::sync::Arc;

use crypto::SealingKey;
use crypto::cipher::KeyError;
use policy::child::Mode;
use policy::names::RuleName;
use policy::sa::{ChildId, Encapsulation, SaSpec};
use policy::selector::Selectors;
use wire::esp::{HEADER, Header, TRAILER, padding, write_trailer};

use crate::counters::SaCounters;
use crate::cover::Cover;
use crate::discard::Discard;
use crate::outbound::batch::Path;

/// No sequence number reaches this: the IV holds 48 bits of it, and no IV may repeat under a key.
const SEQUENCE_LIMIT: u64 = 1 << 48;
/// The same without extended numbers: the counter must not cycle (RFC 4303 3.3.3).
const SHORT_SEQUENCE_LIMIT: u64 = u32::MAX as u64;

/// An outbound SA. It belongs to one thread.
///
/// The IV of an AEAD is `epoch (16 bits) | low 48 bits of the sequence number`: unique under the
/// key as long as no two holders of the key send under one epoch and one number. CBC encrypts that
/// number under the key, which makes it unpredictable (RFC 3602 section 3).
pub struct OutboundSa {
    id: ChildId,
    rule: RuleName,
    mode: Mode,
    path: Path,
    spi: u32,
    selectors: Selectors,
    key: SealingKey,
    iv_length: usize,
    block_length: usize,
    esn: bool,
    epoch: u16,
    next: u64,
    ceiling: u64,
    counters: Arc<SaCounters>,
}

impl OutboundSa {
    /// Takes the outbound half of what was agreed. The first sequence number is 1. `epoch` is 0
    /// unless several hosts hold the key, and then it names the one that sends.
    ///
    /// # Errors
    /// [`KeyError`] when algorithms and keys do not fit one another.
    pub fn new(spec: &SaSpec, epoch: u16) -> Result<Self, KeyError> {
        let keys = &spec.outbound_keys;
        let key = SealingKey::new(
            spec.encryption,
            spec.integrity,
            keys.encryption.as_bytes(),
            keys.integrity.as_bytes(),
        )?;
        Ok(OutboundSa {
            id: spec.id,
            rule: spec.rule.clone(),
            mode: spec.mode,
            path: Path::Esp {
                local: spec.local,
                remote: spec.remote,
                encapsulation: spec.encapsulation,
                traffic_class: 0,
            },
            spi: spec.outbound_spi,
            selectors: spec.selectors.clone(),
            key,
            iv_length: spec.encryption.iv_length(),
            block_length: spec.encryption.block_length(),
            esn: spec.esn,
            epoch,
            next: 1,
            ceiling: if spec.esn {
                SEQUENCE_LIMIT
            } else {
                SHORT_SEQUENCE_LIMIT
            },
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

    /// The SPI that the peer chose.
    #[must_use]
    pub fn spi(&self) -> u32 {
        self.spi
    }

    /// The traffic it carries.
    #[must_use]
    pub fn selectors(&self) -> &Selectors {
        &self.selectors
    }

    /// Where its datagrams go; the traffic class is 0.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its statistics, shared with whoever reports them.
    #[must_use]
    pub fn counters(&self) -> Arc<SaCounters> {
        Arc::clone(&self.counters)
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
    /// 2^32 - 1, or 2^48 with extended numbers, because the IV has 48 bits for it.
    pub fn set_ceiling(&mut self, ceiling: u64) {
        let limit = if self.esn {
            SEQUENCE_LIMIT
        } else {
            SHORT_SEQUENCE_LIMIT
        };
        self.ceiling = ceiling.min(limit);
    }

    /// Sends to another address or in another encapsulation from now on: the peer has moved, as an
    /// authentic IKE message said (RFC 7296 2.23).
    pub fn redirect(&mut self, to: IpAddr, encapsulation: Encapsulation) {
        if let Path::Esp {
            remote,
            encapsulation: current,
            ..
        } = &mut self.path
        {
            (*remote, *current) = (to, encapsulation);
        }
    }

    /// Continues at a later sequence number. Numbers never go back: an earlier one changes nothing.
    pub fn advance_to(&mut self, next: u64) {
        self.next = self.next.max(next);
    }

    /// Where the payload lies in a datagram: behind SPI, sequence number and IV.
    #[must_use]
    pub fn payload_offset(&self) -> usize {
        HEADER + self.iv_length
    }

    /// Length of the datagram that carries `payload` bytes.
    #[must_use]
    pub fn sealed_length(&self, payload: usize) -> usize {
        let trailer = padding(payload, self.block_length) + TRAILER;
        HEADER + self.iv_length + payload + trailer + self.key.icv_length()
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
        self.next += 1;
        self.fill(datagram, payload, next_header, sequence)
            .ok_or(Discard::SealFailed)
    }

    /// Counts datagrams that were sealed.
    pub(crate) fn count(&self, packets: u64, bytes: u64, now: u64) {
        self.counters.passed(packets, bytes, self.next - 1, now);
    }

    /// Counts packets that could not be sealed.
    pub(crate) fn count_dropped(&self, packets: u64) {
        self.counters.dropped(packets);
    }

    fn fill(&self, datagram: &mut [u8], payload: usize, next: u8, sequence: u64) -> Option<()> {
        let (header, rest) = datagram.split_first_chunk_mut::<HEADER>()?;
        let (iv, rest) = rest.split_at_mut_checked(self.iv_length)?;
        let text_length = rest.len().checked_sub(self.key.icv_length())?;
        let (text, icv) = rest.split_at_mut_checked(text_length)?;
        *header = Header {
            spi: self.spi,
            sequence: sequence as u32,
        }
        .emit();
        let number = u64::from(self.epoch) << 48 | sequence & (SEQUENCE_LIMIT - 1);
        self.key.write_iv(number, iv).ok()?;
        if !write_trailer(text.get_mut(payload..)?, next) {
            return None;
        }
        let cover = Cover::new(
            self.spi,
            sequence,
            self.esn,
            self.key.encryption().is_aead(),
        );
        self.key
            .seal(iv, cover.aad(), cover.suffix(), text, icv)
            .ok()
    }
}
