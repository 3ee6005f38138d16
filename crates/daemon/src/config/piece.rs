//! A piece of policy that is given to a running host: further rules, with what they need, judged by
//! the policy that is in force.

use std::path::Path;

use netsh::filters::Resolve;
use netsh::model::Address;
use policy::{Origin, Pad, Peer, PeerName, Secret};

use crate::clock;
use crate::config::basis::ReadPeer;
use crate::config::diagnostic::{Problems, Report, Span};
use crate::config::key::{Keys, ReadFile};
use crate::config::named::Objects;
use crate::config::peer::{self, Inherited};
use crate::config::rule::{self, ReadRule};
use crate::config::section::Section;
use crate::config::settings::Config;
use crate::config::{self, lint, lookup, objects};

/// What only a policy file has: it is about the whole host.
const ONLY_IN_FILES: [&str; 7] = [
    "policy",
    "node",
    "plane",
    "cluster",
    "default_response",
    "profile",
    "nlbs_flags",
];

/// A piece as it was given.
#[derive(Clone)]
pub(crate) struct Piece {
    /// What its problems are shown with.
    pub(crate) name: String,
    /// The TOML: it may have keys in it.
    pub(crate) text: std::sync::Arc<Secret>,
    /// Names of rules that have been taken away again.
    pub(crate) without: Vec<String>,
}

impl Piece {
    /// Whether that rule has been taken away from it.
    pub(crate) fn is_without(&self, rule: &str) -> bool {
        self.without.iter().any(|name| name == rule)
    }
}

/// The policy with a piece.
pub(crate) struct Composed {
    /// All of it.
    pub(crate) config: Config,
    /// The names of the rules that the piece has added.
    pub(crate) rules: Vec<String>,
    /// The names of its peers.
    pub(crate) peers: Vec<String>,
    /// Warnings only.
    pub(crate) report: Report,
}

/// Adds a piece to a policy. Files that it names are sought beside the policy file at `beside`.
///
/// # Errors
/// The [`Report`] with every error that was found in the piece.
pub(crate) fn compose(
    config: &Config,
    piece: &Piece,
    beside: &Path,
) -> Result<Composed, Box<Report>> {
    let mut read_file = |file: &str, secrecy| config::read_beside(beside, file, secrecy);
    compose_with(config, piece, &mut read_file, &mut lookup::addresses)
}

/// As [`compose`], with doors to the outside that are arguments.
fn compose_with(
    config: &Config,
    piece: &Piece,
    read_file: ReadFile<'_>,
    resolve: Resolve<'_>,
) -> Result<Composed, Box<Report>> {
    let text = String::from_utf8_lossy(piece.text.as_bytes());
    let mut problems = Problems::new();
    let document = config::read_toml(&text, &mut problems);
    if problems.has_errors() {
        return Err(Box::new(problems.into_report(&piece.name, &text)));
    }
    let root = Section::new("a dynamic policy", 0..0, document.get_ref());
    let mut reader = Reader {
        config: config.clone(),
        without: &piece.without,
        in_force: Vec::new(),
        problems,
    };
    let (rules, peers) = reader.read(root, read_file, resolve);
    let failed = reader.problems.has_errors();
    let report = reader.problems.into_report(&piece.name, &text);
    match failed {
        true => Err(Box::new(report)),
        false => Ok(Composed {
            config: reader.config,
            rules,
            peers,
            report,
        }),
    }
}

struct Reader<'a> {
    config: Config,
    without: &'a [String],
    /// Peers of the piece that are in force already, and how they are called there.
    in_force: Vec<(PeerName, PeerName)>,
    problems: Problems,
}

