//! Peers that prove themselves by certificates and raw public keys, and those that fail to.

use std::sync::Arc;

use crate::harness::*;
use crypto::{PrivateKey, PublicKey, Secret};
use ike::{Command, Config, Event, Takeover, TicketKey, TicketKeys};
use policy::auth::{Auth, Credential, LocalAuth, RemoteAuth};
use policy::identity::Identity;
use policy::sa::Bucket;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber,
    date_time_ymd,
};
use x509::{Authorities, Certificate, Online, Revocation, RevocationList, Usage};

/// 2026-06-01T00:00:00Z, in the middle of every certificate's life here.
pub(crate) const NOW: u64 = 1_780_272_000;
const INIT: u8 = 34;
const AUTH: u8 = 35;
const RESUME: u8 = 38;

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn params(common: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CountryName, "DE");
    params.distinguished_name.push(DnType::CommonName, common);
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2027, 1, 1);
    params
}

fn authority(common: &str, above: Option<&Issuer>) -> Issuer {
    let mut params = params(common);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate().unwrap();
    match above {
        None => CertifiedIssuer::self_signed(params, key).unwrap(),
        Some(above) => CertifiedIssuer::signed_by(params, key, above).unwrap(),
    }
}

fn read(der: &[u8]) -> Certificate {
    Certificate::from_der(der).unwrap()
}

/// A root, an authority below it, and a certificate for each host: `a.example`, `b.example`.
pub(crate) struct World {
    root: Issuer,
    pub(crate) middle: Issuer,
    pub(crate) own: [Arc<Credential>; 2],
    /// The private key of A and of B.
    keys: Vec<Vec<u8>>,
}

impl World {
    pub(crate) fn new() -> Self {
        World::with(&rcgen::PKCS_ECDSA_P256_SHA256)
    }

    pub(crate) fn with(algorithm: &'static rcgen::SignatureAlgorithm) -> Self {
        let root = authority("root", None);
        let middle = authority("middle", Some(&root));
        let mut keys = Vec::new();
        let own = ["a.example", "b.example"].map(|name| {
            let mut params = params(name);
            params.subject_alt_names = vec![SanType::DnsName(name.try_into().unwrap())];
            let key = KeyPair::generate_for(algorithm).unwrap();
            let certificate = params.signed_by(&key, &middle).unwrap();
            keys.push(key.serialized_der().to_vec());
            let key = PrivateKey::from_der(&Secret::from_slice(key.serialized_der())).unwrap();
            Arc::new(Credential {
                key,
                certificates: vec![
                    read(certificate.der()),
                    read(middle.der()),
                    read(root.der()),
                ],
                pkcs1: false,
            })
        });
        World {
            root,
            middle,
            own,
            keys,
        }
    }

    /// The credential of a host, with the first certificates only.
    fn credential(&self, host: usize, certificates: usize) -> Credential {
        Credential {
            key: PrivateKey::from_der(&Secret::from_slice(&self.keys[host])).unwrap(),
            certificates: self.own[host].certificates[..certificates].to_vec(),
            pkcs1: false,
        }
    }

    /// Another certificate for A, with another key.
    pub(crate) fn another(&self) -> Arc<Credential> {
        let mut params = params("a.example");
        params.subject_alt_names = vec![SanType::DnsName("a.example".try_into().unwrap())];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.middle).unwrap();
        let key = PrivateKey::from_der(&Secret::from_slice(key.serialized_der())).unwrap();
        Arc::new(Credential {
            key,
            certificates: vec![read(certificate.der()), read(self.middle.der())],
            pkcs1: false,
        })
    }

    /// The root, and what is asked online.
    pub(crate) fn asks(&self, online: Online) -> RemoteAuth {
        let roots = vec![read(self.root.der())];
        let trusted = Authorities::new(roots, Vec::new(), Usage::Ipsec, Revocation::Strict);
        RemoteAuth::Certificate(Arc::new(trusted.unwrap().with_online(online)))
    }

    fn trusts(&self, lists: Vec<RevocationList>) -> RemoteAuth {
        trust(&self.root, lists)
    }

    /// Both by certificate, with the subject as identity.
    pub(crate) fn setup(&self) -> Setup {
        let auth = |index: usize| Auth {
            local: LocalAuth::Signature(Arc::clone(&self.own[index])),
            remote: self.trusts(Vec::new()),
        };
        let subject =
            |index: usize| Identity::Dn(self.own[index].certificates[0].subject().clone());
        Setup {
            auth: [Some(auth(A)), Some(auth(B))],
            ids: [subject(A), subject(B)],
            expected: [subject(B), subject(A)],
            ..Setup::default()
        }
    }

    fn list(&self, revoked: &[usize]) -> Vec<RevocationList> {
        let of = |issuer: &Issuer, serials: Vec<SerialNumber>| {
            let revoked = serials.into_iter().map(|serial_number| RevokedCertParams {
                serial_number,
                revocation_time: date_time_ymd(2026, 2, 1),
                reason_code: None,
                invalidity_date: None,
            });
            let params = CertificateRevocationListParams {
                this_update: date_time_ymd(2026, 2, 1),
                next_update: date_time_ymd(2026, 12, 1),
                crl_number: SerialNumber::from(1),
                issuing_distribution_point: None,
                revoked_certs: revoked.collect(),
                key_identifier_method: KeyIdMethod::Sha256,
            };
            RevocationList::from_der(params.signed_by(issuer).unwrap().der()).unwrap()
        };
        let serial =
            |index: &usize| SerialNumber::from_slice(self.own[*index].certificates[0].serial());
        let serials = revoked.iter().map(serial).collect();
        vec![of(&self.root, Vec::new()), of(&self.middle, serials)]
    }
}

