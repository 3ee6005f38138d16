//! Main mode with Kerberos: a realm that is made up, tokens of one round and of more, and whoever may
//! not answer (draft-ietf-ipsec-isakmp-gss-auth).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::harness::*;
use crate::v1::{exchanges, version_1};
use ike::{Command, Discard, Error, Event, GssAnswer, GssContext, GssStep, NotAuthentic};
use policy::auth::{Auth, LocalAuth, RemoteAuth};
use policy::identity::Identity;
use policy::kerberos::{KerberosKey, Principal, PrincipalPattern};
use wire::isakmp::{PayloadType, decode_header, decode_payloads};

pub(crate) const FRONT: &str = "host/fe.example@R";
pub(crate) const BACK: &str = "host/be1.example@R";

/// What a host's library has of a context.
struct Half {
    own: String,
    peer: String,
    initiator: bool,
}

/// A realm whose tokens say in clear text who sent them, in so many rounds.
pub(crate) struct Realm {
    rounds: u8,
    /// Whose keys a host has, in the place of those that it should have.
    pub(crate) keys: [Option<&'static str>; 2],
    pub(crate) down: bool,
    halves: [BTreeMap<GssContext, Half>; 2],
}

impl Realm {
    pub(crate) fn new(rounds: u8) -> Self {
        Realm {
            rounds,
            keys: [None, None],
            down: false,
            halves: Default::default(),
        }
    }

    fn step(
        &mut self,
        host: usize,
        context: GssContext,
        step: GssStep,
    ) -> Result<GssAnswer, String> {
        let given = |token: String, peer: Option<&str>| {
            let peer = peer.map(str::to_owned);
            let token = token.into_bytes();
            Ok(GssAnswer::Token { token, peer })
        };
        let key = self.keys[host];
        let has = |own: &KerberosKey| key.unwrap_or(own.principal.as_str()).to_owned();
        let halves = &mut self.halves[host];
        match step {
            GssStep::Initiate { .. } if self.down => Err("cannot contact any KDC".to_owned()),
            GssStep::Initiate { own, target } => {
                let half = Half {
                    own: has(&own),
                    peer: target.to_string(),
                    initiator: true,
                };
                let token = format!("1 {} {}", half.own, half.peer);
                assert!(halves.insert(context, half).is_none());
                given(token, None)
            }
            GssStep::Accept { own, token } => {
                let token = String::from_utf8(token).unwrap();
                let words: Vec<&str> = token.split(' ').collect();
                if words[2] != has(&own) {
                    return Err(format!("cannot decrypt the ticket for {}", words[2]));
                }
                let half = Half {
                    own: has(&own),
                    peer: words[1].to_owned(),
                    initiator: false,
                };
                let peer = (self.rounds == 1).then_some(words[1]);
                let token = format!("1 {}", half.own);
                assert!(halves.insert(context, half).is_none());
                given(token, peer)
            }
            GssStep::Continue(token) => {
                let half = halves.get(&context).expect("it has begun");
                let round = token[0] - b'0';
                let complete = (round == self.rounds).then_some(half.peer.as_str());
                match (half.initiator, complete) {
                    (true, Some(_)) => given(String::new(), complete),
                    (true, None) => given(format!("{} {}", round + 1, half.own), None),
                    (false, _) => given(format!("{round} {}", half.own), complete),
                }
            }
            GssStep::Wrap(octets) => {
                let half = halves.get(&context).expect("it has begun");
                let key = half.own.bytes().cycle();
                let wrapped = octets.iter().zip(key).map(|(octet, key)| octet ^ key);
                Ok(GssAnswer::Octets(wrapped.collect()))
            }
            GssStep::Unwrap(octets) => {
                let half = halves.get(&context).expect("it has begun");
                let key = half.peer.bytes().cycle();
                let opened = octets.iter().zip(key).map(|(octet, key)| octet ^ key);
                Ok(GssAnswer::Octets(opened.collect()))
            }
        }
    }

