//! `auth`, `local_auth` and `remote_auth`: which ways there are, in which order. IKEv1 negotiates
//! one of a list; IKEv2 has one for each side (RFC 2409 section 5, RFC 7296 section 2.15).

use policy::IkeVersion;

use crate::config::diagnostic::Problems;
use crate::config::section::{Section, Value};
use crate::config::value;

/// Most ways of one peer.
pub(crate) const MAX_METHODS: usize = 16;

/// A way to prove something.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Psk,
    Certificate,
    PublicKey,
    Kerberos,
}

const METHODS: &[(&str, Method)] = &[
    ("psk", Method::Psk),
    ("certificate", Method::Certificate),
    ("public_key", Method::PublicKey),
    ("kerberos", Method::Kerberos),
];

impl Method {
    /// Its word in the file.
    pub(crate) fn word(self) -> &'static str {
        let known = METHODS.iter().find(|(_, method)| *method == self);
        known.map_or("", |(word, _)| word)
    }
}

/// The ways of a peer.
pub(crate) struct Listed {
    /// All that `auth` names.
    pub(crate) order: Vec<Method>,
    /// Those that are used, never none: ours and the peer's.
    pub(crate) ways: Vec<(Method, Method)>,
}

impl Listed {
    /// Whether one of the ways that are used, on one side or the other, is this.
    pub(crate) fn has(&self, method: Method) -> bool {
        let mut all = self.ways.iter();
        all.any(|(ours, theirs)| [*ours, *theirs].contains(&method))
    }

    /// Whether both sides prove it in the same way, whichever it is.
    pub(crate) fn is_same(&self) -> bool {
        self.ways.iter().all(|(ours, theirs)| ours == theirs)
    }

    /// What was written, for a report.
    pub(crate) fn written(&self) -> String {
        let words: Vec<&str> = self.ways.iter().map(|(ours, _)| ours.word()).collect();
        match self.ways.as_slice() {
            [(ours, theirs)] if ours != theirs => {
                format!("`{}` here and `{}` there", ours.word(), theirs.word())
            }
            [_] => format!("`auth = \"{}\"`", words.concat()),
            _ => format!("`auth = [\"{}\"]`", words.join("\", \"")),
        }
    }
}

/// Reads them.
pub(crate) fn read(
    section: &mut Section<'_>,
    problems: &mut Problems,
    version: IkeVersion,
) -> Listed {
    let word = |value: &Value<'_>| value::word(value, METHODS);
    let order = section.read(problems, "auth", |value| {
        value::list(value, MAX_METHODS, word)
    });
    let order = order.unwrap_or(vec![Method::Psk]);
    let first = order.first().copied().unwrap_or(Method::Psk);
    let [ours, theirs] = ["local_auth", "remote_auth"].map(|key| section.read(problems, key, word));
    let one = (ours.unwrap_or(first), theirs.unwrap_or(first));
    let ways = match (version, order.len()) {
        (_, ..=1) => vec![one],
        (IkeVersion::V1, _) => {
            check(section, problems, &order);
            order.iter().map(|method| (*method, *method)).collect()
        }
        (IkeVersion::V2, _) => {
            report_order(section, problems, first);
            vec![one]
        }
    };
    Listed { order, ways }
}

/// A list of IKEv1: each of its ways has a number of its own, for both sides.
fn check(section: &Section<'_>, problems: &mut Problems, order: &[Method]) {
    let title = &section.title;
    let mut refuse = |key: &str, message: String, label: &str, remedy: &str| {
        let (label, remedy) = (label.to_owned(), remedy.to_owned());
        problems.error(section.span_of(key), message, label, remedy);
    };
    for key in ["local_auth", "remote_auth"] {
        if section.has(key) {
            let message = format!("{title} has several ways, and `{key}` would change one side");
            let remedy = "remove it: in IKEv1 both sides prove themselves in the same way";
            refuse(key, message, "both sides use `auth`", remedy);
        }
    }
    let number = |method: &Method| match method {
        Method::PublicKey => Method::Certificate,
        other => *other,
    };
    for (index, method) in order.iter().enumerate() {
        let mut before = order.iter().take(index);
        let Some(same) = before.find(|one| number(one) == number(method)) else {
            continue;
        };
        let word = method.word();
        let (message, label) = match same == method {
            true => (
                format!("{title} has `{word}` twice in its list"),
                "named twice",
            ),
            false => (
                format!("{title} has two ways to sign, and IKEv1 has one number for them"),
                "nobody could say which is meant",
            ),
        };
        refuse("auth", message, label, "keep one of the two");
    }
}

/// Only the first way is used: what the others are kept for is a peer that is given other words.
fn report_order(section: &Section<'_>, problems: &mut Problems, first: Method) {
    let message = format!("of the ways of {} only the first is used", section.title);
    let label = format!("`{}` both ways", first.word());
    let remedy = "put the one that the peer has first: IKEv2 does not negotiate it".to_owned();
    problems.warn(section.span_of("auth"), message, label, remedy);
}
