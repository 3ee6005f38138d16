//! Proposals read what they print, and refusals say what to do.

use proptest::prelude::*;
use proptest::sample::subsequence;

use super::*;
use crate::proposal::{default_esp, default_ike};

fn some<T: Clone + std::fmt::Debug + 'static>(all: Vec<T>) -> impl Strategy<Value = Vec<T>> {
    let length = all.len();
    subsequence(all, 1..=length).prop_shuffle()
}

fn ciphers(aead: bool) -> Vec<Encryption> {
    Encryption::ALL
        .into_iter()
        .filter(|id| id.is_aead() == aead)
        .collect()
}

fn ike() -> impl Strategy<Value = IkeProposal> {
    let rest = || (some(Prf::ALL.to_vec()), some(Group::ALL.to_vec()));
    let aead = (some(ciphers(true)), rest()).prop_map(|(encryption, (prf, groups))| IkeProposal {
        encryption,
        integrity: Vec::new(),
        prf,
        groups,
    });
    let other = (some(ciphers(false)), some(Integrity::ALL.to_vec()), rest()).prop_map(
        |(encryption, integrity, (prf, groups))| IkeProposal {
            encryption,
            integrity,
            prf,
            groups,
        },
    );
    prop_oneof![aead, other]
}

fn esp() -> impl Strategy<Value = EspProposal> {
    let rest = || {
        let groups = (0..=Group::ALL.len())
            .prop_flat_map(|count| subsequence(Group::ALL.to_vec(), count).prop_shuffle());
        (groups, some(vec![true, false]))
    };
    let aead = (some(ciphers(true)), rest()).prop_map(|(encryption, (groups, esn))| EspProposal {
        encryption,
        integrity: Vec::new(),
        groups,
        esn,
    });
    let other = (some(ciphers(false)), some(Integrity::ALL.to_vec()), rest()).prop_map(
        |(encryption, integrity, (groups, esn))| EspProposal {
            encryption,
            integrity,
            groups,
            esn,
        },
    );
    prop_oneof![aead, other]
}

proptest! {
    #[test]
    fn ike_proposals_read_what_they_print(proposal in ike()) {
        prop_assert_eq!(proposal.to_string().parse(), Ok(proposal));
    }

    #[test]
    fn esp_proposals_read_what_they_print(proposal in esp()) {
        prop_assert_eq!(proposal.to_string().parse(), Ok(proposal));
    }

    #[test]
    fn any_text_is_read_or_refused(text in ".{0,80}") {
        let _ = text.parse::<IkeProposal>();
        let _ = text.parse::<EspProposal>();
    }
}

#[test]
fn defaults_read_what_they_print() {
    for proposal in default_ike() {
        assert_eq!(proposal.to_string().parse(), Ok(proposal));
    }
    for proposal in default_esp() {
        assert_eq!(proposal.to_string().parse(), Ok(proposal));
    }
    assert_eq!(
        default_esp()[0].to_string(),
        "aes128gcm16-aes256gcm16-chacha20poly1305-esn-noesn"
    );
}

#[test]
fn words_as_strongswan_has_them() {
    let ike = |text: &str| {
        text.parse::<IkeProposal>()
            .map(|proposal| proposal.to_string())
    };
    let esp = |text: &str| {
        text.parse::<EspProposal>()
            .map(|proposal| proposal.to_string())
    };
    let same = "aes128gcm16-prfsha256-x25519";
    assert_eq!(ike(same).unwrap(), same);
    assert_eq!(ike("AES128GCM-SHA256-curve25519").unwrap(), same);
    assert_eq!(
        ike("aes256-sha256-modp2048").unwrap(),
        "aes256-sha256-prfsha256-modp2048"
    );
    assert_eq!(
        esp("aes128gcm16-x25519").unwrap(),
        "aes128gcm16-x25519-esn-noesn"
    );
    assert_eq!(esp("aes256-sha512-noesn").unwrap(), "aes256-sha512-noesn");
}

#[test]
fn refusals_say_what_to_do() {
    let ike = |text: &str| text.parse::<IkeProposal>().unwrap_err().to_string();
    let esp = |text: &str| text.parse::<EspProposal>().unwrap_err().to_string();
    assert!(ike("aes128gcm16-prfsha256").contains("add for example `x25519`"));
    assert!(ike("aes128gcm16-x25519").contains("add `prfsha256`"));
    assert!(ike("aes256-prfsha256-x25519").contains("add `sha256`"));
    assert!(ike("aes256-aes128gcm16-sha256-x25519").contains("make two of it"));
    assert!(ike("aes256-sha256-x25519-esn").contains("leave it out"));
    assert!(ike("3des-sha1-modp1024").contains("`3des` is not offered"));
    assert!(ike("aes128gmc16-prfsha256-x25519").contains("did you mean `aes128gcm16`?"));
    assert!(esp("aes128gcm16-sha256").contains("authenticates by itself"));
    assert!(esp("aes128gcm16-aes128gcm16").contains("named twice"));
    assert!(esp("aes128gcm16-prfsha256").contains("no pseudo-random function"));
    assert!(esp("").contains("at least a cipher"));
}
