//! The peers of a policy file: Windows has authentication in its rules, Holdfast in its peers.

use policy::AddressRange;

use crate::authentication::Authentication;
use crate::dynamic::MainPolicy;
use crate::finding::{Finding, Span};
use crate::machine::rule_key;
use crate::model::{ActionKind, Address, DefaultRule, Filter, Rule, find};
use crate::policy_file::Writer;
use crate::script::Kind;

/// Who may be at the other end of some rules, and how they prove it.
struct Peer<'a> {
    name: String,
    authentication: &'a [Authentication],
    tunnel: Option<&'a str>,
    /// What main mode negotiates, where that is not the policy's.
    main: Option<&'a MainPolicy>,
    /// Where it may be; `None` for anywhere.
    addresses: Option<Vec<AddressRange>>,
    rules: Vec<&'a str>,
    is_default: bool,
    span: Span,
}

/// What makes rules share a peer.
type Known<'a> = (
    &'a [Authentication],
    Option<&'a str>,
    Option<&'a MainPolicy>,
);

/// The peers of one policy.
pub(crate) struct Peers<'a> {
    peers: Vec<Peer<'a>>,
}

impl<'a> Peers<'a> {
    /// One peer for each list of authentication, and one for each end of a tunnel.
    pub(crate) fn of(writer: &mut Writer<'a>) -> Self {
        let mut peers = Peers { peers: Vec::new() };
        let policy = writer.policy;
        for rule in &policy.rules {
            let action = find(&writer.store.filter_actions, &rule.filter_action);
            let negotiates =
                action.is_some_and(|action| matches!(action.kind, ActionKind::Negotiate(_)));
            if negotiates {
                peers.add_rule(writer, rule);
            }
        }
        let quiet = DefaultRule {
            active: false,
            ..DefaultRule::default()
        };
        if policy.default_rule != quiet {
            let span = writer.script.place(Kind::Policy, &policy.name);
            let list = &policy.default_rule.authentication;
            let peer = peers.entry((list, None, None), "default-response", span);
            peer.addresses = None;
            peer.is_default = true;
        }
        peers.check_twins(writer);
        peers
    }

    fn add_rule(&mut self, writer: &Writer<'a>, rule: &'a Rule) {
        let span = writer
            .script
            .place(Kind::Rule, &rule_key(&writer.policy.name, &rule.name));
        let tunnel = rule.tunnel.as_deref();
        let main = writer.running.get(&rule.name).map(|own| own.main);
        let peer = self.entry((&rule.authentication, tunnel, main), &rule.name, span);
        peer.rules.push(&rule.name);
        if tunnel.is_some() {
            return;
        }
        let filters = find(&writer.store.filter_lists, &rule.filter_list);
        for filter in filters.into_iter().flat_map(|list| &list.filters) {
            for side in others(filter) {
                match (side, &mut peer.addresses) {
                    (Address::Range(range), Some(addresses)) => {
                        if !addresses.contains(range) {
                            addresses.push(*range);
                        }
                    }
                    (Address::Range(_), None) => {}
                    _ => peer.addresses = None,
                }
            }
        }
    }

    /// The peer of this list, tunnel and main mode, made if there is none.
    fn entry(
        &mut self,
        (authentication, tunnel, main): Known<'a>,
        name: &str,
        span: Span,
    ) -> &mut Peer<'a> {
        let known_by = (authentication, tunnel, main);
        let known = self
            .peers
            .iter()
            .position(|peer| (peer.authentication, peer.tunnel, peer.main) == known_by);
        let index = known.unwrap_or_else(|| {
            self.peers.push(Peer {
                name: name.to_owned(),
                authentication,
                tunnel,
                main,
                addresses: Some(Vec::new()),
                rules: Vec::new(),
                is_default: false,
                span,
            });
            self.peers.len() - 1
        });
        &mut self.peers[index]
    }

    /// Two peers that only their authentication tells apart cannot be told apart when they call.
    fn check_twins(&self, writer: &mut Writer<'_>) {
        for (index, later) in self.peers.iter().enumerate() {
            let twin = |earlier: &&Peer<'_>| {
                earlier.addresses == later.addresses && earlier.tunnel == later.tunnel
            };
            if let Some(earlier) = self.peers.iter().take(index).find(twin) {
                let (a, b) = (&earlier.name, &later.name);
                let alike = earlier.authentication == later.authentication;
                let (twice, label) = match alike {
                    true => ("main mode would be of", "another `mmpolicy` than before"),
                    false => (
                        "it would prove itself in",
                        "another authentication than before",
                    ),
                };
                let message =
                    format!("`{a}` and `{b}` are about the same other side, and {twice} two ways");
                let remedy = match (alike, later.is_default) {
                    (true, _) => "give both rules the same `mmpolicy`, or other addresses",
                    (_, true) => {
                        "write `activatedefaultrule=no`, or give it the same authentication"
                    }
                    _ => "give both rules the same authentication, or other addresses",
                };
                let fault = Finding::new(later.span.clone(), message, label, remedy);
                writer.faults.push(fault);
            }
        }
    }

    /// Writes them as `[[peer]]`.
    pub(crate) fn write(&self, writer: &mut Writer<'_>) {
        for peer in &self.peers {
            writer.document.table("[[peer]]");
            writer.document.string("name", &peer.name);
            let addresses: Vec<String> = match (peer.tunnel, &peer.addresses) {
                (Some(end), _) => vec![end.to_owned()],
                (None, Some(addresses)) if !addresses.is_empty() => {
                    addresses.iter().map(written).collect()
                }
                _ => vec!["any".to_owned()],
            };
            writer.document.list("address", &addresses);
            if !writer.modern {
                writer.document.string("legacy", "windows2003");
            }
            if let Some(main) = peer.main {
                let methods = main.methods.iter().map(|method| method.holdfast());
                let methods: Vec<String> = methods.filter(|_| !writer.modern).collect();
                if !methods.is_empty() {
                    writer.document.list("ike_proposals", &methods);
                }
                let rekey = format!("{}m", main.lifetime);
                writer.document.string("rekey", &rekey);
            }
            writer.write_authentication(peer.authentication, &peer.span);
        }
    }

    /// The peer of a rule, if it negotiates.
    pub(crate) fn name_of(&self, rule: &Rule) -> Option<String> {
        let of_rule = |peer: &&Peer<'_>| peer.rules.contains(&rule.name.as_str());
        self.peers
            .iter()
            .find(of_rule)
            .map(|peer| peer.name.clone())
    }

    /// The peer of the default response rule, if the file has one.
    pub(crate) fn of_default(&self) -> Option<String> {
        let default = self.peers.iter().find(|peer| peer.is_default);
        default.map(|peer| peer.name.clone())
    }
}

fn written(range: &AddressRange) -> String {
    range
        .as_host()
        .map_or(range.to_string(), |host| host.to_string())
}

/// The sides of a filter that may be another host.
fn others(filter: &Filter) -> impl Iterator<Item = &Address> {
    [&filter.source, &filter.destination]
        .into_iter()
        .filter(|side| **side != Address::Me)
}
