//! The peer asks for a pair (RFC 2409 section 5.5).

use std::sync::Arc;
use std::time::Instant;

use policy::child::{ChildTemplate, Mode};
use policy::names::RuleName;
use policy::range::AddressRange;
use policy::sa::{ChildId, Hosts};
use policy::selector::{SelectorPair, Selectors, TrafficSelector};
use wire::isakmp::{NotifyType, Payload};

use crypto::{DhKeyPair, Secret};

use crate::context::Context;
use crate::discard::Discard;
use crate::error::{Error, Incompatible, Misbehaved, SelectorRefusal};
use crate::id::Role;
use crate::limits;
use crate::output::Outbound;
use crate::pair::{Agreed, Stage as ChildStage};
use crate::retransmit::Retransmit;
use crate::v1::deletion;
use crate::v1::exchange::{Answered, Exchange, Kind};
use crate::v1::keys::Nonces;
use crate::v1::message::{self, Message, authenticate};
use crate::v1::phase2;
use crate::v1::quick::asking::replace;
use crate::v1::quick::{Contents, misbehaved};
use crate::v1::sa::{Effect, Sa, Stage};
use crate::v1::selectors;

/// The first message of a quick mode that the peer begins.
///
/// # Errors
/// It is not authentic, or its message id was here before.
pub(crate) fn begun(
    sa: &mut Sa,
    message: &Message<'_>,
    ctx: &mut Context<'_>,
) -> Result<(), Discard> {
    let message_id = message.header.message_id;
    if message_id == 0 || sa.stage != Stage::Live {
        return Err(Discard::Busy);
    }
    let iv = sa.keys.exchange_iv(&sa.phase_1, message_id);
    let opened = message.open(&sa.keys, &iv)?;
    let chain = opened.chain()?;
    authenticate(&chain, |octets| sa.keys.hash_1(message_id, &[octets]))?;
    // From here on it is the peer's word, unless it was said before.
    sa.take_message_id(message_id)?;
    sa.heard(ctx.now);
    let asked = answer(sa, &chain, ctx);
    let Prepared {
        agreed,
        shared,
        payloads,
        nonces: (initiator_nonce, responder_nonce),
        life,
    } = match asked {
        Ok(prepared) => prepared,
        Err((rule, error)) => {
            refuse(sa, message_id, &error, ctx);
            sa.child_failed(rule, Role::Responder, error, ctx);
            return Ok(());
        }
    };
    let nonces = Nonces {
        initiator: &initiator_nonce,
        responder: &responder_nonce,
    };
    let spis = (agreed.inbound_spi, agreed.outbound_spi);
    let keys = sa.pair_keys(agreed.suite, shared.as_ref(), nonces, spis);
    let replaced = alike(sa, &agreed.selectors, &agreed.rule);
    // The peer may use it as soon as it has the answer: it is installed before that leaves. Where
    // another pair sends it waits for the peer's confirmation; where none does, the peer's first
    // packet may be quicker than that, and wants an answer.
    let last = replaced.last().copied();
    let outbound = match last {
        Some(_) => Outbound::Later,
        None => Outbound::Now,
    };
    let child = sa.install(agreed, keys, outbound, last, ctx);
    sa.shorten(child, life, ctx.now);
    let header = sa.quick_header(message_id, false);
    let hash = |octets: &[u8]| sa.keys.hash_2(message_id, &initiator_nonce, &[octets]);
    let (sent, iv) = message::seal_hashed(&sa.keys, &opened.next, &header, payloads, hash);
    ctx.transmit(&sa.path, sent.clone());
    sa.quick_modes = sa.quick_modes.saturating_add(1);
    let retransmit = Retransmit::start(&sa.peer.ike.retransmission, ctx.now);
    sa.exchanges.push(Exchange {
        message_id,
        iv,
        kind: Kind::Answered(Box::new(Answered {
            child,
            initiator_nonce,
            responder_nonce,
        })),
        sent,
        retransmit: Some(retransmit),
        heard: Some(message.digest()),
        until: None,
    });
    Ok(())
}