fn trust(root: &Issuer, lists: Vec<RevocationList>) -> RemoteAuth {
    let roots = vec![read(root.der())];
    let trusted = Authorities::new(roots, lists, Usage::Ipsec, Revocation::Strict);
    RemoteAuth::Certificate(Arc::new(trusted.unwrap()))
}

/// Tells both hosts the time, and lets A call B.
pub(crate) fn call(setup: &Setup, seconds: u64) -> Pair {
    let mut pair = setup.pair();
    for host in [A, B] {
        pair.command(host, Command::SetClock(seconds));
    }
    pair.acquire(A);
    pair.run(millis(200));
    pair
}

/// Why the handshake failed at a host.
pub(crate) fn reason(pair: &Pair, host: usize) -> String {
    let failed = |event: &Event| {
        matches!(
            event,
            Event::HandshakeFailed { .. } | Event::AcquireFailed { .. }
        )
    };
    let event = pair.event(host, failed);
    event
        .unwrap_or_else(|| panic!("{}", pair.story()))
        .to_string()
}

fn refused(setup: &Setup, seconds: u64, host: usize, parts: &[&str]) {
    let pair = call(setup, seconds);
    pair.agree(0);
    let text = reason(&pair, host);
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    if host == B {
        let told = reason(&pair, A);
        assert!(told.contains("AUTHENTICATION_FAILED"), "{told}");
    }
}

#[test]
fn certificates_of_every_kind_both_ways_and_in_fragments() {
    for algorithm in [
        &rcgen::PKCS_ECDSA_P256_SHA256,
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_ED25519,
    ] {
        let mut setup = World::with(algorithm).setup();
        call(&setup, NOW).agree(1);
        setup.ike.iter_mut().for_each(in_fragments);
        call(&setup, NOW).agree(1);
    }
}

#[test]
fn identities_in_the_certificate_and_others() {
    let world = World::new();
    let mut setup = world.setup();
    let name = |text: &str| Identity::parse(text).unwrap();
    setup.ids = [name("A.example"), name("b.example")];
    setup.expected = [name("b.EXAMPLE"), name("a.example")];
    call(&setup, NOW).agree(1);
    setup.expected = [Identity::Any, Identity::Any];
    call(&setup, NOW).agree(1);
    // As RFC 4514 writes names: the other way round.
    let mut setup = world.setup();
    setup.expected = [name("CN=b.example,C=DE"), name("CN=a.example, C=DE")];
    call(&setup, NOW).agree(1);
    // A has a good certificate, but not for who it says that it is.
    let mut liar = world.setup();
    liar.ids[A] = name("c.example");
    liar.expected[B] = Identity::Any;
    let parts = [
        "`C=DE, CN=a.example`",
        "is not for `c.example`",
        "`a.example`",
    ];
    refused(&liar, NOW, B, &parts);
    // A key ID that nobody wrote down proves nothing, whatever is in the certificate.
    liar.ids[A] = Identity::KeyId(vec![1, 2, 3]);
    refused(&liar, NOW, B, &["is not for `@#010203`"]);
}

