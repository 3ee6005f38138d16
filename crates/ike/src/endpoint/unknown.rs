//! Messages for an IKE SA that does not exist here: their sender should hear of that, and may get
//! the proof of it (RFC 7296 section 2.21.4, RFC 6290 section 4.5).

use std::sync::Arc;
use std::time::Instant;

use policy::pad::Peer;
use wire::ike::{Decoded, ExchangeType, Flags, Header, Notify, NotifyType, Payload};

use crate::discard::Discard;
use crate::endpoint::tables::Tables;
use crate::endpoint::way::Way;
use crate::id::IkeSaId;
use crate::path::{Nat, Path};
use crate::v2::crash;
use crate::v2::keys::Spis;

/// Answers a request for an IKE SA that nobody here knows.
///
/// # Errors
/// Always: whatever is answered, nothing changed.
pub(crate) fn unknown(
    tables: &mut Tables,
    decoded: &Decoded<'_>,
    way: Way,
    now: Instant,
) -> Result<(), Discard> {
    let header = &decoded.header;
    if header.flags.response || header.exchange == ExchangeType::IKE_SA_INIT {
        return Err(Discard::UnknownSpi);
    }
    let found = tables.config.pad.find_by_address(way.remote.ip());
    let Some(name) = found.first().map(|peer| peer.name.clone()) else {
        return Err(Discard::UnknownPeer);
    };
    if !tables.answers.take(now) {
        return Err(Discard::RateLimited);
    }
    let peer = tables.peers.get(&name).cloned();
    let path = way.back(Nat::default());
    let mut payloads = vec![Payload::Notify(Notify::new(
        NotifyType::INVALID_IKE_SPI,
        Vec::new(),
    ))];
    let token = peer.and_then(|peer| token(tables, decoded, &peer, &path));
    let with_token = token.is_some();
    payloads.extend(token);
    let bytes = wire::ike::encode(&answer(header), &payloads).unwrap_or_default();
    // It is never more than what came, so that nobody gains by a false address. A token makes it
    // longer than the shortest protected request, by some twenty octets; so many per second do no
    // harm, and go to configured peers only.
    if with_token || bytes.len() <= decoded.octets.len() {
        tables.context(now).transmit(&path, bytes);
    }
    Err(Discard::UnknownSpi)
}

/// The header of the answer: SPIs and message id are those of the request.
fn answer(header: &Header) -> Header {
    let flags = Flags {
        initiator: !header.flags.initiator,
        version: false,
        response: true,
    };
    Header::new(
        header.initiator_spi,
        header.responder_spi,
        header.exchange,
        flags,
        header.message_id,
    )
}

/// The token that ends the IKE SA at the sender, if it may be shown. Whoever sees the token of an
/// IKE SA that is alive can end it, so neither SPI may be one that is in use here: a forged
/// message can say that either of them is ours.
fn token(tables: &Tables, decoded: &Decoded<'_>, peer: &Arc<Peer>, path: &Path) -> Option<Payload> {
    let Header {
        initiator_spi,
        responder_spi,
        ..
    } = decoded.header;
    let alive = |spi| tables.slot(IkeSaId(spi)).is_some();
    let may_show = tables.addresses.may_show_tokens(path.local.ip());
    let protected = decoded.encrypted.is_some();
    if !protected || !may_show || alive(initiator_spi) || alive(responder_spi) {
        return None;
    }
    let spis = Spis {
        initiator: initiator_spi,
        responder: responder_spi,
    };
    crash::give(&tables.config, peer, spis, path)
}
