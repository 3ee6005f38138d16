//! CREATE_CHILD_SA about children: new ones and rekeyed ones, both roles (RFC 7296 sections 1.3.1,
//! 1.3.3 and 2.8.1).

use policy::sa::ChildId;
use wire::ike::{Notify, NotifyType, Payload};

use crate::context::Context;
use crate::context::acquire_failed;
use crate::error::Error;
use crate::event::Reason;
use crate::id::Role;
use crate::limits;
use crate::output::Outbound;
use crate::pair::{PairKeys, Stage as ChildStage};
use crate::v2::child::{
    Answered, ChildOffer, Refusal, Within, answer as answer_child, invalid_ke, wanted_group,
};
use crate::v2::collision::{Answer, Asked, answer, lowest, ours_is_redundant};
use crate::v2::contents::Contents;
use crate::v2::established::begin::{close_child, create_child, rekey_child};
use crate::v2::established::collide::{doing, doing_to};
use crate::v2::established::pend;
use crate::v2::install::{error_payload, notify};
use crate::v2::keys::Nonces;
use crate::v2::pending::About;
use crate::v2::resources;
use crate::v2::sa::{Kind, Rival, Sa, Task};
use crate::v2::window::Request;

/// The peer wants a child, or one in the place of another.
pub(crate) fn asked(
    sa: &mut Sa,
    request: &Request<'_>,
    contents: &Contents<'_>,
    ctx: &mut Context<'_>,
) {
    let rekeyed = contents.notify(NotifyType::REKEY_SA);
    let old = rekeyed.and_then(|notify| {
        let spi = notify.spi.as_slice().try_into().ok()?;
        sa.child_by_outbound(u32::from_be_bytes(spi))
            .map(|child| child.id)
    });
    let verdict = match rekeyed {
        None => answer(Asked::CreateChild, doing(sa)),
        Some(_) => answer(
            Asked::RekeyChild,
            doing_to(sa, old.and_then(|id| sa.child(id))),
        ),
    };
    let refusal = match (verdict, rekeyed) {
        (Answer::TemporaryFailure, _) => Some(notify(NotifyType::TEMPORARY_FAILURE)),
        (Answer::ChildSaNotFound, Some(about)) => Some(Payload::Notify(Notify {
            kind: NotifyType::CHILD_SA_NOT_FOUND,
            ..about.clone()
        })),
        _ if sa.children.len() >= limits::CHILDREN => Some(notify(NotifyType::NO_ADDITIONAL_SAS)),
        _ => None,
    };
    if let Some(refusal) = refusal {
        return sa.respond(request, &[refusal], ctx);
    }
    let (peer, path) = (sa.peer.name.clone(), sa.path);
    // What takes the place of a pair is for the same hosts, wherever the peer is meanwhile.
    let hosts = old.and_then(|old| sa.child(old)?.hosts());
    let hosts = hosts.unwrap_or_else(|| path.hosts());
    match answer_child(contents, Within::CreateChildSa, &peer, &path, hosts, ctx) {
        Ok(answered) if old.is_none() && resources::is_full(sa, contents, &answered.agreed) => {
            ctx.registry.release_esp(answered.agreed.inbound_spi);
            sa.respond(request, &[notify(NotifyType::TS_MAX_QUEUE)], ctx);
            let error = Error::Limit("pairs with the same selectors (`per_resource`)");
            sa.child_failed(None, Role::Responder, error, ctx);
        }
        Ok(answered) => take(sa, request, contents, answered, old, verdict, ctx),
        Err(Refusal::InvalidKe(group)) => sa.respond(request, &[invalid_ke(group)], ctx),
        Err(Refusal::Error(error)) => {
            sa.respond(request, &[error_payload(&error)], ctx);
            let fatal = matches!(error, Error::Misbehaved(_));
            sa.child_failed(None, Role::Responder, error.clone(), ctx);
            if fatal {
                sa.end(Reason::Failed(error), true, ctx);
            }
        }
    }
}

/// Answers as was agreed: the child comes to be now, or after more key exchanges.
fn take(
    sa: &mut Sa,
    request: &Request<'_>,
    contents: &Contents<'_>,
    mut answered: Answered,
    old: Option<ChildId>,
    verdict: Answer,
    ctx: &mut Context<'_>,
) {
    let theirs = contents.nonce().unwrap_or_default();
    let additional = answered.agreed.suite.additional;
    if additional.is_empty() {
        return agree(sa, request, theirs, answered, old, verdict, ctx);
    }
    if pend::must_wait(sa, verdict) {
        ctx.registry.release_esp(answered.agreed.inbound_spi);
        return sa.respond(request, &[notify(NotifyType::TEMPORARY_FAILURE)], ctx);
    }
    let payloads = std::mem::take(&mut answered.payloads);
    let about = About::Child {
        answered: Box::new(answered),
        theirs: theirs.to_vec(),
        old,
    };
    pend::begin(sa, request, payloads, additional.groups(), about, ctx);
}

