//! Carries commands out: objects are made, changed and removed as netsh would.

use crate::authentication::{Authentication, PresharedKey, RootCa};
use crate::command::{Argument, Command};
use crate::finding::{Finding, Span};
use crate::grammar::{Object, Verb};
use crate::model::{
    ActionKind, BootMode, Connections, Filter, FilterAction, FilterList, Named, Negotiation,
    Policy, Rule, Store,
};
use crate::script::{Kind, Location, Script};
use crate::value::{self, Side};

mod dynamic;
mod remove;

/// What a script has made so far, and where it stands.
#[derive(Default)]
pub(crate) struct Machine {
    pub(crate) script: Script,
    location: Location,
}

type Done = Result<(), Finding>;

impl Machine {
    /// Carries one command out; what cannot be done changes nothing.
    pub(crate) fn carry_out(&mut self, command: &Command) -> Done {
        match (command.verb, command.object) {
            (
                verb,
                Object::MainPolicy | Object::QuickPolicy | Object::DynamicRule | Object::AllDynamic,
            ) => self.carry_out_dynamic(verb, command),
            (Verb::Add, Object::Filter) => self.add_filter(command),
            (Verb::Add, Object::FilterList) => self.add_list(command),
            (Verb::Add, Object::FilterAction) => self.add_action(command),
            (Verb::Add, Object::Policy) => self.add_policy(command),
            (Verb::Add, Object::Rule) => self.add_rule(command),
            (Verb::Set, Object::FilterList) => self.set_list(command),
            (Verb::Set, Object::FilterAction) => self.set_action(command),
            (Verb::Set, Object::Policy) => self.set_policy(command),
            (Verb::Set, Object::Rule) => self.set_rule(command),
            (Verb::Set, Object::DefaultRule) => self.set_default_rule(command),
            (Verb::Set, Object::Store) => self.set_store(command),
            (Verb::Set, Object::Config) => self.set_config(command),
            (Verb::Delete, _) => self.delete(command),
            // Changes are always applied together.
            _ => Ok(()),
        }
    }

    fn store(&mut self) -> &mut Store {
        self.script.stores.entry(self.location).or_default()
    }

    fn remember(&mut self, kind: Kind, name: &str, span: &Span) {
        let key = (kind, name.to_ascii_lowercase());
        self.script.places.insert(key, span.clone());
    }

    fn add_list(&mut self, command: &Command) -> Done {
        let name = command.need("name")?;
        let list = FilterList {
            name: value::text(name)?,
            description: description(command)?,
            filters: Vec::new(),
        };
        absent(&self.store().filter_lists, name, "filter list")?;
        self.remember(Kind::FilterList, &list.name, &command.span);
        self.store().filter_lists.push(list);
        Ok(())
    }

    /// A filter for a list that is not there makes the list.
    fn add_filter(&mut self, command: &Command) -> Done {
        let name = value::text(command.need("filterlist")?)?;
        let filter = filter(command)?;
        let lists = &mut self.store().filter_lists;
        let Some(list) = find_mut(lists, &name) else {
            lists.push(FilterList {
                name: name.clone(),
                description: String::new(),
                filters: vec![filter],
            });
            self.remember(Kind::FilterList, &name, &command.span);
            return Ok(());
        };
        if list.filters.iter().any(|known| known.same_packets(&filter)) {
            let message = format!("`{name}` has this filter already");
            let remedy = "leave the line out";
            let remark = Finding::new(command.span.clone(), message, "once more", remedy);
            self.script.remarks.push(remark);
            return Ok(());
        }
        list.filters.push(filter);
        Ok(())
    }

    fn add_action(&mut self, command: &Command) -> Done {
        let name = command.need("name")?;
        let mut action = FilterAction {
            name: value::text(name)?,
            description: String::new(),
            kind: ActionKind::Negotiate(Negotiation::default()),
        };
        change_action(&mut action, command)?;
        absent(&self.store().filter_actions, name, "filter action")?;
        self.remember(Kind::FilterAction, &action.name, &command.span);
        self.store().filter_actions.push(action);
        Ok(())
    }

