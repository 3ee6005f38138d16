//! A peer sends us to another gateway, and we begin there (RFC 5685 sections 3, 5 and 6).

use std::net::IpAddr;
use std::time::Instant;

use crate::command::Acquire;
use crate::endpoint::acquire::{acquire_from, usable_besides};
use crate::endpoint::tables::Tables;
use crate::error::RedirectRefusal;
use crate::event::Event;
use crate::v2::redirect::{Elsewhere, Origin, is_movable, not_followed};
use crate::v2::sa::Sa;

/// Begins at another gateway what the peer cannot or will not give where we called it. If there is
/// an IKE SA with that gateway already, it takes the place of the old one: the caller settles it.
#[must_use]
pub(crate) fn depart(tables: &mut Tables, moved: Elsewhere, now: Instant) -> Option<Box<Sa>> {
    let Elsewhere {
        peer,
        local,
        to,
        origin,
        wanted,
    } = moved;
    let from = origin.before.map_or(to, |before| before.last);
    let home = origin.before.map_or(to, |before| before.home);
    if !tables.redirects.take(&peer, local, now) {
        let why = (to.to_string(), RedirectRefusal::TooOften);
        not_followed(&peer, from, why, &mut tables.context(now));
        // An IKE SA that is there stays; else we ask to be served where the policy says.
        if origin.replaces.is_none() {
            begin_at(tables, wanted, home, Origin::default(), now);
        }
        return None;
    }
    let event = Event::Redirected {
        peer: peer.clone(),
        from,
        to,
    };
    tables.context(now).event(event);
    let (movable, others) = wanted.into_iter().partition(is_movable);
    begin_at(tables, movable, to, origin, now);
    begin_at(tables, others, home, Origin::default(), now);
    let old = origin.replaces?;
    let ike = usable_besides(tables, &peer, (local, to), Some(old))?;
    let mut sa = tables.take_sa(ike)?;
    sa.redirection.replaces = Some(old);
    sa.redirection.home.get_or_insert(home);
    sa.changed = true;
    Some(sa)
}

fn begin_at(
    tables: &mut Tables,
    wanted: Vec<Acquire>,
    remote: IpAddr,
    origin: Origin,
    now: Instant,
) {
    for mut one in wanted {
        one.remote = remote;
        acquire_from(tables, one, origin, now);
    }
}
