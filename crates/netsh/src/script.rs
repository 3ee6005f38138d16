//! What a script leaves behind: objects in their stores, and where they were made.

use std::collections::BTreeMap;

use crate::dynamic::Dynamic;
use crate::finding::{Finding, Span};
use crate::model::{Driver, Store};

/// Where an object is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Location {
    /// In the registry of the computer.
    #[default]
    Local,
    /// There too, and loaded before anything else.
    Persistent,
}

/// A kind of object, to find its place by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A policy.
    Policy,
    /// A filter list.
    FilterList,
    /// A filter action.
    FilterAction,
    /// A rule.
    Rule,
    /// What dynamic rules have main mode negotiate.
    MainPolicy,
    /// The same of quick mode.
    QuickPolicy,
}

impl Kind {
    /// Whether it is something of `dynamic`.
    pub(crate) fn is_dynamic(self) -> bool {
        matches!(self, Kind::MainPolicy | Kind::QuickPolicy)
    }
}

/// What a script leaves behind.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// The objects, by the store that they are in.
    pub stores: BTreeMap<Location, Store>,
    /// What it sets of the driver.
    pub driver: Driver,
    /// What it does to the running computer.
    pub dynamic: Dynamic,
    /// What it does that changes nothing here.
    pub remarks: Vec<Finding>,
    /// Where keys stand.
    pub secrets: Vec<Span>,
    pub(crate) places: BTreeMap<(Kind, String), Span>,
}

impl Script {
    /// What is in a store; nothing if the script never speaks of it.
    #[must_use]
    pub fn store(&self, location: Location) -> Store {
        self.stores.get(&location).cloned().unwrap_or_default()
    }

    /// Where an object was made, or an empty place at the beginning.
    #[must_use]
    pub fn place(&self, kind: Kind, name: &str) -> Span {
        let key = (kind, name.to_ascii_lowercase());
        self.places.get(&key).cloned().unwrap_or(0..0)
    }
}
