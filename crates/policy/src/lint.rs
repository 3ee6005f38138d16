//! What looks wrong with the order of the rules: ties, and rules that never decide.

use crate::entry::Entry;
use crate::names::RuleName;
use crate::rule::{Directions, Origin};
use crate::selector::SelectorPair;
use crate::spd::Spd;

/// With more entries than this nothing is compared: the work grows with the square.
const MAX_ENTRIES: usize = 4096;

/// Two rules of equal rank that are about the same traffic: only action and name decide. A dynamic
/// rule and another do not tie: the dynamic one is meant to go first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tie {
    /// The rule that goes first.
    pub first: RuleName,
    /// The other one.
    pub second: RuleName,
    /// The traffic that both are about.
    pub traffic: SelectorPair,
}

/// Every pair of rules that tie, once.
#[must_use]
pub fn ties(spd: &Spd) -> Vec<Tie> {
    let mut found: Vec<Tie> = Vec::new();
    let entries = spd.entries().get(..MAX_ENTRIES).unwrap_or(spd.entries());
    for (index, first) in entries.iter().enumerate() {
        let rest = entries.iter().skip(index + 1);
        for second in rest.take_while(|second| second.weight == first.weight) {
            if first.rule == second.rule || !directions_meet(first, second) {
                continue;
            }
            if is_dynamic(spd, first) != is_dynamic(spd, second) {
                continue;
            }
            let names = name(spd, first).zip(name(spd, second));
            let Some((a, b)) = names else { continue };
            let Some(traffic) = first.pair.intersect(&second.pair) else {
                continue;
            };
            if !found.iter().any(|tie| tie.first == a && tie.second == b) {
                found.push(Tie {
                    first: a,
                    second: b,
                    traffic,
                });
            }
        }
    }
    found
}

/// Every rule that can never decide, with the rule that decides before it.
#[must_use]
pub fn shadowed(spd: &Spd) -> Vec<(RuleName, RuleName)> {
    if spd.entries().len() > MAX_ENTRIES {
        return Vec::new();
    }
    let shadow = |index: usize, entry: &Entry| {
        let covers = |before: &&Entry| {
            before.rule != entry.rule
                && before.pair.covers(&entry.pair)
                && (before.directions == Directions::Both || before.directions == entry.directions)
        };
        spd.entries().iter().take(index).find(covers)
    };
    let mut found = Vec::new();
    for (number, rule) in spd.rules().iter().enumerate() {
        let own = || {
            spd.entries()
                .iter()
                .enumerate()
                .filter(|(_, entry)| entry.rule == number)
        };
        let shadows: Option<Vec<&Entry>> =
            own().map(|(index, entry)| shadow(index, entry)).collect();
        let first = shadows.and_then(|shadows| shadows.first().copied());
        if let Some(by) = first.and_then(|entry| name(spd, entry)) {
            found.push((rule.name.clone(), by));
        }
    }
    found
}

fn directions_meet(a: &Entry, b: &Entry) -> bool {
    a.directions == Directions::Both
        || b.directions == Directions::Both
        || a.directions == b.directions
}

fn is_dynamic(spd: &Spd, entry: &Entry) -> bool {
    spd.rule_of(entry)
        .is_some_and(|rule| rule.origin == Origin::Dynamic)
}

fn name(spd: &Spd, entry: &Entry) -> Option<RuleName> {
    spd.rule_of(entry).map(|rule| rule.name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::range::{AddressRange, PortRange};
    use crate::rule::{Action, AddressSpec, Filter, Origin, Rule};

    fn rule(name: &str, remote: &str, ports: &[u16], action: Action) -> Rule {
        let remote = AddressRange::host(remote.parse().unwrap());
        let filter = Filter {
            protocol: 6,
            remote_ports: ports.iter().copied().map(PortRange::single).collect(),
            ..Filter::between(AddressSpec::Me, AddressSpec::Range(remote))
        };
        Rule {
            name: name.into(),
            filters: vec![filter],
            action,
            peer: None,
            origin: Origin::File,
        }
    }

    #[test]
    fn ties_and_shadows() {
        let rules = vec![
            rule("a", "10.0.0.1", &[110, 143], Action::Permit),
            rule("b", "10.0.0.1", &[143, 25], Action::Block),
            rule("c", "10.0.0.1", &[143], Action::Permit),
            rule("other", "10.0.0.2", &[110], Action::Permit),
        ];
        let spd = Spd::build(rules, &["10.0.0.9".parse().unwrap()]);
        let ties = ties(&spd);
        let names: Vec<(&str, &str)> = ties
            .iter()
            .map(|tie| (tie.first.as_str(), tie.second.as_str()))
            .collect();
        assert_eq!(names, [("b", "a"), ("b", "c"), ("a", "c")]);
        assert_eq!(ties[0].traffic.remote.to_string(), "10.0.0.1/32[tcp/143]");
        assert_eq!(shadowed(&spd), [("c".into(), "b".into())]);
    }
}
