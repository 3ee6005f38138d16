//! An ISAKMP SA in use: what comes in, what is begun, and what time does (RFC 2409 sections 5.5 and
//! 5.7).

use std::time::{Duration, Instant};

use policy::sa::ChildId;
use wire::isakmp::{ExchangeType, NotifyType, Payload};

use crate::context::Context;
use crate::discard::Discard;
use crate::error::Error;
use crate::event::Reason;
use crate::limits;
use crate::output::Output;
use crate::pair::{self, Stage as ChildStage};
use crate::timer::Timer;
use crate::v1::deletion;
use crate::v1::dpd;
use crate::v1::exchange::{Exchange, Kind};
use crate::v1::informational::{close_child, connected, informed};
use crate::v1::message::{Message, authenticate};
use crate::v1::quick::{asked, asking};
use crate::v1::sa::{Sa, Stage, Task};

/// Takes a message of the peer.
///
/// # Errors
/// It is not authentic, or nothing is to be done with it; nothing has changed then.
pub(crate) fn handle(
    sa: &mut Sa,
    message: &Message<'_>,
    ctx: &mut Context<'_>,
) -> Result<(), Discard> {
    if sa.is_silent() {
        return Err(Discard::Frozen);
    }
    if sa.stage == Stage::Gone {
        return Err(Discard::UnknownSpi);
    }
    let message_id = message.header.message_id;
    let known = sa
        .exchanges
        .iter()
        .position(|one| one.message_id == message_id);
    match (message.header.exchange, known) {
        (ExchangeType::MAIN_MODE, _) => concluded(sa, message, ctx),
        (_, Some(index)) if is_repeated(sa, index, message) => {
            let sent = sa.exchanges.get(index).map(|one| one.sent.clone());
            ctx.transmit(&sa.path, sent.unwrap_or_default());
            Ok(())
        }
        (ExchangeType::QUICK_MODE, Some(index)) => quick(sa, index, message, ctx),
        (ExchangeType::QUICK_MODE, None) => asked::begun(sa, message, ctx),
        (ExchangeType::INFORMATIONAL, Some(index)) => match sa.exchanges.get(index) {
            Some(Exchange {
                kind: Kind::Deleting(_),
                ..
            }) => deletion::acknowledged(sa, index, message, ctx),
            // CONNECTED has the message id of the quick mode that it is about.
            _ => confirmed_by_peer(sa, index, message, ctx),
        },
        (ExchangeType::INFORMATIONAL, None) => informed(sa, message, ctx),
        _ => Err(Discard::UnexpectedExchange),
    }
}

/// The peer has not got the end of main mode: it is told again.
fn concluded(sa: &Sa, message: &Message<'_>, ctx: &mut Context<'_>) -> Result<(), Discard> {
    let concluded = sa.concluded.as_ref().ok_or(Discard::UnexpectedExchange)?;
    if concluded.digest != message.digest() {
        return Err(Discard::NotTheSameRequest);
    }
    for bytes in &concluded.answer {
        ctx.transmit(&sa.path, bytes.clone());
    }
    Ok(())
}

fn is_repeated(sa: &Sa, index: usize, message: &Message<'_>) -> bool {
    let heard = sa.exchanges.get(index).and_then(|one| one.heard);
    heard.is_some_and(|heard| heard == message.digest())
}

/// A further message of a quick mode.
fn quick(
    sa: &mut Sa,
    index: usize,
    message: &Message<'_>,
    ctx: &mut Context<'_>,
) -> Result<(), Discard> {
    let exchange = sa.exchanges.get(index).ok_or(Discard::NoMatchingRequest)?;
    let message_id = exchange.message_id;
    match &exchange.kind {
        Kind::Asked(offer) => {
            let opened = message.open(&sa.keys, &exchange.iv)?;
            let chain = opened.chain()?;
            authenticate(&chain, |octets| {
                sa.keys.hash_2(message_id, &offer.nonce, &[octets])
            })?;
            let exchange = sa.exchanges.remove(index);
            sa.heard(ctx.now);
            let commit = message.header.flags.commit;
            asking::answered(sa, exchange, &opened, commit, message.digest(), ctx);
            Ok(())
        }
        Kind::Answered(_) => asked::confirmed(sa, index, message, ctx),
        Kind::Confirmed { .. } => confirmed_by_peer(sa, index, message, ctx),
        _ => Err(Discard::NoMatchingRequest),
    }
}

