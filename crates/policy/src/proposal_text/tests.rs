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

fn additional() -> impl Strategy<Value = AdditionalOffer> {
    let choice = (
        0..MOST,
        prop::option::of(prop::sample::select(Group::ALL.to_vec())),
    );
    prop::collection::vec(choice, 0..8).prop_map(|choices| {
        let mut offer = AdditionalOffer::default();
        for (exchange, choice) in choices {
            offer.add(exchange, choice);
        }
        offer
    })
}

fn ike() -> impl Strategy<Value = IkeProposal> {
    let rest = || {
        let (prf, groups) = (some(Prf::ALL.to_vec()), some(Group::ALL.to_vec()));
        (prf, groups, additional())
    };
    let aead = (some(ciphers(true)), rest()).prop_map(|(encryption, (prf, groups, additional))| {
        IkeProposal {
            encryption,
            integrity: Vec::new(),
            prf,
            groups,
            additional,
        }
    });
    let other = (some(ciphers(false)), some(Integrity::ALL.to_vec()), rest()).prop_map(
        |(encryption, integrity, (prf, groups, additional))| IkeProposal {
            encryption,
            integrity,
            prf,
            groups,
            additional,
        },
    );
    prop_oneof![aead, other]
}

fn esp() -> impl Strategy<Value = EspProposal> {
    let rest = || {
        let groups = (0..=Group::ALL.len())
            .prop_flat_map(|count| subsequence(Group::ALL.to_vec(), count).prop_shuffle());
        // Additional exchanges need a first one.
        let both =
            (groups, additional()).prop_map(|(groups, additional)| match groups.is_empty() {
                true => (groups, AdditionalOffer::default()),
                false => (groups, additional),
            });
        (both, some(vec![true, false]))
    };
    let aead =
        (some(ciphers(true)), rest()).prop_map(|(encryption, ((groups, additional), esn))| {
            EspProposal {
                encryption,
                integrity: Vec::new(),
                groups,
                additional,
                esn,
            }
        });
    let other = (some(ciphers(false)), some(Integrity::ALL.to_vec()), rest()).prop_map(
        |(encryption, integrity, ((groups, additional), esn))| EspProposal {
            encryption,
            integrity,
            groups,
            additional,
            esn,
        },
    );
    prop_oneof![aead, other]
}

proptest! {
    #[test]
    fn ike_proposals_read_what_they_print(proposal in ike()) {
        prop_assert_eq!(IkeProposal::read(&proposal.to_string()), Ok(proposal));
    }

    #[test]
    fn esp_proposals_read_what_they_print(proposal in esp()) {
        prop_assert_eq!(EspProposal::read(&proposal.to_string()), Ok(proposal));
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
    let hybrid = "aes256gcm16-prfsha384-x25519-ke1_mlkem768-ke1_none-ke3_mlkem1024";
    assert_eq!(ike(hybrid).unwrap(), hybrid);
    assert_eq!(
        ike("aes256gcm16-prfsha384-ke1_curve25519-mlkem768").unwrap(),
        "aes256gcm16-prfsha384-mlkem768-ke1_x25519"
    );
    assert_eq!(
        esp("aes256gcm16-ke1_mlkem768-x25519-esn").unwrap(),
        "aes256gcm16-x25519-ke1_mlkem768-esn"
    );
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
    assert!(ike("aes128-sha-modp2048").contains("`sha1` is not offered"));
    assert!(ike("blowfish-sha256-modp2048").contains("`blowfish` is not offered"));
    assert!(!ike("blowfish-sha256-modp2048").contains("legacy"));
    assert!(ike("aes128gmc16-prfsha256-x25519").contains("did you mean `aes128gcm16`?"));
    assert!(esp("aes128gcm16-sha256").contains("authenticates by itself"));
    assert!(esp("aes128gcm16-aes128gcm16").contains("named twice"));
    assert!(esp("aes128gcm16-prfsha256").contains("no pseudo-random function"));
    assert!(ike("aes256gcm16-prfsha384-x25519-ke1_mlkem786").contains("did you mean `mlkem768`"));
    assert!(ike("aes256gcm16-prfsha384-x25519-ke8_mlkem768").contains("no algorithm"));
    assert!(ike("aes256gcm16-prfsha384-x25519-ke1_aes128").contains("no algorithm `aes128`"));
    assert!(ike("aes256gcm16-prfsha384-x25519-ke1_none-ke1_none").contains("named twice"));
    assert!(ike("aes256gcm16-prfsha384-x25519-ke1_modp1024").contains("is not offered"));
    assert!(ike("aes256gcm16-prfsha384-ke1_mlkem768").contains("add for example `x25519`"));
    assert!(esp("aes256gcm16-ke1_mlkem768").contains("add for example `x25519`"));
    assert!(esp("").contains("at least a cipher"));
}
