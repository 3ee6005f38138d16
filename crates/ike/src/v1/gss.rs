//! What main mode says of Kerberos: the names in both SA payloads, and what the hashes cover
//! besides (draft-ietf-ipsec-isakmp-gss-auth).
//!
//! The draft's last text could not be had: names are in UTF-16LE, as Windows sends them, and a hash
//! covers its side's name and tokens behind everything else, as racoon has it.

use std::sync::Arc;

use policy::auth::{LocalAuth, Method, RemoteAuth};
use policy::kerberos::{KerberosKey, MAX_PRINCIPAL, Principal, PrincipalPattern};
use policy::pad::Peer;
use wire::isakmp::{Chain, Payload};

use crate::error::{Error, NotAuthentic, PrincipalRefusal};
use crate::gss::GssContext;
use crate::limits;

/// Who we are to a peer with Kerberos, and who may answer for it.
pub(crate) fn of(peer: &Peer) -> Option<(&Arc<KerberosKey>, &[PrincipalPattern])> {
    let (auth, _) = peer.by(Method::Kerberos)?;
    match (&auth.local, &auth.remote) {
        (LocalAuth::Kerberos(own), RemoteAuth::Kerberos(members)) => Some((own, members)),
        _ => None,
    }
}

/// A principal as the value of the attribute.
pub(crate) fn identity(principal: &Principal) -> Vec<u8> {
    principal
        .as_str()
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect()
}

/// The principal in the value of the attribute. Some end it with a NUL.
pub(crate) fn principal(value: &[u8]) -> Option<Principal> {
    let (units, []) = value.as_chunks::<2>() else {
        return None;
    };
    if units.len() > MAX_PRINCIPAL + 1 {
        return None;
    }
    let units = units.iter().map(|unit| u16::from_le_bytes(*unit));
    let text: Option<String> = char::decode_utf16(units).map(Result::ok).collect();
    let text = text?;
    Principal::parse(text.strip_suffix('\0').unwrap_or(&text)).ok()
}

/// Whether a principal may answer for a peer.
///
/// # Errors
/// [`NotAuthentic::Principal`].
pub(crate) fn admit(peer: &Peer, said: &Principal) -> Result<(), Error> {
    let members = of(peer).map_or(&[][..], |(_, members)| members);
    if members.iter().any(|member| member.accepts(said)) {
        return Ok(());
    }
    let members: Vec<&str> = members.iter().map(PrincipalPattern::as_str).collect();
    let refusal = PrincipalRefusal {
        peer: peer.name.clone(),
        said: said.to_string(),
        members: members.join(", "),
    };
    Err(Error::NotAuthentic(NotAuthentic::Principal(Box::new(
        refusal,
    ))))
}

/// Who the peer says it is in the attribute, where Kerberos was chosen to prove it; it may answer
/// for the peer. `knows`: its vendor IDs say that it knows Kerberos.
///
/// # Errors
/// It may not, says nothing, or means something else by the number of the method.
pub(crate) fn claim(peer: &Peer, said: Option<&[u8]>, knows: bool) -> Result<Principal, Error> {
    if !knows {
        let why = "the peer does not say that it knows it, and to others its number means XAUTH";
        return Err(kerberos(why.to_owned()));
    }
    let said = said.and_then(principal);
    let said = said.ok_or_else(|| kerberos("the peer says no principal".to_owned()))?;
    admit(peer, &said)?;
    Ok(said)
}

/// The token in a message, if there is just one.
pub(crate) fn token(chain: &Chain<'_>) -> Option<Vec<u8>> {
    let mut all = chain.payloads.iter().filter_map(|one| match &one.payload {
        Payload::GssToken(token) => Some(token),
        _ => None,
    });
    match (all.next(), all.next()) {
        (Some(token), None) if !token.is_empty() => Some(token.clone()),
        _ => None,
    }
}

