//! Informational exchanges: notifications and deletes, each acted upon only when its hash is right
//! (RFC 2409 section 5.7).

use std::collections::BTreeSet;

use policy::sa::ChildId;
use wire::isakmp::{
    Chain, Delete, ExchangeType, Flags, Notification, NotifyType, Payload, ProtocolId,
};

use crate::context::Context;
use crate::discard::Discard;
use crate::error::Error;
use crate::event::Reason;
use crate::limits;
use crate::pair::Stage as ChildStage;
use crate::v1::deletion;
use crate::v1::dpd;
use crate::v1::exchange::Kind;
use crate::v1::message::{self, Message, authenticate};
use crate::v1::quick::asked::confirm;
use crate::v1::sa::{Effect, Sa, Stage};

/// The peer informs us.
///
/// # Errors
/// It is not authentic, or a replay; nothing has changed then.
pub(crate) fn informed(
    sa: &mut Sa,
    message: &Message<'_>,
    ctx: &mut Context<'_>,
) -> Result<(), Discard> {
    let message_id = message.header.message_id;
    if !message.header.flags.encryption {
        return hinted(sa, message, ctx);
    }
    let iv = sa.keys.exchange_iv(&sa.phase_1, message_id);
    let opened = message.open(&sa.keys, &iv)?;
    let chain = opened.chain()?;
    authenticate(&chain, |octets| sa.keys.hash_1(message_id, &[octets]))?;
    if let Some(outcome) = question(sa, &chain, ctx) {
        return outcome;
    }
    sa.take_message_id(message_id)?;
    sa.heard(ctx.now);
    if let Some(nonce) = chain.payloads.iter().find_map(|one| match &one.payload {
        Payload::Nonce(nonce) => Some(nonce.as_slice()),
        _ => None,
    }) {
        deletion::answer(sa, message, &opened.next, nonce, &chain, ctx);
    }
    let mut deletes = Vec::new();
    for one in &chain.payloads {
        match &one.payload {
            Payload::Notification(one) => notified(sa, one, message_id, ctx),
            Payload::Delete(one) => deletes.push(one),
            _ => {}
        }
    }
    deleted(sa, &deletes, ctx);
    Ok(())
}

/// R-U-THERE and its answer have numbers of their own: of their message ids nobody keeps account.
fn question(sa: &mut Sa, chain: &Chain<'_>, ctx: &mut Context<'_>) -> Option<Result<(), Discard>> {
    let [_, one] = chain.payloads.as_slice() else {
        return None;
    };
    let Payload::Notification(notification) = &one.payload else {
        return None;
    };
    match notification.kind {
        NotifyType::R_U_THERE => Some(dpd::asked(sa, notification, ctx)),
        NotifyType::R_U_THERE_ACK => Some(dpd::answered(sa, notification, ctx)),
        _ => None,
    }
}

/// What is not protected may come from anybody.
fn hinted(sa: &mut Sa, message: &Message<'_>, ctx: &mut Context<'_>) -> Result<(), Discard> {
    let chain = message.clear()?;
    let kind = chain.payloads.iter().find_map(|one| match &one.payload {
        Payload::Notification(one) if one.kind.is_error() => Some(one.kind),
        _ => None,
    });
    dpd::hint(sa, kind.ok_or(Discard::HintIgnored)?, ctx)
}

fn notified(sa: &mut Sa, one: &Notification, message_id: u32, ctx: &mut Context<'_>) {
    match one.kind {
        NotifyType::INITIAL_CONTACT => sa.effects.push(Effect::InitialContact),
        // RFC 2408 section 3.1: it has the message id of the exchange, or names the SA.
        NotifyType::CONNECTED => connected(sa, message_id, one.spi_u32(), ctx),
        NotifyType::INVALID_SPI => invalid_spi(sa, one, ctx),
        kind if kind.is_error() => refused(sa, one, kind, ctx),
        _ => {}
    }
}

