//! All searches. ESP and IKE are searched apart: they share who owns and who is in sync, and
//! nothing else, so that together they would only multiply each other's states.

use crate::experiment::{Expected, Experiment};
use crate::property::{AND_BACK, IV, MESSAGE_ID, REPLACED, RESENT, SAME_SA, SEQUENCE};
use crate::rule::Rule;
use crate::setting::{Bounds, Configuration, Setting};

use Configuration::{ThreeNodesAndWitness, TwoNodes, TwoNodesAndWitness};

/// Bounds in the order of [`Bounds`]: sequences, ids, pairs, crashes, breaks, takeovers.
const fn bounds([sequences, ids, pairs, crashes, breaks, takeovers]: [u8; 6]) -> Bounds {
    Bounds {
        sequences,
        ids,
        pairs,
        crashes,
        breaks,
        takeovers,
    }
}

/// One crash, one lost connection, two takeovers: room for every counterexample with two nodes.
const ESP: Bounds = bounds([5, 0, 2, 1, 1, 2]);
const IKE: Bounds = bounds([1, 1, 2, 1, 1, 2]);
/// A witness adds steps: one sequence number less keeps the search at seconds.
const ESP_WITNESS: Bounds = bounds([4, 0, 2, 1, 1, 2]);
/// Small enough to be searched in full although a rule is broken.
const SMALL: Bounds = bounds([4, 0, 1, 1, 1, 2]);

/// The same where the broken rule lets the states multiply.
const SMALLER: Bounds = bounds([3, 0, 1, 1, 0, 2]);

/// The searches with all rules in place, in seconds.
#[must_use]
pub fn complete() -> Vec<Experiment> {
    vec![
        holds(TwoNodes, ESP, &[SAME_SA, AND_BACK, REPLACED]),
        holds(TwoNodes, IKE, &[RESENT]),
        holds(TwoNodes, bounds([4, 0, 2, 2, 0, 2]), &[SAME_SA]),
        holds(TwoNodes, bounds([3, 1, 2, 1, 0, 1]), &[SAME_SA, RESENT]),
        holds(
            TwoNodesAndWitness,
            bounds([5, 0, 2, 1, 0, 2]),
            &[SAME_SA, AND_BACK],
        ),
        holds(TwoNodesAndWitness, bounds([1, 1, 2, 1, 1, 1]), &[RESENT]),
        holds(TwoNodesAndWitness, bounds([1, 1, 1, 2, 0, 2]), &[RESENT]),
        holds(ThreeNodesAndWitness, bounds([3, 0, 1, 1, 0, 1]), &[SAME_SA]),
        holds(ThreeNodesAndWitness, bounds([1, 1, 1, 0, 0, 1]), &[RESENT]),
    ]
}

/// The same with larger bounds, in minutes and gigabytes.
#[must_use]
pub fn deep() -> Vec<Experiment> {
    let three = ThreeNodesAndWitness;
    vec![
        holds(TwoNodesAndWitness, IKE, &[RESENT]),
        holds(TwoNodesAndWitness, ESP_WITNESS, &[SAME_SA]),
        holds(three, bounds([1, 1, 1, 1, 0, 1]), &[RESENT]),
        holds(
            TwoNodes,
            bounds([6, 0, 2, 1, 1, 2]),
            &[SAME_SA, AND_BACK, REPLACED],
        ),
        holds(TwoNodes, bounds([4, 0, 3, 2, 0, 2]), &[SAME_SA]),
        holds(TwoNodes, bounds([1, 1, 3, 2, 0, 3]), &[RESENT]),
        holds(three, bounds([5, 0, 1, 1, 0, 1]), &[SAME_SA]),
    ]
}

