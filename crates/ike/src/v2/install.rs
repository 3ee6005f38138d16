//! A child becomes real: the pair joins its IKE SA and goes to ESP (RFC 7296 section 2.17).

use policy::names::RuleName;
use policy::sa::ChildId;
use wire::ike::{Notify, NotifyType, Payload};

use crate::command::Acquire;
use crate::context::Context;
use crate::error::{Error, Misbehaved};
use crate::event::Event;
use crate::id::Role;
use crate::output::{Install, Outbound, Output};
use crate::v2::child::Agreed;
use crate::v2::pair::{Child, PairKeys};
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
        let mut child = Child::new(agreed, ctx);
        child.active = outbound == Outbound::Now;
        let spec = child.spec(&self.peer.name, &self.path, keys);
        ctx.outputs.push_back(Output::Install(Box::new(Install {
            spec,
            outbound,
            replaces,
        })));
        ctx.event(Event::ChildEstablished {
            ike: self.id,
            child: child.id,
            replaces,
            rule: child.rule.clone(),
            peer: self.peer.name.clone(),
            inbound_spi: child.inbound_spi,
            outbound_spi: child.outbound_spi,
            mode: child.template.mode,
            suite: child.suite,
            selectors: Box::new(child.selectors.clone()),
        });
        let id = child.id;
        ctx.registry.settle(id, self.id);
        self.children.push(child);
        id
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

/// Tells that traffic stays unprotected.
pub(crate) fn acquire_failed(acquire: Acquire, error: Error, ctx: &mut Context<'_>) {
    let Acquire {
        rule,
        peer,
        local,
        remote,
        ..
    } = acquire;
    ctx.event(Event::AcquireFailed {
        rule,
        peer,
        local,
        remote,
        error,
    });
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
