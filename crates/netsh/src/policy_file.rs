//! A Holdfast policy file of one Windows policy: the same objects, and a peer for each list of
//! authentication.

use std::collections::BTreeMap;

use policy::psk;

use crate::authentication::Authentication;
use crate::dynamic::MainPolicy;
use crate::finding::{Finding, Span};
use crate::machine::rule_key;
use crate::methods::{Group, SecurityMethod};
use crate::model::{
    ActionKind, Connections, Filter, FilterAction, Negotiation, Policy, Rule, Store, find,
};
use crate::script::{Kind, Location, Script};
use crate::toml::Document;

mod peers;
mod running;

use peers::Peers;

pub use running::{Change, change};

/// Longest name that a policy file takes.
const MAX_NAME: usize = 64;

/// What is wanted of a policy file.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The policy, by name; `None` for the one that is assigned.
    pub policy: Option<String>,
    /// The store that it is in.
    pub location: Location,
    /// Holdfast's own algorithms and IKEv2 instead of what Windows 2003 can do.
    pub modern: bool,
}

/// What came out.
#[derive(Clone, Debug)]
pub struct Written {
    /// The policy file.
    pub text: String,
    /// What to know about it.
    pub remarks: Vec<Finding>,
}

/// Writes the policy file.
///
/// # Errors
/// Every object that has no meaning in one.
pub fn write(script: &Script, options: &Options) -> Result<Written, Vec<Finding>> {
    let store = script.store(options.location);
    if let Some(span) = &script.dynamic.begins {
        return Err(vec![Finding::new(
            span.clone(),
            "rules of `dynamic` are lost when the service stops, so no policy file has them",
            "not kept",
            "give them to the running daemon with `holdfast dynamic add --netsh`, in a script of \
             their own, or write them under `netsh ipsec static`",
        )]);
    }
    let policy = choose(script, &store, options).map_err(|fault| vec![fault])?;
    let running = BTreeMap::new();
    let mut writer = Writer::new(script, &store, policy, &running, options.modern);
    for other in store
        .policies
        .iter()
        .filter(|other| other.name != policy.name)
    {
        let message = format!("the policy `{}` is not in the file", other.name);
        let remedy = format!("write it too: `--policy \"{}\"`", other.name);
        let span = script.place(Kind::Policy, &other.name);
        writer
            .remarks
            .push(Finding::new(span, message, "not assigned", remedy));
    }
    for (location, other) in &script.stores {
        if *location != options.location && !other.policies.is_empty() {
            let message = "the other store has a policy too, which is not in the file";
            let remedy = "write it too: `--persistent`, or without it";
            writer
                .remarks
                .push(Finding::new(0..0, message, "another store", remedy));
        }
    }
    writer.write();
    match writer.faults.is_empty() {
        true => Ok(Written {
            text: writer.document.text,
            remarks: writer.remarks,
        }),
        false => Err(writer.faults),
    }
}

fn choose<'a>(script: &Script, store: &'a Store, options: &Options) -> Result<&'a Policy, Finding> {
    if let Some(name) = &options.policy {
        return find(&store.policies, name).ok_or_else(|| {
            let known: Vec<&str> = store.policies.iter().map(|one| one.name.as_str()).collect();
            let message = format!("the script makes no policy `{}`", name.escape_debug());
            let remedy = format!("name one of {}", known.join(", "));
            Finding::new(0..0, message, "not made", remedy)
        });
    }
    match (store.assigned(), store.policies.as_slice()) {
        (Some(assigned), _) => Ok(assigned),
        (None, [only]) => Ok(only),
        (None, []) => {
            let message = "the script makes no policy";
            let remedy = "add one with `add policy`, or write the other store";
            Err(Finding::new(0..0, message, "nothing to write", remedy))
        }
        (None, several) => {
            let names: Vec<&str> = several.iter().map(|policy| policy.name.as_str()).collect();
            let span = script.place(Kind::Policy, names.first().copied().unwrap_or_default());
            let message = "the script makes several policies and assigns none";
            let remedy = format!("choose with `--policy`: {}", names.join(", "));
            Err(Finding::new(span, message, "which one?", remedy))
        }
    }
}