/// The peer confirms: both SAs are there on both sides.
///
/// # Errors
/// It is not authentic; nothing has changed then.
pub(crate) fn confirmed(
    sa: &mut Sa,
    index: usize,
    message: &Message<'_>,
    ctx: &mut Context<'_>,
) -> Result<(), Discard> {
    let exchange = sa.exchanges.get(index).ok_or(Discard::NoMatchingRequest)?;
    let Kind::Answered(answered) = &exchange.kind else {
        return Err(Discard::NoMatchingRequest);
    };
    let opened = message.open(&sa.keys, &exchange.iv)?;
    let chain = opened.chain()?;
    let nonces = Nonces {
        initiator: &answered.initiator_nonce,
        responder: &answered.responder_nonce,
    };
    authenticate(&chain, |_| {
        sa.keys.hash_3(message.header.message_id, nonces)
    })?;
    let child = answered.child;
    sa.exchanges.remove(index);
    sa.heard(ctx.now);
    confirm(sa, child, ctx);
    Ok(())
}

/// The pair may send, and takes the place of those before it.
pub(crate) fn confirm(sa: &mut Sa, child: ChildId, ctx: &mut Context<'_>) {
    sa.changed = true;
    sa.activate(child, ctx);
    supersede(sa, child, ctx.now);
    sa.effects.push(Effect::Confirmed(child));
}

/// The pairs before a confirmed one for the same traffic are no longer needed.
pub(crate) fn supersede(sa: &mut Sa, child: ChildId, now: Instant) {
    let Some(new) = sa.child(child) else { return };
    let (selectors, rule) = (new.spec.selectors.clone(), new.rule.clone());
    let until = now + deletion::patience(sa);
    for other in alike(sa, &selectors, &rule) {
        // Who began the new one deletes the old one, and may wait for its last packets. Where both
        // ends began at once, both find the same one of the two to be too many.
        let (goes, stays) = match other < child || sa.is_preferred(child, other) {
            true => (other, child),
            false => (child, other),
        };
        if goes != stays {
            replace(sa, goes, stays, until);
        }
    }
}

impl Sa {
    /// Whether the first of two pairs for the same traffic is the one to keep: their SPIs are all
    /// that both ends see alike.
    pub(crate) fn is_preferred(&self, one: ChildId, other: ChildId) -> bool {
        let key = |id| {
            let child = self.child(id);
            child.map(|child| child.inbound_spi.min(child.outbound_spi))
        };
        key(one) <= key(other)
    }
}

/// Pairs for the same traffic that are in use, the oldest first.
fn alike(sa: &Sa, selectors: &Selectors, rule: &RuleName) -> Vec<ChildId> {
    let same = |child: &&crate::pair::Child| {
        matches!(child.stage, ChildStage::Installed | ChildStage::Rekeying)
            && child.rule == *rule
            && child.spec.selectors == *selectors
    };
    sa.children
        .iter()
        .filter(same)
        .map(|child| child.id)
        .collect()
}

/// What an answer is made of.
struct Prepared {
    agreed: Agreed,
    shared: Option<Secret>,
    payloads: Vec<Payload>,
    /// The peer's, then ours.
    nonces: (Vec<u8>, Vec<u8>),
    life: phase2::Life,
}

type Refused = (Option<RuleName>, Error);

fn answer(
    sa: &Sa,
    chain: &wire::isakmp::Chain<'_>,
    ctx: &mut Context<'_>,
) -> Result<Prepared, Refused> {
    let unnamed = |why| (None, misbehaved(why));
    let contents = Contents::of(chain).map_err(unnamed)?;
    if sa.children.len() >= limits::CHILDREN {
        return Err((None, Error::Limit("pairs of one ISAKMP SA")));
    }
    let mode = phase2::mode(contents.sa);
    let asked = traffic(sa, &contents, mode).ok_or_else(|| unnamed(Misbehaved::Traffic))?;
    let (rule, template) = rule_for(sa, &asked, mode, ctx)?;
    let named = |error| (Some(rule.clone()), error);
    let chosen = phase2::choose(&template, contents.sa, contents.ke.is_some()).map_err(named)?;
    let mut own = Vec::new();
    let mut shared = None;
    if let (Some(group), Some(theirs)) = (chosen.suite.group, contents.ke) {
        let wrong = || named(misbehaved(Misbehaved::KeyExchange));
        let dh = DhKeyPair::generate(group, ctx.random).map_err(|_| wrong())?;
        own = dh.public().to_vec();
        shared = Some(dh.agree(theirs).map_err(|_| wrong())?);
    }
    let nonce = ctx.nonce();
    let inbound_spi = ctx.reserve_esp(sa.path.local.ip());
    let mut payloads = vec![
        Payload::SecurityAssociation(chosen.answer(inbound_spi)),
        Payload::Nonce(nonce.clone()),
    ];
    if shared.is_some() {
        payloads.push(Payload::KeyExchange(own));
    }
    if let Some((initiator, responder)) = contents.ids {
        payloads.extend([initiator, responder].map(|id| Payload::Identification(id.clone())));
    }
    payloads.extend(sa.originals(template.mode, Role::Responder));
    let written = contents
        .originals
        .filter(|_| template.mode == Mode::Transport);
    let agreed = Agreed {
        rule,
        template,
        suite: chosen.suite,
        inbound_spi,
        outbound_spi: chosen.outbound_spi,
        selectors: Selectors {
            local: vec![asked.local],
            remote: vec![asked.remote],
        },
        written: written.map(|(initiator, responder)| Hosts {
            local: responder.address,
            remote: initiator.address,
        }),
    };
    Ok(Prepared {
        agreed,
        shared,
        payloads,
        nonces: (contents.nonce.to_vec(), nonce),
        life: chosen.life,
    })
}