/// The peer had set the commit bit, and says now that its SAs are there: in a fourth message of the
/// quick mode, as Windows does, or in an informational one (RFC 2408 section 3.1).
fn confirmed_by_peer(
    sa: &mut Sa,
    index: usize,
    message: &Message<'_>,
    ctx: &mut Context<'_>,
) -> Result<(), Discard> {
    let exchange = sa.exchanges.get(index).ok_or(Discard::NoMatchingRequest)?;
    let message_id = exchange.message_id;
    let iv = match message.header.exchange {
        ExchangeType::QUICK_MODE => exchange.iv,
        _ => sa.keys.exchange_iv(&sa.phase_1, message_id),
    };
    let opened = message.open(&sa.keys, &iv)?;
    let chain = opened.chain()?;
    authenticate(&chain, |octets| sa.keys.hash_1(message_id, &[octets]))?;
    let says = |one: &wire::isakmp::Located<'_>| match &one.payload {
        Payload::Notification(one) => one.kind == NotifyType::CONNECTED,
        _ => false,
    };
    if !chain.payloads.iter().any(says) {
        return Err(Discard::UnexpectedPayloads);
    }
    sa.heard(ctx.now);
    connected(sa, message_id, None, ctx);
    Ok(())
}

/// Begins what may begin.
pub(crate) fn pump(sa: &mut Sa, ctx: &mut Context<'_>) {
    while sa.is_live() && !sa.tasks.is_empty() {
        let flying = sa.exchanges.iter().filter(|one| one.is_asked()).count();
        if flying >= limits::QUICK_MODES {
            return;
        }
        let most = sa.peer.ike.quick_modes;
        if most != 0 && sa.quick_modes >= most {
            return hand_on(sa);
        }
        match sa.tasks.pop_front() {
            Some(Task::Create(acquire)) if sa.serves(&acquire) => {}
            Some(Task::Create(acquire)) if sa.children.len() >= limits::CHILDREN => {
                let error = Error::Limit("pairs of one ISAKMP SA");
                crate::context::acquire_failed(*acquire, error, ctx);
            }
            Some(Task::Create(acquire)) => asking::ask(sa, *acquire, None, ctx),
            Some(Task::Rekey(child)) => rekey(sa, child, ctx),
            None => return,
        }
    }
}

/// As many pairs were made as one main mode may make: another one goes on ([MS-GPIPSEC] section
/// 2.2.1: the limit of 1 is perfect forward secrecy of the master key).
fn hand_on(sa: &mut Sa) {
    let mut wanted = Vec::new();
    for task in std::mem::take(&mut sa.tasks) {
        match task {
            Task::Create(acquire) => wanted.push(*acquire),
            // It goes over with its pair.
            Task::Rekey(child) => sa.tasks.push_back(Task::Rekey(child)),
        }
    }
    sa.renew(wanted);
}

/// A pair in the place of another, unless there is one already: both ends may have begun at once.
fn rekey(sa: &mut Sa, id: ChildId, ctx: &mut Context<'_>) {
    let Some(old) = sa.child(id).filter(|child| child.is_live()) else {
        return;
    };
    let preferred = sa.children.iter().find(|child| {
        child.stage == ChildStage::Installed
            && child.id != id
            && child.rule == old.rule
            && child.spec.selectors == old.spec.selectors
            && sa.is_preferred(child.id, id)
    });
    if let Some(by) = preferred.map(|child| child.id) {
        return asking::replace(sa, id, by, ctx.now + limits::QUICK_REPLACED_LIFE);
    }
    let acquire = old.again(&sa.peer.name, &sa.path);
    if let Some(child) = sa.child_mut(id) {
        child.stage = ChildStage::Rekeying;
    }
    asking::ask(sa, acquire, Some(id), ctx);
}