/// The child that a peer asked for comes to be.
pub(crate) fn agree(
    sa: &mut Sa,
    request: &Request<'_>,
    theirs: &[u8],
    answered: Answered,
    old: Option<ChildId>,
    verdict: Answer,
    ctx: &mut Context<'_>,
) {
    let nonces = Nonces {
        initiator: theirs,
        responder: &answered.nonce,
    };
    let suite = answered.agreed.suite;
    let (inbound, outbound) = sa.keys.child(suite, &answered.secrets, nonces);
    // Who rekeys uses the new pair first; we follow when its Delete or its packets tell us.
    let when = if old.is_some() {
        Outbound::Later
    } else {
        Outbound::Now
    };
    let keys = PairKeys { inbound, outbound };
    let new = sa.install(answered.agreed, keys, when, old, ctx);
    sa.respond(request, &answered.payloads, ctx);
    let Some(old) = old else { return };
    if verdict == Answer::AsUsualThenCompare {
        let lowest = lowest(theirs, &answered.nonce).to_vec();
        for exchange in &mut sa.exchanges {
            if let Kind::RekeyChild {
                old: ours, rival, ..
            } = &mut exchange.kind
                && *ours == old
            {
                *rival = Some(Rival {
                    id: new,
                    lowest: lowest.clone(),
                });
            }
        }
    } else if let Some(child) = sa.child_mut(old) {
        let until = ctx.now + limits::REPLACED_CHILD_LIFE;
        child.stage = ChildStage::Replaced { by: new, until };
    }
}

/// The peer answered our request for a new child.
pub(crate) fn created(
    sa: &mut Sa,
    offer: Box<ChildOffer>,
    tries: u8,
    contents: &Contents<'_>,
    ctx: &mut Context<'_>,
) {
    let Some(refusal) = refusal(contents) else {
        let acquire = offer.acquire.clone();
        return match accept(sa, *offer, contents, None, Outbound::Now, ctx) {
            Ok(_) => {}
            Err(error) => acquire_failed(acquire, error, ctx),
        };
    };
    ctx.registry.release_esp(offer.inbound_spi);
    match (refusal.kind, wanted_group(refusal)) {
        (NotifyType::INVALID_KE_PAYLOAD, Some(group))
            if offer.allows(group) && tries < limits::RESTARTS =>
        {
            let offer = ChildOffer::new(offer.acquire, Within::CreateChildSa, Some(group), ctx);
            create_child(sa, offer, tries + 1, ctx);
        }
        (NotifyType::TEMPORARY_FAILURE, _) if tries < limits::TEMPORARY_FAILURES => {
            let acquire = Box::new(offer.acquire);
            sa.delay(
                Task::CreateChild {
                    acquire,
                    tries: tries + 1,
                },
                ctx,
            );
        }
        (kind, _) => acquire_failed(offer.acquire, Error::Refused(kind), ctx),
    }
}

/// The peer answered our request for a child in the place of `old`.
pub(crate) fn rekeyed(
    sa: &mut Sa,
    old: ChildId,
    offer: Box<ChildOffer>,
    rival: Option<Rival<ChildId>>,
    tries: u8,
    contents: &Contents<'_>,
    ctx: &mut Context<'_>,
) {
    // The peer may have deleted its new child meanwhile: then there is no rival.
    let rival = rival.filter(|rival| sa.child(rival.id).is_some());
    let Some(refusal) = refusal(contents) else {
        return replace(sa, old, *offer, rival, contents, ctx);
    };
    ctx.registry.release_esp(offer.inbound_spi);
    if let Some(rival) = rival {
        return stand(sa, old, rival.id, ctx);
    }
    if sa.child(old).is_none() {
        return;
    }
    match (refusal.kind, wanted_group(refusal)) {
        (NotifyType::INVALID_KE_PAYLOAD, Some(group))
            if offer.allows(group) && tries < limits::RESTARTS =>
        {
            rekey_child(sa, old, Some(group), tries + 1, ctx);
        }
        (NotifyType::TEMPORARY_FAILURE, _) if tries < limits::TEMPORARY_FAILURES => {
            sa.delay(
                Task::RekeyChild {
                    child: old,
                    tries: tries + 1,
                },
                ctx,
            );
        }
        (NotifyType::CHILD_SA_NOT_FOUND, _) => {
            sa.remove_child(old, Reason::Failed(Error::Refused(refusal.kind)), ctx);
            sa.queue(Task::CreateChild {
                acquire: Box::new(offer.acquire),
                tries: 0,
            });
        }
        (kind, _) => postpone(sa, old, Error::Refused(kind), ctx),
    }
}

