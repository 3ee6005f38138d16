//! Choice, refusal and acceptance of algorithms.

use super::*;
use policy::proposal::{default_esp, default_ike};

fn gcm(bits: u16) -> Encryption {
    Encryption::AesGcm16 { key_bits: bits }
}

fn ike(encryption: Vec<Encryption>, integrity: Vec<Integrity>, groups: Vec<Group>) -> SaPayload {
    let prf = vec![Prf::HmacSha2_256];
    offer_ike(
        &[IkeProposal {
            encryption,
            integrity,
            prf,
            groups,
            additional: AdditionalOffer::default(),
        }],
        None,
    )
}

#[test]
fn our_preference_decides() {
    let ours = ike(vec![gcm(256), gcm(128)], vec![], vec![Group::Curve25519]);
    let theirs = ike(
        vec![gcm(128), gcm(256)],
        vec![],
        vec![Group::Ecp256, Group::Curve25519],
    );
    let choice = choose::<IkeSuite>(&ours, &theirs, None).unwrap();
    assert_eq!(choice.suite.encryption, gcm(256));
    assert_eq!(choice.suite.group, Group::Curve25519);
}

#[test]
fn a_group_that_was_used_spares_a_round() {
    let ours = ike(
        vec![gcm(128)],
        vec![],
        vec![Group::Curve25519, Group::Ecp256],
    );
    let theirs = ike(
        vec![gcm(128)],
        vec![],
        vec![Group::Ecp256, Group::Curve25519],
    );
    let choice = choose::<IkeSuite>(&ours, &theirs, Some(Group::Ecp256.id())).unwrap();
    assert_eq!(choice.suite.group, Group::Ecp256);
    let choice = choose::<IkeSuite>(&ours, &theirs, Some(Group::Modp4096.id())).unwrap();
    assert_eq!(choice.suite.group, Group::Curve25519);
}

#[test]
fn defaults_agree_with_themselves_and_the_answer_is_accepted() {
    let offer = offer_ike(&default_ike(), None);
    let choice = choose::<IkeSuite>(&offer, &offer, None).unwrap();
    let (suite, spi) = accept::<IkeSuite>(&offer, &choice.answer(vec![])).unwrap();
    assert_eq!((suite, spi), (choice.suite, vec![]));
    let offer = offer_esp(&default_esp(), 7, true);
    let choice = choose::<EspSuite>(&offer, &offer, None).unwrap();
    let (suite, spi) = accept::<EspSuite>(&offer, &choice.answer(vec![0, 0, 0, 9])).unwrap();
    assert_eq!((suite, spi), (choice.suite, vec![0, 0, 0, 9]));
    assert!(suite.esn && suite.group.is_none());
}

#[test]
fn a_refusal_names_the_first_difference_of_the_closest_pair() {
    let ours = ike(vec![gcm(256)], vec![], vec![Group::Curve25519]);
    let theirs = ike(vec![gcm(256)], vec![], vec![Group::Modp2048]);
    let refusal = choose::<IkeSuite>(&ours, &theirs, None).err().unwrap();
    let difference = refusal.difference.clone().unwrap();
    assert_eq!(difference.kind, TransformType::DH);
    let text = refusal.to_string();
    assert!(text.contains("here CURVE25519, there MODP_2048"), "{text}");
    assert!(text.contains("ENCR_AES_GCM_16/256"), "{text}");
}

#[test]
fn an_aead_beside_a_mac_is_refused_and_beside_none_is_taken() {
    let ours = ike(vec![gcm(128)], vec![], vec![Group::Curve25519]);
    let mut theirs = ours.clone();
    let mac = |id| Transform::new(TransformType::INTEG, id);
    theirs.proposals[0].transforms.push(mac(12));
    let refusal = choose::<IkeSuite>(&ours, &theirs, None).err().unwrap();
    assert_eq!(refusal.difference.unwrap().kind, TransformType::INTEG);
    theirs.proposals[0].transforms.push(mac(0));
    let choice = choose::<IkeSuite>(&ours, &theirs, None).unwrap();
    assert_eq!(choice.suite.integrity, None);
}

#[test]
fn a_proposal_without_a_group_or_of_another_protocol_is_refused() {
    let ours = ike(vec![gcm(128)], vec![], vec![Group::Curve25519]);
    let theirs = ike(vec![gcm(128)], vec![], vec![]);
    assert!(choose::<IkeSuite>(&ours, &theirs, None).is_err());
    let mut theirs = ours.clone();
    theirs.proposals[0].protocol = ProtocolId::AH;
    assert!(choose::<IkeSuite>(&ours, &theirs, None).is_err());
}

#[test]
fn a_transform_with_an_unknown_attribute_or_kind_is_not_acceptable() {
    let ours = ike(vec![gcm(128)], vec![], vec![Group::Curve25519]);
    let mut theirs = ours.clone();
    theirs.proposals[0].transforms[0]
        .unknown_attributes
        .push(wire::ike::Attribute::Short(99, 1));
    assert!(choose::<IkeSuite>(&ours, &theirs, None).is_err());
    let mut theirs = ours.clone();
    theirs.proposals[0]
        .transforms
        .push(Transform::new(TransformType(6), 35));
    assert!(choose::<IkeSuite>(&ours, &theirs, None).is_err());
}

