//! The rules as IKE's responder needs them: expanded, most specific first.

use ike::ChildRule;
use policy::Spd;

/// What peers may ask for. A dormant rule asks for nothing.
pub(crate) fn child_rules(spd: &Spd) -> Vec<ChildRule> {
    let rules = spd.child_rules().into_iter();
    rules
        .map(|rule| ChildRule {
            rule: rule.rule,
            peer: rule.peer,
            child: rule.child,
            selectors: rule.selectors,
        })
        .collect()
}
