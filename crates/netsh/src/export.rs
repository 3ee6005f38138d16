//! A script that makes the objects of a store, from an empty one on.

use std::fmt::Write as _;

use crate::authentication::Authentication;
use crate::lexer::has_variable;
use crate::model::{
    ActionKind, Address, DefaultRule, Driver, Filter, FilterAction, Policy, Rule, Store,
};
use crate::script::Location;

/// Writes the script. What is at its default is left out, so that a reader sees what was meant.
///
/// # Errors
/// The first text that a script cannot hold: one with a quote or a line's end, or a key that is no
/// text.
pub fn script(store: &Store, location: Location, driver: &Driver) -> Result<String, String> {
    let mut lines = Lines::default();
    lines.remark("A Windows IPsec policy, for `netsh -f` or a batch file.");
    lines.remark("Pre-shared keys in it are in clear: keep the file to yourself.");
    if location == Location::Persistent {
        lines.command("set store").word("location", "persistent");
    }
    for list in &store.filter_lists {
        lines.command("add filterlist").text("name", &list.name)?;
        lines.description(&list.description)?;
        for filter in &list.filters {
            write_filter(&mut lines, &list.name, filter)?;
        }
    }
    for action in &store.filter_actions {
        write_action(&mut lines, action)?;
    }
    for policy in &store.policies {
        write_policy(&mut lines, policy)?;
    }
    if let Some(level) = driver.exemptions {
        lines.driver("ipsecexempt", &level.to_string());
    }
    if let Some(mode) = driver.boot_mode {
        lines.driver("bootmode", mode.word());
    }
    Ok(lines.text)
}

#[derive(Default)]
struct Lines {
    text: String,
}

impl Lines {
    fn remark(&mut self, text: &str) {
        let _ = write!(self.text, "rem {text}\r\n");
    }

    fn driver(&mut self, property: &str, value: &str) {
        let _ = write!(
            self.text,
            "netsh ipsec dynamic set config property={property} value={value}\r\n"
        );
    }

    fn command(&mut self, command: &str) -> &mut Self {
        let _ = write!(self.text, "netsh ipsec static {command}\r\n");
        self
    }

    /// Adds to the last line.
    fn add(&mut self, words: &str) {
        let end = self.text.trim_end().len();
        self.text.insert_str(end, words);
    }

    fn word(&mut self, tag: &str, value: &str) -> &mut Self {
        self.add(&format!(" {tag}={value}"));
        self
    }

    fn yes(&mut self, tag: &str, yes: bool) -> &mut Self {
        self.word(tag, if yes { "yes" } else { "no" })
    }

    fn text(&mut self, tag: &str, value: &str) -> Result<&mut Self, String> {
        let spaced = tag != "psk" && value.trim() != value;
        if value.contains(['"', '\r', '\n']) || spaced || has_variable(value) {
            let shown = if tag == "psk" { "(the key)" } else { value };
            let shown = shown.escape_debug();
            return Err(format!(
                "`{tag}` is `{shown}`, and a script of netsh's cannot hold a quote, a line's end, \
                 space at an end, or a name between `%`. Write it otherwise."
            ));
        }
        self.add(&format!(" {tag}=\"{value}\""));
        Ok(self)
    }

    fn description(&mut self, text: &str) -> Result<(), String> {
        if !text.is_empty() {
            self.text("description", text)?;
        }
        Ok(())
    }

    fn list<T: ToString>(&mut self, tag: &str, items: &[T]) {
        let items: Vec<String> = items.iter().map(ToString::to_string).collect();
        self.add(&format!(" {tag}=\"{}\"", items.join(" ")));
    }
}