/// The searches without a rule: each must break what the rule is there for.
#[must_use]
pub fn without_a_rule() -> Vec<Experiment> {
    let mut all = Vec::new();
    for (configuration, esp) in [(TwoNodes, ESP), (TwoNodesAndWitness, ESP_WITNESS)] {
        let breaks = |rule| breaks(configuration, esp, &[rule], Expected::Breaks(SEQUENCE));
        all.extend(FOR_ESP.into_iter().map(breaks));
        let forks = |rule| self::breaks(configuration, IKE, &[rule], Expected::Breaks(MESSAGE_ID));
        all.extend(FOR_IKE.into_iter().map(forks));
    }
    all.push(breaks(
        TwoNodes,
        IKE,
        &[Rule::AloneSilentOnIke],
        Expected::Breaks(MESSAGE_ID),
    ));
    for rule in [Rule::CompareAndSwap, Rule::RemovedIsDisconnected] {
        for (bounds, property) in [(ESP_WITNESS, SEQUENCE), (IKE, MESSAGE_ID)] {
            let expected = Expected::Breaks(property);
            all.push(breaks(TwoNodesAndWitness, bounds, &[rule], expected));
        }
    }
    all.extend(ivs());
    all.extend(three_nodes());
    all
}

/// Rules without which a sequence number repeats.
const FOR_ESP: [Rule; 8] = [
    Rule::ReserveBeforeUse,
    Rule::CeilingNeedsAcknowledgement,
    Rule::StartAtTheCeiling,
    Rule::ShrinkBeforeAlone,
    Rule::PromiseAfterTakeover,
    Rule::CountFromTheSnapshot,
    Rule::SetNamesIncarnations,
    Rule::InSyncOnly,
];

/// Rules without which a message ID gets two contents.
const FOR_IKE: [Rule; 7] = [
    Rule::CommitBeforeTransmit,
    Rule::ResendWhatIsStored,
    Rule::ShrinkBeforeAlone,
    Rule::PromiseAfterTakeover,
    Rule::CountFromTheSnapshot,
    Rule::SetNamesIncarnations,
    Rule::InSyncOnly,
];

/// The two layers that keep IVs apart: each alone is enough, without both they repeat.
fn ivs() -> Vec<Experiment> {
    let mut all = Vec::new();
    for configuration in [TwoNodes, TwoNodesAndWitness] {
        // Rule 1 is the other layer, so nothing breaks: the only rule with this verdict.
        all.push(breaks(
            configuration,
            SMALL,
            &[Rule::EpochInIv],
            Expected::Holds(Vec::new()),
        ));
        for rule in [Rule::ReserveBeforeUse, Rule::StartAtTheCeiling] {
            let layered = Expected::BreaksBut(SEQUENCE, IV);
            all.push(breaks(configuration, SMALLER, &[rule], layered));
            let both = [Rule::EpochInIv, rule];
            all.push(breaks(configuration, SMALL, &both, Expected::Breaks(IV)));
        }
    }
    let lives = [Rule::SetNamesIncarnations];
    let layered = Expected::BreaksBut(SEQUENCE, IV);
    all.push(breaks(TwoNodesAndWitness, SMALL, &lives, layered));
    // The one rule on which both layers stand without a witness: a node whose first life has taken
    // over, and whose second is synced by the old owner, takes over with the same epoch again.
    all.push(breaks(TwoNodes, ESP, &lives, Expected::Breaks(IV)));
    all
}

/// What a third node adds: the set may shrink to two, and a stale third is there to be promoted.
fn three_nodes() -> Vec<Experiment> {
    let rules = [
        Rule::ReserveBeforeUse,
        Rule::CeilingNeedsAcknowledgement,
        Rule::ShrinkBeforeAlone,
        Rule::CompareAndSwap,
        Rule::PromiseAfterTakeover,
        Rule::InSyncOnly,
    ];
    let bounds = bounds([4, 0, 1, 0, 2, 2]);
    let search = |rule| {
        breaks(
            ThreeNodesAndWitness,
            bounds,
            &[rule],
            Expected::Breaks(SEQUENCE),
        )
    };
    rules.into_iter().map(search).collect()
}

fn holds(configuration: Configuration, bounds: Bounds, examples: &[&'static str]) -> Experiment {
    breaks(
        configuration,
        bounds,
        &[],
        Expected::Holds(examples.to_vec()),
    )
}

fn breaks(
    configuration: Configuration,
    bounds: Bounds,
    removed: &[Rule],
    expected: Expected,
) -> Experiment {
    Experiment {
        setting: Setting {
            configuration,
            bounds,
            removed: removed.to_vec(),
        },
        expected,
    }
}
