//! Upper layer protocol numbers and IPv6 extension header numbers (IANA).

use crate::names::registry;

registry! {
    /// The name of a protocol number, when it has one here.
    name(u8) {
        HOP_BY_HOP = 0,
        ICMP = 1,
        IGMP = 2,
        IPV4 = 4,
        TCP = 6,
        UDP = 17,
        DCCP = 33,
        IPV6 = 41,
        ROUTING = 43,
        FRAGMENT = 44,
        GRE = 47,
        ESP = 50,
        AH = 51,
        ICMPV6 = 58,
        NO_NEXT_HEADER = 59,
        DESTINATION_OPTIONS = 60,
        SCTP = 132,
        MOBILITY = 135,
        UDP_LITE = 136,
    }
}
