//! What is tried with a foreign peer: one configuration, in one or both roles.

use std::fmt;

/// What both sides are called.
pub(crate) const OUR_ID: &str = "a.example";
pub(crate) const THEIR_ID: &str = "b.example";

/// Who begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    We,
    They,
}

impl Role {
    pub(crate) const BOTH: [Role; 2] = [Role::We, Role::They];

    /// For people.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Role::We => "we initiate",
            Role::They => "it initiates",
        }
    }
}

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    /// The place in the pairs of addresses.
    pub(crate) fn index(self) -> usize {
        match self {
            Family::V4 => 0,
            Family::V6 => 1,
        }
    }
}

/// Behind whom the router hides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nat {
    None,
    BeforeUs,
    BeforeThem,
}

/// What of the peer is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ports {
    /// Everything between the two.
    All,
    /// TCP port 7.
    One,
    /// TCP ports 7 and 9.
    Two,
}

/// How both sides prove who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    Psk,
    Ecdsa,
    Rsa,
    /// The peer has a key, and our list has it behind a certificate: of IKEv1.
    PskSecond,
    /// The peer has a certificate, and our list has it behind a key.
    RsaSecond,
}

impl Proof {
    /// Those that need certificates.
    pub(crate) const BY_CERTIFICATE: [Proof; 2] = [Proof::Ecdsa, Proof::Rsa];

    /// The only way of the peer.
    pub(crate) fn theirs(self) -> Proof {
        match self {
            Proof::PskSecond => Proof::Psk,
            Proof::RsaSecond => Proof::Rsa,
            one => one,
        }
    }

    /// For the names of files.
    pub(crate) fn word(self) -> &'static str {
        match self.theirs() {
            Proof::Ecdsa => "ecdsa",
            Proof::Rsa | Proof::RsaSecond => "rsa",
            Proof::Psk | Proof::PskSecond => "psk",
        }
    }

    /// For people.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Proof::Psk => "PSK",
            Proof::Ecdsa => "ECDSA P-256",
            Proof::Rsa => "RSA-2048",
            Proof::PskSecond => "PSK, our second way",
            Proof::RsaSecond => "RSA-2048, our second way",
        }
    }
}

/// Which version of IKE is spoken, and how old its algorithms may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    V2,
    V1,
    /// Version 1 with what Windows Server 2003 has, and nothing that is better.
    Windows2003,
}

impl Version {
    /// For the names of files.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Version::V2 => "ikev2",
            Version::V1 => "ikev1",
            Version::Windows2003 => "windows2003",
        }
    }

    /// What our policy says of the peer.
    pub(crate) fn line(self) -> &'static str {
        match self {
            Version::V2 => "",
            Version::V1 => "version = \"ikev1\"\n",
            Version::Windows2003 => "legacy = \"windows2003\"\n",
        }
    }
}

/// Whose keys change in a case, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rekeys {
    None,
    /// Child and IKE SA by us: the peer has no command for it.
    ByUs,
    /// Child and IKE SA by each side.
    ByBoth,
    /// By the peer, when the seconds that its keys live for are over.
    ByItsClock,
}

/// One configuration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) version: Version,
    pub(crate) tunnel: bool,
    pub(crate) family: Family,
    pub(crate) nat: Nat,
    pub(crate) ports: Ports,
    pub(crate) ike: &'static str,
    pub(crate) esp: &'static str,
    pub(crate) proof: Proof,
    pub(crate) rekeys: Rekeys,
}

/// Transport mode for everything between two hosts, and a word or two of IKE.
pub(crate) const PLAIN: Case = Case {
    version: Version::V2,
    tunnel: false,
    family: Family::V4,
    nat: Nat::None,
    ports: Ports::All,
    ike: "aes128gcm16-prfsha256-x25519",
    esp: "aes128gcm16-noesn",
    proof: Proof::Psk,
    rekeys: Rekeys::None,
};

/// The same with version 1.
pub(crate) const V1: Case = Case {
    version: Version::V1,
    ike: "aes256-sha256-modp2048",
    ..PLAIN
};

impl Case {
    /// Extended sequence numbers?
    pub(crate) fn esn(&self) -> bool {
        self.esp.ends_with("-esn")
    }