    fn add_policy(&mut self, command: &Command) -> Done {
        let name = command.need("name")?;
        let mut policy = Policy::new(&value::text(name)?);
        change_policy(&mut policy, command)?;
        absent(&self.store().policies, name, "policy")?;
        self.remember(Kind::Policy, &policy.name, &command.span);
        let assigned = policy.assigned.then(|| policy.name.clone());
        self.store().policies.push(policy);
        self.assign(assigned.as_deref());
        Ok(())
    }

    /// Only one policy is in force.
    fn assign(&mut self, name: Option<&str>) {
        let Some(name) = name else { return };
        for policy in &mut self.store().policies {
            policy.assigned = policy.name.eq_ignore_ascii_case(name);
        }
    }

    fn add_rule(&mut self, command: &Command) -> Done {
        let name = command.need("name")?;
        let mut rule = Rule {
            name: value::text(name)?,
            description: String::new(),
            filter_list: value::text(command.need("filterlist")?)?,
            filter_action: value::text(command.need("filteraction")?)?,
            tunnel: None,
            connections: Connections::All,
            active: true,
            authentication: vec![Authentication::Kerberos],
        };
        self.change_rule(&mut rule, command)?;
        let policy = self.policy(command.need("policy")?)?;
        absent(&policy.rules, name, "rule")?;
        let key = rule_key(&policy.name, &rule.name);
        policy.rules.push(rule);
        self.remember(Kind::Rule, &key, &command.span);
        Ok(())
    }

    fn policy(&mut self, argument: &Argument) -> Result<&mut Policy, Finding> {
        present(&mut self.store().policies, argument, "policy")
    }

    fn set_list(&mut self, command: &Command) -> Done {
        let name = named(command)?;
        let new = renamed(command, &self.store().filter_lists, name, "filter list")?;
        let description = given_description(command)?;
        let list = present(&mut self.store().filter_lists, name, "filter list")?;
        list.description = description.unwrap_or(std::mem::take(&mut list.description));
        let Some(new) = new else { return Ok(()) };
        let old = std::mem::replace(&mut list.name, new.clone());
        let rules = self
            .store()
            .policies
            .iter_mut()
            .flat_map(|policy| &mut policy.rules);
        rules
            .filter(|rule| rule.filter_list.eq_ignore_ascii_case(&old))
            .for_each(|rule| rule.filter_list.clone_from(&new));
        self.remember(Kind::FilterList, &new, &command.span);
        Ok(())
    }

    fn set_action(&mut self, command: &Command) -> Done {
        let name = named(command)?;
        let new = renamed(command, &self.store().filter_actions, name, "filter action")?;
        let action = present(&mut self.store().filter_actions, name, "filter action")?;
        let mut changed = action.clone();
        change_action(&mut changed, command)?;
        *action = changed;
        let Some(new) = new else { return Ok(()) };
        let old = std::mem::replace(&mut action.name, new.clone());
        let rules = self
            .store()
            .policies
            .iter_mut()
            .flat_map(|policy| &mut policy.rules);
        rules
            .filter(|rule| rule.filter_action.eq_ignore_ascii_case(&old))
            .for_each(|rule| rule.filter_action.clone_from(&new));
        self.remember(Kind::FilterAction, &new, &command.span);
        Ok(())
    }

    fn set_policy(&mut self, command: &Command) -> Done {
        if let Some(argument) = command.get("gponame") {
            let remedy = "leave it out: a Group Policy object is a matter of the domain";
            let message = "no domain assigns policies here";
            return Err(Finding::new(
                argument.span.clone(),
                message,
                "a GPO",
                remedy,
            ));
        }
        let name = named(command)?;
        let new = renamed(command, &self.store().policies, name, "policy")?;
        let policy = self.policy(name)?;
        let mut changed = policy.clone();
        change_policy(&mut changed, command)?;
        changed.name = new.unwrap_or(changed.name);
        let assigned = changed.assigned.then(|| changed.name.clone());
        let rules: Vec<String> = changed.rules.iter().map(|rule| rule.name.clone()).collect();
        let new = changed.name.clone();
        *policy = changed;
        self.remember(Kind::Policy, &new, &command.span);
        for rule in rules {
            self.remember(Kind::Rule, &rule_key(&new, &rule), &command.span);
        }
        self.assign(assigned.as_deref());
        Ok(())
    }

