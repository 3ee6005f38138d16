//! Peers with certificates and public keys: files that are good, and the sentence for each fault.

use std::collections::BTreeMap;

use p12_keystore::{KeyStore, KeyStoreEntry, PrivateKey, PrivateKeyChain};
use policy::auth::{LocalAuth, RemoteAuth};
use policy::{Identity, Peer};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, SanType, SerialNumber, date_time_ymd,
};

use x509::Online;

use crate::config::{Loaded, Secrecy, parse};

const KEY: &str = "xT1vVb2cQ4mW0rKpYg7hZs9eLd3nJf5aUo8iRq6tMwE";
const P384: &[u8] = include_bytes!("../../../../crypto/src/self_test/signatures/p384.der");
const RSA1024: &[u8] = include_bytes!("../../../../crypto/tests/keys/rsa1024.spki");

type Files = BTreeMap<&'static str, Vec<u8>>;

fn params(common: &str, until: i32) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CountryName, "DE");
    params.distinguished_name.push(DnType::CommonName, common);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    params
}

/// A root, an authority below it, this host's certificate and key, and more.
fn files() -> Files {
    let authority = |common| {
        let mut params = params(common, 2300);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        (params, KeyPair::generate().unwrap())
    };
    let (params_of_root, key) = authority("root");
    let root = CertifiedIssuer::self_signed(params_of_root, key).unwrap();
    let (params_of_middle, key) = authority("middle");
    let middle = CertifiedIssuer::signed_by(params_of_middle, key, &root).unwrap();
    let key = KeyPair::generate().unwrap();
    let of = |until| {
        let mut params = params("node", until);
        params.subject_alt_names = vec![SanType::DnsName("node.example".try_into().unwrap())];
        params.signed_by(&key, &middle).unwrap()
    };
    let (own, old) = (of(2300), of(2021));
    let list = |until| {
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(until, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params
            .signed_by(&middle)
            .unwrap()
            .pem()
            .unwrap()
            .into_bytes()
    };
    let chain = own.pem() + &middle.pem();
    let mut store = KeyStore::new();
    let certs =
        [own.der(), middle.der()].map(|der| p12_keystore::Certificate::from_der(der).unwrap());
    let private = PrivateKey::from_der(key.serialized_der()).unwrap();
    let entry = KeyStoreEntry::PrivateKeyChain(PrivateKeyChain::new("1", private, certs));
    store.add_entry("node", entry);
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----";
    BTreeMap::from([
        ("ca.crt", root.pem().into_bytes()),
        ("ca.der", root.der().to_vec()),
        ("node.crt", chain.into_bytes()),
        ("old.crt", old.pem().into_bytes()),
        ("middle.crt", middle.pem().into_bytes()),
        ("node.key", key.serialize_pem().into_bytes()),
        ("node.key.der", key.serialized_der().to_vec()),
        ("other.key", P384.to_vec()),
        ("encrypted.key", encrypted.as_bytes().to_vec()),
        ("node.pub", key.public_key_pem().into_bytes()),
        ("weak.pub", RSA1024.to_vec()),
        ("new.crl", list(2300)),
        ("old.crl", list(2021)),
        ("node.p12", store.writer("a password").write().unwrap()),
        ("node.pass", b"a password\n".to_vec()),
        ("wrong.pass", b"another\n".to_vec()),
        ("nonsense", b"nonsense".to_vec()),
    ])
}

/// Reads a peer with these keys; a file whose name says so must be kept secret.
fn read(files: &Files, keys: &str) -> Result<Loaded, String> {
    let text = format!("[[peer]]\nname = \"mail\"\naddress = \"10.0.0.1\"\n{keys}\n");
    let mut open = |name: &str, secrecy| {
        let secret = [".key", ".der", ".p12", ".pass"]
            .iter()
            .any(|end| name.ends_with(end));
        let secret = secret && name != "ca.der";
        assert_eq!(secrecy == Secrecy::Secret, secret, "{name}");
        let found = files.get(name).cloned();
        found.ok_or_else(|| "it does not exist".to_owned())
    };
    parse("test.toml", &text, &mut open).map_err(|report| report.render(false))
}

fn good(files: &Files, keys: &str) -> (Peer, String) {
    let loaded = read(files, keys).unwrap_or_else(|report| panic!("{report}"));
    let peer = loaded.config.pad.peers()[0].clone();
    (peer, loaded.report.render(false))
}

#[test]
fn certificates_in_every_kind_of_file() {
    let files = files();
    for keys in [
        "certificate = \"node.crt\"\nprivate_key = \"node.key\"",
        "certificate = \"node.crt\"\nprivate_key = \"node.key.der\"",
        "certificate = \"node.p12\"\npassword_file = \"node.pass\"",
    ] {
        for authorities in ["\"ca.crt\"", "[\"ca.der\", \"ca.crt\"]"] {
            let keys = format!("auth = \"certificate\"\n{keys}\nauthorities = {authorities}");
            let (peer, report) = good(&files, &keys);
            assert!(!report.contains("not for long"), "{report}");
            assert_eq!(peer.local_id.to_string(), "C=DE, CN=node");
            assert_eq!(peer.remote_id, Identity::Any);
            let LocalAuth::Signature(own) = &peer.auth.local else {
                panic!("{keys}");
            };
            assert_eq!(own.certificates.len(), 2);
            assert!(matches!(peer.auth.remote, RemoteAuth::Certificate(_)));
        }
    }
}

const BOTH: &str = "auth = \"certificate\"\ncertificate = \"node.crt\"\n\
                    private_key = \"node.key\"\nauthorities = \"ca.crt\"\n";

#[test]
fn who_we_are_and_each_side_in_its_own_way() {
    let files = files();
    for (id, expected) in [
        ("node.example", "node.example"),
        ("CN=Node,C=DE", "C=DE, CN=node"),
        ("any", "C=DE, CN=node"),
    ] {
        let (peer, _) = good(&files, &format!("{BOTH}local_id = \"{id}\""));
        assert_eq!(peer.local_id.to_string(), expected);
    }
    let (peer, _) = good(
        &files,
        &format!(
            "local_auth = \"certificate\"\ncertificate = \"node.crt\"\n\
             private_key = \"node.key\"\nrsa_padding = \"pkcs1\"\npsk = \"{KEY}\""
        ),
    );
    assert!(matches!(&peer.auth.local, LocalAuth::Signature(own) if own.pkcs1));
    assert!(matches!(peer.auth.remote, RemoteAuth::Psk(_)));
    for key in ["node.pub", "node.crt"] {
        let keys = format!(
            "auth = \"public_key\"\nprivate_key = \"node.key\"\npublic_key = \"{key}\"\n\
             local_id = \"a\"\nremote_id = \"b\""
        );
        let (peer, _) = good(&files, &keys);
        assert!(matches!(&peer.auth.remote, RemoteAuth::PublicKey(keys) if !keys.is_empty()));
    }
    let (first, _) = good(&files, &format!("{BOTH}crls = \"new.crl\""));
    let (second, _) = good(&files, BOTH);
    assert!(first.same(&first) && second.same(&good(&files, BOTH).0));
    assert!(
        !first.same(&second),
        "a list of revocations makes peers prove themselves anew"
    );
}

#[test]
fn the_sentence_for_each_fault() {
    let files = files();
    let with = |from: &str, to: &str| BOTH.replace(from, to);
    for (keys, line, parts) in [
        (
            with("node.key", "other.key"),
            5,
            ["`C=DE, CN=node`, is not of the private key", "first"],
        ),
        (
            with("node.key", "none.key"),
            6,
            ["`none.key` cannot be read: it does not exist", "there"],
        ),
        (
            with("node.key", "encrypted.key"),
            6,
            ["it is encrypted", "PKCS #12"],
        ),
        (
            with("private_key = \"node.key\"\n", ""),
            1,
            ["needs a `private_key`", "node.key"],
        ),
        (
            with("authorities = \"ca.crt\"\n", ""),
            1,
            ["needs a `authorities`", "ca.crt"],
        ),
        (
            with("ca.crt", "nonsense"),
            7,
            ["`nonsense` cannot be used: it is no X.509", "openssl"],
        ),
        (
            with("node.crt", "middle.crt"),
            5,
            ["is not of the private key", "first"],
        ),
        (
            format!("{BOTH}local_id = \"other.example\""),
            5,
            ["not for `other.example`", "local_id"],
        ),
        (
            format!("{BOTH}psk = \"{KEY}\""),
            8,
            ["`psk` of [[peer]] `mail` has no effect", "auth"],
        ),
        (
            format!("{BOTH}crls = \"ca.crt\""),
            8,
            ["there is no", "X509 CRL"],
        ),
        (
            format!("{BOTH}crl = \"new.crl\""),
            8,
            ["no key `crl`", "did you mean `crls`"],
        ),
        (
            with("\"certificate\"", "\"cert\""),
            4,
            ["`cert` is not known", "one of"],
        ),
        (
            format!("psk = \"{KEY}\"\nauthorities = \"ca.crt\""),
            5,
            [
                "`authorities` of [[peer]] `mail` has no effect",
                "auth = \"certificate\"",
            ],
        ),
        (
            "auth = \"public_key\"\nprivate_key = \"node.key\"\npublic_key = \"weak.pub\"".into(),
            6,
            ["1024 bits", "`weak.pub`"],
        ),
        (
            "auth = \"certificate\"\ncertificate = \"node.p12\"\n\
             password_file = \"wrong.pass\"\nauthorities = \"ca.crt\""
                .into(),
            5,
            ["`node.p12` cannot be used", "the password is wrong"],
        ),
    ] {
        let report = read(&files, &keys)
            .err()
            .unwrap_or_else(|| panic!("{keys}"));
        for part in parts {
            assert!(report.contains(part), "`{part}` is not in:\n{report}");
        }
        assert!(
            report.contains(&format!("test.toml:{line}:")),
            "line {line}:\n{report}"
        );
        assert!(!report.contains(KEY), "{report}");
    }
}

#[test]
fn what_is_asked_online_and_what_peers_are_told() {
    let files = files();
    let online = |keys: &str| {
        let (peer, report) = good(&files, &format!("{BOTH}{keys}"));
        let RemoteAuth::Certificate(trusted) = &peer.auth.remote else {
            panic!("{keys}");
        };
        (trusted.online().cloned(), report)
    };
    assert_eq!(online("").0, None);
    assert_eq!(online("ocsp = \"off\"").0, None);
    let responder = Some("http://ocsp.example:81/a".to_owned());
    let keys = "ocsp = \"require\"\nocsp_responder = \"http://ocsp.example:81/a\"";
    let required = true;
    assert_eq!(
        online(keys).0,
        Some(Online {
            required,
            responder
        })
    );
    let (asked, _) = online("ocsp = \"ask\"");
    assert!(asked.is_some_and(|asked| !asked.required && asked.responder.is_none()));
    for (keys, says) in [
        ("ocsp = \"soft\"", "`soft` is not known"),
        (
            "ocsp_responder = \"http://a/\"",
            "nobody asks the OCSP responder",
        ),
        (
            "ocsp = \"ask\"\nocsp_responder = \"https://a/\"",
            "must begin with `http://`",
        ),
    ] {
        let report = read(&files, &format!("{BOTH}{keys}")).err();
        let report = report.unwrap_or_else(|| panic!("{keys}"));
        assert!(report.contains(says), "{report}");
    }
    // A file that is not there yet, or of no use, is no reason not to start.
    let keys = format!("{BOTH}ocsp_response = \"node.ocsp\"");
    let loaded = read(&files, &keys).unwrap_or_else(|report| panic!("{report}"));
    let own = &loaded.config.own_statuses;
    assert_eq!((own.len(), own[0].file.to_str()), (1, Some("node.ocsp")));
    let report = loaded.report.render(false);
    assert!(
        report.contains("of no use to peers: it does not exist"),
        "{report}"
    );
    let (_, report) = online("ocsp_response = \"nonsense\"");
    assert!(
        report.contains("the answer is no OCSP response"),
        "{report}"
    );
    let psk = format!("psk = \"{KEY}\"\nocsp = \"ask\"");
    assert!(
        read(&files, &psk)
            .err()
            .is_some_and(|r| r.contains("`ocsp` of"))
    );
}

#[test]
fn what_ikev1_cannot_do_is_refused_with_its_reason() {
    let files = files();
    // The key is of an elliptic curve, and nobody would be asked.
    let keys = format!("version = \"ikev1\"\n{BOTH}ocsp = \"require\"");
    let report = read(&files, &keys).err().unwrap_or_default();
    for says in ["signs with RSA keys only", "asks no responder there"] {
        assert!(report.contains(says), "{report}");
    }
    let keys = format!("version = \"ikev1\"\npsk = \"{KEY}\"");
    assert!(read(&files, &keys).is_ok());
}

#[test]
fn a_list_with_certificates_has_an_identity_for_each_way() {
    let mut files = files();
    let key = KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let own = params("rsa", 2300).self_signed(&key).unwrap();
    files.insert("node.crt", own.pem().into_bytes());
    files.insert("node.key", key.serialize_pem().into_bytes());
    let list = BOTH.replace("\"certificate\"", "[\"certificate\", \"psk\"]");
    let keys = format!("version = \"ikev1\"\n{list}psk = \"{KEY}\"");
    let (peer, report) = good(&files, &keys);
    assert!(!report.contains("only the first"), "{report}");
    let ways: Vec<_> = peer.ways().collect();
    assert_eq!(ways[0].1.to_string(), "C=DE, CN=rsa");
    assert_eq!(ways[1].1, &Identity::Any);
    let (of_v2, report) = good(&files, &format!("{list}psk = \"{KEY}\""));
    assert!(of_v2.alternatives.is_empty());
    assert!(report.contains("only the first is used"), "{report}");
    // What IKEv1 cannot do is refused wherever it stands.
    let other = list.replace("[\"certificate\", \"psk\"]", "[\"psk\", \"certificate\"]");
    let keys = format!("version = \"ikev1\"\n{other}psk = \"{KEY}\"\nocsp = \"require\"");
    let report = read(&files, &keys).err().unwrap_or_default();
    assert!(report.contains("asks no responder there"), "{report}");
}

#[test]
fn what_expires_is_said_before_peers_find_out() {
    let files = files();
    let (_, report) = good(&files, &BOTH.replace("node.crt", "old.crt"));
    assert!(
        report.contains("our certificate `C=DE, CN=node` expired at 2021-01-01"),
        "{report}"
    );
    let (_, report) = good(&files, &format!("{BOTH}crls = \"old.crl\""));
    assert!(
        report.contains("revocations expired at 2021-01-01T00:00:00Z"),
        "{report}"
    );
    let relaxed = format!("{BOTH}crls = \"old.crl\"\nrevocation = \"relaxed\"");
    let (_, report) = good(&files, &relaxed);
    assert!(!report.contains("expired"), "{report}");
}
