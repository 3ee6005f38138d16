//! How a group leaves a node: in which order services stop, SAs are deleted, addresses go.
//!
//! A node that still owns the group stops its services, then deletes the SAs **while it still has
//! the address to send from**, then lets the address go. A node that has lost the group lets the
//! address go first and says nothing to its peers.

use std::collections::BTreeSet;
use std::net::IpAddr;

/// How far a departure has come.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Departure {
    /// In order: the services are stopping.
    Services,
    /// The same, and a member that has a copy gets the SAs as they are.
    ServicesThenHandOver,
    /// The SAs are handed over.
    HandingOver,
    /// In order: these addresses wait for answers to their Deletes.
    Deletes(BTreeSet<IpAddr>),
    /// In order: the addresses are being taken off.
    Addresses,
    /// In haste: the addresses are being taken off.
    AddressesFirst,
    /// In haste: the services are stopping.
    ServicesLast,
}

/// What the next step of a departure is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Wait for another answer.
    Wait,
    /// Delete the SAs of the group's addresses.
    Delete,
    /// Hand the SAs over.
    HandOver,
    /// Take the addresses off.
    Release,
    /// Stop the services.
    Stop,
    /// Tell the cluster that the group has stopped.
    Done,
}

impl Departure {
    /// The departure of a group that this node still owns, or has lost, and its first step.
    pub(crate) fn begin(still_owner: bool) -> (Self, Step) {
        match still_owner {
            true => (Self::Services, Step::Stop),
            false => (Self::AddressesFirst, Step::Release),
        }
    }

    /// The departure of a group whose SAs go to a member as they are, and its first step.
    pub(crate) fn hand_over() -> (Self, Step) {
        (Self::ServicesThenHandOver, Step::Stop)
    }

    /// The SAs are handed over, and nothing comes to the addresses any more; or that failed.
    pub(crate) fn handed_over(&mut self) -> Step {
        match self {
            Self::HandingOver => {
                *self = Self::Addresses;
                Step::Release
            }
            _ => Step::Wait,
        }
    }

    /// The services have stopped. `addresses` are the group's.
    pub(crate) fn services_stopped(&mut self, addresses: &[IpAddr]) -> Step {
        match self {
            Self::Services if addresses.is_empty() => {
                *self = Self::Addresses;
                Step::Release
            }
            Self::Services => {
                *self = Self::Deletes(addresses.iter().copied().collect());
                Step::Delete
            }
            Self::ServicesThenHandOver => {
                *self = Self::HandingOver;
                Step::HandOver
            }
            Self::ServicesLast => Step::Done,
            _ => Step::Wait,
        }
    }

    /// Every SA of `address` is deleted, or time is up.
    pub(crate) fn address_quiet(&mut self, address: IpAddr) -> Step {
        let Self::Deletes(waiting) = self else {
            return Step::Wait;
        };
        if !waiting.remove(&address) || !waiting.is_empty() {
            return Step::Wait;
        }
        *self = Self::Addresses;
        Step::Release
    }

    /// The addresses are off the host.
    pub(crate) fn addresses_released(&mut self) -> Step {
        match self {
            Self::Addresses => Step::Done,
            Self::AddressesFirst => {
                *self = Self::ServicesLast;
                Step::Stop
            }
            _ => Step::Wait,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 77, 0, last])
    }

    #[test]
    fn an_owner_deletes_while_it_has_the_address() {
        let (mut departure, first) = Departure::begin(true);
        assert_eq!(first, Step::Stop);
        let addresses = [address(100), address(101)];
        assert_eq!(departure.services_stopped(&addresses), Step::Delete);
        assert_eq!(departure.addresses_released(), Step::Wait);
        assert_eq!(departure.address_quiet(address(100)), Step::Wait);
        assert_eq!(departure.address_quiet(address(100)), Step::Wait);
        assert_eq!(departure.address_quiet(address(101)), Step::Release);
        assert_eq!(departure.addresses_released(), Step::Done);
    }

    #[test]
    fn a_node_that_lost_the_group_lets_go_of_the_address_first() {
        let (mut departure, first) = Departure::begin(false);
        assert_eq!(first, Step::Release);
        assert_eq!(departure.services_stopped(&[address(100)]), Step::Wait);
        assert_eq!(departure.addresses_released(), Step::Stop);
        assert_eq!(departure.services_stopped(&[address(100)]), Step::Done);
    }

    #[test]
    fn a_group_without_addresses_needs_no_delete() {
        let (mut departure, _) = Departure::begin(true);
        assert_eq!(departure.services_stopped(&[]), Step::Release);
    }
}
