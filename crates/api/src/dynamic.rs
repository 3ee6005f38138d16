//! Dynamic rules: given to a running daemon, and gone when it ends.

use crate::status::RuleStatus;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What is to become of the dynamic rules: first what goes, then what comes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DynamicChange {
    /// All that there are go.
    pub delete_all: bool,
    /// These rules go, by name.
    pub delete: Vec<String>,
    /// These come: tables of a policy file.
    pub add: Option<PolicyText>,
    /// Where they come from, to be shown with what is wrong in them.
    pub name: Option<String>,
}

/// A policy as a text. There may be keys in it, so it is not shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PolicyText(pub String);

impl fmt::Debug for PolicyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PolicyText({} bytes)", self.0.len())
    }
}

/// A change that is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DynamicChanged {
    /// What was done, as a sentence.
    pub message: String,
    /// What works and is unwise in what was added, rendered with its places.
    pub warnings: Option<String>,
    /// The names of all dynamic rules there are now.
    pub rules: Vec<String>,
}

/// The dynamic rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DynamicRules {
    /// Those that hold, in the order in which they are tried.
    pub rules: Vec<RuleStatus>,
    /// The names of those that do not: `active = false`.
    pub inactive: Vec<String>,
    /// The names of the peers that came with them.
    pub peers: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Request;

    #[test]
    fn a_change_travels_and_its_keys_are_not_shown() {
        let change = DynamicChange {
            add: Some(PolicyText("psk = \"secret\"".to_owned())),
            ..DynamicChange::default()
        };
        let request = Request::DynamicChange(change);
        let line = serde_json::to_string(&request).unwrap();
        assert_eq!(serde_json::from_str::<Request>(&line).unwrap(), request);
        assert!(!format!("{request:?}").contains("secret"));
        let short = "{\"verb\":\"dynamic_change\",\"delete\":[\"a\"]}";
        let short = serde_json::from_str::<Request>(short).unwrap();
        assert!(matches!(short, Request::DynamicChange(change) if change.delete == ["a"]));
        let unknown = "{\"verb\":\"dynamic_change\",\"deleet\":[]}";
        assert!(serde_json::from_str::<Request>(unknown).is_err());
    }
}
