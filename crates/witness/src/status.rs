//! gRPC's statuses: how etcd refuses, and what to do then.

use crate::limits::WORDS_MAX;
use http::HeaderMap;

/// How a call ended, where it did not end well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Status {
    code: u32,
    words: String,
}

impl Status {
    /// Reads the status from trailers (or headers, when there is no answer); nothing if it is
    /// success.
    pub(crate) fn read(headers: &HeaderMap) -> Option<Self> {
        let text = |name| headers.get(name).map(http::HeaderValue::as_bytes);
        const UNKNOWN: u32 = 2;
        let code = text("grpc-status")
            .and_then(|code| std::str::from_utf8(code).ok())
            .and_then(|code| code.parse().ok())
            .unwrap_or(UNKNOWN);
        let words = text("grpc-message").map(words).unwrap_or_default();
        (code != 0).then_some(Self { code, words })
    }

    /// Whether it is certain that nothing was changed.
    pub(crate) fn nothing_happened(&self) -> bool {
        self.is_final() || self.code == EXHAUSTED || self.words.ends_with("etcdserver: no leader")
    }

    /// Whether another member would refuse as well.
    pub(crate) fn is_final(&self) -> bool {
        matches!(
            self.code,
            INVALID | DENIED | UNIMPLEMENTED | UNAUTHENTICATED
        )
    }

    /// What etcd says and what to do, as a clause.
    pub(crate) fn clause(&self) -> String {
        let advice = match self.code {
            DENIED => {
                "; grant the user that our certificate names a role with readwrite permission on \
                 our prefix"
            }
            UNAUTHENTICATED => "; let our certificate name a user of etcd as its common name",
            INVALID if self.words.contains("user name is empty") => {
                "; etcd asks for a user: use TLS with a certificate whose common name is a user's"
            }
            EXHAUSTED if self.words.contains("space") => {
                "; compact and defragment etcd, then disarm its alarm"
            }
            UNIMPLEMENTED => "; is this the client address of etcd 3.4 or later?",
            UNAVAILABLE if self.words.contains("no leader") => {
                "; most members of etcd must run and reach each other"
            }
            _ => "",
        };
        match self.words.as_str() {
            "" => format!("refuses with gRPC status {}{advice}", self.code),
            words => format!("refuses: {words}{advice}"),
        }
    }
}

const INVALID: u32 = 3;
const DENIED: u32 = 7;
const EXHAUSTED: u32 = 8;
const UNIMPLEMENTED: u32 = 12;
const UNAVAILABLE: u32 = 14;
const UNAUTHENTICATED: u32 = 16;

/// Somebody else's words, fit for a sentence of ours: `%XX` resolved, bounded, no control
/// characters.
pub(crate) fn words(raw: &[u8]) -> String {
    let mut bytes = Vec::new();
    let mut rest = raw;
    while let Some((&first, tail)) = rest.split_first() {
        let escaped =
            tail.split_at_checked(2)
                .filter(|_| first == b'%')
                .and_then(|(digits, tail)| {
                    let digits = std::str::from_utf8(digits).ok()?;
                    Some((u8::from_str_radix(digits, 16).ok()?, tail))
                });
        let (byte, tail) = escaped.unwrap_or((first, tail));
        bytes.push(byte);
        rest = tail;
    }
    String::from_utf8_lossy(&bytes)
        .chars()
        .take(WORDS_MAX)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn status(code: &'static str, message: &'static str) -> Option<Status> {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-status", code.parse().unwrap());
        headers.insert("grpc-message", message.parse().unwrap());
        Status::read(&headers)
    }

    #[test]
    fn success_is_no_status_and_absence_is_no_success() {
        assert_eq!(status("0", ""), None);
        assert!(Status::read(&HeaderMap::new()).is_some());
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let denied = status("7", "etcdserver: permission denied").unwrap();
        assert!(denied.is_final() && denied.nothing_happened());
        assert!(denied.clause().contains("grant"));
        let leader = status("14", "etcdserver: no leader").unwrap();
        assert!(leader.nothing_happened() && !leader.is_final());
        let timeout = status("14", "etcdserver: request timed out").unwrap();
        assert!(!timeout.nothing_happened());
    }

    #[test]
    fn escapes_are_resolved() {
        assert_eq!(words(b"a%3Ab%0a%zz%4"), "a:b %zz%4");
    }

    proptest! {
        #[test]
        fn words_are_bounded_and_printable(raw in prop::collection::vec(any::<u8>(), 0..2000)) {
            let words = words(&raw);
            prop_assert!(words.chars().count() <= WORDS_MAX);
            prop_assert!(!words.chars().any(char::is_control));
        }
    }
}
