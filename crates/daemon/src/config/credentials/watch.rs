//! What works today and will not for long: certificates, authorities and lists that expire.

use policy::auth::Credential;
use x509::{Authorities, Certificate, Revocation, date};

use crate::config::diagnostic::{Problems, Span};

/// Warnings begin this many seconds before something expires: two weeks.
const SOON: u64 = 14 * 86_400;

/// What to say of something that is valid between two moments, if anything.
fn judge(not_before: u64, not_after: u64, now: u64) -> Option<String> {
    match () {
        () if not_after < now => Some(format!("expired at {}", date(not_after))),
        () if not_before > now => Some(format!("is valid from {} on only", date(not_before))),
        () if not_after < now + SOON => Some(format!("expires at {}", date(not_after))),
        () => None,
    }
}

fn warn(problems: &mut Problems, span: &Span, message: String, remedy: &str) {
    let label = "not for long".to_owned();
    problems.warn(span.clone(), message, label, remedy.to_owned());
}

/// Our own certificates.
pub(crate) fn own(own: &Credential, span: &Span, now: u64, problems: &mut Problems) {
    for one in &own.certificates {
        if let Some(what) = judge(one.not_before(), one.not_after(), now) {
            let message = format!("our certificate {one} {what}");
            let remedy = "put a new one into the file and reload; check this host's clock";
            warn(problems, span, message, remedy);
        }
    }
}

/// Authorities of peers and their lists of revocations.
pub(crate) fn trusted(
    authorities: &Authorities,
    revocation: Revocation,
    spans: (&Span, &Span),
    now: u64,
    problems: &mut Problems,
) {
    let judged = |one: &Certificate| judge(one.not_before(), one.not_after(), now);
    for one in authorities.certificates() {
        if let Some(what) = judged(one) {
            let message = format!("the authority {one} {what}");
            warn(problems, spans.0, message, "add the one that follows it");
        }
    }
    if revocation == Revocation::Relaxed {
        return;
    }
    for list in authorities.lists() {
        let until = list.next_update().unwrap_or(u64::MAX);
        if until < now {
            let message = format!(
                "the list of `{}`'s revocations expired at {}: every peer with its certificates \
                 is refused",
                list.issuer(),
                date(until)
            );
            let remedy = "fetch it anew and reload, or set `revocation = \"relaxed\"`";
            warn(problems, spans.1, message, remedy);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_soon_and_after() {
        let (from, until) = (1_000, 10_000_000);
        let says = |now| judge(from, until, now).unwrap_or_default();
        assert!(says(999).contains("is valid from"));
        assert_eq!(says(1_000), "");
        assert_eq!(says(until - SOON), "");
        assert!(says(until - SOON + 1).starts_with("expires at 1970-04-26"));
        assert!(says(until).starts_with("expires at"));
        assert!(says(until + 1).starts_with("expired at"));
    }
}
