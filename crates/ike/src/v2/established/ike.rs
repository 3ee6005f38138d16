//! CREATE_CHILD_SA about the IKE SA itself: it is replaced by a new one that takes over the
//! children (RFC 7296 sections 1.3.2, 2.8.2 and 2.18), or cloned (RFC 7791).

use crypto::{Group, Secret};
use policy::proposal::IkeSuite;
use wire::ike::{Nonce, Notify, NotifyType, Payload};

use crate::context::Context;
use crate::error::{Error, Incompatible, Misbehaved};
use crate::event::Reason;
use crate::id::{IkeSaId, Role};
use crate::limits;
use crate::v2::child::{exchange, invalid_ke, wanted_group};
use crate::v2::cloning;
use crate::v2::collision::{Answer, Asked, answer, lowest, ours_is_redundant};
use crate::v2::contents::Contents;
use crate::v2::crash;
use crate::v2::established::begin::{clone_ike, rekey_ike};
use crate::v2::established::collide::{doing, doing_to_ike};
use crate::v2::established::pend;
use crate::v2::install::{error_payload, notify};
use crate::v2::keys::{Nonces, Spis};
use crate::v2::pending::{About, Made};
use crate::v2::proposal::{self, Choice};
use crate::v2::sa::{Birth, Effect, IkeOffer, Kind, Rival, Sa, Stage, Task};
use crate::v2::secrets::is_complete;
use crate::v2::window::Request;

/// The peer wants an IKE SA in the place of this one, or beside it.
pub(crate) fn asked(
    sa: &mut Sa,
    request: &Request<'_>,
    contents: &Contents<'_>,
    ctx: &mut Context<'_>,
) {
    let cloned = cloning::is_meant(contents);
    let verdict = match cloned {
        true => answer(Asked::CloneIke, doing(sa)),
        false => answer(Asked::RekeyIke, doing_to_ike(sa)),
    };
    if verdict == Answer::TemporaryFailure {
        return sa.respond(request, &[notify(NotifyType::TEMPORARY_FAILURE)], ctx);
    }
    if cloned && !cloning::has_room(sa, ctx) {
        sa.respond(request, &[notify(NotifyType::NO_ADDITIONAL_SAS)], ctx);
        let error = Error::Limit("clones of one IKE SA");
        return sa.child_failed(None, Role::Responder, error, ctx);
    }
    match choose(sa, contents) {
        Ok(choice) => agree(sa, request, contents, &choice, verdict, ctx),
        Err(error) => {
            sa.respond(request, &[error_payload(&error)], ctx);
            if matches!(error, Error::Misbehaved(_)) {
                sa.end(Reason::Failed(error), true, ctx);
            } else {
                sa.child_failed(None, Role::Responder, error, ctx);
            }
        }
    }
}

fn choose(sa: &Sa, contents: &Contents<'_>) -> Result<Choice<IkeSuite>, Error> {
    let ours = proposal::offer_ike(&sa.peer.ike.proposals, None);
    let theirs = contents.sa().map_err(Error::Misbehaved)?;
    let group = contents.ke().map_err(Error::Misbehaved)?.group;
    contents.nonce().map_err(Error::Misbehaved)?;
    let choice = proposal::choose::<IkeSuite>(&ours, theirs, Some(group))
        .map_err(|why| Error::Incompatible(Incompatible::Proposal(why)))?;
    match spi_of(&choice.spi) {
        Some(_) => Ok(choice),
        None => Err(Error::Misbehaved(Misbehaved::ChoseWhatWasNotOffered)),
    }
}

fn spi_of(spi: &[u8]) -> Option<u64> {
    spi.try_into()
        .ok()
        .map(u64::from_be_bytes)
        .filter(|spi| *spi != 0)
}

fn agree(
    sa: &mut Sa,
    request: &Request<'_>,
    contents: &Contents<'_>,
    choice: &Choice<IkeSuite>,
    verdict: Answer,
    ctx: &mut Context<'_>,
) {
    let (Ok(ke), Ok(theirs), Some(peer_spi)) =
        (contents.ke(), contents.nonce(), spi_of(&choice.spi))
    else {
        return;
    };
    if !choice.suite.additional.is_empty() && pend::must_wait(sa, verdict) {
        return sa.respond(request, &[notify(NotifyType::TEMPORARY_FAILURE)], ctx);
    }
    let group = choice.suite.group;
    if ke.group != group.id() {
        return sa.respond(request, &[invalid_ke(group)], ctx);
    }
    let (payload, shared) = match exchange(group, &ke.data, ctx) {
        Ok(both) => both,
        Err(why) => {
            let error = Error::Misbehaved(why);
            sa.respond(request, &[error_payload(&error)], ctx);
            return sa.end(Reason::Failed(error), true, ctx);
        }
    };
    let (id, ours) = (ctx.reserve_ike(), ctx.nonce());
    let answer = choice.answer(id.0.to_be_bytes().to_vec());
    let spis = Spis {
        initiator: peer_spi,
        responder: id.0,
    };
    let mut payloads = vec![
        Payload::Sa(answer),
        Payload::Nonce(Nonce(ours.clone())),
        payload,
    ];
    payloads.extend(crash::give(ctx.config, &sa.peer, spis, &sa.path));
    let made = Made {
        id,
        peer_spi,
        suite: choice.suite,
        shared,
        additional: Vec::new(),
        theirs: theirs.to_vec(),
        ours,
        cloned: cloning::is_meant(contents),
    };
    match choice.suite.additional {
        additional if additional.is_empty() => make(sa, request, &payloads, made, verdict, ctx),
        additional => {
            let about = About::Ike(Box::new(made));
            pend::begin(sa, request, payloads, additional.groups(), about, ctx);
        }
    }
}

