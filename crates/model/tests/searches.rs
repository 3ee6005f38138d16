//! Every search finds what it must: nothing with all rules in place, a breach without one of them.

use model::experiment::{Expected, Experiment};
use model::{Configuration, Rule, catalogue};

fn confirm(experiments: impl IntoIterator<Item = Experiment>) {
    for experiment in experiments {
        let outcome = experiment.run();
        assert!(
            outcome.confirms(&experiment.expected),
            "{experiment:?}\nfound in {} states: {:#?}, not reached: {:?}",
            outcome.states,
            outcome.breaches,
            outcome.missing,
        );
    }
}

fn complete(configuration: Configuration) {
    let all = catalogue::complete().into_iter();
    confirm(all.filter(|experiment| experiment.setting.configuration == configuration));
}

#[test]
fn two_nodes_are_safe_and_recover() {
    complete(Configuration::TwoNodes);
}

#[test]
fn two_nodes_and_a_witness_are_safe_and_recover() {
    complete(Configuration::TwoNodesAndWitness);
}

#[test]
fn three_nodes_and_a_witness_are_safe_and_recover() {
    complete(Configuration::ThreeNodesAndWitness);
}

#[test]
fn without_any_one_rule_a_counterexample_is_found() {
    confirm(catalogue::without_a_rule());
}

/// A rule that nobody leaves out is a rule of which nobody knows whether it is needed.
#[test]
fn every_rule_is_left_out_somewhere_and_breaks_something() {
    let searches = catalogue::without_a_rule();
    for rule in Rule::ALL {
        let needed = searches.iter().any(|experiment| {
            let removed = &experiment.setting.removed;
            let broken = !matches!(experiment.expected, Expected::Holds(_));
            broken && removed.contains(&rule)
        });
        assert!(
            needed,
            "{rule:?} is left out in no search that breaks something."
        );
    }
}
