//! Whole exchanges of strongSwan 5.9.8 with itself, as its log told them: every secret, hash, IV,
//! message and key must come out here too.

use super::*;
use crypto::Integrity;
use policy::additional::Additional;

const AES128_SHA256_MODP2048: &str = include_str!("aes128_sha256_modp2048.txt");
/// With a key exchange of its own in Quick Mode.
const TRIPLE_DES_SHA1_MODP1024: &str = include_str!("3des_sha1_modp1024.txt");
/// With signatures, and a key of the cipher that is expanded.
const TRIPLE_DES_MD5_MODP1536: &str = include_str!("3des_md5_modp1536.txt");

/// What was logged: a name, and the octets in the indented lines below it.
struct Log(Vec<(&'static str, Vec<u8>)>);

impl Log {
    fn read(text: &'static str) -> Self {
        let mut found: Vec<(&str, Vec<u8>)> = Vec::new();
        for line in text.lines() {
            match line.strip_prefix("  ") {
                None => found.push((line, Vec::new())),
                Some(digits) => {
                    let pair = |pair: &[u8]| {
                        u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()
                    };
                    let octets = digits.as_bytes().chunks(2).map(pair);
                    found.last_mut().unwrap().1.extend(octets);
                }
            }
        }
        Log(found)
    }

    fn get(&self, name: &str) -> &[u8] {
        let found = self.0.iter().find(|(known, _)| *known == name);
        &found.unwrap_or_else(|| panic!("no {name}")).1
    }

    fn number(&self, name: &str) -> u32 {
        u32::from_be_bytes(self.get(name).try_into().unwrap())
    }

    fn nonces(&self) -> Nonces<'_> {
        Nonces {
            initiator: self.get("ni"),
            responder: self.get("nr"),
        }
    }

    fn cookies(&self) -> Cookies {
        Cookies {
            initiator: self.get("cky_i").try_into().unwrap(),
            responder: self.get("cky_r").try_into().unwrap(),
        }
    }

    fn transcript(&self) -> Transcript<'_> {
        Transcript {
            g_xi: self.get("g_xi"),
            g_xr: self.get("g_xr"),
            cookies: self.cookies(),
            sa_i: self.get("sa_i"),
        }
    }

    fn keys(&self, suite: Suite) -> Keys {
        let shared = Secret::from_slice(self.get("g_xy"));
        let (nonces, cookies) = (self.nonces(), self.cookies());
        match self.0.iter().any(|(name, _)| *name == "psk") {
            true => {
                let psk = Secret::from_slice(self.get("psk"));
                Keys::with_psk(suite, &psk, &shared, nonces, cookies).unwrap()
            }
            false => Keys::with_signatures(suite, &shared, nonces, cookies).unwrap(),
        }
    }

    /// The hash in a message that begins with one, and the payloads behind it.
    fn hashed(&self, name: &str) -> (&[u8], &[u8]) {
        let plain = self.get(&format!("{name}_plain"));
        let length = usize::from(u16::from_be_bytes([plain[2], plain[3]]));
        (&plain[4..length], &plain[length..])
    }
}

fn of(encryption: Encryption, hash: Prf, group: Group) -> Suite {
    Suite {
        encryption,
        hash,
        group,
        // The log says by which of the two functions its keys are made.
        method: Method::Psk,
    }
}

/// The exchanges, with what their ESP agreed on.
fn exchanges() -> Vec<(Log, Suite, EspSuite)> {
    let esp = |encryption, integrity, group| EspSuite {
        encryption,
        integrity: Some(integrity),
        group,
        additional: Additional::default(),
        esn: false,
    };
    let aes = |key_bits| Encryption::AesCbc { key_bits };
    let three = Encryption::TripleDesCbc;
    let (sha1, md5) = (Prf::HmacSha1, Prf::HmacMd5);
    vec![
        (
            Log::read(AES128_SHA256_MODP2048),
            of(aes(128), Prf::HmacSha2_256, Group::Modp2048),
            esp(aes(128), Integrity::HmacSha2_256_128, None),
        ),
        (
            Log::read(TRIPLE_DES_SHA1_MODP1024),
            of(three, sha1, Group::Modp1024),
            esp(three, Integrity::HmacSha1_96, Some(Group::Modp1024)),
        ),
        (
            Log::read(TRIPLE_DES_MD5_MODP1536),
            of(three, md5, Group::Modp1536),
            esp(aes(256), Integrity::HmacSha1_96, None),
        ),
    ]
}

#[test]
fn the_secrets_of_phase_1() {
    for (log, suite, _) in exchanges() {
        let keys = log.keys(suite);
        assert_eq!(keys.skeyid.as_bytes(), log.get("skeyid"));
        assert_eq!(keys.skeyid_d.as_bytes(), log.get("skeyid_d"));
        assert_eq!(keys.skeyid_a.as_bytes(), log.get("skeyid_a"));
        let skeyid_e = Secret::from_slice(log.get("skeyid_e"));
        assert_eq!(encryption_key(suite, &skeyid_e).as_bytes(), log.get("key"));
        let (seen, none) = (log.transcript(), &[][..]);
        let (id_i, id_r) = (log.get("id_i"), log.get("id_r"));
        assert!(is_hash(&keys.hash_i(&seen, id_i, none), log.get("hash_i")));
        assert!(is_hash(&keys.hash_r(&seen, id_r, none), log.get("hash_r")));
        assert!(!is_hash(&keys.hash_r(&seen, id_i, none), log.get("hash_r")));
        assert!(!is_hash(
            &keys.hash_i(&seen, id_i, &[b"token"]),
            log.get("hash_i")
        ));
        assert!(!is_hash(
            &keys.hash_i(&seen, id_i, none),
            &log.get("hash_i")[1..]
        ));
    }
}