#[test]
fn a_certificate_against_a_key_and_one_way_each() {
    let world = World::new();
    let key = || Arc::new(Secret::from_slice(PSK));
    let mut setup = world.setup();
    // A proves itself by certificate, B by key.
    setup.auth = [
        Some(Auth {
            local: LocalAuth::Signature(Arc::clone(&world.own[A])),
            remote: RemoteAuth::Psk(key()),
        }),
        Some(Auth {
            local: LocalAuth::Psk(key()),
            remote: world.trusts(Vec::new()),
        }),
    ];
    call(&setup, NOW).agree(1);
    // B expects a certificate and gets the proof of a key; and the other way round.
    setup.auth[A] = None;
    refused(
        &setup,
        NOW,
        B,
        &["AUTH_METHOD_SHARED_KEY", "expects `certificate`"],
    );
    let mut setup = world.setup();
    setup.auth[B] = None;
    refused(
        &setup,
        NOW,
        B,
        &["AUTH_METHOD_ECDSA_SHA256_P256", "expects `psk`"],
    );
}

#[test]
fn the_sentence_for_each_refusal() {
    let world = World::new();
    let mut setup = world.setup();
    refused(
        &setup,
        1_900_000_000,
        B,
        &["CN=a.example` expired at 2027-01-01"],
    );
    refused(
        &setup,
        1_700_000_000,
        B,
        &["CN=a.example` is valid from 2026-01-01", "clock"],
    );
    let trusted = |setup: &mut Setup, host: usize, remote: RemoteAuth| {
        setup.auth[host].as_mut().unwrap().remote = remote;
    };
    trusted(&mut setup, B, world.trusts(world.list(&[A])));
    refused(
        &setup,
        NOW,
        B,
        &["CN=a.example` was revoked by `C=DE, CN=middle`"],
    );
    trusted(&mut setup, B, world.trusts(world.list(&[B])));
    call(&setup, NOW).agree(1);
    let stranger = authority("stranger", None);
    trusted(&mut setup, B, trust(&stranger, Vec::new()));
    let parts = ["CN=a.example` leads to `C=DE, CN=root`", "CN=stranger"];
    refused(&setup, NOW, B, &parts);
    // What the responder sends is judged as strictly.
    let mut setup = world.setup();
    trusted(&mut setup, A, trust(&stranger, Vec::new()));
    refused(&setup, NOW, A, &["CN=b.example` leads to `C=DE, CN=root`"]);
    trusted(&mut setup, A, world.trusts(world.list(&[B])));
    refused(&setup, NOW, A, &["CN=b.example` was revoked"]);
    // The authority in between is not sent.
    let mut short = world.setup();
    let alone = world.credential(A, 1);
    short.auth[A].as_mut().unwrap().local = LocalAuth::Signature(Arc::new(alone));
    refused(
        &short,
        NOW,
        B,
        &["CN=a.example` leads to `C=DE, CN=middle`"],
    );
    // A certificate that everybody has seen, without its key.
    let mut short = world.setup();
    short.auth[A].as_mut().unwrap().local = LocalAuth::Signature(Arc::new(Credential {
        key: PrivateKey::from_der(&Secret::from_slice(ED25519)).unwrap(),
        certificates: world.own[A].certificates[..1].to_vec(),
        pkcs1: false,
    }));
    refused(
        &short,
        NOW,
        B,
        &["a.example failed to authenticate", "is not by its key"],
    );
    // More certificates than any chain has.
    let mut many = world.setup();
    let mut crowd = world.credential(A, 2);
    crowd.certificates.extend(vec![read(world.middle.der()); 7]);
    many.auth[A].as_mut().unwrap().local = LocalAuth::Signature(Arc::new(crowd));
    refused(&many, NOW, B, &["the peer sent more than 8 certificates"]);
    let mut pair = world.setup().pair();
    pair.acquire(A);
    pair.run(millis(200));
    pair.agree(0);
    assert!(reason(&pair, B).contains("the time of day is not known"));
}

const RSA: &[u8] = include_bytes!("../../../crypto/src/self_test/signatures/rsa.der");
const P256: &[u8] = include_bytes!("../../../crypto/src/self_test/signatures/p256.der");
const P521: &[u8] = include_bytes!("../../../crypto/src/self_test/signatures/p521.der");
const ED25519: &[u8] = include_bytes!("../../../crypto/src/self_test/signatures/ed25519.der");

fn raw(der: &[u8], pkcs1: bool) -> (LocalAuth, PublicKey) {
    let key = PrivateKey::from_der(&Secret::from_slice(der)).unwrap();
    let public = key.public().clone();
    let own = Credential {
        key,
        certificates: Vec::new(),
        pkcs1,
    };
    (LocalAuth::Signature(Arc::new(own)), public)
}

