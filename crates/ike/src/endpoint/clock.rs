//! What time does to the slots of an endpoint.

use std::time::Instant;

use crate::endpoint::addresses::released;
use crate::endpoint::effects::settle;
use crate::endpoint::handshake::failed_initiator;
use crate::endpoint::inquiries::late;
use crate::endpoint::isakmp;
use crate::endpoint::isakmp_effects;
use crate::endpoint::slot::Slot;
use crate::endpoint::streams::give_up;
use crate::endpoint::tables::Tables;
use crate::event::Reason;
use crate::id::IkeSaId;
use crate::output::Output;
use crate::timer::Timer;
use crate::v2::established::{begin, clock};
use crate::v2::init_sent::Call;
use crate::v2::sa::{Sa, Stage};

/// The next deadline of all.
pub(crate) fn due(tables: &Tables) -> Option<(Instant, Timer)> {
    let release = tables.addresses.due().map(|(at, _)| (at, Timer::Release));
    [tables.deadlines.first(), release]
        .into_iter()
        .flatten()
        .min()
}

/// Does what is due.
pub(crate) fn fire(tables: &mut Tables, now: Instant) {
    // Each slot once: what it sets anew lies in the future, and a deadline that does not will be
    // seen by the next call.
    let mut due = Vec::new();
    while let Some(ike) = tables.deadlines.pop(now) {
        due.push(ike);
    }
    let mut worked = false;
    for ike in due {
        // Of all puzzles one has its turn: others wait longer, and the rest of the host does not.
        if is_solving(tables, ike) && std::mem::replace(&mut worked, true) {
            postpone(tables, ike, now);
        } else {
            fire_slot(tables, ike, now);
        }
    }
    while let Some((_, address)) = tables.addresses.due().filter(|(at, _)| *at <= now) {
        release(tables, address, now);
    }
}

fn is_solving(tables: &Tables, ike: IkeSaId) -> bool {
    matches!(tables.slot(ike), Some(Slot::InitSent(state)) if state.is_solving())
}

fn postpone(tables: &mut Tables, ike: IkeSaId, now: Instant) {
    if let Some(Slot::InitSent(mut state)) = tables.take(ike) {
        state.wait(now);
        tables.put(ike, Slot::InitSent(state));
    }
}

fn fire_slot(tables: &mut Tables, ike: IkeSaId, now: Instant) {
    let Some(mut slot) = tables.take(ike) else {
        return;
    };
    if let Some(digest) = slot.waited(now) {
        tables.put(ike, slot);
        return late(tables, ike, &digest, now);
    }
    match slot {
        Slot::InitSent(mut state) => match state.fire(&mut tables.context(now)) {
            Ok(()) => tables.put(ike, Slot::InitSent(state)),
            Err(error) => {
                let (path, pending) = (state.purpose.path, state.purpose.pending);
                tables.discard(ike);
                failed_initiator(tables, path.local, path.remote, error, pending, now);
            }
        },
        Slot::Intermediate(mut state) => match state.fire(&mut tables.context(now)) {
            Ok(()) => tables.put(ike, Slot::Intermediate(state)),
            Err(error) => {
                let purpose = state.into_purpose();
                tables.discard(ike);
                give_up(tables, Call::of(&purpose), error, purpose.pending, now);
            }
        },
        Slot::AuthSent(mut state) => match state.fire(&mut tables.context(now)) {
            Ok(()) => tables.put(ike, Slot::AuthSent(state)),
            Err(error) => {
                let call = Call::of(&state.begun().purpose);
                let pending = state.into_pending(&mut tables.context(now));
                tables.discard(ike);
                give_up(tables, call, error, pending, now);
            }
        },
        Slot::HalfOpen(_) | Slot::Refused(_) => tables.discard(ike),
        Slot::Sa(sa) => fire_sa(tables, sa, now),
        Slot::MainMode(state) => isakmp::fire_main_mode(tables, state, now),
        Slot::Isakmp(sa) => isakmp::fire(tables, sa, now),
    }
}

fn fire_sa(tables: &mut Tables, mut sa: Box<Sa>, now: Instant) {
    if matches!(sa.stage, Stage::Closed { until } if until <= now) {
        return tables.discard_sa(sa.id, sa.path.local.ip());
    }
    clock::fire(&mut sa, &mut tables.context(now));
    begin::pump(&mut sa, &mut tables.context(now));
    settle(tables, sa, now);
}

/// An address that leaves waits no longer.
pub(crate) fn release(tables: &mut Tables, address: std::net::IpAddr, now: Instant) {
    let Some(account) = tables.addresses.give_up(address) else {
        return;
    };
    tables
        .outputs
        .push_back(Output::Event(released(address, &account)));
    for ike in account.waiting {
        if let Some(mut sa) = tables.take_sa(ike) {
            sa.end(Reason::AddressLeft, false, &mut tables.context(now));
            settle(tables, sa, now);
        } else if let Some(mut sa) = tables.take_isakmp(ike) {
            sa.end(Reason::AddressLeft, &mut tables.context(now));
            isakmp_effects::settle(tables, sa, now);
        }
    }
}
