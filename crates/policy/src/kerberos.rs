//! Principals of Kerberos, and which of them may answer for a peer (RFC 4120 section 6.1).

use std::fmt;
use std::path::PathBuf;

/// Longest principal in octets, realm included: in UTF-16, as IKEv1 sends it, it is twice as long.
pub const MAX_PRINCIPAL: usize = 255;

/// A principal with its realm: `host/fe.example@EXAMPLE`. Letters count as they are written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Principal(String);

/// Principals that are alike: as a [`Principal`], with at most one `*` in each part before the
/// realm, which stands for any octets of that part. The realm is always whole: who vouches is never
/// left open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrincipalPattern(String);

/// Our own principal, and where its key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KerberosKey {
    /// Who we are.
    pub principal: Principal,
    /// The keytab with its key.
    pub keytab: PathBuf,
}

/// Why a text is no principal, or no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadPrincipal {
    /// It is empty or too long.
    Length,
    /// It has other than visible octets of ASCII, or one that Kerberos would have to quote.
    Characters,
    /// It has not exactly one realm.
    Realm,
    /// A part of it is empty.
    EmptyPart,
    /// A `*` where none may be, or a second one in a part.
    Star,
}

impl Principal {
    /// Reads `PRIMARY@REALM` or `PRIMARY/INSTANCE@REALM`.
    ///
    /// # Errors
    /// [`BadPrincipal`].
    pub fn parse(text: &str) -> Result<Self, BadPrincipal> {
        check(text)?;
        match text.contains('*') {
            true => Err(BadPrincipal::Star),
            false => Ok(Principal(text.to_owned())),
        }
    }

    /// As Kerberos writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PrincipalPattern {
    /// Reads a principal, or several in one.
    ///
    /// # Errors
    /// [`BadPrincipal`].
    pub fn parse(text: &str) -> Result<Self, BadPrincipal> {
        let (name, realm) = check(text)?;
        let one_star = |part: &str| part.matches('*').count() <= 1;
        match !realm.contains('*') && name.split('/').all(one_star) {
            true => Ok(PrincipalPattern(text.to_owned())),
            false => Err(BadPrincipal::Star),
        }
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the principal is one of them.
    #[must_use]
    pub fn accepts(&self, principal: &Principal) -> bool {
        let (Some((wanted, in_realm)), Some((name, realm))) =
            (self.0.split_once('@'), principal.0.split_once('@'))
        else {
            return false;
        };
        let (wanted, parts) = (wanted.split('/'), name.split('/'));
        in_realm == realm
            && wanted.clone().count() == parts.clone().count()
            && wanted.zip(parts).all(|(wanted, part)| fits(wanted, part))
    }
}

fn fits(wanted: &str, part: &str) -> bool {
    match wanted.split_once('*') {
        None => wanted == part,
        Some((before, after)) => {
            let rest = part.strip_prefix(before);
            rest.is_some_and(|rest| rest.ends_with(after))
        }
    }
}

/// The name and the realm of what may be a principal or a pattern.
fn check(text: &str) -> Result<(&str, &str), BadPrincipal> {
    if text.is_empty() || text.len() > MAX_PRINCIPAL {
        return Err(BadPrincipal::Length);
    }
    // A backslash quotes what follows it: with none, nothing has two meanings.
    if !text.chars().all(|c| c.is_ascii_graphic() && c != '\\') {
        return Err(BadPrincipal::Characters);
    }
    let (name, realm) = text.split_once('@').ok_or(BadPrincipal::Realm)?;
    if realm.is_empty() || realm.contains(['@', '/']) {
        return Err(BadPrincipal::Realm);
    }
    match name.split('/').any(str::is_empty) {
        true => Err(BadPrincipal::EmptyPart),
        false => Ok((name, realm)),
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for PrincipalPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for BadPrincipal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadPrincipal::Length => write!(f, "a principal has 1 to {MAX_PRINCIPAL} octets"),
            BadPrincipal::Characters => {
                f.write_str("a principal has visible octets of ASCII, and no backslash")
            }
            BadPrincipal::Realm => f.write_str("a principal has one realm, after its only `@`"),
            BadPrincipal::EmptyPart => f.write_str("a part of the principal is empty"),
            BadPrincipal::Star => f.write_str(
                "a `*` stands only in principals of peers, once in a part, never in the realm",
            ),
        }
    }
}

impl std::error::Error for BadPrincipal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_has_a_realm() {
        for good in ["host/fe.example@EXAMPLE", "FE$@AD.EXAMPLE", "a/b/c@R"] {
            assert_eq!(Principal::parse(good).unwrap().as_str(), good);
        }
        for (wrong, why) in [
            ("", BadPrincipal::Length),
            (&*format!("{}@R", "x".repeat(254)), BadPrincipal::Length),
            ("host/fe", BadPrincipal::Realm),
            ("host/fe@", BadPrincipal::Realm),
            ("host@a@b", BadPrincipal::Realm),
            ("host@a/b", BadPrincipal::Realm),
            ("/fe@R", BadPrincipal::EmptyPart),
            ("host/@R", BadPrincipal::EmptyPart),
            ("@R", BadPrincipal::EmptyPart),
            ("host/f e@R", BadPrincipal::Characters),
            ("host/f\\@e@R", BadPrincipal::Characters),
            ("host/*@R", BadPrincipal::Star),
        ] {
            assert_eq!(Principal::parse(wrong), Err(why), "{wrong}");
        }
    }

    #[test]
    fn a_star_stays_within_its_part_and_its_realm() {
        let accepts = |pattern: &str, principal: &str| {
            let pattern = PrincipalPattern::parse(pattern).unwrap();
            pattern.accepts(&Principal::parse(principal).unwrap())
        };
        for (pattern, principal, expected) in [
            ("host/be1.example@R", "host/be1.example@R", true),
            ("host/be1.example@R", "host/BE1.example@R", false),
            ("host/be1.example@R", "host/be1.example@S", false),
            ("host/be*.example@R", "host/be1.example@R", true),
            ("host/be*.example@R", "host/be.example@R", true),
            ("host/be*.example@R", "host/fe1.example@R", false),
            ("host/be*.example@R", "host/be1.example/admin@R", false),
            ("host/*@R", "host/a/b@R", false),
            ("*$@R", "FE$@R", true),
            ("*$@R", "FE@R", false),
            // What is before the star and what is after it do not share an octet.
            ("ab*ba@R", "aba@R", false),
            ("ab*ba@R", "abba@R", true),
            ("*@R", "host/x@R", false),
        ] {
            assert_eq!(
                accepts(pattern, principal),
                expected,
                "{pattern} {principal}"
            );
        }
        for wrong in ["host/*@*", "host/*x*@R", "*@R*"] {
            assert_eq!(
                PrincipalPattern::parse(wrong),
                Err(BadPrincipal::Star),
                "{wrong}"
            );
        }
    }
}
