//! The first moment of an IKE SA: identities, the news of it, and its keys for an analyser
//! (RFC 7296 section 3.5).

use std::net::IpAddr;

use policy::identity::Identity;
use wire::ike::Identification;

use crate::context::Context;
use crate::event::Event;
use crate::output::Output;
use crate::v2::keys::{Keys, Spis};
use crate::v2::sa::Sa;

/// An identity as its payload.
pub(crate) fn identification(identity: &Identity, address: IpAddr) -> Identification {
    let (kind, data) = identity.to_wire(address);
    Identification { kind, data }
}

/// Who we are on this address.
pub(crate) fn own_identity(identity: &Identity, address: IpAddr) -> Identity {
    match identity {
        Identity::Any => Identity::Address(address),
        named => named.clone(),
    }
}

/// Tells of a new IKE SA, and of its keys when somebody asked for them.
pub(crate) fn announce(sa: &Sa, ctx: &mut Context<'_>) {
    ctx.event(Event::IkeEstablished {
        ike: sa.id,
        peer: sa.peer.name.clone(),
        role: sa.role,
        local: sa.path.local,
        remote: sa.path.remote,
        remote_id: sa.remote_id.clone(),
        authentication: sa.peer.auth.remote.word(),
        suite: sa.keys.suite(),
    });
    ctx.warn_of_ike(sa.id, &sa.peer.name, sa.keys.suite());
    export(&sa.keys, sa.spis(), ctx);
}

/// Reveals the keys of an IKE SA, or those that an additional key exchange is about to replace
/// (RFC 9370 section 2.2.2), when somebody asked for them.
pub(crate) fn export(keys: &Keys, spis: Spis, ctx: &mut Context<'_>) {
    if ctx.config.export_keys {
        let keys = Box::new(keys.export(spis));
        ctx.outputs.push_back(Output::Keys(keys));
    }
}