fn write_filter(lines: &mut Lines, list: &str, filter: &Filter) -> Result<(), String> {
    lines.command("add filter").text("filterlist", list)?;
    for (address, mask, side) in [
        ("srcaddr", "srcmask", &filter.source),
        ("dstaddr", "dstmask", &filter.destination),
    ] {
        match side {
            Address::Range(range) if range.as_host().is_none() => match range.prefix_length() {
                Some(length) => {
                    lines.word(address, &range.start().to_string());
                    lines.word(mask, &length.to_string());
                }
                None => {
                    lines.word(address, &format!("{}-{}", range.start(), range.end()));
                }
            },
            other => {
                lines.word(address, &other.to_string());
            }
        }
    }
    let name = match filter.protocol {
        0 => "ANY".to_owned(),
        1 => "ICMP".to_owned(),
        6 => "TCP".to_owned(),
        17 => "UDP".to_owned(),
        255 => "RAW".to_owned(),
        number => number.to_string(),
    };
    lines.word("protocol", &name);
    for (tag, port) in [
        ("srcport", filter.source_port),
        ("dstport", filter.destination_port),
    ] {
        if port != 0 {
            lines.word(tag, &port.to_string());
        }
    }
    lines.yes("mirrored", filter.mirrored);
    lines.description(&filter.description)
}

fn write_action(lines: &mut Lines, action: &FilterAction) -> Result<(), String> {
    lines
        .command("add filteraction")
        .text("name", &action.name)?;
    lines.description(&action.description)?;
    match &action.kind {
        ActionKind::Permit => {
            lines.word("action", "permit");
        }
        ActionKind::Block => {
            lines.word("action", "block");
        }
        ActionKind::Negotiate(negotiation) => {
            lines.word("action", "negotiate");
            lines.yes("qmpfs", negotiation.pfs);
            lines.yes("inpass", negotiation.inpass);
            lines.yes("soft", negotiation.soft);
            lines.list("qmsecmethods", &negotiation.methods);
        }
    }
    Ok(())
}

/// A policy is assigned last, when all of it is there.
fn write_policy(lines: &mut Lines, policy: &Policy) -> Result<(), String> {
    lines.command("add policy").text("name", &policy.name)?;
    lines.description(&policy.description)?;
    lines.yes("mmpfs", policy.master_pfs);
    lines.word("qmpermm", &policy.session_limit.to_string());
    lines.word("mmlifetime", &policy.lifetime.to_string());
    lines.yes("activatedefaultrule", policy.default_rule.active);
    lines.word("pollinginterval", &policy.polling_interval.to_string());
    lines.word("assign", "no");
    lines.list("mmsecmethods", &policy.methods);
    let usual = DefaultRule {
        active: policy.default_rule.active,
        ..DefaultRule::default()
    };
    if policy.default_rule != usual {
        let rule = &policy.default_rule;
        lines
            .command("set defaultrule")
            .text("policy", &policy.name)?;
        lines.yes("qmpfs", rule.pfs).yes("activate", rule.active);
        lines.list("qmsecmethods", &rule.methods);
        write_authentication(lines, &rule.authentication)?;
    }
    for rule in &policy.rules {
        write_rule(lines, policy, rule)?;
    }
    if policy.assigned {
        lines.command("set policy").text("name", &policy.name)?;
        lines.word("assign", "yes");
    }
    Ok(())
}

fn write_rule(lines: &mut Lines, policy: &Policy, rule: &Rule) -> Result<(), String> {
    lines.command("add rule").text("name", &rule.name)?;
    lines.text("policy", &policy.name)?;
    lines.text("filterlist", &rule.filter_list)?;
    lines.text("filteraction", &rule.filter_action)?;
    if let Some(end) = &rule.tunnel {
        lines.text("tunnel", end)?;
    }
    lines.word("conntype", rule.connections.word());
    lines.yes("activate", rule.active);
    lines.description(&rule.description)?;
    write_authentication(lines, &rule.authentication)
}

fn write_authentication(lines: &mut Lines, list: &[Authentication]) -> Result<(), String> {
    for method in list {
        match method {
            Authentication::Kerberos => {
                lines.yes("kerberos", true);
            }
            Authentication::RootCa(root) => {
                lines.text("rootca", &root.to_string())?;
            }
            Authentication::Psk(key) => {
                let text = key.text().ok_or_else(|| {
                    "A pre-shared key is no text, and a script of netsh's holds nothing else."
                        .to_owned()
                })?;
                lines.text("psk", text)?;
            }
        }
    }
    Ok(())
}
