//! What is tried with IKEv1 (RFC 2409), with which peer, and what none can do.

use crate::peers::case::{Case, Family, Nat, Ports, Proof, Rekeys, V1, Version};
use crate::peers::fingerprint;
use crate::peers::isakmp::{EACH_PORT, FIRST_PACKET, IT_ASKS, IT_KEEPS, READ};
use crate::peers::lives::{
    CHILD_DELETED, IT_CALLS_AGAIN, IT_DELETES, Life, WE_CALL_AGAIN, WE_FIND_OUT,
};
use crate::peers::plan::{Plan, Trials};
use crate::peers::scan;

/// IKEv1.
pub(crate) const PLAN: Plan = Plan {
    verb: "ikev1",
    column: "IKE",
    strongswan: &STRONGSWAN,
    libreswan: &LIBRESWAN,
    openiked: None,
    scan: scan::ikev1,
    beside: Some(fingerprint::windows),
    impossible: &IMPOSSIBLE,
};

const STRONGSWAN: Trials = Trials {
    cases: &WITH_STRONGSWAN,
    case: V1,
    lives: &LIVES,
};
const LIBRESWAN: Trials = Trials {
    cases: &WITH_LIBRESWAN,
    case: V1,
    lives: &LIVES_OF_LIBRESWAN,
};

const TUNNEL: Case = Case { tunnel: true, ..V1 };
/// What a Windows Server 2003 prefers, and what those before it have.
const WINDOWS: Case = Case {
    version: Version::Windows2003,
    ike: "3des-sha1-modp2048",
    esp: "3des-sha1-noesn",
    ..V1
};

const WITH_STRONGSWAN: [Case; 13] = [
    Case {
        rekeys: Rekeys::ByBoth,
        ..V1
    },
    Case {
        esp: "aes128-sha256-modp2048-noesn",
        ike: "aes128-sha256-modp3072",
        ..TUNNEL
    },
    Case {
        family: Family::V6,
        esp: "aes256gcm16-noesn",
        ..V1
    },
    Case {
        family: Family::V6,
        esp: "aes256-sha256-ecp256-noesn",
        ike: "aes256-sha256-ecp256",
        ..TUNNEL
    },
    Case {
        proof: Proof::Rsa,
        esp: "aes256-sha512-noesn",
        ike: "aes256-sha512-modp2048",
        ..V1
    },
    Case {
        proof: Proof::Rsa,
        esp: "aes128-sha256-noesn",
        ..TUNNEL
    },
    Case {
        ports: Ports::One,
        ..V1
    },
    Case {
        ike: "3des-sha1-modp1024",
        ..WINDOWS
    },
    Case {
        nat: Nat::BeforeThem,
        ..V1
    },
    Case {
        nat: Nat::BeforeUs,
        ..V1
    },
    Case {
        nat: Nat::BeforeThem,
        esp: "aes128-sha256-modp2048-noesn",
        rekeys: Rekeys::ByBoth,
        ..TUNNEL
    },
    Case {
        nat: Nat::BeforeThem,
        ..WINDOWS
    },
    Case {
        nat: Nat::BeforeThem,
        proof: Proof::RsaSecond,
        ..V1
    },
];

const WITH_LIBRESWAN: [Case; 12] = [
    Case {
        rekeys: Rekeys::ByUs,
        ..V1
    },
    Case {
        esp: "aes128-sha256-modp2048-noesn",
        rekeys: Rekeys::ByItsClock,
        ..TUNNEL
    },
    Case {
        family: Family::V6,
        esp: "aes256gcm16-noesn",
        ..V1
    },
    Case {
        proof: Proof::Rsa,
        ..V1
    },
    Case {
        proof: Proof::Rsa,
        esp: "aes256-sha512-noesn",
        ..TUNNEL
    },
    Case {
        proof: Proof::PskSecond,
        ..V1
    },
    Case {
        proof: Proof::RsaSecond,
        ..V1
    },
    Case {
        ports: Ports::One,
        ..V1
    },
    WINDOWS,
    Case {
        nat: Nat::BeforeThem,
        ..V1
    },
    Case {
        nat: Nat::BeforeUs,
        ..TUNNEL
    },
    Case {
        nat: Nat::BeforeUs,
        ..WINDOWS
    },
];

const LIVES: [Life; 9] = [
    FIRST_PACKET,
    CHILD_DELETED,
    IT_DELETES,
    IT_CALLS_AGAIN,
    WE_FIND_OUT,
    WE_CALL_AGAIN,
    IT_ASKS,
    EACH_PORT,
    READ,
];
/// Libreswan does not heed INITIAL-CONTACT of IKEv1.
const LIVES_OF_LIBRESWAN: [Life; 6] = [
    FIRST_PACKET,
    CHILD_DELETED,
    IT_DELETES,
    IT_CALLS_AGAIN,
    IT_KEEPS,
    IT_ASKS,
];

const IMPOSSIBLE: [(&str, &str, &str); 3] = [
    (
        "strongSwan 5.9.8",
        "the second of our ways to authenticate, when we initiate",
        "it goes by the first of our transforms, whatever its own way is: put that first",
    ),
    (
        "Libreswan 4.10",
        "MODP-1024",
        "Debian builds it without that group; MODP-2048 is Windows Server 2003's other one",
    ),
    (
        "Libreswan 4.10",
        "rekeying on demand",
        "it has no command for that in IKEv1: its keys end by the clock",
    ),
];