    fn set_rule(&mut self, command: &Command) -> Done {
        let name = named(command)?;
        let policy = self.policy(command.need("policy")?)?.clone();
        let new = renamed(command, &policy.rules, name, "rule")?;
        let mut rules = policy.rules;
        let mut rule = present(&mut rules, name, "rule")?.clone();
        self.change_rule(&mut rule, command)?;
        rule.name = new.unwrap_or(rule.name);
        let key = rule_key(&policy.name, &rule.name);
        let policy = self.policy(command.need("policy")?)?;
        *present(&mut policy.rules, name, "rule")? = rule;
        self.remember(Kind::Rule, &key, &command.span);
        Ok(())
    }

    fn set_default_rule(&mut self, command: &Command) -> Done {
        let methods = authentication(command, &mut self.script.secrets)?;
        let policy = self.policy(command.need("policy")?)?;
        let mut rule = policy.default_rule.clone();
        set(&mut rule.pfs, command, "qmpfs", value::yes)?;
        set(&mut rule.active, command, "activate", value::yes)?;
        set(
            &mut rule.methods,
            command,
            "qmsecmethods",
            value::security_methods,
        )?;
        rule.authentication = methods.unwrap_or(rule.authentication);
        policy.default_rule = rule;
        Ok(())
    }

    fn set_store(&mut self, command: &Command) -> Done {
        let argument = command.need("location")?;
        let words = [
            ("local", Location::Local),
            ("persistent", Location::Persistent),
        ];
        self.location = value::word(argument, &words).map_err(|mut fault| {
            if argument.value.eq_ignore_ascii_case("domain") {
                fault.message = "there is no domain whose policies could be changed".to_owned();
            }
            fault
        })?;
        Ok(())
    }

    fn set_config(&mut self, command: &Command) -> Done {
        let property = command.need("property")?;
        let value = command.need("value")?;
        let driver = &mut self.script.driver;
        match property.value.to_ascii_lowercase().as_str() {
            "ipsecexempt" => {
                let level = value::word(value, &[("0", 0), ("1", 1), ("2", 2), ("3", 3)])?;
                driver.exemptions = Some(level);
            }
            "bootmode" => {
                let modes = [BootMode::Permit, BootMode::Stateful, BootMode::Block];
                let words = modes.map(|mode| (mode.word(), mode));
                driver.boot_mode = Some(value::word(value, &words)?);
            }
            "ikelogging" | "ipsecdiagnostics" | "ipsecloginterval" | "strongcrlcheck"
            | "bootexemptions" => {
                let message = format!("`{}` has no meaning here", property.value);
                let remedy = "leave the line out";
                let span = command.span.clone();
                let remark = Finding::new(span, message, "passed over", remedy);
                self.script.remarks.push(remark);
            }
            other => {
                let message = format!("there is no property `{}`", other.escape_debug());
                let remedy = "write `ipsecexempt` or `bootmode`";
                let span = property.span.clone();
                return Err(Finding::new(span, message, "not known here", remedy));
            }
        }
        Ok(())
    }

    /// What `add rule` and `set rule` have in common. Lists and actions must be there.
    fn change_rule(&mut self, rule: &mut Rule, command: &Command) -> Done {
        if let Some(argument) = command.get("filterlist") {
            let list = present(&mut self.store().filter_lists, argument, "filter list")?;
            rule.filter_list.clone_from(&list.name);
        }
        if let Some(argument) = command.get("filteraction") {
            let action = present(&mut self.store().filter_actions, argument, "filter action")?;
            rule.filter_action.clone_from(&action.name);
        }
        if let Some(argument) = command.get("tunnel") {
            rule.tunnel = match argument.value.as_str() {
                "" | "0.0.0.0" => None,
                _ => Some(value::text(argument)?),
            };
        }
        let kinds = [Connections::All, Connections::Lan, Connections::Dialup];
        let words = kinds.map(|kind| (kind.word(), kind));
        set(&mut rule.connections, command, "conntype", |argument| {
            value::word(argument, &words)
        })?;
        set(&mut rule.active, command, "activate", value::yes)?;
        set(&mut rule.description, command, "description", value::text)?;
        if let Some(methods) = authentication(command, &mut self.script.secrets)? {
            rule.authentication = methods;
        }
        Ok(())
    }
}

