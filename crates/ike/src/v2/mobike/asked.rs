//! The peer decides: it has other addresses, and this side follows or refuses (RFC 4555 sections
//! 3.5 to 3.9).

use std::net::SocketAddr;

use wire::ike::{NoNatsAllowed, Notify, NotifyType, Payload};

use crate::config::Config;
use crate::context::Context;
use crate::event::Event;
use crate::path::{Nat, Path};
use crate::v2::contents::Contents;
use crate::v2::install::notify;
use crate::v2::mobike::{may_leave, note_others, path};
use crate::v2::nat;
use crate::v2::sa::Sa;
use crate::v2::window::Request;

/// What an INFORMATIONAL says of addresses is done; the payloads of the answer to it.
///
/// The request is authentic and new: an older one, or one again, never comes here. Our window is
/// one request, so that none is overtaken by another.
pub(crate) fn answer(
    sa: &mut Sa,
    request: &Request<'_>,
    contents: &Contents<'_>,
    ctx: &mut Context<'_>,
) -> Vec<Payload> {
    if sa.mobility.is_none() {
        return Vec::new();
    }
    note_others(sa, contents);
    let back = request.back;
    let cookies = contents.notifies().iter();
    let cookie = cookies.copied().find(|one| one.as_cookie2().is_some());
    let mut payloads: Vec<Payload> = cookie.cloned().map(Payload::Notify).into_iter().collect();
    let verdict = match contents.notify(NotifyType::UPDATE_SA_ADDRESSES) {
        _ if has_unexpected_nat(contents, &back) => Err(NotifyType::UNEXPECTED_NAT_DETECTED),
        None => Ok(()),
        Some(_) if !is_acceptable(sa, back.local, back.remote, ctx.config) => {
            Err(NotifyType::UNACCEPTABLE_ADDRESSES)
        }
        Some(_) => {
            let nat = nat_of(sa, contents, &back);
            path::go(sa, Path { nat, ..back }, ctx);
            Ok(())
        }
    };
    if let Err(why) = verdict {
        ctx.event(Event::MoveRefused {
            ike: sa.id,
            peer: sa.peer.name.clone(),
            local: back.local,
            remote: back.remote,
            by_peer: false,
            why,
        });
        payloads.push(notify(why));
        return payloads;
    }
    if nat::has_hashes(contents) && sa.path.nat.supported {
        let forced = sa.path.nat.forced;
        let hashes = nat::payloads(sa.spis(), back.local, back.remote, forced, ctx.random);
        payloads.extend(hashes);
    }
    payloads
}

/// Whether a NAT has changed what it must not.
fn has_unexpected_nat(contents: &Contents<'_>, back: &Path) -> bool {
    let said = contents.notify(NotifyType::NO_NATS_ALLOWED);
    said.is_some_and(|notify| !holds(notify, back))
}

fn holds(notify: &Notify, back: &Path) -> bool {
    let seen = NoNatsAllowed {
        source: back.remote,
        destination: back.local,
    };
    NoNatsAllowed::of(notify) == Some(seen)
}

/// Whether the IKE SA may be between these addresses: the policy allows the peer its own, it is the
/// peer that decides, and ours is not one that stays with its IKE SAs.
fn is_acceptable(sa: &Sa, local: SocketAddr, remote: SocketAddr, config: &Config) -> bool {
    let decides = sa.mobility.as_ref().is_some_and(|one| one.decides);
    !decides
        && sa.peer.has_address(remote.ip())
        && may_leave(sa.path.local.ip(), local.ip(), config)
}

/// What is known of NATs on the new path.
fn nat_of(sa: &Sa, contents: &Contents<'_>, back: &Path) -> Nat {
    let known = sa.path.nat;
    if nat::has_hashes(contents) && known.supported {
        return nat::detect(contents, sa.spis(), back.local, back.remote, known.forced);
    }
    match contents.notify(NotifyType::NO_NATS_ALLOWED) {
        Some(_) => Nat {
            local: false,
            remote: false,
            ..known
        },
        None => known,
    }
}