#[test]
fn the_messages_and_their_ivs() {
    for (log, suite, _) in exchanges() {
        let keys = log.keys(suite);
        let seen = log.transcript();
        let follow = |mut iv: Iv, names: &[&str]| {
            for name in names {
                assert_eq!(iv.octets(), log.get(&format!("{name}_iv")), "{name}");
                let plain = log.get(&format!("{name}_plain"));
                let sent = log.get(&format!("{name}_cipher"));
                let mut body = sent.to_vec();
                let next = keys.cipher().decrypt(&iv, &mut body).unwrap();
                assert_eq!(&body[..plain.len()], plain, "{name}");
                assert_eq!(keys.cipher().encrypt(&iv, &mut body), next);
                assert_eq!(body, sent, "{name}");
                iv = next;
            }
            iv
        };
        let first = keys.first_iv(seen.g_xi, seen.g_xr);
        assert_eq!(first.octets(), log.get("iv"));
        let phase_1 = follow(first, &["phase_1_i", "phase_1_r"]);
        let of = |name: &str| keys.exchange_iv(&phase_1, log.number(&format!("{name}_mid")));
        follow(of("quick_1"), &["quick_1", "quick_2", "quick_3"]);
        follow(of("delete"), &["delete"]);
    }
}

#[test]
fn the_hashes_of_quick_mode_and_of_a_delete() {
    for (log, suite, _) in exchanges() {
        let keys = log.keys(suite);
        let id = log.number("quick_1_mid");
        let nonces = quick_nonces(&log);
        let (hash, payloads) = log.hashed("quick_1");
        assert!(is_hash(&keys.hash_1(id, &[payloads]), hash));
        let (hash, payloads) = log.hashed("quick_2");
        assert!(is_hash(
            &keys.hash_2(id, nonces.initiator, &[payloads]),
            hash
        ));
        assert!(!is_hash(&keys.hash_1(id, &[payloads]), hash));
        let (hash, _) = log.hashed("quick_3");
        assert!(is_hash(&keys.hash_3(id, nonces), hash));
        let (hash, payloads) = log.hashed("delete");
        let id = log.number("delete_mid");
        assert!(is_hash(&keys.hash_1(id, &[payloads]), hash));
        assert!(!is_hash(&keys.hash_1(id + 1, &[payloads]), hash));
    }
}

/// Both nonces of the Quick Mode end what KEYMAT is made of.
fn quick_nonces(log: &Log) -> Nonces<'_> {
    let both = log.get("seed_i");
    let both = &both[both.len() - 64..];
    Nonces {
        initiator: &both[..32],
        responder: &both[32..],
    }
}

#[test]
fn the_keys_of_esp() {
    for (log, suite, esp) in exchanges() {
        let keys = log.keys(suite);
        for side in ["i", "r"] {
            let seed = log.get(&format!("seed_{side}"));
            let (shared, rest) = seed.split_at(seed.len() - 69);
            let shared = (!shared.is_empty()).then(|| Secret::from_slice(shared));
            assert_eq!(shared.is_some(), esp.group.is_some());
            let of = Keymat {
                shared: shared.as_ref(),
                protocol: rest[0],
                spi: &rest[1..5],
                nonces: quick_nonces(&log),
            };
            let made = keys.esp(esp, &of);
            let known = |what: &str| log.get(&format!("esp_{what}_{side}"));
            assert_eq!(made.encryption.as_bytes(), known("encryption"));
            assert_eq!(made.integrity.as_bytes(), known("integrity"));
        }
    }
}

/// The order differs from that of Quick Mode: the nonce stands before M-ID.
#[test]
fn the_answer_to_a_delete_has_a_hash_of_its_own() {
    let (log, suite, _) = exchanges().swap_remove(0);
    let keys = log.keys(suite);
    let known = suite.hash.compute(
        log.get("skeyid_a"),
        &[b"Ni_b", &[0, 0, 0, 7], b"Nr", b"Delete"],
    );
    let made = keys.hash_2_of_delete(7, b"Ni_b", &[b"Nr", b"Delete"]);
    assert!(is_hash(&known, made.as_bytes()));
    assert!(!is_hash(
        &keys.hash_2(7, b"Ni_b", &[b"Nr", b"Delete"]),
        made.as_bytes()
    ));
}

#[test]
fn keys_of_any_length_come_out_of_one_stream() {
    let (log, suite, _) = exchanges().swap_remove(0);
    let keys = log.keys(suite);
    let of = Keymat {
        shared: None,
        protocol: 3,
        spi: &[1, 2, 3, 4],
        nonces: log.nonces(),
    };
    let long = keys.keymat(&of, 200);
    for length in 0..200 {
        let made = keys.keymat(&of, length);
        assert_eq!(made.as_bytes(), &long.as_bytes()[..length]);
    }
    let other = Keymat {
        spi: &[1, 2, 3, 5],
        ..of
    };
    assert!(!keys.keymat(&other, 200).constant_time_eq(&long));
}

#[test]
fn a_suite_without_cbc_makes_no_keys() {
    let (log, suite, _) = exchanges().swap_remove(0);
    let shared = Secret::from_slice(log.get("g_xy"));
    let suite = Suite {
        encryption: Encryption::AesGcm16 { key_bits: 128 },
        ..suite
    };
    let made = Keys::with_signatures(suite, &shared, log.nonces(), log.cookies());
    assert!(made.is_err());
}
