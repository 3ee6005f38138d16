//! Carries out what is `dynamic`: rules without a name, and the policies that they refer to.

use crate::authentication::Authentication;
use crate::command::{Argument, Command};
use crate::dynamic::{self, DynamicAction, DynamicRule, MainPolicy, Pfs, QuickPolicy};
use crate::finding::Finding;
use crate::grammar::{Object, Verb};
use crate::machine::{Done, Machine, absent, authentication, filter, present, remove, set};
use crate::methods::Group;
use crate::model::Connections;
use crate::script::Kind;
use crate::value;

/// How long a soft SA lasts here, in seconds: as on Windows, where nothing else is said.
const SOFT_LIFETIME: u32 = 300;

impl Machine {
    /// Carries out one command of `netsh ipsec dynamic`.
    pub(crate) fn carry_out_dynamic(&mut self, verb: Verb, command: &Command) -> Done {
        let begins = &mut self.script.dynamic.begins;
        begins.get_or_insert_with(|| command.span.clone());
        match (verb, command.object) {
            (Verb::Add, Object::MainPolicy) => self.add_main(command),
            (Verb::Set, Object::MainPolicy) => self.set_main(command),
            (Verb::Delete, Object::MainPolicy) => {
                let used = self.dynamic_uses(|rule| rule.main.clone());
                let main = &mut self.script.dynamic.main;
                remove::remove(main, command, &used, "mmpolicy")
            }
            (Verb::Add, Object::QuickPolicy) => self.add_quick(command),
            (Verb::Set, Object::QuickPolicy) => self.set_quick(command),
            (Verb::Delete, Object::QuickPolicy) => {
                let used = self.dynamic_uses(|rule| rule.quick.clone());
                let quick = &mut self.script.dynamic.quick;
                remove::remove(quick, command, &used, "qmpolicy")
            }
            (Verb::Add, Object::DynamicRule) => self.add_dynamic_rule(command),
            (Verb::Set, Object::DynamicRule) => self.set_dynamic_rule(command),
            (Verb::Delete, Object::DynamicRule) => self.delete_dynamic_rule(command),
            _ => {
                let dynamic = &mut self.script.dynamic;
                *dynamic = dynamic::Dynamic {
                    begins: dynamic.begins.take(),
                    delete_all: true,
                    ..dynamic::Dynamic::default()
                };
                Ok(())
            }
        }
    }

    fn dynamic_uses(&self, of: impl Fn(&DynamicRule) -> Option<String>) -> Vec<String> {
        self.script.dynamic.rules.iter().filter_map(of).collect()
    }

    fn add_main(&mut self, command: &Command) -> Done {
        let name = command.need("name")?;
        let mut main = MainPolicy::new(&value::text(name)?);
        self.change_main(&mut main, command)?;
        absent(&self.script.dynamic.main, name, "mmpolicy")?;
        self.remember(Kind::MainPolicy, &main.name, &command.span);
        self.script.dynamic.main.push(main);
        Ok(())
    }

    fn set_main(&mut self, command: &Command) -> Done {
        let name = command.need("name")?;
        let mut main = present(&mut self.script.dynamic.main, name, "mmpolicy")?.clone();
        self.change_main(&mut main, command)?;
        *present(&mut self.script.dynamic.main, name, "mmpolicy")? = main;
        Ok(())
    }

    fn change_main(&mut self, main: &mut MainPolicy, command: &Command) -> Done {
        set(&mut main.lifetime, command, "mmlifetime", value::number)?;
        set(
            &mut main.methods,
            command,
            "mmsecmethods",
            value::exchange_methods,
        )?;
        if let Some(argument) = command.get("qmpermm")
            && value::number(argument)? != 0
        {
            return Err(Finding::new(
                argument.span.clone(),
                "a limit of quick modes is one of the whole host, and no dynamic rule's",
                "not for these alone",
                "leave it out, or write `session_limit` into `[policy]` of the policy file",
            ));
        }
        if let Some(argument) = command.get("softsaexpirationtime")
            && value::number(argument)? != SOFT_LIFETIME
        {
            let message = format!("a soft SA lasts {SOFT_LIFETIME} s here");
            let remedy = "leave it out: it changes nothing";
            let span = argument.span.clone();
            let remark = Finding::new(span, message, "passed over", remedy);
            self.script.remarks.push(remark);
        }
        Ok(())
    }

    fn add_quick(&mut self, command: &Command) -> Done {
        let name = command.need("name")?;
        let mut quick = QuickPolicy::new(&value::text(name)?);
        change_quick(&mut quick, command)?;
        absent(&self.script.dynamic.quick, name, "qmpolicy")?;
        self.remember(Kind::QuickPolicy, &quick.name, &command.span);
        self.script.dynamic.quick.push(quick);
        Ok(())
    }

    fn set_quick(&mut self, command: &Command) -> Done {
        let name = command.need("name")?;
        let mut quick = present(&mut self.script.dynamic.quick, name, "qmpolicy")?.clone();
        change_quick(&mut quick, command)?;
        *present(&mut self.script.dynamic.quick, name, "qmpolicy")? = quick;
        Ok(())
    }

    fn add_dynamic_rule(&mut self, command: &Command) -> Done {
        let mut rule = DynamicRule {
            filter: filter(command)?,
            tunnel: tunnel(command)?,
            connections: Connections::All,
            inbound: DynamicAction::Negotiate,
            outbound: DynamicAction::Negotiate,
            main: None,
            quick: None,
            authentication: vec![Authentication::Kerberos],
            span: command.span.clone(),
        };
        self.change_dynamic_rule(&mut rule, command)?;
        let name = rule.name();
        if self
            .script
            .dynamic
            .rules
            .iter()
            .any(|known| known.name() == name)
        {
            let message = format!("there is a rule about `{}` already", name.escape_debug());
            let remedy = "leave the line out, or change the first one with `set rule`";
            let span = command.span.clone();
            return Err(Finding::new(span, message, "the second one", remedy));
        }
        self.script.dynamic.rules.push(rule);
        Ok(())
    }

