//! Traffic selector negotiation: what both sides allow (RFC 7296 section 2.9).

use std::net::IpAddr;

use crate::range::AddressRange;
use crate::selector::{SelectorPair, Selectors, TrafficSelector};

/// Most selectors of one side in an answer: a TS payload counts them in one octet, and every peer
/// we know of takes this many.
pub const MAX_SELECTORS: usize = 64;

/// One side: everything that is both in `offered` and in `allowed`, in the order of `offered`.
///
/// Nothing in the result is outside of either, nothing is in it twice, and what the first offered
/// selector and `allowed` have in common comes first (or is within what comes first).
#[must_use]
pub fn narrow_side(
    offered: &[TrafficSelector],
    allowed: &[TrafficSelector],
) -> Vec<TrafficSelector> {
    let common = |offer: &TrafficSelector| {
        let offer = *offer;
        allowed
            .iter()
            .filter_map(move |allow| offer.intersect(allow))
    };
    let mut result: Vec<TrafficSelector> = Vec::new();
    for selector in offered.iter().flat_map(common) {
        match result.iter().position(|kept| selector.covers(kept)) {
            _ if result.iter().any(|kept| kept.covers(&selector)) => {}
            // The wider one takes the place of the first that it covers, and the others go.
            Some(place) => {
                if let Some(kept) = result.get_mut(place) {
                    *kept = selector;
                }
                let mut index = 0;
                result.retain(|kept| {
                    index += 1;
                    index - 1 == place || !selector.covers(kept)
                });
            }
            None if result.len() < MAX_SELECTORS => result.push(selector),
            None => {}
        }
    }
    result
}

/// Both sides; `None` when one has nothing in common, so that TS_UNACCEPTABLE is the answer.
#[must_use]
pub fn narrow(offered: &Selectors, allowed: &Selectors) -> Option<Selectors> {
    let narrowed = Selectors {
        local: narrow_side(&offered.local, &allowed.local),
        remote: narrow_side(&offered.remote, &allowed.remote),
    };
    // Sides that name different protocols hold no packet together.
    let possible = narrowed.pairs().next().is_some();
    possible.then_some(narrowed)
}

/// The first choices of an initiator, if it has any: the packet that made it ask.
#[must_use]
pub fn first_pair(offered: &Selectors) -> Option<SelectorPair> {
    Some(SelectorPair {
        local: *offered.local.first()?,
        remote: *offered.remote.first()?,
    })
}

/// The responder's choice among what its rules allow, most specific first: the index of the rule
/// and the narrowed selectors.
///
/// A rule that allows the initiator's first choices wins over one that does not; then one that
/// allows a part of them; then one that allows anything. If any rule allows the first choices in
/// full, the answer holds them (RFC 7296 section 2.9).
#[must_use]
pub fn choose<'a>(
    offered: &Selectors,
    allowed: impl IntoIterator<Item = &'a Selectors> + Clone,
) -> Option<(usize, Selectors)> {
    let first = first_pair(offered)?;
    let whole = |rule: &&Selectors| rule.pairs().any(|pair| pair.covers(&first));
    let part = |rule: &&Selectors| rule.pairs().any(|pair| pair.intersect(&first).is_some());
    let narrowed = |(index, rule): (usize, &'a Selectors)| Some((index, narrow(offered, rule)?));
    let rules = || allowed.clone().into_iter().enumerate();
    let by_whole = rules().filter(|(_, rule)| whole(rule)).find_map(narrowed);
    by_whole
        .or_else(|| rules().filter(|(_, rule)| part(rule)).find_map(narrowed))
        .or_else(|| rules().find_map(narrowed))
}

/// Whether a responder's answer keeps to what was offered: every selector of it lies within one
/// that we offered, and neither side is empty.
#[must_use]
pub fn is_within(answer: &Selectors, offered: &Selectors) -> bool {
    let within = |answer: &[TrafficSelector], offered: &[TrafficSelector]| {
        let inside = |one: &TrafficSelector| offered.iter().any(|offer| offer.covers(one));
        !answer.is_empty() && answer.iter().all(inside)
    };
    within(&answer.local, &offered.local) && within(&answer.remote, &offered.remote)
}

/// What is left of the selectors between two hosts: transport mode carries nothing else.
#[must_use]
pub fn between_hosts(selectors: &Selectors, local: IpAddr, remote: IpAddr) -> Selectors {
    let cut = |side: &[TrafficSelector], host: IpAddr| {
        narrow_side(side, &[TrafficSelector::all(AddressRange::host(host))])
    };
    Selectors {
        local: cut(&selectors.local, local),
        remote: cut(&selectors.remote, remote),
    }
}

#[cfg(test)]
mod tests;