/// What a dynamic rule negotiates in its own way.
struct Own<'a> {
    main: &'a MainPolicy,
    group: Option<Group>,
}

struct Writer<'a> {
    script: &'a Script,
    store: &'a Store,
    policy: &'a Policy,
    /// Dynamic rules that negotiate, by name; their filter actions are called the same.
    running: &'a BTreeMap<String, Own<'a>>,
    modern: bool,
    document: Document,
    remarks: Vec<Finding>,
    faults: Vec<Finding>,
}

impl<'a> Writer<'a> {
    fn new(
        script: &'a Script,
        store: &'a Store,
        policy: &'a Policy,
        running: &'a BTreeMap<String, Own<'a>>,
        modern: bool,
    ) -> Self {
        Writer {
            script,
            store,
            policy,
            running,
            modern,
            document: Document::default(),
            remarks: Vec::new(),
            faults: Vec::new(),
        }
    }

    fn write(&mut self) {
        self.write_policy();
        self.write_objects();
    }

    fn write_objects(&mut self) {
        for list in &self.store.filter_lists {
            self.check_name(Kind::FilterList, &list.name, &list.name);
            self.document.table("[[filter_list]]");
            self.document.string("name", &list.name);
            self.document.words("description", &list.description);
            list.filters
                .iter()
                .for_each(|filter| self.write_filter(filter));
        }
        for action in &self.store.filter_actions {
            self.write_action(action);
        }
        let peers = Peers::of(self);
        peers.write(self);
        for rule in &self.policy.rules {
            self.write_rule(rule, &peers);
        }
        self.write_default_rule(&peers);
    }

    fn check_name(&mut self, kind: Kind, key: &str, name: &str) {
        if name.len() > MAX_NAME {
            let span = self.script.place(kind, key);
            let message = format!("the name `{name}` is longer than {MAX_NAME} bytes");
            let finding = Finding::new(span, message, "made here", "give it a shorter one");
            self.faults.push(finding);
        }
    }

    fn write_policy(&mut self) {
        let policy = self.policy;
        self.document.remark("Written by `holdfast import netsh`.");
        self.document.table("[policy]");
        self.document.string("name", &policy.name);
        self.document.words("description", &policy.description);
        self.document.boolean("master_pfs", policy.master_pfs);
        self.document
            .number("session_limit", policy.session_limit.into());
        let polling = format!("{}m", policy.polling_interval);
        self.document.string("polling_interval", &polling);
        self.document
            .string("rekey", &format!("{}m", policy.lifetime));
        if let Some(level) = self.script.driver.exemptions {
            self.document.number("exemptions", level.into());
        }
        if let Some(mode) = self.script.driver.boot_mode {
            self.document.string("boot_mode", mode.word());
        }
        if !self.modern {
            let methods = policy.methods.iter();
            let methods: Vec<String> = methods.map(|method| method.holdfast()).collect();
            self.document.list("ike_proposals", &methods);
        }
    }

    fn write_filter(&mut self, filter: &Filter) {
        let document = &mut self.document;
        document.table("[[filter_list.filter]]");
        document.string("source", &filter.source.to_string());
        document.string("destination", &filter.destination.to_string());
        match filter.protocol {
            0 => {}
            6 => document.string("protocol", "tcp"),
            17 => document.string("protocol", "udp"),
            number => document.number("protocol", number.into()),
        }
        for (key, port) in [
            ("source_port", filter.source_port),
            ("destination_port", filter.destination_port),
        ] {
            if port != 0 {
                document.number(key, port.into());
            }
        }
        if !filter.mirrored {
            document.boolean("mirrored", false);
        }
        document.words("description", &filter.description);
    }