    fn set_dynamic_rule(&mut self, command: &Command) -> Done {
        let name = dynamic::name(&filter(command)?, tunnel(command)?.as_deref());
        let rules = self.script.dynamic.rules.iter();
        let known = rules.clone().position(|rule| rule.name() == name);
        let Some((index, rule)) = known.and_then(|at| Some((at, rules.as_slice().get(at)?))) else {
            let message = format!("the script makes no rule about `{}`", name.escape_debug());
            let remedy = "`delete rule` and `add rule` whole: what a running rule is like is not \
                          in the script";
            let span = command.span.clone();
            return Err(Finding::new(span, message, "not made here", remedy));
        };
        let mut rule = rule.clone();
        self.change_dynamic_rule(&mut rule, command)?;
        self.script.dynamic.rules[index] = rule;
        Ok(())
    }

    fn delete_dynamic_rule(&mut self, command: &Command) -> Done {
        let dynamic = &mut self.script.dynamic;
        if let Some(all) = command.get("all") {
            if command.arguments.len() > 1 {
                let message = "`all` is every rule, and the filter of one stands beside it";
                let remedy = "write `conntype=all`, or `delete rule all`";
                return Err(Finding::new(all.span.clone(), message, "which?", remedy));
            }
            dynamic.rules.clear();
            dynamic.delete.clear();
            dynamic.delete_all = true;
            return Ok(());
        }
        let name = dynamic::name(&filter(command)?, tunnel(command)?.as_deref());
        let before = dynamic.rules.len();
        dynamic.rules.retain(|rule| rule.name() != name);
        // Another rule than those of the script; nothing is left of them after `delete all`.
        let elsewhere = dynamic.rules.len() == before && !dynamic.delete_all;
        if elsewhere && !dynamic.delete.contains(&name) {
            dynamic.delete.push(name);
        }
        Ok(())
    }

    /// What `add rule` and `set rule` have in common. Policies must be there.
    fn change_dynamic_rule(&mut self, rule: &mut DynamicRule, command: &Command) -> Done {
        if let Some(argument) = command.get("mmpolicy") {
            let main = present(&mut self.script.dynamic.main, argument, "mmpolicy")?;
            rule.main = Some(main.name.clone());
        }
        if let Some(argument) = command.get("qmpolicy") {
            let quick = present(&mut self.script.dynamic.quick, argument, "qmpolicy")?;
            rule.quick = Some(quick.name.clone());
        }
        let kinds = [Connections::All, Connections::Lan, Connections::Dialup];
        let words = kinds.map(|kind| (kind.word(), kind));
        let connections = |argument: &Argument| value::word(argument, &words);
        set(&mut rule.connections, command, "conntype", connections)?;
        let words = [
            ("permit", DynamicAction::Permit),
            ("block", DynamicAction::Block),
            ("negotiate", DynamicAction::Negotiate),
        ];
        let action = |argument: &Argument| value::word(argument, &words);
        set(&mut rule.inbound, command, "actioninbound", action)?;
        set(&mut rule.outbound, command, "actionoutbound", action)?;
        if let Some(methods) = authentication(command, &mut self.script.secrets)? {
            rule.authentication = methods;
        }
        check(rule, command)
    }
}

/// What a rule needs, and what one cannot be.
fn check(rule: &DynamicRule, command: &Command) -> Done {
    use DynamicAction::{Negotiate, Permit};
    let wrong = |message: &str, label: &str, remedy: &str| {
        Err(Finding::new(command.span.clone(), message, label, remedy))
    };
    match (rule.inbound, rule.outbound) {
        (inbound, outbound) if inbound == outbound => {}
        (Permit, Negotiate) => {}
        _ => {
            return wrong(
                "a rule does the same both ways, or lets in and negotiates what goes out",
                "two actions that do not go together",
                "write two rules with `mirrored=no`, one for each way",
            );
        }
    }
    if rule.outbound == Negotiate && (rule.main.is_none() || rule.quick.is_none()) {
        return wrong(
            "a rule that negotiates needs an `mmpolicy` and a `qmpolicy`",
            "what is to be negotiated?",
            "make both with `add mmpolicy` and `add qmpolicy`, and name them",
        );
    }
    Ok(())
}

fn change_quick(quick: &mut QuickPolicy, command: &Command) -> Done {
    set(&mut quick.soft, command, "soft", value::yes)?;
    let words = [
        ("GRP1", Pfs::Group(Group::Low)),
        ("GRP2", Pfs::Group(Group::Medium)),
        ("GRP3", Pfs::Group(Group::High)),
        ("GRPMM", Pfs::OfMainMode),
        ("NOPFS", Pfs::None),
    ];
    let group = |argument: &Argument| value::word(argument, &words);
    set(&mut quick.pfs, command, "pfsgroup", group)?;
    set(
        &mut quick.methods,
        command,
        "qmsecmethods",
        value::security_methods,
    )
}

/// `tunneldstaddress`, as far as it is one.
fn tunnel(command: &Command) -> Result<Option<String>, Finding> {
    match command.get("tunneldstaddress") {
        Some(argument) if !matches!(argument.value.as_str(), "" | "0.0.0.0") => {
            value::text(argument).map(Some)
        }
        _ => Ok(None),
    }
}
