//! Responses that count and those that do not.

use proptest::prelude::*;
use rcgen::{
    CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose,
    SerialNumber as Serial, date_time_ymd,
};

use super::*;
use crate::authorities::Revocation;
use crate::refusal::Why;
use crate::testing::responder::{Say, tlv};
use crate::testing::{
    Issuer as Authority, NOW, intermediate, list, params, peer, read, root, signed, trust,
};

const NONCE_OF_OURS: &[u8] = &[7; 32];
const HELD: Option<&str> = Some("20260602000000Z");
const NOW_TEXT: &str = "20260601000000Z";

struct World {
    root: Authority,
    middle: Authority,
    own: Certificate,
}

impl World {
    fn new() -> Self {
        let root = root("top");
        let middle = intermediate("middle", &root);
        let own = signed_with_responder(&middle);
        World { root, middle, own }
    }

    fn chain(&self) -> [Certificate; 2] {
        [self.own.clone(), read(self.middle.der())]
    }

    fn online(&self, required: bool) -> crate::Authorities {
        trust(&[&self.root], vec![], Revocation::Strict).with_online(Online {
            required,
            responder: None,
        })
    }

    fn subject(&self) -> Subject {
        let judged = self.online(true).judge(&self.chain(), NOW);
        judged.unwrap().unwrap()
    }

    fn good(&self) -> Say<'_> {
        Say {
            next: HELD,
            nonce: Some(NONCE_OF_OURS),
            ..Say::good(
                self.own.issuer().der(),
                self.own.serial(),
                self.middle.key(),
                NOW_TEXT,
            )
        }
    }

    fn judge(&self, say: &Say<'_>) -> Result<Status, Trouble> {
        self.subject()
            .judge(&say.response(), Some(NONCE_OF_OURS), NOW)
    }
}

/// A peer's certificate that names a responder.
fn signed_with_responder(issuer: &Authority) -> Certificate {
    let mut params = peer();
    let uri = tlv(0x86, &[b"http://ocsp.example/"]);
    let method = tlv(6, &[&[0x2b, 6, 1, 5, 5, 7, 0x30, 1]]);
    let access = tlv(0x30, &[&tlv(0x30, &[&method, &uri])]);
    let oid = [1, 3, 6, 1, 5, 5, 7, 1, 1];
    let access = CustomExtension::from_oid_content(&oid, access);
    params.custom_extensions.push(access);
    let key = KeyPair::generate().unwrap();
    read(params.signed_by(&key, issuer).unwrap().der())
}

fn responder(change: fn(&mut CertificateParams)) -> CertificateParams {
    let mut params = params("responder");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    change(&mut params);
    params
}

#[test]
fn good_revoked_and_unknown_by_the_issuer_by_name_and_by_key() {
    let world = World::new();
    let until = NOW + 86_400;
    for (sha256, by_name) in [(false, true), (true, true), (false, false), (true, false)] {
        let good = Say {
            sha256,
            by_name,
            ..world.good()
        };
        let revoked = None;
        assert_eq!(world.judge(&good), Ok(Status { revoked, until }));
    }
    let at = tlv(0x18, &[b"20260301000000Z"]);
    let reason = tlv(0xa0, &[&[0x0a, 1, 1]]);
    for reason in [&[][..], &reason] {
        let status = tlv(0xa1, &[&at, reason]);
        let revoked = Some(1_772_323_200);
        let said = world.judge(&Say {
            status,
            ..world.good()
        });
        assert_eq!(said, Ok(Status { revoked, until }));
    }
    let status = tlv(0x82, &[]);
    let unknown = Say {
        status,
        ..world.good()
    };
    assert_eq!(world.judge(&unknown), Err(Trouble::Unknown));
}

#[test]
fn the_request_is_what_others_read() {
    let subject = World::new().subject();
    let der = subject.request(NONCE_OF_OURS).unwrap();
    let read = OcspRequest::from_der(&der).unwrap();
    assert_eq!(read.to_der().unwrap(), der);
    let id = &read.tbs_request.request_list[0].req_cert;
    assert_eq!(*id, subject.ids[0]);
    assert_eq!(subject.responder(), Some("http://ocsp.example/"));
    assert_eq!(subject.to_string(), "`C=DE, O=Example, CN=mail`");
}

#[test]
fn a_responder_speaks_for_the_issuer_that_gave_it_a_certificate_for_that() {
    let world = World::new();
    let key = KeyPair::generate().unwrap();
    let of = |params: CertificateParams, issuer: &Authority| {
        params.signed_by(&key, issuer).unwrap().der().to_vec()
    };
    let judge = |certificate: Vec<u8>, by_name| {
        world.judge(&Say {
            signer: &key,
            certificate: Some((&certificate, read(&certificate).subject().der())),
            by_name,
            ..world.good()
        })
    };
    let good = of(responder(|_| {}), &world.middle);
    assert!(judge(good.clone(), true).is_ok());
    assert!(judge(good.clone(), false).is_ok());
    let refused = Err(Trouble::Responder);
    let other = |change| judge(of(responder(change), &world.middle), true);
    assert_eq!(other(|params| params.extended_key_usages.clear()), refused);
    let server = |params: &mut CertificateParams| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    };
    assert_eq!(other(server), refused);
    assert_eq!(judge(of(responder(|_| {}), &world.root), true), refused);
    let forged = intermediate("middle", &root("top"));
    assert_eq!(judge(of(responder(|_| {}), &forged), true), refused);
    let expired = |params: &mut CertificateParams| params.not_after = date_time_ymd(2026, 5, 1);
    assert_eq!(other(expired), Err(Trouble::ResponderExpired));
    // It has the certificate, and another key signs.
    let its = read(&good);
    let wrong = Say {
        signer: world.middle.key(),
        certificate: Some((&good, its.subject().der())),
        ..world.good()
    };
    assert_eq!(world.judge(&wrong), Err(Trouble::Signature));
    // A stranger says that it is the issuer.
    let stranger = Say {
        signer: &key,
        ..world.good()
    };
    assert_eq!(world.judge(&stranger), Err(Trouble::Signature));
}

