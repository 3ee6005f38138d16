//! The door: a first message is answered, or asked for a cookie, before anything of it is kept and
//! before the rest of it is read (RFC 7296 section 2.6).

use std::time::Instant;

use wire::ike::{FirstRequest, Notify, NotifyType, Payload, first_request};

use crate::config::Cookies;
use crate::discard::Discard;
use crate::endpoint::slot::Slot;
use crate::endpoint::tables::Tables;
use crate::endpoint::way::Way;
use crate::event::Event;
use crate::output::Output;
use crate::v2::cookie::Claim;
use crate::v2::init_request::stateless_answer;
use crate::v2::nat::{Nat, Path};

/// What is to be done with a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Knock {
    /// It is read, and taken if it is good.
    Enter,
    /// A handshake of its own waits for IKE_AUTH; the answer was given again.
    Answered,
    /// A cookie is wanted, and it is no first message that could return one: it is read for the
    /// reason why, and not taken.
    Unreadable,
}

/// Looks at a datagram.
///
/// # Errors
/// It must come again with a cookie, or nobody is expected from there.
pub(crate) fn knock(
    tables: &mut Tables,
    datagram: &[u8],
    way: Way,
    now: Instant,
) -> Result<Knock, Discard> {
    // Who knows our SPI has been let in before.
    if datagram.get(8..16).is_none_or(|spi| spi != [0; 8]) {
        return Ok(Knock::Enter);
    }
    let request = first_request(datagram);
    if let Some(request) = &request {
        if answered_before(tables, request, way, now) {
            return Ok(Knock::Answered);
        }
        if tables.config.pad.nearest(way.remote.ip()).is_none() {
            return Err(Discard::UnknownPeer);
        }
    }
    let crowded = is_crowded(tables, way);
    if !cookies_required(tables) && !crowded {
        return Ok(Knock::Enter);
    }
    let Some(request) = request else {
        return Ok(Knock::Unreadable);
    };
    admit(tables, &request, crowded, way, now).map(|()| Knock::Enter)
}

/// Gives the answer to a first request again, if it is there again. Copies of it may have met
/// different times, and only some of them have been asked for a cookie.
fn answered_before(
    tables: &mut Tables,
    request: &FirstRequest<'_>,
    way: Way,
    now: Instant,
) -> bool {
    let (spi, from) = (request.header.initiator_spi, way.remote.ip());
    let Some(ike) = tables.half_opens.of_request(spi, from) else {
        return false;
    };
    let returned = returns_cookie(tables, request, way);
    let Some(Slot::HalfOpen(state)) = tables.slot_mut(ike) else {
        return false;
    };
    if !state.is_repeated(request) {
        return false;
    }
    if returned {
        state.returned_cookie(request);
    }
    let (path, answer) = state.repeated();
    tables.context(now).transmit(&path, answer);
    true
}

fn claim<'a>(request: &FirstRequest<'a>, way: Way) -> Claim<'a> {
    Claim {
        nonce: request.nonce,
        address: way.remote.ip(),
        initiator_spi: request.header.initiator_spi,
    }
}

/// Whether the cookie in it is one of ours for it.
fn returns_cookie(tables: &Tables, request: &FirstRequest<'_>, way: Way) -> bool {
    let good = |cookie| tables.cookies.verify(claim(request, way), cookie);
    request.cookie.is_some_and(good)
}

/// Lets a request in that returns a good cookie, and asks for one otherwise. Whoever forges
/// addresses of a subnet must not keep that subnet's hosts out: there is always room for an
/// initiator that returns a cookie.
fn admit(
    tables: &mut Tables,
    request: &FirstRequest<'_>,
    crowded: bool,
    way: Way,
    now: Instant,
) -> Result<(), Discard> {
    if returns_cookie(tables, request, way) {
        return Ok(());
    }
    let claim = claim(request, way);
    let data = tables.cookies.make(claim, now, &mut *tables.random);
    let cookie = Payload::Notify(Notify::new(NotifyType::COOKIE, data));
    let path = Path {
        local: way.local,
        remote: way.remote,
        nat: Nat::default(),
    };
    // It is shorter than any request that gets here.
    if let Some(bytes) = stateless_answer(&request.header, cookie) {
        tables.context(now).transmit(&path, bytes);
    }
    Err(match crowded {
        true => Discard::HalfOpenLimit,
        false => Discard::Cookie,
    })
}

/// Whether as many handshakes of one source are half-open as may be.
fn is_crowded(tables: &Tables, way: Way) -> bool {
    tables.half_opens.count_of(way.remote.ip()) >= tables.config.half_open_per_source
}

/// Whether cookies are asked for now; tells when that changes.
fn cookies_required(tables: &mut Tables) -> bool {
    let required = match tables.config.cookies {
        Cookies::Always => true,
        Cookies::From(count) => tables.half_opens.count() >= count,
    };
    if required != tables.cookies_required {
        tables.cookies_required = required;
        tables
            .outputs
            .push_back(Output::Event(Event::CookiesRequired(required)));
    }
    required
}
