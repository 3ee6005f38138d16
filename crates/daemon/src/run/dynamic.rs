//! Changes of dynamic rules: checked and applied as a reload is, without reading the files again.

use crate::dynamic::Refusal;
use crate::run::Daemon;
use crate::run::answers::to_value;
use crate::status;
use api::{DynamicChange, DynamicChanged, DynamicRules, ErrorCode, Reply};
use policy::Origin;
use serde_json::Value;

impl Daemon {
    /// Changes the dynamic rules; what cannot be done changes nothing.
    ///
    /// # Errors
    /// The answer that says why.
    pub(crate) fn change_dynamic(&mut self, change: &DynamicChange) -> Result<Value, Reply> {
        let before = self.dynamic.rules().count();
        let outcome = self.dynamic.change(change, &self.options.config);
        let outcome = outcome.map_err(|refusal| match refusal {
            Refusal::NotFound(why) => (ErrorCode::NotFound, why),
            Refusal::Wrong(why) => (ErrorCode::Failed, why),
        });
        let outcome = outcome.and_then(|composed| {
            let warnings = composed.warnings.clone();
            let applied = self.apply(composed);
            applied
                .map(|()| warnings)
                .map_err(|why| (ErrorCode::Failed, why))
        });
        match outcome {
            Ok(warnings) => {
                let rules: Vec<String> =
                    self.dynamic.rules().map(|name| name.to_string()).collect();
                let message = format!("{} dynamic rules, {before} before", rules.len());
                self.log.event("dynamic", &message);
                if let Some(warnings) = &warnings {
                    self.log.event("warning", warnings);
                }
                Ok(to_value(&DynamicChanged {
                    message,
                    warnings,
                    rules,
                }))
            }
            Err((code, why)) => {
                let text = format!("the dynamic rules have not changed: {why}");
                self.log.failure("dynamic", &text);
                Err(Reply::failure(code, why))
            }
        }
    }

    /// The dynamic rules, for whoever asks.
    pub(crate) fn dynamic_rules(&self) -> Value {
        let is_dynamic = |rule: &api::RuleStatus| rule.origin == Origin::Dynamic.word();
        let rules = status::rules(self.node.spd()).into_iter();
        let rules: Vec<api::RuleStatus> = rules.filter(is_dynamic).collect();
        let known = |name: &String| rules.iter().any(|rule| rule.name == *name);
        let all = self.dynamic.rules().map(|name| name.to_string());
        to_value(&DynamicRules {
            inactive: all.filter(|name| !known(name)).collect(),
            peers: self.dynamic.peers().map(|name| name.to_string()).collect(),
            rules,
        })
    }
}
