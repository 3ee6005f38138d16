//! The door: a first message is answered, or asked for a cookie, before anything of it is kept and
//! before the rest of it is read (RFC 7296 section 2.6).

use std::time::Instant;

use crypto::Prf;
use policy::sa::Transport;
use wire::ike::{
    ExchangeType, FirstRequest, Notify, NotifyType, Payload, TransformType, first_request,
};

use crate::config::{Cookies, Puzzles};
use crate::discard::Discard;
use crate::endpoint::slot::Slot;
use crate::endpoint::tables::Tables;
use crate::endpoint::way::Way;
use crate::event::Event;
use crate::output::Output;
use crate::path::Nat;
use crate::v2::cookie::Claim;
use crate::v2::init_request::stateless_answers;
use crate::v2::puzzle::Puzzle;

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
    let (puzzled, required) = (puzzles_required(tables), cookies_required(tables));
    // The address of a connection is proven, and it costs more than a datagram: neither cookies nor
    // puzzles are asked for (RFC 9329 section 6.3).
    if way.transport == Transport::Tcp || !required && !crowded && !puzzled {
        return Ok(Knock::Enter);
    }
    let Some(request) = request else {
        return Ok(Knock::Unreadable);
    };
    // A source that has as many handshakes as it may have pays for another one (RFC 8019 section
    // 4).
    let puzzles = tables.config.puzzles.filter(|_| crowded || puzzled);
    // To open a ticket costs no more than to check a puzzle.
    let begins = request.header.exchange == ExchangeType::IKE_SA_INIT;
    let demand = Demand {
        crowded,
        puzzles: puzzles.filter(|_| begins),
    };
    admit(tables, &request, demand, way, now).map(|()| Knock::Enter)
}

/// What a first request must bring.
#[derive(Clone, Copy)]
struct Demand {
    /// Because of its source, and not of all.
    crowded: bool,
    puzzles: Option<Puzzles>,
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
    let path = way.again(&path);
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
    request.cookie.is_some_and(|cookie| good(cookie).is_ok())
}

/// Lets a request in that returns a good cookie, and asks for one otherwise. Whoever forges
/// addresses of a subnet must not keep that subnet's hosts out: there is always room for an
/// initiator that returns a cookie.
fn admit(
    tables: &mut Tables,
    request: &FirstRequest<'_>,
    demand: Demand,
    way: Way,
    now: Instant,
) -> Result<(), Discard> {
    let claim = claim(request, way);
    let returned = request
        .cookie
        .map(|cookie| (cookie, tables.cookies.verify(claim, cookie)));
    // Who offers no PRF that we have cannot solve anything.
    let offers = |prf: &Prf| !prf.is_legacy() && request.offers(TransformType::PRF, prf.id());
    let prf = demand
        .puzzles
        .and_then(|_| Prf::ALL.into_iter().find(offers));
    let puzzle = demand.puzzles.zip(prf).map(|(puzzles, prf)| Puzzle {
        prf,
        difficulty: puzzles.difficulty,
    });
    let why = match returned {
        Some((_, Ok(_))) if demand.puzzles.is_none() => return Ok(()),
        Some((cookie, Ok(Some(posed)))) => {
            return judge(tables, posed, cookie, request.solution, now);
        }
        Some((_, Ok(None))) if puzzle.is_none() => return unsolved(tables, now),
        Some((_, Ok(None))) => Discard::PuzzleAsked,
        _ if demand.crowded => Discard::HalfOpenLimit,
        _ => Discard::Cookie,
    };
    let data = tables.cookies.make(claim, puzzle, now, &mut *tables.random);
    let cookie = Payload::Notify(Notify::new(NotifyType::COOKIE, data));
    let payloads: Vec<Payload> = std::iter::once(cookie)
        .chain(puzzle.map(Puzzle::payload))
        .collect();
    let path = way.back(Nat::default());
    // It is shorter than any request that gets here.
    if let Some(bytes) = stateless_answers(&request.header, &payloads) {
        tables.context(now).transmit(&path, bytes);
    }
    Err(why)
}

/// A cookie is back that came with a puzzle (RFC 8019 section 7.1.4). Nothing was allocated for it.
fn judge(
    tables: &mut Tables,
    posed: Puzzle,
    cookie: &[u8],
    solution: Option<&[u8]>,
    now: Instant,
) -> Result<(), Discard> {
    match solution {
        Some(solution) if posed.is_solved(cookie, solution) => Ok(()),
        Some(_) => Err(Discard::PuzzleWrong),
        None => unsolved(tables, now),
    }
}

/// An initiator that knows nothing of puzzles, or will not solve ours, is served if few of these
/// come: it may be one of ours, and it has at least shown where it is.
fn unsolved(tables: &mut Tables, now: Instant) -> Result<(), Discard> {
    match tables.unsolved.take(now) {
        true => Ok(()),
        false => Err(Discard::PuzzleUnsolved),
    }
}

/// Whether as many handshakes of one source are half-open as may be.
fn is_crowded(tables: &Tables, way: Way) -> bool {
    tables.half_opens.count_of(way.remote.ip()) >= tables.config.half_open_per_source
}

/// Whether cookies are asked for now; tells when that changes.
fn cookies_required(tables: &mut Tables) -> bool {
    let required = match tables.config.cookies {
        Cookies::Always => true,
        Cookies::From(count) => is_reached(tables, count, tables.cookies_required),
    };
    if required != tables.cookies_required {
        tables.cookies_required = required;
        tables
            .outputs
            .push_back(Output::Event(Event::CookiesRequired(required)));
    }
    required
}

/// Whether puzzles are asked for now; tells when that changes.
fn puzzles_required(tables: &mut Tables) -> bool {
    let reached = |one: Puzzles| is_reached(tables, one.from, tables.puzzles_required);
    let required = tables.config.puzzles.is_some_and(reached);
    if required != tables.puzzles_required {
        tables.puzzles_required = required;
        let event = Event::PuzzlesRequired(required);
        tables.outputs.push_back(Output::Event(event));
    }
    required
}

/// Whether so many are half-open. What has begun lasts until there are only half as many: else an
/// attack at the threshold would switch it with every message.
fn is_reached(tables: &Tables, threshold: usize, has_begun: bool) -> bool {
    let least = match has_begun {
        true => threshold.div_ceil(2),
        false => threshold,
    };
    tables.half_opens.count() >= least
}
