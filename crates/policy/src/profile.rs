//! Ready-made filters for the traffic between front ends, mail servers and domain controllers.

use crate::protocol::{TCP, UDP};
use crate::range::PortRange;
use crate::rule::{AddressSpec, Directions, Filter};

/// A ready-made list of services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Profile {
    /// POP3 and IMAP4, which carry passwords in clear text: TCP 110, 143.
    Passwords,
    /// The mail itself too: TCP 80, 110, 143.
    Messages,
    /// That, and what a mail server asks of a domain controller: LDAP, Kerberos, RPC, DNS.
    Everything,
}

/// Which side of the traffic has the services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// We are the client: the services' ports are the remote ones.
    Client,
    /// We are the server: the services' ports are the local ones.
    Server,
}

const MAIL: [u16; 2] = [110, 143];
const HTTP: u16 = 80;
const LDAP: u16 = 389;
const GLOBAL_CATALOG: u16 = 3268;
const KERBEROS: u16 = 88;
const DNS: u16 = 53;
const RPC: u16 = 135;
/// Where Windows 2000 and 2003 put RPC servers, unless they are pinned.
const RPC_DYNAMIC: PortRange = PortRange {
    start: 1024,
    end: u16::MAX,
};

/// Why encrypting to a domain controller needs care (Microsoft KB254949).
pub const DOMAIN_CONTROLLER_WARNING: &str = "it covers Kerberos, LDAP and DNS: if the other side \
is a domain controller and the authentication itself needs one, neither can start, and hosts are \
locked out (Microsoft KB254949)";

impl Profile {
    /// Every profile.
    pub const ALL: [Profile; 3] = [Profile::Passwords, Profile::Messages, Profile::Everything];

    /// The word for it in the policy file.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Profile::Passwords => "passwords",
            Profile::Messages => "messages",
            Profile::Everything => "everything",
        }
    }

    /// The profile of this word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Profile::ALL
            .into_iter()
            .find(|profile| profile.word() == word)
    }

    /// The services: a protocol and its ports, once per protocol.
    #[must_use]
    pub fn services(self) -> Vec<(u8, Vec<PortRange>)> {
        let single = |ports: &[u16]| ports.iter().copied().map(PortRange::single).collect();
        match self {
            Profile::Passwords => vec![(TCP, single(&MAIL))],
            Profile::Messages => vec![(TCP, single(&[HTTP, MAIL[0], MAIL[1]]))],
            Profile::Everything => {
                let tcp = [DNS, HTTP, KERBEROS, MAIL[0], RPC, MAIL[1], LDAP];
                let mut tcp: Vec<PortRange> = single(&tcp);
                // The dynamic range holds the global catalog's port.
                debug_assert!(RPC_DYNAMIC.contains(GLOBAL_CATALOG));
                tcp.push(RPC_DYNAMIC);
                vec![(TCP, tcp), (UDP, single(&[DNS, KERBEROS, LDAP]))]
            }
        }
    }

    /// The filters between two sides, one per protocol.
    #[must_use]
    pub fn filters(self, local: &[AddressSpec], remote: &[AddressSpec], side: Side) -> Vec<Filter> {
        let filter = |(protocol, ports): (u8, Vec<PortRange>)| {
            let (local_ports, remote_ports) = match side {
                Side::Client => (Vec::new(), ports),
                Side::Server => (ports, Vec::new()),
            };
            Filter {
                local: local.to_vec(),
                remote: remote.to_vec(),
                protocol,
                local_ports,
                remote_ports,
                directions: Directions::Both,
            }
        };
        self.services().into_iter().map(filter).collect()
    }

    /// What to know before using it, if there is anything.
    #[must_use]
    pub fn warning(self) -> Option<&'static str> {
        (self == Profile::Everything).then_some(DOMAIN_CONTROLLER_WARNING)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::child::ChildTemplate;
    use crate::names::RuleName;
    use crate::rule::{Action, Negotiate, Origin, Rule};
    use crate::selector::Direction;
    use crate::spd::Spd;
    use std::sync::Arc;
    use wire::ip::Flow;

    fn covered(profile: Profile, protocol: u8, port: u16) -> bool {
        let filters = profile.filters(&[AddressSpec::Any], &[AddressSpec::Any], Side::Server);
        let child = Arc::new(ChildTemplate::transport());
        let action = Action::Negotiate(Negotiate::require(child));
        let rule = Rule {
            name: RuleName::new("profile"),
            filters,
            action,
            peer: None,
            origin: Origin::File,
        };
        let spd = Spd::build(vec![rule], &[]);
        let client = "10.0.0.1".parse().unwrap();
        let server = "10.0.0.2".parse().unwrap();
        let flow = Flow {
            src: client,
            dst: server,
            protocol,
            src_port: 999,
            dst_port: port,
        };
        spd.lookup(&flow, Direction::Inbound).rule().is_some()
    }

    #[test]
    fn ports_of_the_profiles() {
        let tcp: [(u16, [bool; 3]); 9] = [
            (110, [true; 3]),
            (143, [true; 3]),
            (80, [false, true, true]),
            (389, [false, false, true]),
            (3268, [false, false, true]),
            (88, [false, false, true]),
            (135, [false, false, true]),
            (53, [false, false, true]),
            (25, [false, false, false]),
        ];
        for (port, expected) in tcp {
            assert_eq!(
                Profile::ALL.map(|profile| covered(profile, TCP, port)),
                expected,
                "{port}"
            );
        }
        assert!(covered(Profile::Everything, UDP, 53));
        assert!(!covered(Profile::Passwords, UDP, 110));
        assert!(Profile::Everything.warning().is_some());
    }
}