/// The next deadline.
pub(crate) fn due(sa: &Sa) -> Option<(Instant, Timer)> {
    let named = |at: Option<Instant>, timer| at.map(|at| (at, timer));
    if sa.is_silent() {
        let end = match sa.stage {
            Stage::Replaced { until } => until.min(sa.expire_at),
            _ => sa.expire_at,
        };
        return Some((end, Timer::Lifetime));
    }
    let live = Some(()).filter(|()| sa.stage == Stage::Live);
    let replaced = match sa.stage {
        Stage::Replaced { until } => Some(until),
        _ => None,
    };
    let own = [
        named(replaced, Timer::Expire),
        named(
            live.and(sa.rekey_at).filter(|_| !sa.renewed),
            Timer::RekeyIke,
        ),
        named(live.map(|()| sa.expire_at), Timer::Lifetime),
        named(live.and(sa.keepalive_at), Timer::NatKeepalive),
        named(dpd::due(sa), Timer::Liveness),
    ];
    let exchanges = sa.exchanges.iter().filter_map(Exchange::due);
    let children = sa.children.iter().filter_map(|child| child.due());
    own.into_iter()
        .flatten()
        .chain(exchanges)
        .chain(children)
        .min()
}

/// When an ISAKMP SA without a pair has been so for too long.
pub(crate) fn childless_due(sa: &Sa, most: Duration) -> Option<Instant> {
    let quiet = sa.is_live() && !sa.is_of_use();
    quiet.then(|| sa.childless_since + most.min(limits::FOREVER))
}

/// Does what is due.
pub(crate) fn fire(sa: &mut Sa, ctx: &mut Context<'_>) {
    let now = ctx.now;
    if sa.is_silent() {
        if sa.expire_at <= now {
            sa.end(Reason::Lifetime, ctx);
        } else if matches!(sa.stage, Stage::Replaced { until } if until <= now) {
            sa.end(Reason::Rekeyed, ctx);
        }
        return;
    }
    if let Err(reason) = exchanges(sa, ctx) {
        return sa.lose(reason, ctx);
    }
    children(sa, ctx);
    if deletion::is_over(sa) {
        let reason = sa.closing.take().unwrap_or(Reason::Requested);
        return sa.end(reason, ctx);
    }
    match sa.stage {
        Stage::Live => {}
        Stage::Replaced { until } if until <= now => {
            return deletion::close(sa, Reason::Rekeyed, ctx);
        }
        // Nothing is left that somebody could take over.
        Stage::Gone if sa.children.is_empty() => return sa.end(Reason::ByPeer, ctx),
        Stage::Gone => {
            // Nobody is asked any more, so that nothing can have failed.
            let _ = dpd::fire(sa, ctx);
            return;
        }
        _ => return,
    }
    if sa.expire_at <= now {
        return expire(sa, ctx);
    }
    if childless_due(sa, ctx.config.childless).is_some_and(|at| at <= now) {
        return deletion::close(sa, Reason::Childless, ctx);
    }
    if sa.rekey_at.is_some_and(|at| at <= now) {
        match sa.is_of_use() {
            true => sa.renew(Vec::new()),
            // Another has taken over what there was, and is renewed in its turn.
            false => sa.rekey_at = None,
        }
    }
    if let Err(reason) = dpd::fire(sa, ctx) {
        return sa.lose(reason, ctx);
    }
    if sa.keepalive_at.is_some_and(|at| at <= now) {
        let (local, remote) = (sa.path.local, sa.path.remote);
        ctx.outputs.push_back(Output::Keepalive { local, remote });
        sa.rearm_keepalive(now);
    }
}

/// Its life is over: the peer is told, and its pairs go on without it.
fn expire(sa: &mut Sa, ctx: &mut Context<'_>) {
    let (initiator, responder) = sa.cookie_pair();
    let delete = wire::isakmp::Delete::isakmp(initiator, responder);
    let payloads = vec![Payload::Delete(delete)];
    sa.inform(payloads, ctx);
    sa.pass(Reason::Lifetime, ctx);
}

/// An exchange is over, though the peer has not said its last word.
fn conclude(sa: &mut Sa, kind: Kind, ctx: &mut Context<'_>) {
    match kind {
        // The peer never confirmed: what it did not need is taken away again.
        Kind::Answered(answered) => {
            let why = Reason::Failed(Error::Unconfirmed);
            close_child(sa, answered.child, why, ctx);
        }
        // CONNECTED may have got lost; the peer has had time enough.
        Kind::Confirmed { child, .. } => sa.activate(child, ctx),
        Kind::Asked(offer) => {
            let wanted = sa.take_back(*offer, ctx).into_iter();
            sa.tasks
                .extend(wanted.map(|one| Task::Create(Box::new(one))));
        }
        Kind::Deleting(_) | Kind::Deleted => {}
    }
}

