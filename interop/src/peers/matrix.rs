//! Which configurations and lives are tried with which peer, and what none can do.

use crate::peers::case::{Case, Family, Nat, PLAIN, Ports, Proof, Rekeys};
use crate::peers::lives::{
    CHILD_DELETED, IT_BOOTS_AGAIN, IT_CALLS_AGAIN, IT_CALLS_LIKE_ANOTHER, IT_DELETES, Life,
    WE_CALL_AGAIN, WE_FIND_OUT, WE_REPLACE,
};
use crate::peers::plan::{Plan, Trials};
use crate::peers::scan;

/// IKEv2.
pub(crate) const PLAN: Plan = Plan {
    verb: "peers",
    column: "ESN",
    strongswan: &STRONGSWAN,
    libreswan: &LIBRESWAN,
    openiked: Some(&OPENIKED),
    scan: scan::ikev2,
    beside: None,
    impossible: &IMPOSSIBLE,
};

const STRONGSWAN: Trials = Trials {
    cases: &WITH_STRONGSWAN,
    case: PLAIN,
    lives: &LIVES,
};
const LIBRESWAN: Trials = Trials {
    cases: &WITH_LIBRESWAN,
    case: PLAIN,
    lives: &LIVES,
};
const OPENIKED: Trials = Trials {
    cases: &WITH_OPENIKED,
    case: IKED,
    lives: &LIVES_OF_OPENIKED,
};

/// Tunnels, and IPv6, where nothing else is said.
const TUNNEL: Case = Case {
    tunnel: true,
    ..PLAIN
};
const PLAIN6: Case = Case {
    family: Family::V6,
    ..PLAIN
};
const TUNNEL6: Case = Case {
    tunnel: true,
    ..PLAIN6
};

/// With strongSwan: each algorithm, each mode, each family, ports, NAT on each side.
const WITH_STRONGSWAN: [Case; 18] = [
    Case {
        rekeys: Rekeys::ByBoth,
        ..PLAIN
    },
    Case {
        esp: "aes256gcm16-esn",
        rekeys: Rekeys::ByBoth,
        ..PLAIN6
    },
    Case {
        esp: "chacha20poly1305-esn",
        ike: "chacha20poly1305-prfsha256-x25519",
        ..PLAIN
    },
    Case {
        esp: "aes128-sha256-noesn",
        ike: "aes128-sha256-ecp256",
        ..PLAIN6
    },
    Case {
        esp: "aes256-sha512-esn",
        ike: "aes256-sha512-ecp384",
        rekeys: Rekeys::ByBoth,
        ..PLAIN
    },
    Case {
        esp: "aes256gcm16-esn",
        rekeys: Rekeys::ByBoth,
        ..TUNNEL
    },
    Case {
        esp: "chacha20poly1305-noesn",
        ..TUNNEL6
    },
    Case {
        esp: "aes256-sha384-esn",
        ike: "aes256-sha384-modp3072",
        ..TUNNEL6
    },
    Case {
        esp: "aes128gcm16-esn",
        ports: Ports::One,
        ..PLAIN
    },
    Case {
        esp: "aes128-sha256-esn",
        ports: Ports::One,
        ..PLAIN6
    },
    Case {
        proof: Proof::Ecdsa,
        ..PLAIN
    },
    Case {
        esp: "aes256gcm16-esn",
        proof: Proof::Rsa,
        ..TUNNEL6
    },
    Case {
        nat: Nat::BeforeThem,
        ..PLAIN
    },
    Case {
        nat: Nat::BeforeUs,
        ..PLAIN
    },
    Case {
        nat: Nat::BeforeThem,
        esp: "aes128-sha256-esn",
        ..PLAIN
    },
    Case {
        nat: Nat::BeforeUs,
        esp: "aes256-sha512-noesn",
        ..PLAIN
    },
    Case {
        nat: Nat::BeforeThem,
        esp: "aes128gcm16-esn",
        rekeys: Rekeys::ByBoth,
        ..TUNNEL
    },
    Case {
        nat: Nat::BeforeUs,
        esp: "aes128-sha256-esn",
        rekeys: Rekeys::ByBoth,
        ..TUNNEL
    },
];

/// With Libreswan.
const WITH_LIBRESWAN: [Case; 9] = [
    Case {
        rekeys: Rekeys::ByBoth,
        ..PLAIN
    },
    Case {
        esp: "aes256gcm16-esn",
        ..PLAIN6
    },
    Case {
        esp: "aes128gcm16-esn",
        rekeys: Rekeys::ByBoth,
        ..TUNNEL
    },
    Case {
        esp: "aes256-sha512-noesn",
        ike: "aes256-sha512-ecp256",
        ..TUNNEL6
    },
    Case {
        esp: "chacha20poly1305-noesn",
        ..PLAIN
    },
    Case {
        ports: Ports::One,
        ..PLAIN
    },
    Case {
        proof: Proof::Ecdsa,
        ..PLAIN
    },
    Case {
        proof: Proof::Rsa,
        esp: "aes128gcm16-esn",
        ..TUNNEL
    },
    Case {
        nat: Nat::BeforeThem,
        ..TUNNEL
    },
];

/// OpenIKED, as far as its Linux port goes.
const IKED: Case = Case {
    esp: "aes256-sha512-noesn",
    ike: "aes128-sha256-ecp256",
    ..PLAIN
};

/// With OpenIKED.
const WITH_OPENIKED: [Case; 7] = [
    Case {
        rekeys: Rekeys::ByUs,
        ..IKED
    },
    Case {
        esp: "aes256-sha384-noesn",
        tunnel: true,
        ..IKED
    },
    Case {
        family: Family::V6,
        ..IKED
    },
    Case {
        rekeys: Rekeys::ByItsClock,
        ..IKED
    },
    Case {
        proof: Proof::Ecdsa,
        ..IKED
    },
    Case {
        proof: Proof::Rsa,
        tunnel: true,
        ..IKED
    },
    Case {
        nat: Nat::BeforeThem,
        tunnel: true,
        ..IKED
    },
];

/// What happens to SAs.
const LIVES: [Life; 6] = [
    CHILD_DELETED,
    IT_DELETES,
    IT_CALLS_AGAIN,
    WE_FIND_OUT,
    WE_CALL_AGAIN,
    IT_BOOTS_AGAIN,
];
/// And to those of OpenIKED.
const LIVES_OF_OPENIKED: [Life; 4] = [IT_DELETES, IT_CALLS_LIKE_ANOTHER, WE_FIND_OUT, WE_REPLACE];

const IMPOSSIBLE: [(&str, &str, &str); 6] = [
    (
        "OpenIKED 7.2",
        "AES-GCM and ChaCha20-Poly1305 for ESP",
        "its Linux port has none: it answers NO_PROPOSAL_CHOSEN",
    ),
    (
        "OpenIKED 7.2",
        "extended sequence numbers",
        "its Linux port agrees on them and then says that the kernel has none",
    ),
    (
        "OpenIKED 7.2",
        "calling again with INITIAL_CONTACT after a reset of its host",
        "it never sends it: after a loss of SAs we ask the old one for a sign of life",
    ),
    (
        "OpenIKED 7.2",
        "rekeying on demand",
        "it has no command for that: its keys end by the clock",
    ),
    (
        "OpenIKED 7.2",
        "deleting a child SA alone",
        "it has no command for that",
    ),
    (
        "strongSwan, Libreswan and OpenIKED",
        "calling us behind a NAT",
        "a NAT without a rule for it lets nobody in",
    ),
];
