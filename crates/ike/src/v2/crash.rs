//! Quick crash detection: who lost an IKE SA proves that with a token that it gave, protected,
//! while it had the SA (RFC 6290).

use std::net::IpAddr;

use crypto::{Secret, constant_time_eq, hmac};
use policy::pad::Peer;
use wire::ike::{Notify, Payload};

use crate::config::Config;
use crate::context::Context;
use crate::event::Reason;
use crate::limits;
use crate::path::Path;
use crate::v2::contents::Contents;
use crate::v2::keys::Spis;
use crate::v2::sa::{Kind, Sa, Stage, Task};

/// The token of an IKE SA (section 5). Both addresses are part of it: who owns one address of a
/// cluster, or the peers of one, must not be made to show the token of an IKE SA that another
/// member has between other addresses (section 9.2).
fn token(secret: &Secret, spis: Spis, local: IpAddr, remote: IpAddr) -> [u8; 32] {
    let (initiator, responder) = (spis.initiator.to_be_bytes(), spis.responder.to_be_bytes());
    let octets = |address: IpAddr| match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    };
    let (maker, taker) = (octets(local), octets(remote));
    hmac::sha256(secret.as_bytes(), &[&initiator, &responder, &taker, &maker])
}

/// The token of an IKE SA for its peer, if we make any. To the peer it may only go protected; in
/// clear only when the IKE SA is lost.
pub(crate) fn give(config: &Config, peer: &Peer, spis: Spis, path: &Path) -> Option<Payload> {
    let secret = config.qcd_secret.as_ref().filter(|_| peer.ike.qcd)?;
    let token = token(secret, spis, path.local.ip(), path.remote.ip());
    Some(Payload::Notify(Notify::crash_token(&token)))
}

/// Gives the peer a token as soon as the window allows: nothing else has brought it, or it was
/// made for another address.
pub(crate) fn give_soon(sa: &mut Sa, config: &Config) {
    if config.qcd_secret.is_some() && sa.peer.ike.qcd {
        sa.queue(Task::GiveToken);
    }
}

/// Gives the peer a token in an INFORMATIONAL of its own (section 4.3).
pub(crate) fn give_now(sa: &mut Sa, ctx: &mut Context<'_>) {
    if let Some(token) = give(ctx.config, &sa.peer, sa.spis(), &sa.path) {
        sa.request(Kind::Liveness, &[token], ctx);
    }
}

/// Keeps the tokens of an authenticated message, in the place of those that came before.
pub(crate) fn keep(sa: &mut Sa, contents: &Contents<'_>) {
    let given = contents
        .notifies()
        .iter()
        .filter_map(|notify| notify.as_crash_token());
    let mut tokens: Vec<Vec<u8>> = given
        .take(limits::CRASH_TOKENS)
        .map(<[u8]>::to_vec)
        .collect();
    tokens.shrink_to_fit();
    if sa.peer.ike.qcd && !tokens.is_empty() {
        sa.recovery.tokens = tokens;
    }
}

/// Whether an unprotected message proves that the peer has lost the IKE SA; `None` when it does
/// not try to, or we hold nothing to compare it with.
pub(crate) fn is_proof(sa: &Sa, payloads: &[Payload]) -> Option<bool> {
    let shown: Vec<&[u8]> = payloads
        .iter()
        .filter_map(|payload| match payload {
            Payload::Notify(notify) => notify.as_crash_token(),
            _ => None,
        })
        .take(limits::CRASH_TOKENS)
        .collect();
    let known = &sa.recovery.tokens;
    let closed = matches!(sa.stage, Stage::Closed { .. });
    if closed || shown.is_empty() || known.is_empty() {
        return None;
    }
    // Each is compared with each, so that the time taken tells nothing.
    let fits = |token: &[u8]| {
        known
            .iter()
            .filter(|one| constant_time_eq(one, token))
            .count()
    };
    Some(shown.into_iter().map(fits).sum::<usize>() > 0)
}

/// The peer has lost the IKE SA: it ends without a word, and what it protected begins anew.
pub(crate) fn proven(sa: &mut Sa, ctx: &mut Context<'_>) {
    sa.lose(Reason::LostByPeer, ctx);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_of_one_ike_sa_between_two_addresses_in_one_direction() {
        let spis = |initiator, responder| Spis {
            initiator,
            responder,
        };
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let (ours, theirs) = (address("192.0.2.1"), address("192.0.2.2"));
        let secret = Secret::from_slice(&[7; 32]);
        let other = Secret::from_slice(&[8; 32]);
        let all = [
            token(&secret, spis(1, 2), ours, theirs),
            token(&secret, spis(2, 1), ours, theirs),
            token(&secret, spis(1, 3), ours, theirs),
            token(&secret, spis(1, 2), theirs, ours),
            token(&secret, spis(1, 2), address("192.0.2.3"), theirs),
            token(&secret, spis(1, 2), ours, address("2001:db8::2")),
            token(&other, spis(1, 2), ours, theirs),
        ];
        let different: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len());
        assert_eq!(all[0], token(&secret, spis(1, 2), ours, theirs));
    }
}
