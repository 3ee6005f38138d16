//! The first request of a handshake, read as far as a cookie needs and without an allocation: a
//! flood of them must cost little (RFC 7296 section 2.6).

use crate::ike::header::Header;
use crate::ike::kinds::{ExchangeType, PayloadType, TransformType};
use crate::ike::limits;
use crate::ike::notify_type::NotifyType;
use crate::ike::payload::Generic;
use crate::malformed::{Malformed, Reason};
use crate::reader::Reader;

/// What a cookie is made of, out of an IKE_SA_INIT or IKE_SESSION_RESUME request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstRequest<'a> {
    /// The exact octets of the message.
    pub octets: &'a [u8],
    /// The header.
    pub header: Header,
    /// Ni, of a length that is allowed.
    pub nonce: &'a [u8],
    /// The cookie that the request returns.
    pub cookie: Option<&'a [u8]>,
    /// The keys that solve the puzzle about that cookie (RFC 8019 section 8.2).
    pub solution: Option<&'a [u8]>,
    /// The algorithms on offer; nothing in IKE_SESSION_RESUME.
    sa: &'a [u8],
    /// The payloads, without a cookie and a solution at their beginning, and the type of the first
    /// of them.
    asks: (PayloadType, &'a [u8]),
}

impl FirstRequest<'_> {
    /// Whether an algorithm is on offer.
    #[must_use]
    pub fn offers(&self, kind: TransformType, id: u16) -> bool {
        offers(self.sa, kind, id).unwrap_or(false)
    }

    /// Whether both ask for the same: a request that comes again with a cookie has it as its first
    /// payload, a solution behind it if it was asked for one, and all others unchanged.
    #[must_use]
    pub fn asks_the_same(&self, other: &FirstRequest<'_>) -> bool {
        let who = |one: &FirstRequest<'_>| (one.header.initiator_spi, one.header.exchange);
        who(self) == who(other) && self.asks == other.asks
    }
}

/// Reads a datagram as the first request of a handshake; `None` when it is something else, or not
/// complete enough to be answered. What is in other payloads than Ni and N(COOKIE) is not looked
/// at.
#[must_use]
pub fn first_request(datagram: &[u8]) -> Option<FirstRequest<'_>> {
    let header = Header::parse(datagram).ok()?;
    let begins = matches!(
        header.exchange,
        ExchangeType::IKE_SA_INIT | ExchangeType::IKE_SESSION_RESUME
    );
    let ours = header.major_version() == 2 && header.responder_spi == 0 && header.message_id == 0;
    let from_initiator = header.flags.initiator && !header.flags.response;
    if !begins || !ours || !from_initiator || header.initiator_spi == 0 {
        return None;
    }
    let octets = datagram.get(..usize::try_from(header.length).ok()?)?;
    let chain = octets.get(Header::LENGTH..)?;
    let found = Found::read(&header, chain).ok()?;
    let complete = match header.exchange {
        ExchangeType::IKE_SA_INIT => found.sa.is_some() && found.ke,
        _ => found.ticket,
    };
    Some(FirstRequest {
        octets,
        header,
        nonce: found.nonce.filter(|_| complete)?,
        cookie: found.cookie,
        solution: found.solution,
        sa: found.sa.unwrap_or_default(),
        asks: found.asks,
    })
}

/// What of a chain is behind a reader of it.
fn behind<'a>(chain: &'a [u8], reader: &Reader<'_>) -> &'a [u8] {
    let read = chain.len().saturating_sub(reader.remaining());
    chain.get(read..).unwrap_or_default()
}

/// Looks for an algorithm in the proposals of an SA payload (RFC 7296 sections 3.3.1 and 3.3.2).
fn offers(proposals: &[u8], kind: TransformType, id: u16) -> Result<bool, Malformed> {
    let mut proposals = Reader::new(proposals, 0);
    while !proposals.is_empty() {
        let mut body = part(&mut proposals)?;
        let (_number, _protocol) = (body.u8()?, body.u8()?);
        let (spi_size, _transforms) = (body.u8()?, body.u8()?);
        body.take(usize::from(spi_size), Reason::Truncated)?;
        while !body.is_empty() {
            let mut transform = part(&mut body)?;
            let (its, _reserved, number) = (transform.u8()?, transform.u8()?, transform.u16()?);
            if (its, number) == (kind.0, id) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// A proposal or a transform: whether it is the last, and its length, which counts these.
fn part<'a>(reader: &mut Reader<'a>) -> Result<Reader<'a>, Malformed> {
    const HEADER: usize = 4;
    let (_last, length) = (reader.u16()?, usize::from(reader.u16()?));
    match length.checked_sub(HEADER) {
        Some(length) => reader.part(length, Reason::Truncated),
        None => reader.fail(Reason::Truncated),
    }
}

/// What the chain of payloads holds.
struct Found<'a> {
    nonce: Option<&'a [u8]>,
    cookie: Option<&'a [u8]>,
    solution: Option<&'a [u8]>,
    asks: (PayloadType, &'a [u8]),
    sa: Option<&'a [u8]>,
    ke: bool,
    ticket: bool,
}

impl<'a> Found<'a> {
    fn read(header: &Header, chain: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(chain, Header::LENGTH);
        let mut kind = header.next_payload;
        let mut found = Found {
            nonce: None,
            cookie: None,
            solution: None,
            asks: (kind, chain),
            sa: None,
            ke: false,
            ticket: false,
        };
        for place in 0..limits::PAYLOADS {
            if kind == PayloadType::NONE {
                break;
            }
            let mut generic = Generic::parse(&mut reader)?;
            match kind {
                PayloadType::SA => found.sa = Some(generic.body.rest()),
                PayloadType::KE => found.ke = true,
                PayloadType::NONCE => found.take_nonce(&mut generic.body)?,
                PayloadType::NOTIFY => {
                    found.take_notify(&mut generic.body)?;
                    if place == 0 && found.cookie.is_some() {
                        found.asks = (generic.next, behind(chain, &reader));
                    }
                }
                PayloadType::PUZZLE_SOLUTION if place == 1 && found.cookie.is_some() => {
                    found.solution = Some(generic.body.rest());
                    found.asks = (generic.next, behind(chain, &reader));
                }
                _ => {}
            }
            kind = generic.next;
        }
        match kind == PayloadType::NONE && reader.is_empty() {
            true => Ok(found),
            false => reader.fail(Reason::TrailingOctets),
        }
    }

    fn take_nonce(&mut self, body: &mut Reader<'a>) -> Result<(), Malformed> {
        let allowed = limits::NONCE_MIN..=limits::NONCE_MAX;
        if self.nonce.is_some() || !allowed.contains(&body.remaining()) {
            return body.fail(Reason::NonceLength);
        }
        self.nonce = Some(body.rest());
        Ok(())
    }

    /// Of several cookies the first counts, as it does for who reads the whole message.
    fn take_notify(&mut self, body: &mut Reader<'a>) -> Result<(), Malformed> {
        let (_protocol, spi_size) = (body.u8()?, body.u8()?);
        let kind = NotifyType(body.u16()?);
        body.take(usize::from(spi_size), Reason::Truncated)?;
        match kind {
            NotifyType::COOKIE if self.cookie.is_none() => self.cookie = Some(body.rest()),
            NotifyType::TICKET_OPAQUE => self.ticket = true,
            _ => {}
        }
        Ok(())
    }
}
