//! Chains that hold and chains that do not, and the sentence for each.

use proptest::prelude::*;
use rcgen::{ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, date_time_ymd};

use crate::authorities::{Authorities, BadAuthorities, Revocation, Usage};
use crate::certificate::Certificate;
use crate::refusal::{Refusal, Why};
use crate::testing::{LATER, NOW, intermediate, list, params, peer, read, root, signed, trust};

fn says(refusal: Result<(), Refusal>, parts: &[&str]) {
    let sentence = refusal.unwrap_err().to_string();
    for part in parts {
        assert!(sentence.contains(part), "`{part}` is not in: {sentence}");
    }
}

#[test]
fn a_chain_with_two_levels_holds_in_any_order() {
    let top = root("top");
    let middle = intermediate("middle", &top);
    let low = intermediate("low", &middle);
    let own = signed(peer(), &low);
    let (middle, low) = (read(middle.der()), read(low.der()));
    let authorities = trust(&[&root("other"), &top], vec![], Revocation::Strict);
    for chain in [
        [own.clone(), middle.clone(), low.clone()],
        [own.clone(), low.clone(), middle.clone()],
    ] {
        assert_eq!(authorities.verify(&chain, NOW), Ok(()));
    }
    says(
        authorities.verify(&[own.clone(), low], NOW),
        &[
            "CN=mail",
            "leads to `C=DE, O=Example, CN=middle`",
            "CN=other",
            "CN=top",
        ],
    );
    says(
        authorities.verify(&[own, middle], NOW),
        &["leads to `C=DE, O=Example, CN=low`"],
    );
    says(authorities.verify(&[], NOW), &["sent no certificate"]);
}

#[test]
fn times_of_the_peer_of_what_is_between_and_of_the_authority() {
    let top = root("top");
    let mut brief = peer();
    brief.not_after = date_time_ymd(2026, 5, 1);
    let brief = signed(brief, &top);
    let authorities = trust(&[&top], vec![], Revocation::Strict);
    says(
        authorities.verify(std::slice::from_ref(&brief), NOW),
        &["CN=mail", "expired at 2026-05-01T00:00:00Z"],
    );
    let early = 1_700_000_000;
    says(
        authorities.verify(&[brief], early),
        &["CN=mail", "valid from 2026-01-01T00:00:00Z on"],
    );
    let mut long = peer();
    long.not_after = date_time_ymd(2040, 1, 1);
    let long = signed(long, &top);
    says(
        authorities.verify(&[long], LATER),
        &["CN=top", "which expired at 2027-01-01T00:00:00Z"],
    );
}

#[test]
fn what_was_revoked_at_either_level() {
    let top = root("top");
    let middle = intermediate("middle", &top);
    let own = signed(peer(), &middle);
    let between = read(middle.der());
    let chain = [own.clone(), between.clone()];
    let with = |lists, how| trust(&[&top], lists, how).verify(&chain, NOW);
    let strict = Revocation::Strict;
    assert_eq!(
        with(vec![list(&middle, &[]), list(&top, &[])], strict),
        Ok(())
    );
    says(
        with(vec![list(&middle, &[&own]), list(&top, &[])], strict),
        &["CN=mail` was revoked by `C=DE, O=Example, CN=middle`"],
    );
    says(
        with(vec![list(&middle, &[]), list(&top, &[&between])], strict),
        &["CN=middle` was revoked by `C=DE, O=Example, CN=top`"],
    );
    says(
        with(vec![list(&top, &[])], strict),
        &["no list of revocations of", "CN=middle"],
    );
    let relaxed = Revocation::Relaxed;
    assert_eq!(with(vec![list(&top, &[])], relaxed), Ok(()));
    says(with(vec![list(&middle, &[&own])], relaxed), &["revoked by"]);
    let forged = list(&intermediate("middle", &root("top")), &[&own]);
    says(
        with(vec![forged, list(&top, &[])], strict),
        &["wrong signature"],
    );
    // 2026-12-15: the lists are too old, the certificates are not.
    let old = trust(&[&top], vec![list(&middle, &[]), list(&top, &[])], strict);
    says(
        old.verify(&chain, 1_797_292_800),
        &["expired at 2026-12-01T00:00:00Z"],
    );
}

