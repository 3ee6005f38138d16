//! ML-KEM: known answers of kyber-py 1.0, and every direction with the ML-KEM of AWS-LC.

use aws_lc_rs::kem::{Algorithm, Ciphertext, DecapsulationKey, EncapsulationKey};
use aws_lc_rs::kem::{ML_KEM_768, ML_KEM_1024};
use crypto::hash::sha256;
use crypto::{DhError, DhKeyPair, Group, Random, Secret, SeededRandom, respond};

use crate::read::hex;

const GROUPS: [(Group, &Algorithm); 2] = [
    (Group::MlKem768, &ML_KEM_768),
    (Group::MlKem1024, &ML_KEM_1024),
];

/// Octets that count up from a first one.
struct Counting(u8);

impl Random for Counting {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            *byte = self.0;
            self.0 += 1;
        }
    }
}

#[test]
fn seed_and_message_give_key_ciphertext_and_secret() {
    let answers = [
        (
            Group::MlKem768,
            "db4782927013b79c13111f87949d9c9d39ca8c25dd52155d98d6e7f2bad55087",
            "5d37670104439f3717a08cc6f182bd51ed13c9da943f30674f47dced59917508",
            "5501fc523b745f41762a188de44a59b920f430146204ee4e793732396df7aa48",
            "d8bfe7076bddf1058ff8d5b4f9330623a4a58611ef76df875884b7fa5d3d89c9",
        ),
        (
            Group::MlKem1024,
            "3a05c1d65fcaec3bec38e85c46d68bbcebf4070bf604e77024b5c19d7163b627",
            "b13cc427352afe49089ce78b8e2d24106d0fc7dabfca1ca5bff3fa1f797eac74",
            "7e99cc6a8b6f4850b1e3a2615b89d697773af5c1c5eebc5b27e61b61885c3765",
            "e0bfdba51523f01d3f634732bcdcf789d8f39bdeeae61fa7b5c295e9748a7944",
        ),
    ];
    for (group, public, ciphertext, shared, rejected) in answers {
        let pair = || DhKeyPair::generate(group, &mut Counting(1)).unwrap();
        assert_eq!(sha256(&[pair().public()])[..], hex(public));
        let (answer, secret) = respond(group, pair().public(), &mut Counting(0x41)).unwrap();
        assert_eq!(sha256(&[&answer])[..], hex(ciphertext));
        assert_eq!(secret.as_bytes(), hex(shared));
        assert_eq!(pair().agree(&answer).unwrap().as_bytes(), hex(shared));
        // Whoever changes a ciphertext gets a secret that only the holder of the key computes.
        let mut changed = answer.clone();
        changed[0] ^= 1;
        assert_eq!(pair().agree(&changed).unwrap().as_bytes(), hex(rejected));
        let kept = Secret::from_slice(pair().private().as_bytes());
        let again = DhKeyPair::from_private(group, kept).unwrap();
        assert_eq!(again.agree(&answer).unwrap().as_bytes(), hex(shared));
        let short = Secret::from_slice(&[1; 63]);
        assert!(DhKeyPair::from_private(group, short).is_none());
    }
}

#[test]
fn another_implementation_agrees_in_both_roles() {
    let mut random = SeededRandom::new(9);
    for (group, other) in GROUPS {
        let ours = DhKeyPair::generate(group, &mut random).unwrap();
        let seen = EncapsulationKey::new(other, ours.public()).unwrap();
        let (ciphertext, theirs) = seen.encapsulate().unwrap();
        assert_eq!(ciphertext.as_ref().len(), group.answer_length());
        let secret = ours.agree(ciphertext.as_ref()).unwrap();
        assert_eq!(secret.as_bytes(), theirs.as_ref());

        let their_key = DecapsulationKey::generate(other).unwrap();
        let public = their_key.encapsulation_key().unwrap();
        let public = public.key_bytes().unwrap();
        assert_eq!(public.as_ref().len(), group.public_length());
        let (answer, secret) = respond(group, public.as_ref(), &mut random).unwrap();
        let theirs = their_key
            .decapsulate(Ciphertext::from(&answer[..]))
            .unwrap();
        assert_eq!(secret.as_bytes(), theirs.as_ref());
        assert_eq!(secret.len(), group.secret_length());
    }
}

#[test]
fn a_ciphertext_of_another_length_is_refused() {
    for (group, _) in GROUPS {
        let pair = DhKeyPair::generate(group, &mut SeededRandom::new(1)).unwrap();
        let wrong = DhError::WrongLength {
            group,
            expected: group.answer_length(),
            received: 1_000,
        };
        assert_eq!(pair.agree(&[0; 1_000]).map(|_| ()), Err(wrong));
    }
}
