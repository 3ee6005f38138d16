//! A peer makes pairs for its processors (RFC 9611).

use super::*;
use crate::command::Acquire;
use crate::config::ChildRule;
use crate::v2::child::{ChildOffer, Within};

/// A responder with a rule that lets so many pairs stand beside the first.
fn bench(per_resource: u8) -> Bench {
    let mut bench = Bench::new();
    let rule = ChildRule {
        rule: "rule".into(),
        peer: None,
        child: Arc::new(ChildTemplate {
            per_resource,
            ..ChildTemplate::transport()
        }),
        selectors: between("10.0.0.2", "10.0.0.1"),
    };
    bench.config.rules = vec![rule];
    bench
}

fn between(local: &str, remote: &str) -> Selectors {
    let side = |address: &str| {
        let host = AddressRange::host(address.parse().unwrap());
        vec![TrafficSelector::all(host)]
    };
    Selectors {
        local: side(local),
        remote: side(remote),
    }
}

/// The peer asks for a pair, with these notifications; the kinds of the answer's.
fn ask(bench: &mut Bench, said: &[Notify]) -> Vec<NotifyType> {
    let acquire = Acquire {
        rule: "theirs".into(),
        peer: "us".into(),
        local: "10.0.0.1".parse().unwrap(),
        remote: "10.0.0.2".parse().unwrap(),
        flow: None,
        child: Arc::new(ChildTemplate::transport()),
        selectors: between("10.0.0.1", "10.0.0.2"),
    };
    let offer = bench.with(|_, ctx| ChildOffer::new(acquire, Within::CreateChildSa, None, ctx));
    let said = said.iter().cloned().map(Payload::Notify);
    let payloads: Vec<Payload> = said.chain(offer.payloads()).collect();
    let answer = bench.ask(ExchangeType::CREATE_CHILD_SA, &payloads).unwrap();
    let mut kinds = kinds(&answer);
    kinds.retain(|kind| *kind != NotifyType::USE_TRANSPORT_MODE);
    kinds
}

/// For a processor: a number, or none for the first pair.
fn resource(number: Option<u32>) -> Notify {
    let data = number.map(|number| number.to_be_bytes().to_vec());
    Notify::new(NotifyType::SA_RESOURCE_INFO, data.unwrap_or_default())
}

#[test]
fn as_many_pairs_for_resources_as_the_rule_allows() {
    let mut bench = bench(2);
    for number in [None, Some(0), Some(1)] {
        let said = ask(&mut bench, &[resource(number)]);
        assert_eq!(said, [NotifyType::SA_RESOURCE_INFO]);
    }
    let reserved = bench.sa.children.len();
    let one_too_many = ask(&mut bench, &[resource(Some(2))]);
    assert_eq!(one_too_many, [NotifyType::TS_MAX_QUEUE]);
    assert_eq!(bench.sa.children.len(), reserved);
    assert!(!bench.ended());
    // One takes the place of another.
    let old = bench.sa.children[1].outbound_spi;
    let rekey = Notify {
        spi: old.to_be_bytes().to_vec(),
        protocol: wire::ike::ProtocolId::ESP,
        ..Notify::new(NotifyType::REKEY_SA, Vec::new())
    };
    let said = ask(&mut bench, &[rekey, resource(Some(0))]);
    assert_eq!(said, [NotifyType::SA_RESOURCE_INFO]);
    let full = ask(&mut bench, &[resource(Some(2))]);
    assert_eq!(full, [NotifyType::TS_MAX_QUEUE]);
    // A pair that is for all is no pair for a resource.
    assert_eq!(ask(&mut bench, &[]), []);
}

#[test]
fn no_pair_for_a_resource_beside_the_first_unless_the_rule_says_so() {
    let mut bench = bench(0);
    assert_eq!(ask(&mut bench, &[resource(None)]), []);
    assert_eq!(bench.sa.children.len(), 1);
    let second = ask(&mut bench, &[resource(Some(0))]);
    assert_eq!(second, [NotifyType::TS_MAX_QUEUE]);
    assert_eq!(bench.sa.children.len(), 1);
}