/// The traffic that the peer asks for, seen from here: without identities all between both hosts.
fn traffic(sa: &Sa, contents: &Contents<'_>, mode: Option<Mode>) -> Option<SelectorPair> {
    let hosts = sa.path.hosts();
    let whole = |address| TrafficSelector::all(AddressRange::host(address));
    let Some((initiator, responder)) = contents.ids else {
        return Some(SelectorPair {
            local: whole(hosts.local),
            remote: whole(hosts.remote),
        });
    };
    let mut pair = SelectorPair {
        local: selectors::from_wire(responder)?,
        remote: selectors::from_wire(initiator)?,
    };
    if mode != Some(Mode::Tunnel) {
        // Where a NAT is on the way the peer writes the addresses that it sees.
        let see = |side: &mut TrafficSelector, seen: std::net::IpAddr, translated: bool| {
            let host = side
                .addresses
                .as_host()
                .is_some_and(|one| one.is_ipv4() == seen.is_ipv4());
            if translated && host {
                side.addresses = AddressRange::host(seen);
            }
        };
        see(&mut pair.local, hosts.local, sa.path.nat.local);
        see(&mut pair.remote, hosts.remote, sa.path.nat.remote);
    }
    Some(pair)
}

/// The rule that allows the traffic, all of it: there is no narrowing here.
fn rule_for(
    sa: &Sa,
    asked: &SelectorPair,
    mode: Option<Mode>,
    ctx: &Context<'_>,
) -> Result<(RuleName, Arc<ChildTemplate>), Refused> {
    let peer = &sa.peer.name;
    let of_peer =
        |rule: &&crate::config::ChildRule| rule.peer.as_ref().is_none_or(|name| name == peer);
    let mine = || ctx.config.rules.iter().filter(of_peer);
    let fits = |rule: &&crate::config::ChildRule| {
        let covers = rule.selectors.pairs().any(|pair| pair.covers(asked));
        let hosts = sa.path.hosts();
        let host = |side: &TrafficSelector, host| side.addresses == AddressRange::host(host);
        let between = host(&asked.local, hosts.local) && host(&asked.remote, hosts.remote);
        covers && (rule.child.mode == Mode::Tunnel || between)
    };
    let of_mode =
        |rule: &&crate::config::ChildRule| mode.is_none_or(|mode| mode == rule.child.mode);
    if let Some(rule) = mine().filter(fits).find(of_mode) {
        return Ok((rule.rule.clone(), rule.child.clone()));
    }
    if let (Some(rule), Some(theirs)) = (mine().find(fits), mode) {
        let ours = rule.child.mode;
        let error = Error::Incompatible(Incompatible::Mode { ours, theirs });
        return Err((Some(rule.rule.clone()), error));
    }
    let refusal = SelectorRefusal {
        ours: mine().map(|rule| rule.selectors.clone()).collect(),
        their_local: vec![asked.local],
        their_remote: vec![asked.remote],
    };
    Err((
        None,
        Error::Incompatible(Incompatible::Selectors(Box::new(refusal))),
    ))
}

/// Tells the peer why there is no pair.
fn refuse(sa: &mut Sa, message_id: u32, error: &Error, ctx: &mut Context<'_>) {
    let kind = match error {
        Error::Incompatible(Incompatible::Selectors(_)) => NotifyType::INVALID_ID_INFORMATION,
        Error::Misbehaved(Misbehaved::Traffic) => NotifyType::INVALID_ID_INFORMATION,
        Error::Misbehaved(Misbehaved::KeyExchange) => NotifyType::INVALID_KEY_INFORMATION,
        Error::Misbehaved(_) => NotifyType::PAYLOAD_MALFORMED,
        _ => NotifyType::NO_PROPOSAL_CHOSEN,
    };
    sa.notify_of(message_id, kind, ctx);
}
