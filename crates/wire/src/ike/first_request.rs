//! The first request of a handshake, read as far as a cookie needs and without an allocation: a
//! flood of them must cost little (RFC 7296 section 2.6).

use crate::ike::header::Header;
use crate::ike::kinds::{ExchangeType, PayloadType};
use crate::ike::limits;
use crate::ike::malformed::{Malformed, Reason};
use crate::ike::notify_type::NotifyType;
use crate::ike::payload::Generic;
use crate::ike::reader::Reader;

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
    /// The payloads, without a cookie at their beginning, and the type of the first of them.
    asks: (PayloadType, &'a [u8]),
}

impl FirstRequest<'_> {
    /// Whether both ask for the same: a request that comes again with a cookie has it as its first
    /// payload, and all others unchanged.
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
        ExchangeType::IKE_SA_INIT => found.sa && found.ke,
        _ => found.ticket,
    };
    Some(FirstRequest {
        octets,
        header,
        nonce: found.nonce.filter(|_| complete)?,
        cookie: found.cookie,
        asks: found.asks,
    })
}

/// What the chain of payloads holds.
struct Found<'a> {
    nonce: Option<&'a [u8]>,
    cookie: Option<&'a [u8]>,
    asks: (PayloadType, &'a [u8]),
    sa: bool,
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
            asks: (kind, chain),
            sa: false,
            ke: false,
            ticket: false,
        };
        for place in 0..limits::PAYLOADS {
            if kind == PayloadType::NONE {
                break;
            }
            let mut generic = Generic::parse(&mut reader)?;
            match kind {
                PayloadType::SA => found.sa = true,
                PayloadType::KE => found.ke = true,
                PayloadType::NONCE => found.take_nonce(&mut generic.body)?,
                PayloadType::NOTIFY => {
                    found.take_notify(&mut generic.body)?;
                    if place == 0 && found.cookie.is_some() {
                        let behind = chain.len().saturating_sub(reader.remaining());
                        found.asks = (generic.next, chain.get(behind..).unwrap_or_default());
                    }
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
