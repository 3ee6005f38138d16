//! The ESP proposals of rules, once their peers are known: each peer has what its version of IKE
//! can name, and legacy ones only if it is so old.

use std::collections::BTreeSet;
use std::sync::Arc;

use policy::{Action, EspProposal, IkeVersion, Legacy, Rule, RuleName, version};

use crate::config::basis::ReadPeer;
use crate::config::diagnostic::{Problems, Span};
use crate::config::rule::ReadRule;
use crate::config::version::old_words;

/// The generations of peer that a rule is for.
fn kinds(rule: &Rule, peers: &[ReadPeer]) -> BTreeSet<(IkeVersion, Option<Legacy>)> {
    let mine = peers.iter().filter(|found| found.serves(rule));
    mine.map(|found| (found.peer.ike.version, found.peer.ike.legacy))
        .collect()
}

fn report_mixture(rule: &RuleName, span: Span, problems: &mut Problems) {
    let message = format!("the peers of the rule `{rule}` are of different generations");
    let label = "some speak another version of IKE, or are older".to_owned();
    let remedy = "write a rule for each of them, with its `peer`".to_owned();
    problems.error(span, message, label, remedy);
}

/// Reports new peers that a rule in force, whose algorithms are settled, would be for too.
pub(crate) fn check_mixture(
    read: &ReadRule,
    peers: &[ReadPeer],
    new: &[ReadPeer],
    problems: &mut Problems,
) {
    let (rule, mut new) = (&read.rule, new.iter());
    let Some(peer) = new.find(|peer| rule.action.child().is_some() && peer.serves(rule)) else {
        return;
    };
    if kinds(rule, peers).len() > 1 {
        report_mixture(&rule.name, peer.span.clone(), problems);
    }
}

/// Gives a rule that names no proposals those of its peers, and refuses what they may not have.
pub(crate) fn settle(read: &mut ReadRule, peers: &[ReadPeer], problems: &mut Problems) {
    let mut kinds = kinds(&read.rule, peers).into_iter();
    let name = read.rule.name.clone();
    let Action::Negotiate(negotiate) = &mut read.rule.action else {
        return;
    };
    // A rule without a peer is refused elsewhere.
    let (ike, legacy) = kinds.next().unwrap_or((IkeVersion::V2, None));
    if kinds.next().is_some() {
        report_mixture(&name, read.remote_span.clone(), problems);
        return;
    }
    let child = Arc::make_mut(&mut negotiate.child);
    let (proposals, span) = match read.proposals.take() {
        None => (Ok(version::default_esp(ike, legacy)), read.span.clone()),
        Some((given, span)) => {
            let admitted = given.into_iter().map(|one| one.admitted(ike, legacy));
            (admitted.collect::<Result<Vec<_>, _>>(), span)
        }
    };
    match proposals {
        Ok(proposals) => child.proposals = proposals,
        Err(bad) => {
            let label = format!("in `esp_proposals` of the rule `{name}`");
            let remedy = "for example `aes128gcm16` or `aes256-sha256`".to_owned();
            problems.error(span, bad.to_string(), label, remedy);
            return;
        }
    }
    let mut ciphers = child.proposals.iter().flat_map(|one| &one.encryption);
    if child.lifetime.bytes.is_none() && ciphers.any(|one| one.block_length() == 8) {
        child.lifetime.bytes = Some(version::SHORT_BLOCKS_BYTES);
    }
    let old = old_words(child.proposals.iter().map(EspProposal::legacy_words));
    if !old.is_empty() {
        let message = format!("the rule `{name}` may protect with what can be broken: {old}");
        let remedy = "remove `legacy` of its peer as soon as that has something better".to_owned();
        let label = "for peers that have nothing else".to_owned();
        problems.warn(span, message, label, remedy);
    }
}