#[test]
fn what_a_certificate_is_for() {
    let top = root("top");
    let ipsec = trust(&[&top], vec![], Revocation::Strict);
    let roots = || vec![read(top.der())];
    let tls = Authorities::new(roots(), vec![], Usage::IpsecOrTls, Revocation::Strict).unwrap();
    let of = |purposes: Vec<ExtendedKeyUsagePurpose>| {
        let mut params = peer();
        params.extended_key_usages = purposes;
        [signed(params, &top)]
    };
    for purposes in [vec![], vec![ExtendedKeyUsagePurpose::Any]] {
        assert_eq!(ipsec.verify(&of(purposes), NOW), Ok(()));
    }
    for purpose in [
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ] {
        let chain = of(vec![purpose]);
        says(ipsec.verify(&chain, NOW), &["not for IPsec", "ipsecIKE"]);
        assert_eq!(tls.verify(&chain, NOW), Ok(()));
    }
    says(
        tls.verify(&of(vec![ExtendedKeyUsagePurpose::EmailProtection]), NOW),
        &["not for"],
    );
    let mut silent = peer();
    silent.key_usages = vec![KeyUsagePurpose::KeyAgreement];
    says(
        ipsec.verify(&[signed(silent, &top)], NOW),
        &["keyUsage lacks digitalSignature"],
    );
    let authority = read(intermediate("low", &top).der());
    let refused = ipsec.verify(&[authority], NOW);
    assert!(
        matches!(
            refused,
            Err(Refusal {
                why: Why::KeyUsage,
                ..
            })
        ),
        "{refused:?}"
    );
    let mut may_sign = params("low");
    may_sign.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    says(
        ipsec.verify(&[signed(may_sign, &top)], NOW),
        &["is an authority's own"],
    );
}

#[test]
fn names_that_an_authority_may_not_vouch_for() {
    let top = root("top");
    let mut bound = params("bound");
    bound.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    bound.name_constraints = Some(rcgen::NameConstraints {
        permitted_subtrees: vec![rcgen::GeneralSubtree::DnsName("example.com".into())],
        excluded_subtrees: vec![],
    });
    let key = KeyPair::generate().unwrap();
    let bound = rcgen::CertifiedIssuer::signed_by(bound, key, &top).unwrap();
    let chain = [signed(peer(), &bound), read(bound.der())];
    let authorities = trust(&[&top], vec![], Revocation::Strict);
    says(authorities.verify(&chain, NOW), &["may not vouch for"]);
}

#[test]
fn a_pinned_self_signed_certificate_is_its_own_authority() {
    let key = KeyPair::generate().unwrap();
    let own = read(peer().self_signed(&key).unwrap().der());
    let pin = Authorities::new(vec![own.clone()], vec![], Usage::Ipsec, Revocation::Strict);
    assert_eq!(pin.unwrap().verify(&[own], NOW), Ok(()));
    let other = read(
        peer()
            .self_signed(&KeyPair::generate().unwrap())
            .unwrap()
            .der(),
    );
    let pin = Authorities::new(
        vec![other.clone()],
        vec![],
        Usage::Ipsec,
        Revocation::Strict,
    );
    let impostor = read(peer().self_signed(&key).unwrap().der());
    assert!(pin.unwrap().verify(&[impostor], NOW).is_err());
    let none = Authorities::new(vec![], vec![], Usage::Ipsec, Revocation::Strict);
    assert!(matches!(none, Err(BadAuthorities::Count(0))));
}

#[test]
fn identities_are_matched_strictly() {
    let own = signed(peer(), &root("top"));
    let is = |kind: u8, data: &[u8]| own.check_identity(kind, data, "said");
    let subject = own.subject().der();
    assert_eq!(is(9, subject), Ok(()));
    assert_eq!(is(2, b"Mail.Example.ORG"), Ok(()));
    assert_eq!(is(3, b"ops@Example.org"), Ok(()));
    assert_eq!(is(1, &[10, 0, 0, 1]), Ok(()));
    // A GeneralName: dNSName mail.example.org.
    assert_eq!(is(10, b"\x82\x10mail.example.org"), Ok(()));
    let wildcard = b"*.example.net";
    assert_eq!(is(2, wildcard), Ok(()), "to the letter");
    for (kind, data) in [
        (2, &b"www.example.net"[..]),
        (2, b"mail"),
        (2, b""),
        (2, b"mail.example.org\0.evil"),
        (3, b"Ops@example.org"),
        (3, b"example.org"),
        (1, &[10, 0, 0, 2]),
        (5, &[0; 16]),
        (9, &[0x30, 0]),
        (9, b"mail"),
        (10, b"\x82\x03www"),
        (11, b"key"),
        (13, b""),
        (200, subject),
    ] {
        let sentence = is(kind, data).unwrap_err().to_string();
        assert!(
            sentence.contains("is not for `said`; it is for `C=DE"),
            "{sentence}"
        );
        assert!(sentence.contains("`mail.example.org`, `*.example.net`, `10.0.0.1`"));
    }
    assert_eq!(own.own_identity(), Some((9, subject.to_vec())));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn changed_octets_never_pass_and_never_panic(place in 0usize..600, value in any::<u8>()) {
        let (chain, authorities) = WORLD.with(|world| world.clone());
        let mut der = chain.der().to_vec();
        let place = place % der.len();
        let before = std::mem::replace(&mut der[place], value);
        if let Ok(changed) = Certificate::from_der(&der) {
            let verified = authorities.verify(&[changed], NOW);
            prop_assert_eq!(verified.is_ok(), before == value);
        }
        prop_assert!(Certificate::from_der(&der[..place]).is_err());
    }
}

thread_local! {
    static WORLD: (Certificate, std::rc::Rc<Authorities>) = {
        let top = root("top");
        let authorities = trust(&[&top], vec![], Revocation::Strict);
        (signed(peer(), &top), std::rc::Rc::new(authorities))
    };
}
