//! The next deadline of every IKE SA, in order.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::id::IkeSaId;
use crate::timer::Timer;

/// One deadline for each IKE SA that has one.
#[derive(Default)]
pub(crate) struct Deadlines {
    order: BTreeMap<(Instant, IkeSaId), Timer>,
    armed: BTreeMap<IkeSaId, Instant>,
}

impl Deadlines {
    /// Sets the deadline of an IKE SA, in the place of the one that it had.
    pub(crate) fn set(&mut self, ike: IkeSaId, due: Option<(Instant, Timer)>) {
        if let Some(before) = self.armed.remove(&ike) {
            self.order.remove(&(before, ike));
        }
        if let Some((at, timer)) = due {
            self.armed.insert(ike, at);
            self.order.insert((at, ike), timer);
        }
    }

    /// The earliest deadline.
    pub(crate) fn first(&self) -> Option<(Instant, Timer)> {
        self.order
            .first_key_value()
            .map(|((at, _), timer)| (*at, *timer))
    }

    /// Takes out an IKE SA whose deadline has come.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<IkeSaId> {
        let (&(at, ike), _) = self.order.first_key_value()?;
        if at > now {
            return None;
        }
        self.set(ike, None);
        Some(ike)
    }
}
