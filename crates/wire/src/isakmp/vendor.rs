//! Vendor IDs that mean something (RFC 2408 section 3.16, [MS-IKEE], RFC 3947, RFC 3706).

use std::fmt;

/// The octets before the version in Windows' own vendor ID: MD5 of `MS NT5 ISAKMPOAKLEY`.
const MS_NT5: [u8; 16] = *b"\x1e\x2b\x51\x69\x05\x99\x1c\x7d\x7c\x96\xfc\xbf\xb5\x87\xe4\x61";

/// MD5 of `FRAGMENTATION`. Some peers have four octets of flags after it.
const FRAGMENTATION: [u8; 16] =
    *b"\x40\x48\xb7\xd5\x6e\xbc\xe8\x85\x25\xe7\xde\x7f\x00\xd6\xc2\xd3";

/// Declares the vendor IDs that are constants, each with its octets and what it stands for.
macro_rules! vendors {
    ($($(#[$doc:meta])* $name:ident = $octets:literal, $text:literal;)*) => {
        /// A vendor ID with a meaning here.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Vendor {
            /// Windows, with its version: 2 is 2000, 3 XP, 4 Server 2003, 5 Vista, 6 Server 2008,
            /// 7 Windows 7, 8 Server 2008 R2, 9 all that came later.
            MsNt5IsakmpOakley(u32),
            /// Fragments of messages are understood ([MS-IKEE] section 3.3).
            Fragmentation,
            $($(#[$doc])* $name,)*
        }

        impl Vendor {
            /// Every vendor ID that is a constant, without Windows' versions.
            pub const CONSTANT: &'static [Vendor] =
                &[Vendor::Fragmentation, $(Vendor::$name,)*];

            /// What octets of a Vendor ID payload stand for, when it is known here.
            pub fn of(octets: &[u8]) -> Option<Vendor> {
                if let Some(version) = octets.strip_prefix(&MS_NT5) {
                    let version = u32::from_be_bytes(version.try_into().ok()?);
                    return Some(Vendor::MsNt5IsakmpOakley(version));
                }
                if let Some(flags) = octets.strip_prefix(&FRAGMENTATION) {
                    return matches!(flags.len(), 0 | 4).then_some(Vendor::Fragmentation);
                }
                match octets {
                    $($octets => Some(Vendor::$name),)*
                    _ => None,
                }
            }

            /// The octets of its Vendor ID payload.
            pub fn octets(self) -> Vec<u8> {
                match self {
                    Vendor::MsNt5IsakmpOakley(version) => {
                        [&MS_NT5[..], &version.to_be_bytes()].concat()
                    }
                    Vendor::Fragmentation => FRAGMENTATION.to_vec(),
                    $(Vendor::$name => $octets.to_vec(),)*
                }
            }
        }

        impl fmt::Display for Vendor {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    Vendor::MsNt5IsakmpOakley(version) => {
                        write!(f, "MS NT5 ISAKMPOAKLEY {version}")
                    }
                    Vendor::Fragmentation => f.write_str("FRAGMENTATION"),
                    $(Vendor::$name => f.write_str($text),)*
                }
            }
        }
    };
}

vendors! {
    /// Kerberos is understood as an authentication method.
    Gssapi = b"\x62\x1b\x04\xbb\x09\x88\x2a\xc1\xe1\x59\x35\xfe\xfa\x24\xae\xee",
        "GSSAPI";
    /// The sender has no SA with the receiver ([MS-IKEE] section 3.5).
    InitialContact = b"\x26\x24\x4d\x38\xed\xdb\x61\xb3\x17\x2a\x36\xe3\xd0\xcf\xb8\x19",
        "Vid-Initial-Contact";
    /// The sender is a member of a cluster ([MS-IKEE] section 3.6).
    NlbsPresent = b"\x72\x87\x2b\x95\xfc\xda\x2e\xb7\x08\xef\xe3\x22\x11\x9b\x49\x71",
        "NLBS_PRESENT";
    /// NAT traversal by the draft, its name with a line feed: the only one that Windows 2003 knows.
    NatTDraft02LineFeed = b"\x90\xcb\x80\x91\x3e\xbb\x69\x6e\x08\x63\x81\xb5\xec\x42\x7b\x1f",
        "draft-ietf-ipsec-nat-t-ike-02\\n";
    /// NAT traversal by the draft.
    NatTDraft02 = b"\xcd\x60\x46\x43\x35\xdf\x21\xf8\x7c\xfd\xb2\xfc\x68\xb6\xa4\x48",
        "draft-ietf-ipsec-nat-t-ike-02";
    /// NAT traversal by the draft after it, with the same numbers.
    NatTDraft03 = b"\x7d\x94\x19\xa6\x53\x10\xca\x6f\x2c\x17\x9d\x92\x15\x52\x9d\x56",
        "draft-ietf-ipsec-nat-t-ike-03";
    /// NAT traversal by the RFC.
    NatTRfc3947 = b"\x4a\x13\x1c\x81\x07\x03\x58\x45\x5c\x57\x28\xf2\x0e\x95\x45\x2f",
        "RFC 3947";
    /// Dead peers are detected (RFC 3706), version 1.0.
    DeadPeerDetection = b"\xaf\xca\xd7\x13\x68\xa1\xf1\xc9\x6b\x86\x96\xfc\x77\x57\x01\x00",
        "Dead Peer Detection";
    /// Users authenticate after phase 1 (draft-ietf-ipsra-isakmp-xauth-06).
    Xauth = b"\x09\x00\x26\x89\xdf\xd6\xb7\x12",
        "XAUTH";
    /// AuthIP is spoken ([MS-AIPS]).
    MamieExists = b"\x21\x4c\xa4\xfa\xff\xa7\xf3\x2d\x67\x48\xe5\x30\x33\x95\xae\x83",
        "MS-MamieExists";
    /// Addresses are generated from keys (RFC 3972).
    Cga = b"\xe3\xa5\x96\x6a\x76\x37\x9f\xe7\x07\x22\x82\x31\xe5\xce\x86\x52",
        "IKE CGA version 1";
    /// Traffic may go in the clear while IKE runs ([MS-IKEE] section 3.7).
    NegotiationDiscovery = b"\xfb\x1d\xe3\xcd\xf3\x41\xb7\xea\x16\xb7\xe5\xbe\x08\x55\xf1\x20",
        "MS-Negotiation Discovery Capable";
    /// GSS is understood as an authentication method (draft-ietf-ipsec-isakmp-gss-auth).
    GssMethod = b"\xad\x2c\x0d\xd0\xb9\xc3\x20\x83\xcc\xba\x25\xb8\x86\x1e\xc4\x55",
        "A GSS-API Authentication Method for IKE";
    /// The same, its name with a line feed.
    GssMethodLineFeed = b"\xb4\x6d\x89\x14\xf3\xaa\xa3\xf2\xfe\xde\xb7\xc7\xdb\x29\x43\xca",
        "A GSS-API Authentication Method for IKE\\n";
}
