//! A search and what it must find: nothing with all rules in place, a breach without one of them.

use crate::property::{IV, MESSAGE_ID, RECOVERS, SEQUENCE};
use crate::rule::Rule;
use crate::setting::{Bounds, Configuration, Setting};
use crate::takeover::Takeover;
use stateright::{Checker, HasDiscoveries, Model};
use std::collections::BTreeSet;

/// One search.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// What is searched.
    pub setting: Setting,
    /// The property that breaks; with none, everything holds.
    pub breaks: Option<&'static str>,
    /// Whether L1 is asked in every state.
    pub recovery: bool,
}

/// What a search has found.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The broken property, if any, and the shortest way to it in words.
    pub breach: Option<(&'static str, Vec<String>)>,
    /// Properties that ask for an example, and have none.
    pub missing: Vec<&'static str>,
    /// States that differ.
    pub states: usize,
}

impl Outcome {
    /// Whether this is what the experiment must find.
    #[must_use]
    pub fn confirms(&self, experiment: &Experiment) -> bool {
        let broken = self.breach.as_ref().map(|(property, _)| *property);
        broken == experiment.breaks && self.missing.is_empty()
    }
}

impl Experiment {
    /// Searches. Without an expected breach the search is complete; with one it ends there.
    #[must_use]
    pub fn run(&self) -> Outcome {
        let takeover = Takeover {
            setting: self.setting.clone(),
            recovery: self.recovery,
        };
        let end = match self.breaks {
            Some(property) => HasDiscoveries::AnyOf(BTreeSet::from([property])),
            None => HasDiscoveries::AnyFailures,
        };
        let checker = takeover.checker().finish_when(end).spawn_bfs().join();
        let discoveries = checker.discoveries();
        let order = [SEQUENCE, IV, MESSAGE_ID, RECOVERS];
        let order = self.breaks.into_iter().chain(order);
        let breach = order
            .filter_map(|property| Some((property, discoveries.get(property)?)))
            .map(|(property, path)| {
                let actions = path.clone().into_actions();
                (property, actions.iter().map(ToString::to_string).collect())
            })
            .next();
        let properties = checker.model().properties();
        let missing = properties
            .iter()
            .filter(|property| !property.expectation.discovery_is_failure())
            .map(|property| property.name)
            .filter(|name| breach.is_none() && !discoveries.contains_key(name))
            .collect();
        Outcome {
            breach,
            missing,
            states: checker.unique_state_count(),
        }
    }
}