/// The peer that set the commit bit has its SAs: ours may send.
pub(crate) fn connected(sa: &mut Sa, message_id: u32, spi: Option<u32>, ctx: &mut Context<'_>) {
    let waiting = sa.exchanges.iter().find_map(|one| match one.kind {
        Kind::Confirmed { child, .. } if one.message_id == message_id => Some(child),
        _ => None,
    });
    let named = spi.and_then(|spi| sa.child_by_outbound(spi).map(|child| child.id));
    if let Some(child) = waiting.or(named) {
        confirm(sa, child, ctx);
    }
}

/// The peer does not know ESP that we send: the pair is of no use, unless it is so young that its
/// packets may have overtaken the message that made it.
fn invalid_spi(sa: &mut Sa, one: &Notification, ctx: &mut Context<'_>) {
    let data = || one.data_u32();
    let Some(spi) = one.spi_u32().or_else(data) else {
        return;
    };
    if !pair_unknown(sa, spi, ctx) {
        sa.effects.push(Effect::Unknown(BTreeSet::from([spi])));
    }
}

/// Does what [`invalid_spi`] says. Returns whether the pair was one of this ISAKMP SA's.
pub(crate) fn pair_unknown(sa: &mut Sa, spi: u32, ctx: &mut Context<'_>) -> bool {
    let Some(child) = sa.child_by_outbound(spi) else {
        return false;
    };
    if ctx.now.saturating_duration_since(child.born) >= limits::HINT_GAP {
        let why = Reason::Failed(Error::Notified(NotifyType::INVALID_SPI));
        close_child(sa, child.id, why, ctx);
    }
    true
}

/// The peer does not want what we asked for.
fn refused(sa: &mut Sa, one: &Notification, kind: NotifyType, ctx: &mut Context<'_>) {
    let number = |octets: Option<&[u8; 4]>| octets.copied().map(u32::from_be_bytes);
    let first = number(one.spi.first_chunk()).or(number(one.data.first_chunk()));
    let second = number(one.spi.last_chunk());
    let about = |offer: &crate::v1::exchange::Offer, id: u32| {
        [first, second].contains(&Some(offer.inbound_spi)) || first == Some(id)
    };
    let named = sa.exchanges.iter().position(|one| match &one.kind {
        Kind::Asked(offer) => about(offer, one.message_id),
        _ => false,
    });
    // Most peers do not say which they mean.
    let at = named.or_else(|| sa.exchanges.iter().position(|one| one.is_asked()));
    let Some(at) = at else { return };
    let exchange = sa.exchanges.remove(at);
    if let Kind::Asked(offer) = exchange.kind {
        sa.give_up(*offer, Error::Notified(kind), ctx);
    }
}

/// Collects what is deleted, and then does it: what comes twice says nothing new.
fn deleted(sa: &mut Sa, deletes: &[&Delete], ctx: &mut Context<'_>) {
    let of = |protocol| deletes.iter().filter(move |one| one.protocol == protocol);
    let spis: BTreeSet<u32> = of(ProtocolId::ESP).flat_map(|one| one.spis_u32()).collect();
    let others = spis
        .into_iter()
        .filter(|spi| !pair_deleted(sa, *spi, ctx))
        .collect::<BTreeSet<u32>>();
    if !others.is_empty() {
        sa.effects.push(Effect::Deleted(others));
    }
    let own = sa.cookie_pair();
    let closes = of(ProtocolId::ISAKMP)
        .flat_map(|one| one.cookies())
        .any(|one| one == own);
    if closes {
        let reason = match sa.stage {
            Stage::Replaced { .. } => Reason::Rekeyed,
            _ => Reason::ByPeer,
        };
        sa.pass(reason, ctx);
    }
}

/// The peer deletes a pair. Returns whether it was one of this ISAKMP SA's.
pub(crate) fn pair_deleted(sa: &mut Sa, spi: u32, ctx: &mut Context<'_>) -> bool {
    let Some(child) = sa.child_by_outbound(spi) else {
        return false;
    };
    let id = child.id;
    let reason = match child.stage {
        ChildStage::Replaced { by, .. } => {
            // What takes its place must send before it is gone.
            sa.activate(by, ctx);
            Reason::Rekeyed
        }
        _ => Reason::ByPeer,
    };
    sa.remove_child(id, reason, ctx);
    true
}