    /// Tunnel or transport mode.
    pub(crate) fn mode(&self) -> &'static str {
        if self.tunnel { "tunnel" } else { "transport" }
    }

    /// ESP algorithms without the word for sequence numbers.
    pub(crate) fn algorithms(&self) -> &'static str {
        let esp = self.esp;
        esp.strip_suffix("-noesn")
            .or(esp.strip_suffix("-esn"))
            .unwrap_or(esp)
    }

    /// The group of a key exchange that each pair has of its own.
    pub(crate) fn group(&self) -> Option<&'static str> {
        self.algorithms().split('-').find(|part| is_group(part))
    }

    /// What a Linux kernel calls the algorithms.
    pub(crate) fn kernel_words(&self) -> Vec<&'static str> {
        let mut words = Vec::new();
        for part in self.algorithms().split('-').filter(|part| !is_group(part)) {
            words.push(match part {
                "3des" => "cbc(des3_ede)",
                "md5" => "hmac(md5)",
                "sha1" => "hmac(sha1)",
                "chacha20poly1305" => "rfc7539esp(chacha20,poly1305)",
                "sha256" => "hmac(sha256)",
                "sha384" => "hmac(sha384)",
                "sha512" => "hmac(sha512)",
                gcm if gcm.ends_with("gcm16") => "rfc4106(gcm(aes))",
                _ => "cbc(aes)",
            });
        }
        words
    }

    /// Whether this role can begin: who hides behind a NAT cannot be called.
    pub(crate) fn can_begin(&self, role: Role) -> bool {
        !matches!(
            (self.nat, role),
            (Nat::BeforeUs, Role::They) | (Nat::BeforeThem, Role::We)
        )
    }

    /// The columns of the page, up to the roles.
    pub(crate) fn columns(&self) -> [&'static str; 8] {
        [
            self.mode(),
            match self.family {
                Family::V4 => "IPv4",
                Family::V6 => "IPv6",
            },
            match self.ports {
                Ports::All => "all",
                Ports::One => "TCP 7",
                Ports::Two => "TCP 7, 9",
            },
            match self.nat {
                Nat::None => "no",
                Nat::BeforeUs => "before us",
                Nat::BeforeThem => "before it",
            },
            self.algorithms(),
            match self.version {
                Version::V2 if self.esn() => "yes",
                Version::V2 => "no",
                _ => self.ike,
            },
            self.proof.words(),
            match self.rekeys {
                Rekeys::None => "",
                Rekeys::ByUs => "us",
                Rekeys::ByBoth => "each side",
                Rekeys::ByItsClock => "its clock",
            },
        ]
    }
}

fn is_group(part: &str) -> bool {
    part.starts_with("modp") || part.starts_with("ecp")
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [mode, family, ports, nat, _, _, proof, rekeys] = self.columns();
        match self.version {
            Version::V2 => write!(f, "{mode} {family} {}", self.esp)?,
            _ => write!(f, "{mode} {family} {}, {}", self.algorithms(), self.ike)?,
        }
        if self.ports != Ports::All {
            write!(f, ", {ports}")?;
        }
        if self.nat != Nat::None {
            write!(f, ", NAT {nat}")?;
        }
        if self.proof != Proof::Psk {
            write!(f, ", {proof}")?;
        }
        if !rekeys.is_empty() {
            write!(f, ", rekeyed by {rekeys}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        let case = Case {
            esp: "aes256-sha512-esn",
            nat: Nat::BeforeUs,
            proof: Proof::Rsa,
            rekeys: Rekeys::ByBoth,
            ..PLAIN
        };
        assert!(case.esn());
        assert_eq!(case.kernel_words(), ["cbc(aes)", "hmac(sha512)"]);
        assert_eq!(PLAIN.kernel_words(), ["rfc4106(gcm(aes))"]);
        assert!(case.can_begin(Role::We) && !case.can_begin(Role::They));
        assert_eq!(
            case.to_string(),
            "transport IPv4 aes256-sha512-esn, NAT before us, RSA-2048, rekeyed by each side"
        );
    }

    #[test]
    fn words_of_version_1() {
        let case = Case {
            version: Version::Windows2003,
            ike: "3des-sha1-modp1024",
            esp: "3des-md5-modp1024-noesn",
            ..V1
        };
        assert_eq!(case.kernel_words(), ["cbc(des3_ede)", "hmac(md5)"]);
        assert_eq!((case.group(), V1.group()), (Some("modp1024"), None));
        assert_eq!(case.columns()[5], "3des-sha1-modp1024");
        assert_eq!(
            case.to_string(),
            "transport IPv4 3des-md5-modp1024, 3des-sha1-modp1024"
        );
    }
}