/// An ISAKMP SA that was replaced waits for nothing any longer but the ends of what it deleted: its
/// pairs are free to go over to another one.
pub(crate) fn wind_up(sa: &mut Sa, ctx: &mut Context<'_>) {
    let makes = |one: &Exchange| !matches!(one.kind, Kind::Deleting(_) | Kind::Deleted);
    let exchanges = std::mem::take(&mut sa.exchanges).into_iter();
    let (over, stays) = exchanges.partition::<Vec<_>, _>(makes);
    sa.exchanges = stays;
    for exchange in over {
        conclude(sa, exchange.kind, ctx);
    }
}

/// Sends again what is due, and forgets what is over.
///
/// # Errors
/// The peer does not answer: the ISAKMP SA is as dead as the quick mode (KB980915).
fn exchanges(sa: &mut Sa, ctx: &mut Context<'_>) -> Result<(), Reason> {
    let (ladder, deletes) = (sa.peer.ike.retransmission.clone(), deletion::deletes_by(sa));
    let (mut over, mut settled) = (Vec::new(), Vec::new());
    for exchange in &mut sa.exchanges {
        if let Kind::Confirmed { child, settles } = &mut exchange.kind
            && settles.is_some_and(|at| at <= ctx.now)
        {
            *settles = None;
            settled.push(*child);
        }
        if exchange.until.is_some_and(|at| at <= ctx.now) {
            over.push(exchange.message_id);
        }
        let Some(retransmit) = &mut exchange.retransmit else {
            continue;
        };
        if retransmit.due().is_none_or(|at| at > ctx.now) {
            continue;
        }
        let tries = retransmit.tries();
        let ladder = match exchange.kind {
            Kind::Deleting(_) => &deletes,
            _ => &ladder,
        };
        if retransmit.again(ladder, ctx.now) {
            ctx.transmit(&sa.path, exchange.sent.clone());
        } else if exchange.is_asked() {
            let exchange = wire::ike::ExchangeType(ExchangeType::QUICK_MODE.0);
            return Err(Reason::Failed(Error::Timeout { exchange, tries }));
        } else {
            over.push(exchange.message_id);
        }
    }
    settled
        .into_iter()
        .for_each(|child| sa.activate(child, ctx));
    for message_id in over {
        let Some(at) = sa
            .exchanges
            .iter()
            .position(|one| one.message_id == message_id)
        else {
            continue;
        };
        let exchange = sa.exchanges.remove(at);
        conclude(sa, exchange.kind, ctx);
    }
    Ok(())
}

fn children(sa: &mut Sa, ctx: &mut Context<'_>) {
    for (id, timer, stage) in pair::due(&sa.children, ctx.now) {
        match (timer, stage) {
            (Timer::RekeyChild, _) if sa.stage == Stage::Gone => begin_anew(sa, id),
            (Timer::RekeyChild, _) => {
                if let Some(child) = sa.child_mut(id) {
                    child.stage = ChildStage::Rekeying;
                }
                sa.tasks.push_back(Task::Rekey(id));
            }
            (Timer::Idle, _) => close_child(sa, id, Reason::Idle, ctx),
            (_, ChildStage::Replaced { .. }) => close_child(sa, id, Reason::Rekeyed, ctx),
            _ => close_child(sa, id, Reason::Lifetime, ctx),
        }
    }
}

/// A pair without an ISAKMP SA is to be rekeyed: another main mode takes it over.
fn begin_anew(sa: &mut Sa, id: ChildId) {
    if let Some(child) = sa.child_mut(id) {
        child.stage = ChildStage::Rekeying;
        sa.tasks.push_back(Task::Rekey(id));
        sa.renewed = false;
        sa.renew(Vec::new());
    }
}

/// The local address leaves: the peer hears of it at once, while it can still be told.
pub(crate) fn leave(sa: &mut Sa, ctx: &mut Context<'_>) {
    deletion::close(sa, Reason::AddressLeft, ctx);
    deletion::hurry(sa, ctx.now);
    if sa.stage == Stage::Gone {
        sa.end(Reason::AddressLeft, ctx);
    }
}