/// Ends a pair because of this host, and tells the peer.
pub(crate) fn close_child(sa: &mut Sa, id: ChildId, reason: Reason, ctx: &mut Context<'_>) {
    let Some(child) = sa.child(id) else { return };
    if let ChildStage::Replaced { by, .. } = child.stage {
        sa.activate(by, ctx);
    }
    let inbound_spi = sa.child(id).map(|child| child.inbound_spi);
    sa.remove_child(id, reason, ctx);
    if let Some(spi) = inbound_spi.filter(|_| sa.stage != Stage::Gone) {
        deletion::delete(sa, Delete::esp(&[spi]), ctx);
    }
}

impl Sa {
    /// The cookies as notifications and deletes write them.
    pub(crate) fn cookie_pair(&self) -> (u64, u64) {
        let cookies = self.cookies();
        let number = u64::from_be_bytes;
        (number(cookies.initiator), number(cookies.responder))
    }

    /// A message id for an exchange of ours.
    pub(crate) fn new_message_id(&self, ctx: &mut Context<'_>) -> u32 {
        loop {
            let mut octets = [0; 4];
            ctx.random.fill(&mut octets);
            let id = u32::from_be_bytes(octets);
            let taken = self.exchanges.iter().any(|one| one.message_id == id);
            if id != 0 && !taken && !self.used.contains(&id) {
                return id;
            }
        }
    }

    /// Takes note of a message id of the peer's.
    ///
    /// # Errors
    /// It was here before, or there have been too many.
    pub(crate) fn take_message_id(&mut self, id: u32) -> Result<(), Discard> {
        if self.used.contains(&id) || self.exchanges.iter().any(|one| one.message_id == id) {
            return Err(Discard::MessageId);
        }
        if self.used.len() >= limits::MESSAGE_IDS {
            return Err(Discard::Busy);
        }
        self.used.insert(id);
        self.changed = true;
        // With what is left of them another main mode can be made in peace.
        if self.used.len() > limits::MESSAGE_IDS / 2 {
            self.renew(Vec::new());
        }
        Ok(())
    }

    /// Tells the peer something, once.
    pub(crate) fn inform(&self, payloads: Vec<Payload>, ctx: &mut Context<'_>) {
        let message_id = self.new_message_id(ctx);
        let message = self.informational(message_id, payloads);
        ctx.transmit(&self.path, message);
    }

    /// An informational message.
    pub(crate) fn informational(&self, message_id: u32, payloads: Vec<Payload>) -> Vec<u8> {
        let iv = self.keys.exchange_iv(&self.phase_1, message_id);
        let header = self.informational_header(message_id);
        let hash = |octets: &[u8]| self.keys.hash_1(message_id, &[octets]);
        message::seal_hashed(&self.keys, &iv, &header, payloads, hash).0
    }

    pub(crate) fn informational_header(&self, message_id: u32) -> wire::isakmp::Header {
        let exchange = ExchangeType::INFORMATIONAL;
        message::header(self.cookies(), exchange, message_id, Flags::ENCRYPTED)
    }

    /// Tells the peer what became of an exchange of its own. Windows finds the exchange by its
    /// message id, which stands before the SPI for it ([MS-IKEE] section 2.2.6).
    pub(crate) fn notify_of(&self, about: u32, kind: NotifyType, ctx: &mut Context<'_>) {
        let mut one = Notification::new(ProtocolId::ESP, kind, Vec::new());
        one.spi = match self.vendor.windows {
            Some(_) => [about.to_be_bytes(), [0; 4]].concat(),
            None => Vec::new(),
        };
        self.inform(vec![Payload::Notification(one)], ctx);
    }

    /// The peer sends ESP that this host does not know: it is told.
    pub(crate) fn tell_invalid_spi(&self, spi: u32, ctx: &mut Context<'_>) {
        let known = self.children.iter().any(|child| child.inbound_spi == spi);
        let making = self.exchanges.iter().any(|one| one.is_asked());
        if !known && !making && self.is_live() {
            let one = Notification::esp(spi, NotifyType::INVALID_SPI, Vec::new());
            self.inform(vec![Payload::Notification(one)], ctx);
        }
    }
}
