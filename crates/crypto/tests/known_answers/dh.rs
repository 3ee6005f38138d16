//! Diffie-Hellman: RFC 5903, RFC 8031, and RFC 3526 against integers computed elsewhere.

use crypto::{DhError, DhKeyPair, Group, Random, SeededRandom};
use serde_json::Value;

use crate::read::{bytes, tests};

/// Gives recorded bytes, one draw after the other, and fails when asked for more or less.
struct Recorded(Vec<Vec<u8>>);

impl Random for Recorded {
    fn fill(&mut self, into: &mut [u8]) {
        into.copy_from_slice(&self.0.remove(0));
    }
}

fn pair(group: Group, private: Vec<u8>) -> DhKeyPair {
    DhKeyPair::generate(group, &mut Recorded(vec![private])).unwrap()
}

fn group(test: &Value) -> Group {
    Group::from_id(u16::try_from(test["group"].as_u64().unwrap()).unwrap()).unwrap()
}

#[test]
fn ecp() {
    for test in tests(include_str!("../vectors/dh_rfc5903_ecp.json")) {
        let group = group(&test);
        // The RFC leaves out the leading zeros of the scalars of P-521.
        let scalar = |name| {
            let digits = bytes(&test, name);
            [vec![0; group.secret_length() - digits.len()], digits].concat()
        };
        let (i, r) = (pair(group, scalar("i")), pair(group, scalar("r")));
        assert_eq!(
            i.public(),
            [bytes(&test, "gix"), bytes(&test, "giy")].concat()
        );
        assert_eq!(
            r.public(),
            [bytes(&test, "grx"), bytes(&test, "gry")].concat()
        );
        // KE payload: 4 octets of generic header, group, reserved, value.
        let payload = bytes(&test, "KEi_payload");
        assert_eq!(i.public(), &payload[8..]);
        let (gi, gr) = (i.public().to_vec(), r.public().to_vec());
        assert_eq!(i.agree(&gr).unwrap().as_bytes(), bytes(&test, "girx"));
        assert_eq!(r.agree(&gi).unwrap().as_bytes(), bytes(&test, "girx"));
    }
}

#[test]
fn curve25519() {
    for test in tests(include_str!("../vectors/dh_rfc8031_curve25519.json")) {
        let i = pair(group(&test), bytes(&test, "random_i"));
        let r = pair(group(&test), bytes(&test, "random_r"));
        assert_eq!(i.public(), bytes(&test, "pub_i"));
        assert_eq!(r.public(), bytes(&test, "pub_r"));
        let (gi, gr) = (i.public().to_vec(), r.public().to_vec());
        assert_eq!(
            i.agree(&gr).unwrap().as_bytes(),
            bytes(&test, "shared_secret")
        );
        assert_eq!(
            r.agree(&gi).unwrap().as_bytes(),
            bytes(&test, "shared_secret")
        );
    }
}

#[test]
fn modp() {
    for test in tests(include_str!("../vectors/dh_rfc3526_modp.json")) {
        let group = group(&test);
        let (i, r) = (
            pair(group, bytes(&test, "i")),
            pair(group, bytes(&test, "r")),
        );
        assert_eq!(i.public(), bytes(&test, "gi"));
        assert_eq!(r.public(), bytes(&test, "gr"));
        let (gi, gr) = (i.public().to_vec(), r.public().to_vec());
        assert_eq!(i.agree(&gr).unwrap().as_bytes(), bytes(&test, "gir"));
        assert_eq!(r.agree(&gi).unwrap().as_bytes(), bytes(&test, "gir"));

        // The secret keeps its leading zeros (RFC 7296 section 2.14).
        let secret = pair(group, bytes(&test, "zero_i")).agree(&gr).unwrap();
        assert_eq!(secret.as_bytes(), bytes(&test, "zero_gir"));
        assert_eq!(
            (secret.as_bytes()[0], secret.len()),
            (0, group.secret_length())
        );
    }
}

#[test]
fn two_sides_agree_and_the_same_seed_gives_the_same_pair() {
    for group in Group::ALL {
        if group.is_kem() {
            continue;
        }
        let mut random = SeededRandom::new(u64::from(group.id()));
        let i = DhKeyPair::generate(group, &mut random).unwrap();
        let r = DhKeyPair::generate(group, &mut random).unwrap();
        let mut again = SeededRandom::new(u64::from(group.id()));
        let twin = DhKeyPair::generate(group, &mut again).unwrap();
        assert_eq!(i.public(), twin.public(), "{group}");
        assert_ne!(i.public(), r.public(), "{group}");
        let (gi, gr) = (i.public().to_vec(), r.public().to_vec());
        assert_eq!((gi.len(), i.group()), (group.public_length(), group));
        let (a, b) = (i.agree(&gr).unwrap(), r.agree(&gi).unwrap());
        assert!(a.constant_time_eq(&b), "{group}");
        assert_eq!(a.len(), group.secret_length(), "{group}");
    }
}

/// P-256 has scalars from 1 to order - 1: others are drawn again.
#[test]
fn scalars_outside_the_curve_are_drawn_again() {
    let order =
        crate::read::hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    let mut below = order.clone();
    below[31] -= 1;
    let draws = vec![
        vec![0xff; 32],
        order,
        vec![0; 32],
        below.clone(),
        vec![7; 32],
    ];
    let mut random = Recorded(draws);
    let drawn = DhKeyPair::generate(Group::Ecp256, &mut random).unwrap();
    assert_eq!(
        random.0.len(),
        1,
        "the fourth draw is the first that is usable"
    );
    assert_eq!(drawn.public(), pair(Group::Ecp256, below).public());
}

/// All zeros and all ones, for ever. X25519 takes every string as a key.
#[test]
fn a_broken_generator_is_an_error_and_not_a_loop() {
    struct Stuck(u8);
    impl Random for Stuck {
        fn fill(&mut self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }
    for group in Group::ALL {
        let broken = Err(DhError::BrokenRandom { group });
        let zeros = DhKeyPair::generate(group, &mut Stuck(0)).map(|_| ());
        let ones = DhKeyPair::generate(group, &mut Stuck(0xff)).map(|_| ());
        match group {
            Group::Curve25519 | Group::MlKem768 | Group::MlKem1024 => {
                assert_eq!((zeros, ones), (Ok(()), Ok(())));
            }
            Group::Ecp256 | Group::Ecp384 | Group::Ecp521 => {
                assert_eq!((zeros, ones), (broken, broken));
            }
            _ => assert_eq!((zeros, ones), (broken, Ok(()))),
        }
    }
}