/// A rule's name is unique in its policy only.
pub(crate) fn rule_key(policy: &str, rule: &str) -> String {
    format!("{policy}\n{rule}")
}

fn find_mut<'a, T: Named>(objects: &'a mut [T], name: &str) -> Option<&'a mut T> {
    objects
        .iter_mut()
        .find(|object| object.name().eq_ignore_ascii_case(name))
}

fn absent<T: Named>(objects: &[T], name: &Argument, kind: &str) -> Done {
    match objects
        .iter()
        .any(|object| object.name().eq_ignore_ascii_case(&name.value))
    {
        false => Ok(()),
        true => Err(Finding::new(
            name.span.clone(),
            format!("there is a {kind} `{}` already", name.value.escape_debug()),
            "the second one",
            "give it another name, or change the first one with `set`",
        )),
    }
}

fn present<'a, T: Named>(
    objects: &'a mut [T],
    name: &Argument,
    kind: &str,
) -> Result<&'a mut T, Finding> {
    let known: Vec<String> = objects
        .iter()
        .map(|object| object.name().to_owned())
        .collect();
    find_mut(objects, &name.value).ok_or_else(|| {
        let nearest = policy::suggest::nearest(&name.value, known.iter().map(String::as_str));
        let remedy = match nearest {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => format!("make it first: `add {}`", kind.replace(' ', "")),
        };
        let message = format!("there is no {kind} `{}`", name.value.escape_debug());
        Finding::new(name.span.clone(), message, "not known", remedy)
    })
}

/// The object that a `set` is about.
fn named(command: &Command) -> Result<&Argument, Finding> {
    for tag in ["guid", "id"] {
        if let Some(argument) = command.get(tag).filter(|_| command.get("name").is_none()) {
            let message = format!("`{tag}=` is a number that only one computer knows");
            let remedy = "write `name=`";
            return Err(Finding::new(
                argument.span.clone(),
                message,
                "no name",
                remedy,
            ));
        }
    }
    command.need("name")
}

fn renamed<T: Named>(
    command: &Command,
    objects: &[T],
    name: &Argument,
    kind: &str,
) -> Result<Option<String>, Finding> {
    let Some(new) = command.get("newname") else {
        return Ok(None);
    };
    if !new.value.eq_ignore_ascii_case(&name.value) {
        absent(objects, new, kind)?;
    }
    value::text(new).map(Some)
}

fn given_description(command: &Command) -> Result<Option<String>, Finding> {
    command.get("description").map(value::text).transpose()
}

fn description(command: &Command) -> Result<String, Finding> {
    Ok(given_description(command)?.unwrap_or_default())
}

/// Changes a field, if its tag is given.
fn set<T>(
    field: &mut T,
    command: &Command,
    tag: &str,
    parse: impl FnOnce(&Argument) -> Result<T, Finding>,
) -> Done {
    if let Some(argument) = command.get(tag) {
        *field = parse(argument)?;
    }
    Ok(())
}

pub(crate) fn filter(command: &Command) -> Result<Filter, Finding> {
    let mut filter = Filter {
        source: value::address(command, Side::Source)?,
        destination: value::address(command, Side::Destination)?,
        protocol: 0,
        source_port: 0,
        destination_port: 0,
        mirrored: true,
        description: description(command)?,
    };
    set(&mut filter.protocol, command, "protocol", value::protocol)?;
    set(&mut filter.source_port, command, "srcport", value::port)?;
    set(
        &mut filter.destination_port,
        command,
        "dstport",
        value::port,
    )?;
    set(&mut filter.mirrored, command, "mirrored", value::yes)?;
    let ports = [
        ("srcport", filter.source_port),
        ("dstport", filter.destination_port),
    ];
    let named = ports.iter().find(|(_, port)| *port != 0);
    if let Some(argument) = named.and_then(|(tag, _)| command.get(tag))
        && !policy::protocol::has_ports(filter.protocol)
    {
        return Err(Finding::new(
            argument.span.clone(),
            "a port is named, and no protocol that has ports",
            "no such port",
            "add `protocol=TCP` or `protocol=UDP`",
        ));
    }
    Ok(filter)
}

