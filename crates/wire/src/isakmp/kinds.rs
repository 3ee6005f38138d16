//! The small number spaces of IKEv1: payloads, exchanges, protocols (RFC 2408, RFC 2407, RFC 2409).

use crate::names::names;

names! {
    /// The type of a payload (RFC 2408 section 3.1, RFC 3947 section 3.2). The numbers from 129 on
    /// are from drafts and vendors. IKEv2's numbers (33 to 54) have no name here.
    PayloadType(u8) {
        NONE = 0,
        SA = 1,
        PROPOSAL = 2,
        TRANSFORM = 3,
        KE = 4,
        ID = 5,
        CERT = 6,
        CERTREQ = 7,
        HASH = 8,
        SIG = 9,
        NONCE = 10,
        NOTIFICATION = 11,
        DELETE = 12,
        VENDOR_ID = 13,
        MODE_CONFIG = 14,
        NAT_D = 20,
        NAT_OA = 21,
        GSS_TOKEN = 129,
        NAT_D_DRAFT = 130,
        NAT_OA_DRAFT = 131,
        FRAGMENT = 132,
    }
}

names! {
    /// The type of an exchange (RFC 2408 section 3.1, RFC 2409 appendix A).
    ExchangeType(u8) {
        NONE = 0,
        BASE = 1,
        MAIN_MODE = 2,
        AUTHENTICATION_ONLY = 3,
        AGGRESSIVE = 4,
        INFORMATIONAL = 5,
        TRANSACTION = 6,
        QUICK_MODE = 32,
        NEW_GROUP_MODE = 33,
    }
}

names! {
    /// Which protocol a proposal, notification or delete speaks of (RFC 2407 section 4.4.1).
    ProtocolId(u8) {
        NONE = 0,
        ISAKMP = 1,
        AH = 2,
        ESP = 3,
        IPCOMP = 4,
    }
}