#[test]
fn an_answer_that_was_not_offered_is_refused() {
    let offer = ike(vec![gcm(128), gcm(256)], vec![], vec![Group::Curve25519]);
    let choice = choose::<IkeSuite>(&offer, &offer, None).unwrap();
    let good = choice.answer(vec![]);
    let wrong = |change: &dyn Fn(&mut SaPayload)| {
        let mut answer = good.clone();
        change(&mut answer);
        assert!(accept::<IkeSuite>(&offer, &answer).is_err());
    };
    wrong(&|answer| answer.proposals[0].number = 2);
    wrong(&|answer| answer.proposals[0].protocol = ProtocolId::ESP);
    wrong(&|answer| drop(answer.proposals[0].transforms.pop()));
    wrong(&|answer| answer.proposals[0].transforms[0].key_length = Some(192));
    wrong(&|answer| answer.proposals.push(answer.proposals[0].clone()));
    wrong(&|answer| {
        let again = answer.proposals[0].transforms[0].clone();
        answer.proposals[0].transforms.push(again);
    });
}

fn parsed(texts: &[&str]) -> SaPayload {
    let ours: Vec<IkeProposal> = texts.iter().map(|text| text.parse().unwrap()).collect();
    offer_ike(&ours, None)
}

/// What is agreed, as it is printed from the prf on; the initiator accepts it.
fn additional(ours: &[&str], theirs: &[&str]) -> Option<String> {
    let with = |texts: &[&str]| {
        let all: Vec<String> = texts
            .iter()
            .map(|text| format!("aes128gcm16-prfsha256-x25519{text}"))
            .collect();
        parsed(&all.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let (ours, theirs) = (with(ours), with(theirs));
    let choice = choose::<IkeSuite>(&ours, &theirs, None).ok()?;
    let (suite, _) = accept::<IkeSuite>(&theirs, &choice.answer(vec![])).unwrap();
    let text = suite.to_string();
    assert_eq!(text, choice.suite.to_string());
    text.strip_prefix("aes128gcm16-prfsha256-x25519")
        .map(str::to_owned)
}

#[test]
fn additional_key_exchanges_are_agreed_one_by_one() {
    let agreed = |text: &str| Some(text.to_owned());
    let both = ["-ke1_mlkem768-ke2_mlkem1024"];
    assert_eq!(additional(&both, &both), agreed(both[0]));
    let choice = ["-ke1_mlkem1024-ke1_mlkem768"];
    assert_eq!(
        additional(&choice, &["-ke1_mlkem768"]),
        agreed("-ke1_mlkem768")
    );
    assert_eq!(additional(&["-ke1_mlkem768"], &["-ke1_mlkem1024"]), None);
    // Who insists gets nothing from who does not know it, nor the other way round.
    assert_eq!(additional(&["-ke1_mlkem768"], &[""]), None);
    assert_eq!(additional(&[""], &["-ke1_mlkem768"]), None);
    // Who does not insist says so.
    let optional = ["-ke1_mlkem768-ke1_none"];
    assert_eq!(additional(&optional, &optional), agreed("-ke1_mlkem768"));
    assert_eq!(additional(&optional, &[""]), agreed(""));
    assert_eq!(additional(&[""], &optional), agreed(""));
    assert_eq!(additional(&optional, &["-ke1_mlkem1024", ""]), agreed(""));
    // An exchange may be left out in the middle.
    let gap = ["-ke3_mlkem1024"];
    assert_eq!(
        additional(&gap, &["-ke1_mlkem768-ke1_none-ke3_mlkem1024"]),
        agreed(gap[0])
    );
}

#[test]
fn no_method_is_agreed_twice() {
    let twice = ["-ke1_mlkem768-ke2_mlkem768-ke2_mlkem1024"];
    let distinct = Some("-ke1_mlkem768-ke2_mlkem1024".to_owned());
    assert_eq!(additional(&twice, &twice), distinct);
    assert_eq!(additional(&["-ke1_x25519"], &["-ke1_x25519"]), None);
    assert_eq!(
        additional(&["-ke1_x25519-ke1_none"], &["-ke1_x25519-ke1_none"]),
        Some(String::new())
    );
    let offer = parsed(&["aes128gcm16-prfsha256-x25519-ke1_mlkem768-ke2_mlkem768"]);
    let accepted = accept::<IkeSuite>(&offer, &offer);
    assert_eq!(accepted.err(), Some(Misbehaved::ChoseWhatWasNotOffered));
}

#[test]
fn a_child_has_additional_exchanges_only_with_a_first() {
    let ours = ["aes128gcm16-x25519-ke1_mlkem768-esn".parse().unwrap()];
    let offer = offer_esp(&ours, 7, true);
    let choice = choose::<EspSuite>(&offer, &offer, None).unwrap();
    assert_eq!(choice.suite.additional.ids()[..2], [36, 0]);
    let offer = offer_esp(&ours, 7, false);
    let choice = choose::<EspSuite>(&offer, &offer, None).unwrap();
    assert!(choice.suite.additional.is_empty() && choice.suite.group.is_none());
}
