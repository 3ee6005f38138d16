//! An answer of a responder came, or none in time: what waited for it goes on (RFC 6960).

use std::time::Instant;

use x509::Trouble;

use crate::endpoint::datagrams::authenticated;
use crate::endpoint::responder::authenticate;
use crate::endpoint::slot::Slot;
use crate::endpoint::tables::Tables;
use crate::endpoint::way::Way;
use crate::event::Event;
use crate::id::IkeSaId;
use crate::limits;
use crate::v2::status::{Answer, Asked};

/// A responder answered, or could not be asked: the reason. An answer that nobody waits for any
/// longer is not looked at.
pub(crate) fn answered(
    tables: &mut Tables,
    question: u64,
    answer: Result<Vec<u8>, String>,
    now: Instant,
) {
    let Some(asked) = tables.statuses.take(question) else {
        return;
    };
    let seconds = tables.config.seconds(now).unwrap_or_default();
    let answer = match answer {
        Ok(response) => asked.subject.judge(&response, Some(&asked.nonce), seconds),
        Err(why) => Err(Trouble::Unreachable(why)),
    };
    conclude(tables, asked, answer, now);
}

/// A message has waited long enough.
pub(crate) fn late(tables: &mut Tables, ike: IkeSaId, digest: &[u8; 32], now: Instant) {
    match tables.statuses.give_up(digest) {
        Some(asked) => {
            let seconds = limits::STATUS_WAIT.as_secs();
            let why = format!("it has not answered for {seconds} s");
            conclude(tables, asked, Err(Trouble::Unreachable(why)), now);
        }
        None => go_on(tables, ike, now),
    }
}

fn conclude(tables: &mut Tables, asked: Asked, answer: Answer, now: Instant) {
    if let Err(why) = &answer
        && tables.news.take(now)
    {
        let (certificate, why) = (asked.subject.to_string(), why.clone());
        let unknown = Event::StatusUnknown { certificate, why };
        tables.context(now).event(unknown);
    }
    let seconds = tables.config.seconds(now).unwrap_or_default();
    tables
        .statuses
        .keep(asked.subject.digest(), answer, seconds);
    for ike in asked.waiting {
        go_on(tables, ike, now);
    }
}

/// The message that waits, if one still does, is looked at again, with all that is known now.
fn go_on(tables: &mut Tables, ike: IkeSaId, now: Instant) {
    let Some(mut slot) = tables.take(ike) else {
        return;
    };
    let (held, path) = (slot.take_held(), *slot.path());
    let (local, remote) = (path.local, path.remote);
    // What came before the address fell silent comes again, if it is ever to be answered.
    let held = held.filter(|_| tables.addresses.is_active(local.ip()));
    let way = Way {
        transport: path.carrier.transport(),
        local,
        remote,
    };
    let outcome = match (slot, held) {
        (Slot::HalfOpen(state), Some(held)) => authenticate(tables, state, held.opened, way, now),
        (Slot::AuthSent(state), Some(held)) => authenticated(tables, state, held.opened, way, now),
        (slot, _) => {
            tables.put(ike, slot);
            Ok(())
        }
    };
    if let Err(reason) = outcome {
        tables.discards.count(reason);
    }
}
