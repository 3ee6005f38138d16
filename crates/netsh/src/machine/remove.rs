//! `delete`: objects that something else needs stay.

use crate::command::Command;
use crate::finding::Finding;
use crate::grammar::Object;
use crate::machine::{Machine, filter, present};
use crate::model::{Named, Store};

impl Machine {
    /// Carries out a `delete`.
    pub(crate) fn delete(&mut self, command: &Command) -> Result<(), Finding> {
        match command.object {
            Object::All => {
                *self.store() = Store::default();
                Ok(())
            }
            Object::Filter => self.delete_filter(command),
            Object::FilterList => {
                let used = self.used(|rule| rule.filter_list.clone());
                remove(
                    &mut self.store().filter_lists,
                    command,
                    &used,
                    "filter list",
                )
            }
            Object::FilterAction => {
                let used = self.used(|rule| rule.filter_action.clone());
                remove(
                    &mut self.store().filter_actions,
                    command,
                    &used,
                    "filter action",
                )
            }
            Object::Policy => remove(&mut self.store().policies, command, &[], "policy"),
            Object::Rule => {
                let policy = command.need("policy")?;
                let policy = present(&mut self.store().policies, policy, "policy")?;
                remove(&mut policy.rules, command, &[], "rule")
            }
            _ => Ok(()),
        }
    }

    fn used(&mut self, of: impl Fn(&crate::model::Rule) -> String) -> Vec<String> {
        let policies = self.store().policies.iter();
        policies.flat_map(|policy| &policy.rules).map(of).collect()
    }

    fn delete_filter(&mut self, command: &Command) -> Result<(), Finding> {
        let wanted = filter(command)?;
        let name = command.need("filterlist")?;
        let list = present(&mut self.store().filter_lists, name, "filter list")?;
        let (before, given) = (list.filters.len(), |tag| command.get(tag).is_some());
        list.filters.retain(|known| {
            let same = known.source == wanted.source
                && known.destination == wanted.destination
                && (!given("protocol") || known.protocol == wanted.protocol)
                && (!given("srcport") || known.source_port == wanted.source_port)
                && (!given("dstport") || known.destination_port == wanted.destination_port)
                && (!given("mirrored") || known.mirrored == wanted.mirrored);
            !same
        });
        match list.filters.len() == before {
            false => Ok(()),
            true => Err(Finding::new(
                command.span.clone(),
                format!("`{}` has no such filter", name.value.escape_debug()),
                "nothing to delete",
                "leave the line out, or correct it",
            )),
        }
    }
}

pub(crate) fn remove<T: Named>(
    objects: &mut Vec<T>,
    command: &Command,
    used: &[String],
    kind: &str,
) -> Result<(), Finding> {
    let is_used = |object: &T| {
        used.iter()
            .any(|name| name.eq_ignore_ascii_case(object.name()))
    };
    if command.get("all").is_some() {
        objects.retain(is_used);
        return Ok(());
    }
    let name = command.need("name")?;
    if is_used(present(objects, name, kind)?) {
        let message = format!("a rule needs the {kind} `{}`", name.value.escape_debug());
        let remedy = "delete the rule first";
        return Err(Finding::new(name.span.clone(), message, "in use", remedy));
    }
    objects.retain(|object| !object.name().eq_ignore_ascii_case(&name.value));
    Ok(())
}
