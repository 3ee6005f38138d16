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
    if request.is_some_and(|request| answered_before(tables, &request, way, now)) {
        return Ok(Knock::Answered);
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

/// Gives the answer to a first request again, if it is there again.
fn answered_before(
    tables: &mut Tables,
    request: &FirstRequest<'_>,
    way: Way,
    now: Instant,
) -> bool {
    let (spi, from) = (request.header.initiator_spi, way.remote.ip());
    let before = tables.half_opens.of_request(spi, from);
    let Some(Slot::HalfOpen(state)) = before.and_then(|ike| tables.slot(ike)) else {
        return false;
    };
    let again = state.is_repeated(request.octets).then(|| state.repeated());
    let repeated = again.is_some();
    if let Some((path, answer)) = again {
        tables.context(now).transmit(&path, answer);
    }
    repeated
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
    let claim = Claim {
        nonce: request.nonce,
        address: way.remote.ip(),
        initiator_spi: request.header.initiator_spi,
    };
    let good = |cookie| tables.cookies.verify(claim, cookie);
    if request.cookie.is_some_and(good) {
        return Ok(());
    }
    if tables.config.pad.nearest(way.remote.ip()).is_none() {
        return Err(Discard::UnknownPeer);
    }
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
