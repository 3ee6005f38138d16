//! IKE_FOLLOWUP_KE as its responder: what CREATE_CHILD_SA agreed on comes to be when the last
//! additional key exchange is done (RFC 9370 section 2.2.4).
//!
//! What is pending is not in the records of a cluster: whoever goes on with the IKE SA does not
//! know it, says so, and the peer begins anew.

use std::collections::VecDeque;

use crypto::{Group, Secret, constant_time_eq};
use wire::ike::{NotifyType, Payload};

use crate::context::Context;
use crate::error::{Error, Misbehaved};
use crate::event::Reason;
use crate::limits;
use crate::v2::child::exchange;
use crate::v2::cloning;
use crate::v2::collision::{Answer, Asked, answer};
use crate::v2::contents::Contents;
use crate::v2::established::child;
use crate::v2::established::collide::{doing, doing_to, doing_to_ike};
use crate::v2::established::ike;
use crate::v2::established::pend::{link, link_payload};
use crate::v2::install::{error_payload, notify};
use crate::v2::pending::{About, Pending};
use crate::v2::sa::Sa;
use crate::v2::window::Request;

/// The peer goes on with what is pending.
pub(crate) fn asked(
    sa: &mut Sa,
    request: &Request<'_>,
    contents: &Contents<'_>,
    ctx: &mut Context<'_>,
) {
    let Some(mut pending) = take(sa, contents) else {
        return sa.respond(request, &[notify(NotifyType::STATE_NOT_FOUND)], ctx);
    };
    let (payload, secret) = match agree(&mut pending.remaining, contents, ctx) {
        Ok(both) => both,
        Err(why) => {
            pending.release(ctx);
            let error = Error::Misbehaved(why);
            sa.respond(request, &[error_payload(&error)], ctx);
            return sa.end(Reason::Failed(error), true, ctx);
        }
    };
    pending.secrets.push(secret);
    if !pending.remaining.is_empty() {
        pending.link = link(ctx.random);
        pending.until = ctx.now + limits::FOLLOWUP;
        let payloads = [payload, link_payload(&pending.link)];
        sa.pending = Some(pending);
        return sa.respond(request, &payloads, ctx);
    }
    if !is_possible(sa, &pending.about, ctx) {
        pending.release(ctx);
        return sa.respond(request, &[notify(NotifyType::STATE_NOT_FOUND)], ctx);
    }
    let Pending { secrets, about, .. } = *pending;
    match about {
        About::Child {
            mut answered,
            theirs,
            old,
        } => {
            answered.secrets.extend(secrets);
            answered.payloads = vec![payload];
            child::agree(sa, request, &theirs, *answered, old, Answer::AsUsual, ctx);
        }
        About::Ike(mut made) => {
            made.additional = secrets;
            ike::make(sa, request, &[payload], *made, Answer::AsUsual, ctx);
        }
    }
}

/// What is pending, if the peer speaks of that.
fn take(sa: &mut Sa, contents: &Contents<'_>) -> Option<Box<Pending>> {
    let link = contents.notify(NotifyType::ADDITIONAL_KEY_EXCHANGE)?;
    let same = |pending: &mut Box<Pending>| constant_time_eq(&pending.link, &link.data);
    sa.pending.take_if(same)
}

fn agree(
    remaining: &mut VecDeque<Group>,
    contents: &Contents<'_>,
    ctx: &mut Context<'_>,
) -> Result<(Payload, Secret), Misbehaved> {
    let ke = contents.ke()?;
    let group = remaining.pop_front().filter(|one| one.id() == ke.group);
    exchange(
        group.ok_or(Misbehaved::ChoseWhatWasNotOffered)?,
        &ke.data,
        ctx,
    )
}

/// Whether nothing has come between since CREATE_CHILD_SA was answered.
fn is_possible(sa: &Sa, about: &About, ctx: &Context<'_>) -> bool {
    let verdict = match about {
        About::Child { old: None, .. } => answer(Asked::CreateChild, doing(sa)),
        About::Child { old: Some(old), .. } => {
            answer(Asked::RekeyChild, doing_to(sa, sa.child(*old)))
        }
        About::Ike(made) if made.cloned => {
            if !cloning::has_room(sa, ctx) {
                return false;
            }
            answer(Asked::CloneIke, doing(sa))
        }
        About::Ike(_) => answer(Asked::RekeyIke, doing_to_ike(sa)),
    };
    verdict == Answer::AsUsual
}
