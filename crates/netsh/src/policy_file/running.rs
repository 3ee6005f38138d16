//! What a script does to the running daemon: dynamic rules that go, and tables of a policy file for
//! those that come.

use std::collections::BTreeMap;

use crate::dynamic::{Dynamic, DynamicAction, DynamicRule, MainPolicy, Pfs, QuickPolicy};
use crate::finding::Finding;
use crate::machine::rule_key;
use crate::methods::Group;
use crate::model::{
    ActionKind, DefaultRule, FilterAction, FilterList, Negotiation, Policy, Rule, Store, find,
};
use crate::policy_file::{MAX_NAME, Own, Writer};
use crate::script::{Kind, Script};

/// What a script does to the running daemon, in this order.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// All dynamic rules go.
    pub delete_all: bool,
    /// These go, by name.
    pub delete: Vec<String>,
    /// These come.
    pub text: Option<String>,
    /// What to know about it.
    pub remarks: Vec<Finding>,
}

/// What a script does to the running daemon; `modern` for Holdfast's own algorithms and IKEv2
/// instead of what Windows 2003 can do.
///
/// # Errors
/// Everything in it that has no meaning for one.
pub fn change(script: &Script, modern: bool) -> Result<Change, Vec<Finding>> {
    check(script)?;
    let dynamic = &script.dynamic;
    let (store, policy, script) = as_static(script);
    let running = running(dynamic);
    let mut writer = Writer::new(&script, &store, &policy, &running, modern);
    writer.write_objects();
    match writer.faults.is_empty() {
        false => Err(writer.faults),
        true => Ok(Change {
            delete_all: dynamic.delete_all,
            delete: dynamic.delete.clone(),
            text: (!dynamic.rules.is_empty()).then_some(writer.document.text),
            remarks: writer.remarks,
        }),
    }
}

/// Refuses what belongs into a policy file, and scripts that do nothing.
fn check(script: &Script) -> Result<(), Vec<Finding>> {
    let dynamic = &script.dynamic;
    let fault = |span, message: &str, remedy: &str| {
        let finding = Finding::new(span, message, "not for a running daemon", remedy);
        Err(vec![finding])
    };
    if script.stores.values().any(|store| !store.is_empty()) {
        let places = script.places.iter();
        let mut places = places.filter(|((kind, _), _)| !kind.is_dynamic());
        let span = places.next().map_or(0..0, |(_, span)| span.clone());
        let message = "what is `static` belongs into a policy file";
        return fault(span, message, "make one with `holdfast import netsh`");
    }
    if script.driver.exemptions.is_some() || script.driver.boot_mode.is_some() {
        let message = "`set config` is about the whole host";
        let remedy = "write `exemptions` or `boot_mode` into `[policy]` of the policy file";
        return fault(0..0, message, remedy);
    }
    let nothing = dynamic.rules.is_empty() && dynamic.delete.is_empty() && !dynamic.delete_all;
    if nothing {
        let message = "the script changes no dynamic rule";
        let span = dynamic.begins.clone().unwrap_or(0..0);
        return fault(span, message, "add one with `netsh ipsec dynamic add rule`");
    }
    let too_long = dynamic
        .rules
        .iter()
        .filter(|rule| rule.name().len() > MAX_NAME);
    let faults: Vec<Finding> = too_long
        .map(|rule| {
            let message = format!(
                "`{}` would be the rule's name, of more than {MAX_NAME} bytes",
                rule.name()
            );
            let remedy = "write it as a `[[rule]]`, with a name of its own";
            Finding::new(rule.span.clone(), message, "made here", remedy)
        })
        .collect();
    match faults.is_empty() {
        true => Ok(()),
        false => Err(faults),
    }
}

/// The same objects as a static policy would have them: each rule with a list and an action of its
/// own name.
fn as_static(script: &Script) -> (Store, Policy, Script) {
    let mut store = Store::default();
    let mut policy = Policy {
        default_rule: DefaultRule {
            active: false,
            ..DefaultRule::default()
        },
        ..Policy::new("dynamic")
    };
    let mut script = script.clone();
    for rule in script.dynamic.rules.clone() {
        let name = rule.name();
        let kinds = [Kind::FilterList, Kind::FilterAction];
        let keys = kinds.map(|kind| (kind, name.to_ascii_lowercase()));
        let key = rule_key(&policy.name, &name).to_ascii_lowercase();
        for key in keys.into_iter().chain([(Kind::Rule, key)]) {
            script.places.insert(key, rule.span.clone());
        }
        store.filter_actions.push(FilterAction {
            name: name.clone(),
            description: String::new(),
            kind: action(&rule, &script.dynamic),
        });
        policy.rules.push(Rule {
            name: name.clone(),
            description: String::new(),
            filter_list: name.clone(),
            filter_action: name.clone(),
            tunnel: rule.tunnel,
            connections: rule.connections,
            active: true,
            authentication: rule.authentication,
        });
        store.filter_lists.push(FilterList {
            name,
            description: String::new(),
            filters: vec![rule.filter],
        });
    }
    (store, policy, script)
}

fn action(rule: &DynamicRule, dynamic: &Dynamic) -> ActionKind {
    match rule.outbound {
        DynamicAction::Permit => ActionKind::Permit,
        DynamicAction::Block => ActionKind::Block,
        DynamicAction::Negotiate => ActionKind::Negotiate(Negotiation {
            inpass: rule.inbound == DynamicAction::Permit,
            soft: quick(rule, dynamic).is_some_and(|quick| quick.soft),
            methods: quick(rule, dynamic)
                .map(|quick| quick.methods.clone())
                .unwrap_or_default(),
            ..Negotiation::default()
        }),
    }
}

/// What the rules negotiate.
fn running(dynamic: &Dynamic) -> BTreeMap<String, Own<'_>> {
    let negotiates = |rule: &&DynamicRule| rule.outbound == DynamicAction::Negotiate;
    let own = dynamic.rules.iter().filter(negotiates).filter_map(|rule| {
        let main = find(&dynamic.main, rule.main.as_deref()?)?;
        let group = group(quick(rule, dynamic)?, main);
        Some((rule.name(), Own { main, group }))
    });
    own.collect()
}

fn quick<'a>(rule: &DynamicRule, dynamic: &'a Dynamic) -> Option<&'a QuickPolicy> {
    find(&dynamic.quick, rule.quick.as_deref()?)
}

fn group(quick: &QuickPolicy, main: &MainPolicy) -> Option<Group> {
    match quick.pfs {
        Pfs::None => None,
        Pfs::Group(group) => Some(group),
        Pfs::OfMainMode => main.methods.first().map(|method| method.group),
    }
}

#[cfg(test)]
mod tests;