impl Reader<'_> {
    fn read(
        &mut self,
        mut root: Section<'_>,
        read_file: ReadFile<'_>,
        resolve: Resolve<'_>,
    ) -> (Vec<String>, Vec<String>) {
        self.refuse_what_files_have(&mut root);
        let old = (self.config.rules.len(), self.config.basis.peers.len());
        let objects = self.config.objects.rules.len();
        let peers = self.read_peers(&mut root, read_file);
        let rules = self.read_rules(&mut root, resolve);
        root.finish(&mut self.problems);
        if !self.problems.has_errors() && rules.is_empty() && peers.len() == old.1 {
            let message = "this adds nothing: there is no rule and no peer in it".to_owned();
            let (label, remedy) = ("nothing to add".to_owned(), "write a `[[rule]]`".to_owned());
            self.problems.error(0..0, message, label, remedy);
        }
        self.take(rules, old.0, peers, old.1);
        let config = &self.config;
        let rules = config.objects.rules.iter().skip(objects);
        let peers = config.basis.peers.iter().skip(old.1);
        (
            rules.map(|object| object.rule.name.to_string()).collect(),
            peers.map(|read| read.peer.name.to_string()).collect(),
        )
    }

    fn refuse_what_files_have(&mut self, root: &mut Section<'_>) {
        for key in ONLY_IN_FILES {
            if root.take(key).is_some() {
                let message = format!("`{key}` is about the whole host, and no dynamic rule");
                let remedy = "write it into the policy file, and `holdfast reload`".to_owned();
                let label = "only in a policy file".to_owned();
                self.problems
                    .error(root.span_of(key), message, label, remedy);
            }
        }
    }

    /// The peers in force, and those of the piece.
    fn read_peers(&mut self, root: &mut Section<'_>, read_file: ReadFile<'_>) -> Vec<ReadPeer> {
        let mut keys = Keys {
            read_file,
            open: false,
            now: clock::seconds(),
            own_statuses: Vec::new(),
            krb5_conf: config::krb5_conf(),
        };
        let inherited = Inherited {
            timers: &self.config.basis.timers,
            force_udp: self.config.plane.force_udp,
            policy: &self.config.objects.policy,
        };
        let mut peers = self.config.basis.peers.clone();
        for table in root.tables(&mut self.problems, "peer", "[[peer]]") {
            let Some(read) = peer::read(table, &mut self.problems, &mut keys, &inherited) else {
                continue;
            };
            if let Some(known) = self
                .config
                .basis
                .peers
                .iter()
                .find(|known| is_same(known, &read))
            {
                let (name, known) = (read.peer.name, known.peer.name.clone());
                self.in_force.push((name, known));
                continue;
            }
            let name = read.peer.name.as_str();
            if peers.iter().any(|known| known.peer.name.as_str() == name) {
                report_twin("peer", name, read.span.clone(), &mut self.problems);
                continue;
            }
            self.config.objects.peers.push(read.object.clone());
            peers.push(read);
        }
        self.config.own_statuses.extend(keys.own_statuses);
        peers
    }

    /// The rules of the piece.
    fn read_rules(&mut self, root: &mut Section<'_>, resolve: Resolve<'_>) -> Vec<ReadRule> {
        let clustered = self.config.cluster.is_some();
        let mut resolve = |address: &Address| lookup::outside_clusters(clustered, address, resolve);
        let Config { objects, rules, .. } = &mut self.config;
        let problems = &mut self.problems;
        objects::read(root, problems, objects);
        let mut read: Vec<ReadRule> = Vec::new();
        for table in root.tables(problems, "rule", "[[rule]]") {
            let name = table.name().unwrap_or_default().to_owned();
            if self.without.contains(&name) {
                continue;
            }
            let in_force = rules.iter().map(|rule| rule.name.as_str());
            let is_known = in_force
                .chain(of_objects(objects))
                .any(|known| known == name);
            if is_known {
                report_twin("rule", &name, table.span.clone(), problems);
                continue;
            }
            let one = rule::read(table, problems, objects, &mut resolve);
            read.extend(one.map(|mut one| {
                one.rule.origin = Origin::Dynamic;
                let named = one.rule.peer.as_ref();
                let mut same = self.in_force.iter();
                if let Some((_, known)) = same.find(|(name, _)| Some(name) == named) {
                    one.rule.peer = Some(known.clone());
                }
                one
            }));
        }
        read
    }

    /// Judges rules and peers of the piece beside those in force, and puts them in force.
    fn take(
        &mut self,
        rules: Vec<ReadRule>,
        old_rules: usize,
        peers: Vec<ReadPeer>,
        old_peers: usize,
    ) {
        let config = &mut self.config;
        let in_force = config.rules.iter().cloned().map(ReadRule::in_force);
        let mut all: Vec<ReadRule> = in_force.chain(rules).collect();
        lint::check_more(
            (&mut all, old_rules),
            (&peers, old_peers),
            (&config.basis.timers, config.cluster.as_ref()),
            &mut self.problems,
        );
        config.rules = all.into_iter().map(|read| read.rule).collect();
        config.pad = Pad::new(peers.iter().map(|read| read.peer.clone()).collect());
        config.basis.peers = peers;
    }
}

/// Whether it is a peer in force once more, by whatever name.
fn is_same(known: &ReadPeer, read: &ReadPeer) -> bool {
    let peer = Peer {
        name: known.peer.name.clone(),
        ..read.peer.clone()
    };
    known.peer.same(&peer) && known.timers == read.timers
}

/// The names of rules, those that do not hold among them.
fn of_objects(objects: &Objects) -> impl Iterator<Item = &str> {
    objects.rules.iter().map(|object| object.rule.name.as_str())
}

fn report_twin(kind: &str, name: &str, span: Span, problems: &mut Problems) {
    let message = format!("there is a {kind} `{name}` already");
    let label = "the second one".to_owned();
    let remedy = match kind {
        "rule" => "give it another name, or delete the other first if it is dynamic",
        _ => "give it another name, or leave it out: rules may name one that is in force",
    };
    problems.error(span, message, label, remedy.to_owned());
}

#[cfg(test)]
mod tests;