#[test]
fn times_and_nonces() {
    let world = World::new();
    let with = |this, next, nonce| {
        world.judge(&Say {
            this,
            next,
            nonce,
            ..world.good()
        })
    };
    let ours = Some(NONCE_OF_OURS);
    let until = |until| {
        let revoked = None;
        Ok(Status { revoked, until })
    };
    assert_eq!(with(NOW_TEXT, None, ours), until(NOW + limits::MOMENT));
    assert_eq!(
        with("20260501000000Z", None, ours),
        until(NOW + limits::MOMENT)
    );
    assert_eq!(with(NOW_TEXT, None, None), until(NOW + limits::MOMENT));
    let old = Err(Trouble::Old(NOW - 301));
    assert_eq!(with("20260531235459Z", None, None), old);
    assert_eq!(with("20260601000500Z", HELD, None), until(NOW + 86_400));
    assert_eq!(
        with("20260601000501Z", HELD, None),
        Err(Trouble::Early(NOW + 301))
    );
    let next = |text| with("20260501000000Z", Some(text), None);
    assert_eq!(next("20260531235500Z"), until(NOW - 300));
    assert_eq!(next("20260531235459Z"), Err(Trouble::Late(NOW - 301)));
    assert_eq!(with(NOW_TEXT, HELD, Some(&[7; 31])), Err(Trouble::Nonce));
    // Who was not asked repeats nothing.
    let stapled = world.good().response();
    assert!(world.subject().judge(&stapled, None, NOW).is_ok());
}

#[test]
fn what_is_about_another_or_says_more_than_is_known_here() {
    let world = World::new();
    let mut other = peer();
    other.serial_number = Some(Serial::from(4711));
    let other = signed(other, &world.middle);
    let about = Say {
        serial: other.serial(),
        ..world.good()
    };
    assert_eq!(world.judge(&about), Err(Trouble::OtherCertificate));
    let critical = Say {
        critical: true,
        ..world.good()
    };
    assert_eq!(world.judge(&critical), Err(Trouble::Critical));
    let subject = world.subject();
    for (number, trouble) in [
        (1, Trouble::MalformedRequest),
        (2, Trouble::InternalError),
        (3, Trouble::TryLater),
        (4, Trouble::Malformed),
        (5, Trouble::SignatureRequired),
        (6, Trouble::Unauthorized),
    ] {
        let response = tlv(0x30, &[&[0x0a, 1, number]]);
        assert_eq!(subject.judge(&response, None, NOW), Err(trouble));
    }
    let long = vec![0x30; limits::RESPONSE + 1];
    let too_long = Err(Trouble::TooLong(limits::RESPONSE + 1));
    assert_eq!(subject.judge(&long, None, NOW), too_long);
}

#[test]
fn whose_status_is_asked_for() {
    let world = World::new();
    let trusted = trust(&[&world.root], vec![], Revocation::Strict);
    assert_eq!(trusted.judge(&world.chain(), NOW).unwrap().map(drop), None);
    assert!(
        world
            .online(false)
            .judge(&world.chain(), NOW)
            .unwrap()
            .is_some()
    );
    // The lists are looked at first.
    let lists = vec![list(&world.middle, &[&world.own])];
    let online = Online {
        required: false,
        responder: None,
    };
    let both = trust(&[&world.root], lists, Revocation::Relaxed).with_online(online.clone());
    let refused = both.judge(&world.chain(), NOW).unwrap_err();
    assert!(matches!(refused.why, Why::Revoked(_)), "{refused}");
    // Whoever is asked about, and how, is part of what decides.
    let digests = [
        trusted.digest(),
        world.online(false).digest(),
        world.online(true).digest(),
    ];
    assert!(digests[0] != digests[1] && digests[1] != digests[2]);
    // A certificate that is trusted by itself has nobody who could take it back.
    let key = KeyPair::generate().unwrap();
    let alone = read(peer().self_signed(&key).unwrap().der());
    let roots = vec![alone.clone()];
    let usage = crate::Usage::Ipsec;
    let pinned = crate::Authorities::new(roots, vec![], usage, Revocation::Strict).unwrap();
    let pinned = pinned.with_online(online).judge(&[alone], NOW);
    assert_eq!(pinned.unwrap().map(drop), None);
}

proptest! {
    #[test]
    fn octets_that_somebody_changed_never_count(at in 0_usize..400, bit in 0_u8..8) {
        let world = World::new();
        let mut response = world.good().response();
        let at = at % response.len();
        response[at] ^= 1 << bit;
        let judged = world.subject().judge(&response, Some(NONCE_OF_OURS), NOW);
        prop_assert!(judged.is_err());
    }

    #[test]
    fn any_octets_are_refused(octets in prop::collection::vec(any::<u8>(), 0..600)) {
        let world = World::new();
        prop_assert!(world.subject().judge(&octets, None, NOW).is_err());
    }
}