/// Rekeying failed for good; the old child goes on for as long as it may.
fn postpone(sa: &mut Sa, old: ChildId, error: Error, ctx: &mut Context<'_>) {
    let now = ctx.now;
    let Some(child) = sa.child_mut(old) else {
        return;
    };
    if child.stage == ChildStage::Rekeying {
        child.stage = ChildStage::Installed;
        child.rekey_later(now);
    }
    let rule = child.rule.clone();
    sa.child_failed(Some(rule), Role::Initiator, error, ctx);
}

/// Our child came to be. If the peer made one as well, the nonces decide.
fn replace(
    sa: &mut Sa,
    old: ChildId,
    offer: ChildOffer,
    rival: Option<Rival<ChildId>>,
    contents: &Contents<'_>,
    ctx: &mut Context<'_>,
) {
    let theirs = contents.nonce().unwrap_or_default();
    let ours = lowest(&offer.nonce, theirs).to_vec();
    let ours_goes = rival
        .as_ref()
        .is_some_and(|rival| ours_is_redundant(&ours, &rival.lowest));
    let rival = rival.map(|rival| rival.id);
    let when = if ours_goes {
        Outbound::Later
    } else {
        Outbound::Now
    };
    let unwanted = sa
        .child(old)
        .is_some_and(|child| child.stage == ChildStage::Deleting && !child.in_esp);
    let stands = match (accept(sa, offer, contents, Some(old), when, ctx), rival) {
        (Err(error), None) => {
            postpone(sa, old, error, ctx);
            None
        }
        (Err(_), Some(rival)) => {
            stand(sa, old, rival, ctx);
            Some(rival)
        }
        (Ok(new), Some(rival)) if ours_goes => {
            close_child(sa, new, Reason::Redundant, ctx);
            stand(sa, old, rival, ctx);
            Some(rival)
        }
        (Ok(new), rival) => {
            let until = ctx.now + limits::REPLACED_CHILD_LIFE;
            if let Some(lost) = rival.and_then(|rival| sa.child_mut(rival)) {
                lost.stage = ChildStage::Replaced { by: new, until };
            }
            close_child(sa, old, Reason::Rekeyed, ctx);
            Some(new)
        }
    };
    // The host deleted the pair while it was being rekeyed: it does not come back.
    if let Some(stands) = stands.filter(|_| unwanted) {
        close_child(sa, stands, Reason::Requested, ctx);
    }
}

/// The peer's replacement of `old` stands; the peer deletes `old`.
pub(crate) fn stand(sa: &mut Sa, old: ChildId, by: ChildId, ctx: &mut Context<'_>) {
    sa.activate(by, ctx);
    let until = ctx.now + limits::REPLACED_CHILD_LIFE;
    if let Some(child) = sa
        .child_mut(old)
        .filter(|child| child.stage == ChildStage::Rekeying)
    {
        child.stage = ChildStage::Replaced { by, until };
    }
}

/// The error that the answer holds in the place of a child.
fn refusal<'a>(contents: &Contents<'a>) -> Option<&'a Notify> {
    contents.error().filter(|_| contents.sa().is_err())
}

/// Takes the answer to an offer of ours, and installs the child.
fn accept(
    sa: &mut Sa,
    offer: ChildOffer,
    contents: &Contents<'_>,
    replaces: Option<ChildId>,
    when: Outbound,
    ctx: &mut Context<'_>,
) -> Result<ChildId, Error> {
    let (inbound_spi, ours) = (offer.inbound_spi, offer.nonce.clone());
    let theirs = contents.nonce().map_err(Error::Misbehaved);
    // The policy may have changed since we asked.
    let allowed = match replaces {
        None => offer.acquire.is_wanted(&ctx.config.rules),
        Some(_) => offer.acquire.is_known(&ctx.config.rules),
    };
    let agreed = match (theirs, allowed) {
        (Ok(theirs), true) => {
            let agreed = offer.accept(contents, sa.path.nat);
            agreed.map(|agreed| (theirs, agreed))
        }
        (Ok(_), false) => Err(Error::PolicyChanged),
        (Err(error), _) => Err(error),
    };
    let early = std::mem::take(&mut sa.deleted_early);
    match agreed {
        Ok((_, (agreed, _))) if early.contains(&agreed.outbound_spi) => {
            ctx.registry.release_esp(inbound_spi);
            Err(Error::Refused(NotifyType::CHILD_SA_NOT_FOUND))
        }
        Ok((theirs, (agreed, secrets))) => {
            let nonces = Nonces {
                initiator: &ours,
                responder: theirs,
            };
            let (outbound, inbound) = sa.keys.child(agreed.suite, &secrets, nonces);
            let keys = PairKeys { inbound, outbound };
            Ok(sa.install(agreed, keys, when, replaces, ctx))
        }
        Err(error) => {
            // The peer has the pair already, and must hear that we do not want it.
            ctx.registry.release_esp(inbound_spi);
            sa.queue(Task::DisownChild { inbound_spi });
            Err(error)
        }
    }
}