    fn write_action(&mut self, action: &FilterAction) {
        self.check_name(Kind::FilterAction, &action.name, &action.name);
        self.document.table("[[filter_action]]");
        self.document.string("name", &action.name);
        self.document.words("description", &action.description);
        let span = self.script.place(Kind::FilterAction, &action.name);
        match &action.kind {
            ActionKind::Permit => self.document.string("action", "permit"),
            ActionKind::Block => self.document.string("action", "block"),
            ActionKind::Negotiate(negotiation) => {
                self.document.string("action", "require");
                if negotiation.inpass {
                    self.document.boolean("inpass", true);
                }
                if negotiation.soft {
                    self.document.boolean("soft", true);
                }
                let group = match self.running.get(&action.name) {
                    Some(own) => own.group,
                    None => self.group(negotiation.pfs),
                };
                self.write_methods(negotiation, group, &action.name, &span);
            }
        }
    }

    /// Proposals and lifetimes. Windows has lifetimes for each method, a policy file one for all.
    fn write_methods(
        &mut self,
        negotiation: &Negotiation,
        group: Option<Group>,
        name: &str,
        span: &Span,
    ) {
        let methods = &negotiation.methods;
        let usable: Vec<SecurityMethod> = methods
            .iter()
            .copied()
            .filter(|method| method.holdfast().is_some())
            .collect();
        if usable.is_empty() {
            self.faults.push(Finding::new(
                span.clone(),
                format!("`{name}` offers AH or ESP without authentication, and nothing else"),
                "Holdfast has neither",
                "offer ESP[None,SHA1] where nothing is to be encrypted",
            ));
            return;
        }
        if usable.len() < methods.len() {
            let message = format!("AH and ESP without authentication of `{name}` are left out");
            let remedy = "make sure that the other side offers plain ESP too";
            let remark = Finding::new(span.clone(), message, "Holdfast has neither", remedy);
            self.remarks.push(remark);
        }
        let seconds = usable.iter().map(|method| method.seconds).min();
        let kilobytes = usable.iter().map(|method| method.kilobytes).min();
        let (seconds, kilobytes) = (seconds.unwrap_or(0), kilobytes.unwrap_or(0));
        let alike =
            |method: &SecurityMethod| (method.seconds, method.kilobytes) == (seconds, kilobytes);
        if !usable.iter().all(alike) {
            let message = format!("the methods of `{name}` have lifetimes of their own");
            let label = format!("all get the shortest: {kilobytes}k/{seconds}s");
            let remark = Finding::new(span.clone(), message, label, "make them alike");
            self.remarks.push(remark);
        }
        if !self.modern {
            let proposals = usable.iter().filter_map(|method| {
                let proposal = method.holdfast()?;
                Some(match group {
                    Some(group) => format!("{proposal}-{}", group.holdfast()),
                    None => proposal,
                })
            });
            let proposals: Vec<String> = proposals.collect();
            self.document.list("esp_proposals", &proposals);
        } else if group.is_some() {
            self.document.list("esp_proposals", &["aes128gcm16-x25519"]);
        }
        self.document.string("rekey", &format!("{seconds}s"));
        self.document
            .string("rekey_bytes", &format!("{kilobytes}KiB"));
    }

    fn write_rule(&mut self, rule: &Rule, peers: &Peers<'_>) {
        let key = rule_key(&self.policy.name, &rule.name);
        self.check_name(Kind::Rule, &key, &rule.name);
        let span = self.script.place(Kind::Rule, &key);
        self.document.table("[[rule]]");
        self.document.string("name", &rule.name);
        self.document.words("description", &rule.description);
        self.document.string("filter_list", &rule.filter_list);
        self.document.string("filter_action", &rule.filter_action);
        if !rule.active {
            self.document.boolean("active", false);
        }
        match rule.connections {
            Connections::All => {}
            Connections::Lan => self.document.string("connections", "lan"),
            Connections::Dialup => {
                let message = format!("the rule `{}` is for dial-up connections only", rule.name);
                let remedy = "write `conntype=all`, or leave the rule out";
                let label = "Holdfast does not tell them apart";
                self.faults
                    .push(Finding::new(span.clone(), message, label, remedy));
            }
        }
        if let Some(end) = &rule.tunnel {
            self.document.string("tunnel", end);
        }
        match peers.name_of(rule) {
            Some(peer) => self.document.string("peer", &peer),
            None if rule.authentication != [Authentication::Kerberos] => {
                let message = format!("the rule `{}` negotiates nothing", rule.name);
                let label = "its authentication is left out";
                let remark = Finding::new(span, message, label, "leave it out here too");
                self.remarks.push(remark);
            }
            None => {}
        }
    }