#[test]
fn raw_public_keys_that_are_written_down() {
    for (a, b, pkcs1) in [
        (RSA, ED25519, false),
        (RSA, P521, true),
        (ED25519, RSA, false),
    ] {
        let (local_a, public_a) = raw(a, pkcs1);
        let (local_b, public_b) = raw(b, pkcs1);
        let auth = |local: &LocalAuth, keys: Vec<PublicKey>| {
            Some(Auth {
                local: local.clone(),
                remote: RemoteAuth::PublicKey(Arc::new(keys)),
            })
        };
        let mut setup = Setup::default();
        let other = raw(P256, false).1;
        setup.auth = [
            auth(&local_a, vec![other.clone(), public_b]),
            auth(&local_b, vec![public_a]),
        ];
        // The time of day does not matter here.
        let mut pair = setup.pair();
        pair.establish();
        setup.auth[B] = auth(&local_b, vec![other]);
        refused(&setup, NOW, B, &["the public key that it sent is none of"]);
    }
}

fn granting(config: &mut Config) {
    #[allow(clippy::disallowed_methods)]
    let clock = (std::time::Instant::now(), NOW);
    let secret = Secret::from_slice(&[7; 32]);
    config.tickets = Some(TicketKeys {
        keys: vec![Arc::new(TicketKey { id: 1, secret })],
        clock,
        lifetime: secs(4 * 3600),
    });
    config.clock = Some(clock);
}

fn exchanges(pair: &Pair) -> Vec<u8> {
    // Of a message in fragments the first counts; signatures are not all of one length.
    let first = |packet: &Packet| packet.fragment().is_none_or(|[_, number, ..]| number == 1);
    let asked = |(_, packet): &(_, Packet)| {
        (!packet.is_response() && first(packet)).then(|| packet.exchange())
    };
    pair.log.iter().filter_map(asked).collect()
}

#[test]
fn a_ticket_says_who_the_peer_was_until_a_revocation_takes_it_back() {
    let world = World::new();
    let mut first = world.setup();
    first.config = granting;
    for (revoked, children, expected) in [
        (None, 1, &[RESUME, AUTH][..]),
        (Some(A), 0, &[RESUME, AUTH, INIT, AUTH]),
    ] {
        let mut pair = first.pair();
        pair.establish();
        let mut second = world.setup();
        (second.config, second.seed) = (granting, 77);
        if let Some(host) = revoked {
            let lists = world.list(&[host]);
            second.auth[B].as_mut().unwrap().remote = world.trusts(lists);
        }
        // B forgets everything; A notices, and shows its ticket.
        pair.crash(B, &second);
        let ike = pair.ike(A);
        pair.log.clear();
        pair.command(A, Command::CheckLiveness(ike));
        pair.run(secs(10));
        pair.acquire(A);
        pair.run(secs(2));
        let begun = exchanges(&pair);
        let begun = begun.iter().copied().skip_while(|one| *one == 37);
        assert_eq!(begun.collect::<Vec<u8>>(), expected, "{}", pair.story());
        pair.agree(children);
        if children == 1 {
            let subject = world.own[A].certificates[0].subject().to_string();
            let status = pair.ikes(B);
            assert_eq!(status[0].remote_id.as_ref().unwrap().to_string(), subject);
        } else {
            assert!(reason(&pair, B).contains("ticket"));
        }
    }
}

#[test]
fn a_ticket_ends_with_the_certificate() {
    let world = World::new();
    let mut setup = world.setup();
    // An hour before the certificates expire.
    setup.config = |config| {
        granting(config);
        let tickets = config.tickets.as_mut().unwrap();
        tickets.clock.1 = 1_798_761_600 - 3600;
        config.clock = Some(tickets.clock);
    };
    let mut pair = setup.pair();
    pair.establish();
    pair.run(secs(3700));
    let mut second = setup;
    second.seed = 77;
    pair.crash(B, &second);
    pair.log.clear();
    let ike = pair.ike(A);
    pair.command(A, Command::CheckLiveness(ike));
    pair.run(secs(10));
    assert!(!exchanges(&pair).contains(&RESUME), "{}", pair.story());
}

#[test]
fn a_takeover_needs_no_certificate_and_knows_the_name() {
    let world = World::new();
    let mut setup = world.setup();
    setup.config = |config| {
        for (bucket, address) in ADDRESSES.iter().enumerate() {
            config.buckets.insert(ip(address), Bucket(bucket as u8 + 1));
        }
    };
    let mut pair = call(&setup, NOW);
    let takeover = Takeover {
        epoch: 1,
        grace: secs(30),
        spread: secs(60),
    };
    pair.survive(B, &setup, takeover);
    let ike = pair.ike(B);
    pair.command(B, Command::RekeyIke(ike));
    pair.run(millis(100));
    pair.agree(1);
    let status = pair.ikes(B);
    assert_eq!(
        status[0].remote_id.as_ref().unwrap().to_string(),
        "C=DE, CN=a.example"
    );
}