/// The IKE SA that the peer wants in the place of this one, or beside it, comes to be.
pub(crate) fn make(
    sa: &mut Sa,
    request: &Request<'_>,
    payloads: &[Payload],
    made: Made,
    verdict: Answer,
    ctx: &mut Context<'_>,
) {
    let (id, cloned) = (made.id, made.cloned);
    let nonces = Nonces {
        initiator: &made.theirs,
        responder: &made.ours,
    };
    let next = Next {
        role: Role::Responder,
        id,
        peer_spi: made.peer_spi,
        suite: made.suite,
    };
    let mut new = successor(sa, next, (&made.shared, &made.additional[..]), nonces, ctx);
    sa.respond(request, payloads, ctx);
    if cloned {
        cloning::push(sa, new);
    } else if verdict == Answer::AsUsualThenCompare {
        let lowest = lowest(&made.theirs, &made.ours).to_vec();
        for exchange in &mut sa.exchanges {
            if let Kind::RekeyIke { rival, .. } = &mut exchange.kind {
                *rival = Some(Rival {
                    id,
                    lowest: lowest.clone(),
                });
            }
        }
        new.stage = Stage::Undecided { old: sa.id };
        sa.effects.push(Effect::Undecided { new: Box::new(new) });
    } else {
        sa.stage = Stage::Replaced {
            until: ctx.now + limits::REPLACED_LIFE,
        };
        sa.effects.push(Effect::Rekeyed {
            new: Box::new(new),
            rival: None,
        });
    }
}

/// The peer answered our request to replace this IKE SA.
pub(crate) fn rekeyed(
    sa: &mut Sa,
    offer: IkeOffer,
    rival: Option<Rival<IkeSaId>>,
    tries: u8,
    contents: &Contents<'_>,
    ctx: &mut Context<'_>,
) {
    let refusal = contents.error().filter(|_| contents.sa().is_err());
    let (new, used) = (offer.new, offer.dh.group());
    let error = match refusal {
        None => match accept(sa, offer, contents, ctx) {
            Ok((new, ours)) => {
                let verdict =
                    |rival: Rival<IkeSaId>| (rival.id, ours_is_redundant(&ours, &rival.lowest));
                let rival = rival.map(verdict);
                sa.stage = Stage::Replaced {
                    until: ctx.now + limits::REPLACED_LIFE,
                };
                sa.effects.push(Effect::Rekeyed {
                    new: Box::new(new),
                    rival,
                });
                return;
            }
            Err(why) => Error::Misbehaved(why),
        },
        Some(refusal) => Error::Refused(refusal.kind),
    };
    ctx.registry.release_ike(new);
    if let Some(rival) = rival {
        sa.stage = Stage::Replaced {
            until: ctx.now + limits::REPLACED_LIFE,
        };
        sa.effects.push(Effect::RivalStands { rival: rival.id });
        return;
    }
    let group = refusal.and_then(|one| other_group(sa, one, used));
    match (&error, group) {
        (Error::Refused(NotifyType::INVALID_KE_PAYLOAD), Some(group))
            if tries < limits::RESTARTS =>
        {
            rekey_ike(sa, Some(group), tries + 1, ctx);
        }
        (Error::Refused(NotifyType::TEMPORARY_FAILURE), _)
            if tries < limits::TEMPORARY_FAILURES =>
        {
            sa.delay(Task::RekeyIke { tries: tries + 1 }, ctx);
        }
        _ => {
            let half = sa.expire_at.saturating_duration_since(ctx.now) / 2;
            sa.rekey_at = Some(ctx.now + half.max(limits::TEMPORARY_WAIT));
            sa.child_failed(None, Role::Initiator, error, ctx);
        }
    }
}

