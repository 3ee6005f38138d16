//! The end of an IKE SA and of all that depends on it (RFC 7296 section 1.4.1).

use wire::ike::{Delete, Payload};

use crate::command::Acquire;
use crate::context::Context;
use crate::context::acquire_failed;
use crate::error::Error;
use crate::event::{Event, Reason};
use crate::limits;
use crate::retransmit::Retransmit;
use crate::v2::sa::{Effect, Kind, Sa, Stage, Task};

impl Sa {
    /// Ends the IKE SA here. With `linger` it goes on repeating its last response for a while.
    pub(crate) fn end(&mut self, reason: Reason, linger: bool, ctx: &mut Context<'_>) {
        self.remove_children(&reason, ctx);
        let rivals = self
            .exchanges
            .iter()
            .filter_map(|exchange| match &exchange.kind {
                Kind::RekeyIke {
                    rival: Some(rival), ..
                } => Some(rival.id),
                _ => None,
            });
        // What the peer made in the place of this one must not wait for a decision for ever.
        let stand: Vec<Effect> = rivals.map(|rival| Effect::RivalStands { rival }).collect();
        self.effects.extend(stand);
        let orphans = self.abandon(ctx);
        let (ike, peer) = (self.id, self.peer.name.clone());
        ctx.event(Event::IkeClosed {
            ike,
            peer,
            reason: reason.clone(),
        });
        if linger {
            self.stage = Stage::Closed {
                until: ctx.now + limits::CLOSED_LIFE,
            };
        }
        self.effects.push(Effect::Ended { reason, orphans });
    }

    /// Ends an IKE SA that the peer does not have any more, or cannot use. What it protected begins
    /// anew at once: the peer may not know that it must. Behind a NAT, or where it
    /// came by TCP, only the peer can begin.
    pub(crate) fn lose(&mut self, reason: Reason, ctx: &mut Context<'_>) {
        if self.is_live() && !self.path.nat.remote && !self.path.carrier.is_theirs() {
            let rules = &ctx.config.rules;
            let children = self.children.iter().filter(|child| child.is_live());
            let again = children.map(|child| child.again(&self.peer.name, &self.path));
            let wanted = again.filter(|acquire| acquire.is_wanted(rules));
            let tasks = wanted.map(|acquire| Task::CreateChild {
                acquire: Box::new(acquire),
                tries: 0,
            });
            self.tasks.extend(tasks);
        }
        self.end(reason, false, ctx);
    }

    /// Forgets our own request to replace the IKE SA.
    pub(crate) fn forget_own_rekeying(&mut self, ctx: &mut Context<'_>) {
        self.exchanges.retain(|exchange| match &exchange.kind {
            Kind::RekeyIke { offer, .. } => {
                ctx.registry.release_ike(offer.new);
                false
            }
            _ => true,
        });
    }

    /// Forgets every request, waiting or in flight, and gives what it was asked to protect.
    pub(crate) fn abandon(&mut self, ctx: &mut Context<'_>) -> Vec<Acquire> {
        if let Some(pending) = self.pending.take() {
            pending.release(ctx);
        }
        let kinds = std::mem::take(&mut self.exchanges)
            .into_iter()
            .map(|one| one.kind);
        let flying = kinds
            .filter_map(|kind| release(kind, ctx))
            .collect::<Vec<_>>();
        let delayed = std::mem::take(&mut self.delayed)
            .into_iter()
            .map(|(_, task)| task);
        let waiting = std::mem::take(&mut self.tasks).into_iter().chain(delayed);
        let wanted = |task| match task {
            Task::CreateChild { acquire, .. } => Some(*acquire),
            _ => None,
        };
        flying
            .into_iter()
            .chain(waiting.filter_map(wanted))
            .collect()
    }

    /// The local address leaves: ends every child, and tells the peer at once and often that the
    /// IKE SA is deleted, whatever else is in flight. A request that the peer has not yet answered
    /// is repeated as well: without it the Delete would lie outside the peer's window.
    pub(crate) fn leave(&mut self, ctx: &mut Context<'_>) {
        let reason = Reason::AddressLeft;
        self.remove_children(&reason, ctx);
        let mut flying = std::mem::take(&mut self.exchanges);
        for exchange in &mut flying {
            exchange.retransmit = Retransmit::every(limits::RELEASE_REPEAT, ctx.now);
            let forgotten = Kind::Forgotten(exchange.kind.exchange());
            let kind = std::mem::replace(&mut exchange.kind, forgotten);
            if let Some(acquire) = release(kind, ctx) {
                acquire_failed(acquire, Error::InactiveAddress, ctx);
            }
        }
        for acquire in self.abandon(ctx) {
            acquire_failed(acquire, Error::InactiveAddress, ctx);
        }
        self.exchanges = flying;
        self.stage = Stage::Closing;
        let payloads = [Payload::Delete(Delete::ike())];
        let often = Retransmit::every(limits::RELEASE_REPEAT, ctx.now);
        self.request_by(Kind::DeleteIke { reason }, &payloads, often, ctx);
    }
}

/// Gives back the numbers that a request in flight had reserved, and what it was to protect.
fn release(kind: Kind, ctx: &mut Context<'_>) -> Option<Acquire> {
    match kind {
        Kind::CreateChild { offer, .. } => {
            ctx.registry.release_esp(offer.inbound_spi);
            return Some(offer.acquire);
        }
        Kind::RekeyChild { offer, .. } => ctx.registry.release_esp(offer.inbound_spi),
        Kind::RekeyIke { offer, .. } | Kind::CloneIke { offer, .. } => {
            ctx.registry.release_ike(offer.new);
        }
        _ => {}
    }
    None
}
