//! A search and what it must find: nothing with all rules in place, a breach without one of them.

use crate::property::{IV, MESSAGE_ID, RECOVERS, SEQUENCE};
use crate::setting::Setting;
use crate::takeover::Takeover;
use stateright::{Checker, HasDiscoveries, Model};
use std::collections::BTreeSet;

/// One search.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// What is searched.
    pub setting: Setting,
    /// What must be found.
    pub expected: Expected,
}

/// What a search must find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// S1, S2 and L1 hold in every state, and these examples are reached.
    Holds(Vec<&'static str>),
    /// This property breaks.
    Breaks(&'static str),
    /// The first breaks, and the second still holds in every state: it has a second layer.
    BreaksBut(&'static str, &'static str),
}

/// What a search has found.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Broken properties, each with a shortest way to it in words.
    pub breaches: Vec<(&'static str, Vec<String>)>,
    /// Examples that were not reached.
    pub missing: Vec<&'static str>,
    /// How many states were visited; no state counts twice.
    pub states: usize,
}

impl Outcome {
    /// The way to a broken property.
    #[must_use]
    pub fn breach(&self, property: &str) -> Option<&[String]> {
        let mut breaches = self.breaches.iter();
        let (_, steps) = breaches.find(|(broken, _)| *broken == property)?;
        Some(steps)
    }

    /// Whether this is what the experiment must find.
    #[must_use]
    pub fn confirms(&self, expected: &Expected) -> bool {
        match expected {
            Expected::Holds(_) => self.breaches.is_empty() && self.missing.is_empty(),
            Expected::Breaks(property) => self.breach(property).is_some(),
            Expected::BreaksBut(property, holds) => {
                self.breach(property).is_some() && self.breach(holds).is_none()
            }
        }
    }
}

impl Experiment {
    /// Searches, breadth first: as far as the verdict needs, which is everything where something
    /// must hold.
    #[must_use]
    pub fn run(&self) -> Outcome {
        let (end, examples) = match &self.expected {
            Expected::Holds(examples) => (HasDiscoveries::AnyFailures, examples.clone()),
            Expected::Breaks(property) | Expected::BreaksBut(_, property) => {
                let end = HasDiscoveries::AnyOf(BTreeSet::from([*property]));
                (end, Vec::new())
            }
        };
        let takeover = Takeover {
            setting: self.setting.clone(),
            recovery: matches!(self.expected, Expected::Holds(_)),
            examples: examples.clone(),
        };
        let checker = takeover.checker().finish_when(end).spawn_bfs().join();
        let mut discoveries = checker.discoveries();
        let invariants = [SEQUENCE, IV, MESSAGE_ID, RECOVERS];
        let breaches = invariants.into_iter().filter_map(|property| {
            let actions = discoveries.remove(property)?.into_actions();
            let words = actions.iter().map(ToString::to_string).collect();
            Some((property, words))
        });
        let breaches = breaches.collect();
        let missing = examples
            .into_iter()
            .filter(|name| !discoveries.contains_key(name));
        Outcome {
            breaches,
            missing: missing.collect(),
            states: checker.unique_state_count(),
        }
    }
}
