//! Requests for a clone that are refused (RFC 7791).

use super::*;
use crate::v2::install::notify;
use crate::v2::proposal::offer_ike;
use wire::ike::Nonce;

fn request(bench: &Bench) -> Vec<Payload> {
    let offer = offer_ike(&bench.sa.peer.ike.proposals, Some(77));
    vec![
        notify(NotifyType::CLONE_IKE_SA),
        Payload::Sa(offer),
        Payload::Nonce(Nonce(vec![3; 32])),
    ]
}

fn asked(bench: &mut Bench) -> Vec<NotifyType> {
    let request = request(bench);
    let answer = bench.ask(ExchangeType::CREATE_CHILD_SA, &request);
    kinds(&answer.expect("it is answered"))
}

#[test]
fn who_never_agreed_to_clones_gets_none_and_keeps_the_ike_sa() {
    let mut bench = Bench::new();
    assert_eq!(asked(&mut bench), [NotifyType::NO_ADDITIONAL_SAS]);
    assert_eq!(bench.sa.stage, Stage::Live);
    assert!(!bench.ended());
}

#[test]
fn an_ike_sa_that_is_on_its_way_out_is_not_cloned() {
    let mut bench = Bench::new();
    bench.sa.family = Some(bench.sa.id);
    bench.sa.stage = Stage::Closing;
    assert_eq!(asked(&mut bench), [NotifyType::TEMPORARY_FAILURE]);
    assert_eq!(bench.sa.stage, Stage::Closing);
}