/// A handshake with Kerberos, as far as it has come.
pub(crate) struct Tickets {
    /// The security context, once it has begun.
    pub(crate) context: Option<GssContext>,
    /// Who the peer says it is.
    claimed: Principal,
    /// Both names as they stand in the SA payloads, ours first.
    names: [Vec<u8>; 2],
    /// Tokens that were sent, and those that came.
    sent: Vec<Vec<u8>>,
    received: Vec<Vec<u8>>,
    /// The context is complete: the peer is who it says.
    proven: bool,
}

impl Tickets {
    /// Both sides have said their names; `theirs` as it stands in the SA payload.
    pub(crate) fn new(peer: &Peer, claimed: Principal, theirs: Vec<u8>) -> Self {
        let own = of(peer).map(|(own, _)| identity(&own.principal));
        Tickets {
            context: None,
            claimed,
            names: [own.unwrap_or_default(), theirs],
            sent: Vec::new(),
            received: Vec::new(),
            proven: false,
        }
    }

    /// Who the peer says it is.
    pub(crate) fn claimed(&self) -> &Principal {
        &self.claimed
    }

    /// Whether the peer has proven who it is.
    pub(crate) fn is_proven(&self) -> bool {
        self.proven
    }

    /// A token of the peer.
    ///
    /// # Errors
    /// It is one too many.
    pub(crate) fn take(&mut self, token: Vec<u8>) -> Result<(), Error> {
        self.received.push(token);
        match self.received.len() > limits::GSS_TOKENS {
            true => Err(kerberos("the peer's tokens have no end".to_owned())),
            false => Ok(()),
        }
    }

    /// A token for the peer, which is to be sent next.
    ///
    /// # Errors
    /// It is one too many.
    pub(crate) fn give(&mut self, token: &[u8]) -> Result<(), Error> {
        self.sent.push(token.to_vec());
        match self.sent.len() > limits::GSS_TOKENS {
            true => Err(kerberos("our tokens have no end".to_owned())),
            false => Ok(()),
        }
    }

    /// What the hash of a side covers besides: its name and its tokens.
    pub(crate) fn covered(&self, ours: bool) -> Vec<&[u8]> {
        let [own, theirs] = &self.names;
        let (name, tokens) = match ours {
            true => (own, &self.sent),
            false => (theirs, &self.received),
        };
        std::iter::once(name)
            .chain(tokens)
            .map(Vec::as_slice)
            .collect()
    }

    /// The context is complete: the peer has proven to be `name`, which must be who it said, and
    /// may answer for `peer`.
    ///
    /// # Errors
    /// It is somebody else.
    pub(crate) fn prove(&mut self, peer: &Peer, name: &str) -> Result<(), Error> {
        let shown = name.escape_debug();
        let said = Principal::parse(name).map_err(|why| kerberos(format!("`{shown}`: {why}")))?;
        admit(peer, &said)?;
        if said != self.claimed {
            let claimed = &self.claimed;
            let why = format!("its ticket is of `{said}`, and it said that it is `{claimed}`");
            return Err(kerberos(why));
        }
        self.proven = true;
        Ok(())
    }
}

/// Kerberos refused.
pub(crate) fn kerberos(why: String) -> Error {
    Error::NotAuthentic(NotAuthentic::Kerberos { why })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_as_windows_writes_it() {
        let fe = Principal::parse("FE$@R").unwrap();
        assert_eq!(identity(&fe), b"F\0E\0$\0@\0R\0");
        assert_eq!(principal(b"F\0E\0$\0@\0R\0"), Some(fe.clone()));
        assert_eq!(principal(b"F\0E\0$\0@\0R\0\0\0"), Some(fe));
        for wrong in [
            &b""[..],
            b"F\0E\0$\0@\0R",
            b"FE$@R!",
            b"F\0E\0\0\0$\0@\0R\0",
            b"\0\xd8@\0R\0",
            &[b'x', 0].repeat(MAX_PRINCIPAL + 2),
        ] {
            assert_eq!(principal(wrong), None, "{wrong:?}");
        }
        let longest = format!("{}@R", "x".repeat(MAX_PRINCIPAL - 2));
        let longest = Principal::parse(&longest).unwrap();
        assert_eq!(principal(&identity(&longest)), Some(longest));
    }
}
