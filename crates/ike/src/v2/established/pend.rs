//! A peer's CREATE_CHILD_SA that needs more than one key exchange is answered, and waits (RFC 9370
//! section 2.2.4).
//!
//! One thing at a time: a second one is asked to come again, and so is one that collides with our
//! own.

use std::time::Instant;

use crypto::{Group, Random};
use wire::ike::{Notify, NotifyType, Payload};

use crate::context::Context;
use crate::limits;
use crate::v2::collision::Answer;
use crate::v2::pending::{About, Pending};
use crate::v2::sa::Sa;
use crate::v2::window::Request;

/// Answers a CREATE_CHILD_SA that needs more key exchanges, which the peer begins.
pub(crate) fn begin(
    sa: &mut Sa,
    request: &Request<'_>,
    mut payloads: Vec<Payload>,
    groups: impl Iterator<Item = Group>,
    about: About,
    ctx: &mut Context<'_>,
) {
    let link = link(ctx.random);
    payloads.push(link_payload(&link));
    sa.respond(request, &payloads, ctx);
    let pending = Pending {
        link,
        until: ctx.now + limits::FOLLOWUP,
        remaining: groups.collect(),
        secrets: Vec::new(),
        about,
    };
    sa.pending = Some(Box::new(pending));
}

/// Whether a CREATE_CHILD_SA that needs more key exchanges has to come again later: both would
/// replace the same, or one is pending already.
pub(crate) fn must_wait(sa: &Sa, verdict: Answer) -> bool {
    sa.pending.is_some() || verdict == Answer::AsUsualThenCompare
}

/// The peer did not go on in time.
pub(crate) fn expire(sa: &mut Sa, now: Instant, ctx: &mut Context<'_>) {
    let pending = sa.pending.take_if(|pending| pending.until <= now);
    if let Some(pending) = pending {
        pending.release(ctx);
    }
}

/// What the peer has to name, and nobody guesses.
pub(crate) fn link(random: &mut dyn Random) -> Vec<u8> {
    let mut link = vec![0; limits::LINK];
    random.fill(&mut link);
    link
}

/// N(ADDITIONAL_KEY_EXCHANGE).
pub(crate) fn link_payload(link: &[u8]) -> Payload {
    let kind = NotifyType::ADDITIONAL_KEY_EXCHANGE;
    Payload::Notify(Notify::new(kind, link.to_vec()))
}