    /// Nothing is written where there is nothing but a rule that does not hold.
    fn write_default_rule(&mut self, peers: &Peers<'_>) {
        let Some(peer) = peers.of_default() else {
            return;
        };
        let rule = &self.policy.default_rule;
        self.document.table("[default_response]");
        self.document.boolean("active", rule.active);
        self.document.string("peer", &peer);
        let negotiation = Negotiation {
            pfs: rule.pfs,
            methods: rule.methods.clone(),
            ..Negotiation::default()
        };
        let span = self.script.place(Kind::Policy, &self.policy.name);
        let group = self.group(rule.pfs);
        self.write_methods(&negotiation, group, "the default response rule", &span);
    }

    /// The group of session key PFS: that of main mode.
    fn group(&self, pfs: bool) -> Option<Group> {
        let first = self.policy.methods.first().filter(|_| pfs);
        first.map(|method| method.group)
    }

    /// The list, with each way where it stands first: an authority is no way of its own.
    fn write_order(&mut self, list: &[Authentication], span: &Span) {
        let mut words: Vec<&str> = list
            .iter()
            .map(|method| match method {
                Authentication::Kerberos => "kerberos",
                Authentication::RootCa(_) => "certificate",
                Authentication::Psk(_) => "psk",
            })
            .collect();
        words.dedup();
        let mut order: Vec<&str> = Vec::new();
        for word in &words {
            if !order.contains(word) {
                order.push(word);
            }
        }
        self.document.list("auth", &order);
        if words.iter().filter(|word| **word == "certificate").count() > 1 {
            let message = "an authority stands behind another way to authenticate";
            let remedy = "put the authorities of a rule one behind the other";
            let label = "all are asked for where the first of them stands";
            let remark = Finding::new(span.clone(), message, label, remedy);
            self.remarks.push(remark);
        }
    }

    /// What a peer is known by.
    fn write_authentication(&mut self, list: &[Authentication], span: &Span) {
        self.write_order(list, span);
        if list.contains(&Authentication::Kerberos) {
            let message = "a script does not say whose tickets are meant";
            let remedy = "add `principal` and `peer_principals` to the peer, or take `kerberos` \
                          out of its list";
            let label = "anybody of the domain, on Windows";
            let remark = Finding::new(span.clone(), message, label, remedy);
            self.remarks.push(remark);
        }
        let roots = list.iter().filter_map(|method| match method {
            Authentication::RootCa(root) => Some(root.to_string()),
            _ => None,
        });
        let roots: Vec<String> = roots.collect();
        if !roots.is_empty() {
            self.document.list("root_ca", &roots);
            self.document.string("certificate", "node.crt");
            self.document.string("private_key", "node.key");
            self.document.string("authorities", "ca.crt");
            let message = "a script names an authority, and has no certificate";
            let remedy = "put node.crt, node.key and ca.crt beside the policy file";
            let label = "by its name only";
            self.remarks
                .push(Finding::new(span.clone(), message, label, remedy));
        }
        let mut keys = list.iter().filter_map(|method| match method {
            Authentication::Psk(key) => Some(key),
            _ => None,
        });
        let Some(key) = keys.next() else { return };
        if keys.next().is_some() {
            let message = "a rule has two pre-shared keys";
            let remedy = "keep one of them";
            self.faults
                .push(Finding::new(span.clone(), message, "more than one", remedy));
        }
        self.document.string("psk", key.text().unwrap_or_default());
        if psk::check(key.as_bytes()).is_err() {
            self.document.boolean("allow_weak_psk", true);
            let message = "a pre-shared key is weak: one active attacker could find it out";
            let remedy = "replace it on both sides with the output of `holdfast psk`";
            self.remarks
                .push(Finding::new(span.clone(), message, "weak", remedy));
        }
    }
}
