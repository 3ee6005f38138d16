//! The ways to authenticate that a peer may have with us, in the order of the policy, and which of
//! them can be used now (RFC 2409 section 5).
//!
//! A way that this host cannot use is left out before anything is sent; what the other side does
//! with a way that was agreed on decides, and nothing else is tried.

use crypto::signature::KeyKind;
use policy::auth::{Auth, Credential, LocalAuth, Method, RemoteAuth};
use policy::pad::Peer;
use wire::isakmp::numbers::{OAKLEY_GSS_KERBEROS, OAKLEY_PRESHARED_KEY, OAKLEY_RSA_SIGNATURE};
use x509::Why;

/// Its number in a transform.
pub(crate) fn number_of(method: Method) -> u16 {
    match method {
        Method::Psk => OAKLEY_PRESHARED_KEY,
        Method::Signature => OAKLEY_RSA_SIGNATURE,
        Method::Kerberos => OAKLEY_GSS_KERBEROS,
    }
}

/// Its word, as the policy file has it.
pub(crate) fn word(peer: &Peer, method: Method) -> &'static str {
    match (peer.by(method), method) {
        (Some((auth, _)), _) => auth.remote.word(),
        // The policy has changed since it was agreed on.
        (None, Method::Psk) => "psk",
        (None, Method::Signature) => "certificate",
        (None, Method::Kerberos) => "kerberos",
    }
}

/// The ways of a peer at a time, in seconds since 1970.
pub(crate) struct Methods {
    /// Those to use, in order: all, if none can be used, for then the sentence of the first says
    /// more than ours.
    pub(crate) usable: Vec<Method>,
    /// Those that were left out, and why.
    pub(crate) left_out: Vec<(Method, String)>,
}

impl Methods {
    pub(crate) fn of(peer: &Peer, now: Option<u64>) -> Self {
        let all = || peer.ways().filter_map(|(auth, _)| auth.method());
        let why = |(auth, _)| Some((Auth::method(auth)?, unusable(auth, now)?));
        let left_out: Vec<(Method, String)> = peer.ways().filter_map(why).collect();
        let is_out = |method: &Method| left_out.iter().any(|(out, _)| out == method);
        let usable: Vec<Method> = all().filter(|method| !is_out(method)).collect();
        match usable.is_empty() {
            true => Methods {
                usable: all().collect(),
                left_out: Vec::new(),
            },
            false => Methods { usable, left_out },
        }
    }
}

/// Why this host cannot use a way, as far as it is known before anything is sent.
fn unusable(auth: &Auth, now: Option<u64>) -> Option<String> {
    if matches!(auth.remote, RemoteAuth::Certificate(_)) && now.is_none() {
        return Some(Why::NoClock.to_string());
    }
    match &auth.local {
        LocalAuth::Signature(own) => cannot_sign(own, now),
        LocalAuth::Psk(_) | LocalAuth::Kerberos(_) => None,
    }
}

fn cannot_sign(own: &Credential, now: Option<u64>) -> Option<String> {
    if !matches!(own.key.public().kind(), KeyKind::Rsa(_)) {
        return Some("our key is not RSA, with which alone IKEv1 signs".to_owned());
    }
    let (first, now) = (own.certificates.first()?, now?);
    let (from, until) = (first.not_before(), first.not_after());
    let why = match (now < from, until < now) {
        (true, _) => Why::NotYetValid(from),
        (_, true) => Why::Expired(until),
        _ => return None,
    };
    Some(format!("our certificate {first} {why}"))
}