fn change_action(action: &mut FilterAction, command: &Command) -> Done {
    set(&mut action.description, command, "description", value::text)?;
    let words = [("permit", 0u8), ("block", 1), ("negotiate", 2)];
    let kind = command
        .get("action")
        .map(|argument| value::word(argument, &words))
        .transpose()?;
    match (kind, &action.kind) {
        (Some(0), _) => action.kind = ActionKind::Permit,
        (Some(1), _) => action.kind = ActionKind::Block,
        (Some(_), ActionKind::Permit | ActionKind::Block) => {
            action.kind = ActionKind::Negotiate(Negotiation::default());
        }
        _ => {}
    }
    let ActionKind::Negotiate(negotiation) = &mut action.kind else {
        for tag in ["qmpfs", "inpass", "soft"] {
            let given = command
                .get(tag)
                .map(|argument| (argument, value::yes(argument)));
            if let Some((argument, Ok(true))) = given {
                let message = format!("`{tag}` belongs to an action that negotiates");
                let remedy = "leave it out, or write `action=negotiate`";
                let span = argument.span.clone();
                return Err(Finding::new(span, message, "without meaning", remedy));
            }
        }
        return match command.get("qmsecmethods") {
            None => Ok(()),
            Some(argument) => Err(Finding::new(
                argument.span.clone(),
                "`qmsecmethods` belongs to an action that negotiates",
                "without meaning",
                "leave it out, or write `action=negotiate`",
            )),
        };
    };
    set(&mut negotiation.pfs, command, "qmpfs", value::yes)?;
    set(&mut negotiation.inpass, command, "inpass", value::yes)?;
    set(&mut negotiation.soft, command, "soft", value::yes)?;
    set(
        &mut negotiation.methods,
        command,
        "qmsecmethods",
        value::security_methods,
    )
}

fn change_policy(policy: &mut Policy, command: &Command) -> Done {
    set(&mut policy.description, command, "description", value::text)?;
    set(&mut policy.master_pfs, command, "mmpfs", value::yes)?;
    set(&mut policy.session_limit, command, "qmpermm", value::number)?;
    set(&mut policy.lifetime, command, "mmlifetime", value::number)?;
    set(
        &mut policy.default_rule.active,
        command,
        "activatedefaultrule",
        value::yes,
    )?;
    set(
        &mut policy.polling_interval,
        command,
        "pollinginterval",
        value::number,
    )?;
    set(&mut policy.assigned, command, "assign", value::yes)?;
    set(
        &mut policy.methods,
        command,
        "mmsecmethods",
        value::exchange_methods,
    )
}

/// The ordered list of how both sides prove who they are; `None` when nothing is said.
fn authentication(
    command: &Command,
    secrets: &mut Vec<Span>,
) -> Result<Option<Vec<Authentication>>, Finding> {
    let mut list = Vec::new();
    let mut said = false;
    for argument in &command.arguments {
        match argument.tag {
            "kerberos" => {
                said = true;
                if value::yes(argument)? {
                    list.push(Authentication::Kerberos);
                }
            }
            "psk" => {
                said = true;
                secrets.push(argument.span.clone());
                if argument.value.is_empty() {
                    let message = "the key is empty";
                    let remedy = "write the key that both sides have";
                    let span = argument.span.clone();
                    return Err(Finding::new(span, message, "no key", remedy));
                }
                list.push(Authentication::Psk(PresharedKey::new(&argument.value)));
            }
            "rootca" => {
                said = true;
                let root = RootCa::parse(&argument.value).map_err(|message| {
                    let remedy = "write `rootca=\"C=US, O=Corp, CN=Root certmap:no \
                                  excludecaname:no\"`";
                    Finding::new(argument.span.clone(), message, "in `rootca`", remedy)
                })?;
                list.push(Authentication::RootCa(root));
            }
            _ => {}
        }
    }
    if said && list.is_empty() {
        return Err(Finding::new(
            command.span.clone(),
            "no way is left in which both sides could prove who they are",
            "in this command",
            "write `kerberos=yes`, `psk=` or `rootca=`",
        ));
    }
    Ok(said.then_some(list))
}
