//! The small number spaces of IKEv2: payloads, exchanges, protocols, transforms (RFC 7296).

use crate::names::names;

names! {
    /// The type of a payload (RFC 7296 section 3.2). IKEv1's numbers (1 to 32) have no name here:
    /// in a version 2 message they are unknown payloads.
    PayloadType(u8) {
        NONE = 0,
        SA = 33,
        KE = 34,
        ID_INITIATOR = 35,
        ID_RESPONDER = 36,
        CERT = 37,
        CERTREQ = 38,
        AUTH = 39,
        NONCE = 40,
        NOTIFY = 41,
        DELETE = 42,
        VENDOR_ID = 43,
        TS_INITIATOR = 44,
        TS_RESPONDER = 45,
        ENCRYPTED = 46,
        CONFIGURATION = 47,
        EAP = 48,
        ENCRYPTED_FRAGMENT = 53,
        PUZZLE_SOLUTION = 54,
    }
}

names! {
    /// The type of an exchange (RFC 7296 section 3.1; 43: RFC 9242, 44: RFC 9370).
    ExchangeType(u8) {
        MAIN_MODE = 2,
        QUICK_MODE = 32,
        IKE_SA_INIT = 34,
        IKE_AUTH = 35,
        CREATE_CHILD_SA = 36,
        INFORMATIONAL = 37,
        IKE_SESSION_RESUME = 38,
        IKE_INTERMEDIATE = 43,
        IKE_FOLLOWUP_KE = 44,
    }
}

names! {
    /// Which protocol a proposal, notification or delete speaks of (RFC 7296 section 3.3.1).
    ProtocolId(u8) {
        NONE = 0,
        IKE = 1,
        AH = 2,
        ESP = 3,
    }
}

names! {
    /// The kind of a transform (RFC 7296 section 3.3.2, RFC 9370 section 2.2.1). `DH` is IANA's
    /// "Key Exchange Method".
    TransformType(u8) {
        ENCR = 1,
        PRF = 2,
        INTEG = 3,
        DH = 4,
        ESN = 5,
        ADDKE1 = 6,
        ADDKE2 = 7,
        ADDKE3 = 8,
        ADDKE4 = 9,
        ADDKE5 = 10,
        ADDKE6 = 11,
        ADDKE7 = 12,
    }
}

impl TransformType {
    /// The kinds of the additional key exchanges, in the order in which they are done (RFC 9370).
    pub const ADDITIONAL: [TransformType; 7] = [
        TransformType::ADDKE1,
        TransformType::ADDKE2,
        TransformType::ADDKE3,
        TransformType::ADDKE4,
        TransformType::ADDKE5,
        TransformType::ADDKE6,
        TransformType::ADDKE7,
    ];

    /// Whether it is for an additional key exchange.
    pub fn is_additional(self) -> bool {
        TransformType::ADDITIONAL.contains(&self)
    }

    /// Whether its numbers are those of key exchange methods.
    pub fn is_key_exchange(self) -> bool {
        self == TransformType::DH || self.is_additional()
    }
}