/// The peer answered our request to clone this IKE SA.
pub(crate) fn cloned(
    sa: &mut Sa,
    offer: IkeOffer,
    tries: u8,
    contents: &Contents<'_>,
    ctx: &mut Context<'_>,
) {
    let refusal = contents.error().filter(|_| contents.sa().is_err());
    let (id, used) = (offer.new, offer.dh.group());
    let error = match refusal {
        None => match accept(sa, offer, contents, ctx) {
            Ok((new, _)) => return cloning::push(sa, new),
            Err(why) => Error::Misbehaved(why),
        },
        Some(refusal) => Error::Refused(refusal.kind),
    };
    ctx.registry.release_ike(id);
    let group = refusal.and_then(|one| other_group(sa, one, used));
    match (&error, group) {
        (Error::Refused(NotifyType::INVALID_KE_PAYLOAD), Some(group))
            if tries < limits::RESTARTS && sa.is_live() =>
        {
            clone_ike(sa, Some(group), tries + 1, ctx);
        }
        (Error::Refused(NotifyType::TEMPORARY_FAILURE), _)
            if tries < limits::TEMPORARY_FAILURES =>
        {
            sa.delay(Task::CloneIke { tries: tries + 1 }, ctx);
        }
        _ => sa.child_failed(None, Role::Initiator, error, ctx),
    }
}

/// The group that the peer wants in the place of the one that was offered, if we have it.
fn other_group(sa: &Sa, refusal: &Notify, used: Group) -> Option<Group> {
    let has = |group: Group| {
        let mut proposals = sa.peer.ike.proposals.iter();
        proposals.any(|one| one.groups.contains(&group))
    };
    wanted_group(refusal).filter(|group| *group != used && has(*group))
}

/// Takes the answer to our offer: the new IKE SA and the lower nonce of the exchange.
fn accept(
    sa: &Sa,
    offer: IkeOffer,
    contents: &Contents<'_>,
    ctx: &mut Context<'_>,
) -> Result<(Sa, Vec<u8>), Misbehaved> {
    let offered = proposal::offer_ike(&sa.peer.ike.proposals, Some(offer.new.0));
    let (suite, spi) = proposal::accept::<IkeSuite>(&offered, contents.sa()?)?;
    let peer_spi = spi_of(&spi).ok_or(Misbehaved::ChoseWhatWasNotOffered)?;
    let (ke, theirs) = (contents.ke()?, contents.nonce()?);
    if ke.group != suite.group.id() || offer.dh.group() != suite.group {
        return Err(Misbehaved::ChoseWhatWasNotOffered);
    }
    let shared = offer
        .dh
        .agree(&ke.data)
        .map_err(|_| Misbehaved::KeyExchange)?;
    if !is_complete(&offer.followups.secrets, suite.additional) {
        return Err(Misbehaved::KeyExchange);
    }
    let nonces = Nonces {
        initiator: &offer.nonce,
        responder: theirs,
    };
    let next = Next {
        role: Role::Initiator,
        id: offer.new,
        peer_spi,
        suite,
    };
    let secrets = (&shared, &offer.followups.secrets[..]);
    let mut new = successor(sa, next, secrets, nonces, ctx);
    crash::keep(&mut new, contents);
    crash::give_soon(&mut new, ctx.config);
    Ok((new, lowest(&offer.nonce, theirs).to_vec()))
}

/// What a new IKE SA does not have from the old one.
struct Next {
    role: Role,
    id: IkeSaId,
    peer_spi: u64,
    suite: IkeSuite,
}

/// The new IKE SA, still without children.
fn successor(
    sa: &Sa,
    next: Next,
    (shared, additional): (&Secret, &[Secret]),
    nonces: Nonces<'_>,
    ctx: &mut Context<'_>,
) -> Sa {
    let Next {
        role,
        id,
        peer_spi,
        suite,
    } = next;
    let spis = match role {
        Role::Initiator => Spis {
            initiator: id.0,
            responder: peer_spi,
        },
        Role::Responder => Spis {
            initiator: peer_spi,
            responder: id.0,
        },
    };
    let birth = Birth {
        id,
        peer_spi,
        role,
        peer: sa.peer.clone(),
        remote_id: sa.remote_id.clone(),
        local_id: sa.local_id.clone(),
        path: sa.path,
        keys: sa.keys.rekeyed(suite, shared, additional, nonces, spis),
        requests: (0, 0),
        fragmentation: sa.fragments.agreed,
        ppk: sa.ppk,
    };
    let mut new = Sa::new(birth, ctx);
    new.peer_window = sa.peer_window;
    new.recovery = sa.recovery.successor();
    new.redirection = sa.redirection;
    new.family = sa.family;
    new.mobility = sa.mobility.as_ref().map(|one| Box::new(one.successor()));
    // The successor is as old as the first: INITIAL_CONTACT must find it.
    new.birth = sa.birth;
    new.party = sa.party;
    new
}
