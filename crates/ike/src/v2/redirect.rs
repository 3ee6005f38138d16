//! A peer is sent to another gateway before there is any state for it (RFC 5685 section 3).

use std::net::IpAddr;

use policy::pad::IkeTemplate;
use wire::ike::{Gateway, NotifyType, Payload, Redirect};

use crate::v2::contents::Contents;

/// Where an IKE_SA_INIT request to `local` is sent on to, and the payload that says so. Nowhere if
/// the initiator does not know what that means, is there already, or comes from there: two
/// gateways that send it to each other would keep it busy for ever.
pub(crate) fn elsewhere(
    ike: &IkeTemplate,
    request: &Contents<'_>,
    local: IpAddr,
) -> Option<(IpAddr, Payload)> {
    let to = ike.redirect.filter(|to| *to != local)?;
    let origin = request.notify(NotifyType::REDIRECTED_FROM);
    // Who was sent here knows what that means, and need not say so again.
    origin.or_else(|| request.notify(NotifyType::REDIRECT_SUPPORTED))?;
    let gateway = Gateway::Address(to);
    if origin.and_then(Redirect::of).map(|origin| origin.gateway) == Some(gateway.clone()) {
        return None;
    }
    let nonce = request.nonce().ok()?.to_vec();
    let notify = Redirect { gateway, nonce }.to_notify()?;
    Some((to, Payload::Notify(notify)))
}
