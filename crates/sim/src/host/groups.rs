//! How the driver of a node starts and stops a group: in steps that take their time.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::host::effect::{Effect, Errand, Step};
use crate::settings::ServiceTimes;

/// Which start or stop of each group is under way; steps of an earlier one are void.
#[derive(Default)]
pub(crate) struct Groups {
    orders: BTreeMap<usize, u64>,
    count: u64,
}

impl Groups {
    /// Begins to bring a group up.
    pub(crate) fn start(&mut self, group: usize, up: bool, times: &ServiceTimes) -> Vec<Effect> {
        let order = self.order(group);
        let first = if up { Duration::ZERO } else { times.address_up };
        vec![later(first, group, order, Step::AddressUp)]
    }

    /// What follows when the addresses are up: announcements, and the services.
    pub(crate) fn address_is_up(
        &mut self,
        group: usize,
        order: u64,
        times: &ServiceTimes,
    ) -> Vec<Effect> {
        let announce = |after: &Duration| later(*after, group, order, Step::Announce);
        let mut effects: Vec<Effect> = times.announcements.iter().map(announce).collect();
        effects.push(later(times.services_start, group, order, Step::ServicesUp));
        effects
    }

    /// Begins to stop a group's services.
    pub(crate) fn stop(&mut self, group: usize, times: &ServiceTimes) -> Vec<Effect> {
        let order = self.order(group);
        vec![later(times.services_stop, group, order, Step::ServicesDown)]
    }

    /// Begins to take a group's addresses off.
    pub(crate) fn release(&mut self, group: usize, times: &ServiceTimes) -> Vec<Effect> {
        let order = self.order(group);
        vec![later(times.release, group, order, Step::AddressesOff)]
    }

    /// Whether a step belongs to what was ordered last.
    pub(crate) fn is_current(&self, group: usize, order: u64) -> bool {
        self.orders.get(&group) == Some(&order)
    }

    fn order(&mut self, group: usize) -> u64 {
        self.count += 1;
        self.orders.insert(group, self.count);
        self.count
    }
}

fn later(after: Duration, group: usize, order: u64, step: Step) -> Effect {
    Effect::After(after, Errand::Group(group, order, step))
}