    /// Takes every step that is asked for, and lets some time pass.
    pub(crate) fn serve(&mut self, pair: &mut Pair, milliseconds: u64) {
        for _ in 0..milliseconds {
            pair.run(millis(1));
            for host in [A, B] {
                for ask in std::mem::take(&mut pair.hosts[host].gss) {
                    let context = ask.context;
                    let answer = self.step(host, context, ask.step);
                    pair.command(host, Command::GssAnswer { context, answer });
                }
                for ended in std::mem::take(&mut pair.hosts[host].ended) {
                    // One whose first step was never taken is not here.
                    self.halves[host].remove(&ended);
                }
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.halves.iter().all(BTreeMap::is_empty)
    }
}

pub(crate) fn auth(own: &str, members: &[&str]) -> Option<Auth> {
    let members = members
        .iter()
        .map(|one| PrincipalPattern::parse(one).unwrap());
    Some(Auth {
        local: LocalAuth::Kerberos(Arc::new(KerberosKey {
            principal: Principal::parse(own).unwrap(),
            keytab: PathBuf::from("keytab"),
        })),
        remote: RemoteAuth::Kerberos(Arc::new(members.collect())),
    })
}

fn setup() -> Setup {
    let mut setup = version_1();
    setup.auth = [auth(FRONT, &["host/be*.example@R"]), auth(BACK, &[FRONT])];
    setup
}

pub(crate) fn failure(pair: &Pair, host: usize) -> String {
    let failed = |event: &Event| matches!(event, Event::HandshakeFailed { .. });
    let event = pair.event(host, failed);
    event.map_or_else(|| pair.story(), ToString::to_string)
}

/// The types of the payloads of a message in the clear.
fn payloads(packet: &Packet) -> Vec<PayloadType> {
    let (header, body) = decode_header(&packet.bytes).unwrap();
    let chain = decode_payloads(header.next_payload, body, false).unwrap();
    chain
        .payloads
        .iter()
        .map(|one| one.payload.kind())
        .collect()
}

#[test]
fn tokens_go_with_the_public_values_and_the_hashes_are_wrapped() {
    let (mut realm, mut pair) = (Realm::new(1), setup().pair());
    pair.acquire(A);
    realm.serve(&mut pair, 30);
    pair.agree(1);
    assert_eq!(exchanges(&pair, A), [2, 2, 2, 32, 32], "{}", pair.story());
    assert_eq!(exchanges(&pair, B), [2, 2, 2, 32]);
    for (_, packet) in &pair.log[2..4] {
        let kinds = payloads(packet);
        let expected = [PayloadType::KE, PayloadType::NONCE, PayloadType::GSS_TOKEN];
        assert_eq!(kinds[..3], expected);
    }
    assert!(realm.is_empty(), "a context was not ended");
    for (host, principal) in [(A, BACK), (B, FRONT)] {
        let proven = |event: &Event| matches!(event, Event::PrincipalProven { .. });
        let said = pair.event(host, proven).unwrap().to_string();
        assert!(
            said.ends_with(&format!("by Kerberos it is {principal}")),
            "{said}"
        );
    }
}

#[test]
fn more_rounds_than_one_come_before_the_hashes() {
    for rounds in [2, 3, 8] {
        let (mut realm, mut pair) = (Realm::new(rounds), setup().pair());
        pair.acquire(A);
        realm.serve(&mut pair, 60);
        pair.agree(1);
        let main_mode = |host| {
            exchanges(&pair, host)
                .iter()
                .filter(|one| **one == 2)
                .count()
        };
        // After its last token the responder sends its hash only when it has the initiator's.
        let count = 2 + usize::from(rounds);
        assert_eq!(
            (main_mode(A), main_mode(B)),
            (count, count),
            "{}",
            pair.story()
        );
        assert!(realm.is_empty());
    }
    let (mut realm, mut pair) = (Realm::new(9), setup().pair());
    pair.acquire(A);
    realm.serve(&mut pair, 60);
    pair.agree(0);
    let ends = failure(&pair, A) + &failure(&pair, B);
    assert!(ends.contains("tokens have no end"), "{ends}");
}

#[test]
fn any_message_may_be_lost_once() {
    for rounds in [1, 2] {
        for lost in 0..9 + 2 * (usize::from(rounds) - 1) {
            let (mut realm, mut pair) = (Realm::new(rounds), setup().pair());
            let mut sent = 0;
            pair.filter = Box::new(move |_| {
                sent += 1;
                match sent == lost + 1 {
                    true => Verdict::Drop,
                    false => Verdict::Pass,
                }
            });
            pair.acquire(A);
            realm.serve(&mut pair, 3000);
            pair.agree(1);
            assert_eq!(pair.ikes(A).len(), 1, "message {lost}\n{}", pair.story());
            assert_eq!(pair.ikes(B).len(), 1, "message {lost}");
            assert!(realm.is_empty(), "message {lost}");
        }
    }
}

#[test]
fn messages_that_come_again_do_nothing_twice() {
    let (mut realm, mut pair) = (Realm::new(1), setup().pair());
    pair.chaos = Some(Chaos {
        random: crypto::SeededRandom::new(7),
        loss: 0,
        duplicate: 255,
        jitter: millis(3),
    });
    pair.acquire(A);
    realm.serve(&mut pair, 500);
    pair.agree(1);
    assert_eq!((pair.ikes(A).len(), pair.ikes(B).len()), (1, 1));
    assert!(pair.hosts[B].endpoint.discards().get(Discard::GssAwaited) > 0);
}

#[test]
fn who_may_not_answer_is_refused_before_a_ticket_is_asked_for() {
    let mut setup = setup();
    setup.auth[A] = auth(FRONT, &["host/be2.example@R"]);
    let (mut realm, mut pair) = (Realm::new(1), setup.pair());
    pair.acquire(A);
    realm.serve(&mut pair, 50);
    assert!(realm.is_empty());
    let refused = |event: &Event| matches!(event, Event::PrincipalRefused { .. });
    let said = pair.event(A, refused).unwrap().to_string();
    for part in [
        "`host/be1.example@R` may not answer for the peer `other`",
        "be2",
    ] {
        assert!(said.contains(part), "{said}");
    }
    let doubtful = |event: &Event| matches!(event, Event::MainModeDoubtful { .. });
    let said = pair.event(B, doubtful).unwrap().to_string();
    assert!(said.contains("AUTHENTICATION_FAILED"), "{said}");
    // Who may answer may do so still, for as long as the ladder goes on.
    assert_eq!(pair.ikes(B).len(), 0);
    realm.serve(&mut pair, 15_000);
    let failed = |event: &Event| matches!(event, Event::AcquireFailed { .. });
    let said = pair.event(A, failed).unwrap().to_string();
    assert!(said.contains("may not answer"), "{said}");
    pair.agree(0);
}

#[test]
fn an_impostor_does_not_keep_the_right_one_from_answering() {
    let mut wrong = setup();
    wrong.auth[B] = auth("host/thief.example@R", &[FRONT]);
    let (mut realm, mut pair) = (Realm::new(1), wrong.pair());
    pair.acquire(A);
    realm.serve(&mut pair, 20);
    let refused = |event: &Event| matches!(event, Event::PrincipalRefused { .. });
    assert!(pair.event(A, refused).is_some(), "{}", pair.story());
    pair.crash(B, &setup());
    realm.serve(&mut pair, 1000);
    pair.agree(1);
}

#[test]
fn who_begins_must_be_one_of_the_peers_as_well() {
    let mut setup = setup();
    setup.auth[B] = auth(BACK, &["host/fe2.example@R"]);
    let (mut realm, mut pair) = (Realm::new(1), setup.pair());
    pair.acquire(A);
    realm.serve(&mut pair, 12_000);
    pair.agree(0);
    let said = failure(&pair, B);
    assert!(
        said.contains("`host/fe.example@R` may not answer for"),
        "{said}"
    );
    let said = failure(&pair, A);
    assert!(said.contains("AUTHENTICATION_FAILED"), "{said}");
    assert_eq!(pair.hosts[B].endpoint.half_open(), 0);
}

#[test]
fn whoever_says_another_name_than_its_ticket_is_refused() {
    // Both are allowed, and each is only itself.
    let (mut realm, mut pair) = (Realm::new(1), setup().pair());
    realm.keys[A] = Some("host/fe9.example@R");
    pair.acquire(A);
    realm.serve(&mut pair, 100);
    let said = failure(&pair, B);
    assert!(
        said.contains("`host/fe9.example@R` may not answer for"),
        "{said}"
    );
    let mut both = setup();
    both.auth[B] = auth(BACK, &["host/fe*.example@R"]);
    let (mut realm, mut pair) = (Realm::new(1), both.pair());
    realm.keys[A] = Some("host/fe9.example@R");
    pair.acquire(A);
    realm.serve(&mut pair, 100);
    let said = failure(&pair, B);
    assert!(
        said.contains("its ticket is of `host/fe9.example@R`, and it said"),
        "{said}"
    );
    let (mut realm, mut pair) = (Realm::new(1), setup().pair());
    realm.keys[B] = Some("host/be2.example@R");
    pair.acquire(A);
    realm.serve(&mut pair, 12_000);
    let said = failure(&pair, B);
    assert!(
        said.contains("cannot decrypt the ticket for host/be1.example@R"),
        "{said}"
    );
    pair.agree(0);
}

#[test]
fn a_kdc_that_is_down_says_so_and_one_that_is_silent_ends_it() {
    let (mut realm, mut pair) = (Realm::new(1), setup().pair());
    realm.down = true;
    pair.acquire(A);
    realm.serve(&mut pair, 20);
    let said = failure(&pair, A);
    assert!(
        said.contains("Kerberos does not prove it: cannot contact any KDC"),
        "{said}"
    );
    let mut pair = setup().pair();
    pair.acquire(A);
    pair.run(secs(29));
    assert!(
        pair.event(A, |one| matches!(one, Event::HandshakeFailed { .. }))
            .is_none()
    );
    assert_eq!(exchanges(&pair, A), [2], "nothing is sent meanwhile");
    pair.run(secs(2));
    let said = failure(&pair, A);
    assert!(said.contains("has not come to anything for 30 s"), "{said}");
    assert_eq!(pair.hosts[A].ended.len(), 1);
    // The answer comes, and nobody waits for it.
    let ask = pair.hosts[A].gss.remove(0);
    let answer = Ok(GssAnswer::Octets(Vec::new()));
    let context = ask.context;
    pair.command(A, Command::GssAnswer { context, answer });
    assert_eq!(pair.hosts[A].gss.len(), 0);
}

#[test]
fn somebody_between_both_is_noticed() {
    // Tokens pass unaltered, and the hash that comes out is another: the keys differ.
    let (mut realm, mut pair) = (Realm::new(1), setup().pair());
    pair.acquire(A);
    for _ in 0..30 {
        pair.run(millis(1));
        for host in [A, B] {
            for ask in std::mem::take(&mut pair.hosts[host].gss) {
                let unwraps = matches!(ask.step, GssStep::Unwrap(_));
                let mut answer = realm.step(host, ask.context, ask.step);
                if let (true, Ok(GssAnswer::Octets(octets))) = (unwraps, &mut answer) {
                    octets[0] ^= 1;
                }
                let context = ask.context;
                pair.command(host, Command::GssAnswer { context, answer });
            }
        }
    }
    let said = failure(&pair, B);
    assert!(said.contains("somebody may be between us"), "{said}");
    pair.agree(0);
}

#[test]
fn the_number_of_kerberos_means_it_only_to_who_says_so() {
    let (mut realm, mut pair) = (Realm::new(1), setup().pair());
    let gssapi = *b"\x62\x1b\x04\xbb\x09\x88\x2a\xc1\xe1\x59\x35\xfe\xfa\x24\xae\xee";
    pair.filter = Box::new(move |packet| {
        let mut bytes = packet.bytes.clone();
        let found = bytes.windows(16).position(|part| part == gssapi);
        match found {
            Some(at) => {
                bytes[at] ^= 1;
                Verdict::Replace(bytes)
            }
            None => Verdict::Pass,
        }
    });
    pair.acquire(A);
    realm.serve(&mut pair, 50);
    let said = failure(&pair, B);
    assert!(said.contains("means XAUTH"), "{said}");
    pair.agree(0);
}

#[test]
fn the_identity_is_checked_besides() {
    let mut setup = setup();
    setup.expected[A] = Identity::Fqdn("be.example".into());
    let (mut realm, mut pair) = (Realm::new(1), setup.pair());
    pair.acquire(A);
    realm.serve(&mut pair, 50);
    let wrong = |event: &Event| {
        let wrong =
            |error: &Error| matches!(error, Error::NotAuthentic(NotAuthentic::Identity { .. }));
        matches!(event, Event::HandshakeFailed { error, .. } if wrong(error))
    };
    assert!(pair.event(A, wrong).is_some(), "{}", pair.story());
}

#[test]
fn forged_first_messages_make_no_contexts() {
    let (mut realm, mut pair) = (Realm::new(1), setup().pair());
    pair.acquire(A);
    pair.run(millis(2));
    // Message 1 has been answered, and nobody was asked anything at B.
    assert_eq!(pair.hosts[B].gss.len(), 0);
    assert_eq!(pair.hosts[A].gss.len(), 1);
    realm.serve(&mut pair, 30);
    pair.agree(1);
}
