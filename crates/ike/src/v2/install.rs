//! The children of an IKE SA: a pair joins it and goes to ESP, and leaves both again (RFC 7296
//! sections 1.4.1 and 2.17).

use policy::names::RuleName;
use policy::sa::ChildId;
use wire::ike::{Notify, NotifyType, Payload};

use crate::context::Context;
use crate::error::{Error, Misbehaved};
use crate::event::{Event, Reason};
use crate::id::Role;
use crate::output::{Outbound, Output};
use crate::pair::Agreed;
use crate::pair::{Child, PairKeys};
use crate::v2::sa::Sa;

impl Sa {
    /// Installs a pair. It must happen before the message leaves that lets the peer use it.
    pub(crate) fn install(
        &mut self,
        agreed: Agreed,
        keys: PairKeys,
        outbound: Outbound,
        replaces: Option<ChildId>,
        ctx: &mut Context<'_>,
    ) -> ChildId {
        self.changed = true;
        let path = self.esp_path();
        let mut child = Child::new(agreed, &self.peer.name, (&path, self.party), keys, ctx);
        child.active = outbound == Outbound::Now;
        child.plug(self.id, outbound, replaces, ctx);
        let id = child.id;
        // Nearly all have one: a vector that grows by itself would have room for four.
        if self.children.is_empty() {
            self.children.reserve_exact(1);
        }
        self.children.push(child);
        id
    }

    /// Tells ESP where every child goes now.
    pub(crate) fn redirects(&self) -> impl Iterator<Item = Output> {
        let path = self.esp_path();
        let in_esp = self.children.iter().filter(|child| child.in_esp);
        in_esp.map(move |child| Output::Redirect {
            child: child.id,
            local: path.local.ip(),
            remote: path.remote.ip(),
            encapsulation: path.encapsulation(),
        })
    }

    pub(crate) fn child(&self, id: ChildId) -> Option<&Child> {
        self.children.iter().find(|child| child.id == id)
    }

    pub(crate) fn child_mut(&mut self, id: ChildId) -> Option<&mut Child> {
        self.children.iter_mut().find(|child| child.id == id)
    }

    /// A child by the SPI that the peer receives with.
    pub(crate) fn child_by_outbound(&self, spi: u32) -> Option<&Child> {
        self.children.iter().find(|child| child.outbound_spi == spi)
    }

    /// Lets a child's outbound SA carry traffic, if it does not yet.
    pub(crate) fn activate(&mut self, id: ChildId, ctx: &mut Context<'_>) {
        let activated = self.child_mut(id).map(|child| child.activate(ctx));
        self.changed |= activated.unwrap_or(false);
    }

    /// Takes a child away from ESP; the peer may still have to hear of it.
    pub(crate) fn unplug(&mut self, id: ChildId, reason: Reason, ctx: &mut Context<'_>) {
        self.changed = true;
        if let Some(child) = self.child_mut(id) {
            child.unplug(reason, ctx);
        }
    }

    /// Ends a child here.
    pub(crate) fn remove_child(&mut self, id: ChildId, reason: Reason, ctx: &mut Context<'_>) {
        self.unplug(id, reason, ctx);
        let Some(at) = self.children.iter().position(|child| child.id == id) else {
            return;
        };
        let child = self.children.remove(at);
        if self.children.len() <= 1 {
            self.children.shrink_to_fit();
        }
        self.changed = true;
        ctx.registry.forget(id, child.inbound_spi);
        if self.children.is_empty() {
            self.childless_since = ctx.now;
        }
    }

    /// Ends every child here.
    pub(crate) fn remove_children(&mut self, reason: &Reason, ctx: &mut Context<'_>) {
        let ids: Vec<ChildId> = self.children.iter().map(|child| child.id).collect();
        for id in ids {
            self.remove_child(id, reason.clone(), ctx);
        }
    }

    /// Tells that no child came of an exchange; the IKE SA stays.
    pub(crate) fn child_failed(
        &self,
        rule: Option<RuleName>,
        role: Role,
        error: Error,
        ctx: &mut Context<'_>,
    ) {
        let (ike, peer) = (self.id, self.peer.name.clone());
        ctx.event(Event::ChildFailed {
            ike,
            rule,
            peer,
            role,
            error,
        });
    }
}

/// The notification that tells the peer of an error.
pub(crate) fn error_payload(error: &Error) -> Payload {
    let kind = error.notify().unwrap_or(NotifyType::NO_PROPOSAL_CHOSEN);
    let data = match error {
        Error::Misbehaved(Misbehaved::CriticalPayload(kind)) => vec![kind.0],
        _ => Vec::new(),
    };
    Payload::Notify(Notify::new(kind, data))
}

/// A notification without data.
pub(crate) fn notify(kind: NotifyType) -> Payload {
    Payload::Notify(Notify::new(kind, Vec::new()))
}
