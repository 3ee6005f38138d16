//! Network interfaces (RTM_NEWLINK and its like, rtnetlink(7)).

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoBridge, InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};

use crate::error::Error;
use crate::netlink::socket::Netlink;
use crate::sys;

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The interface's index, unique in its namespace.
    pub index: u32,
    /// The interface's name.
    pub name: String,
    /// The largest packet in bytes.
    pub mtu: u32,
    /// Whether it is administratively up.
    pub up: bool,
    /// Whether it has a carrier (its cable is plugged, its peer is up).
    pub carrier: bool,
    /// Whether the kernel has taken note of the carrier, so that packets pass: up to a second
    /// after it came.
    pub running: bool,
    /// Whether it is a loopback interface.
    pub loopback: bool,
    /// The Ethernet address, where it has one.
    pub mac: Option<[u8; 6]>,
    /// The kind of a virtual interface: `veth`, `bridge`, `tun`, ...
    pub kind: Option<String>,
    /// The bridge or bond that it is a port of.
    pub controller: Option<u32>,
}

/// The index of an interface in this thread's network namespace.
///
/// # Errors
/// A sentence when there is no interface of this name.
pub fn index_of(name: &str) -> Result<u32, Error> {
    let missing = |why| Error::new(format!("find the interface {name}"), why);
    let text = CString::new(name).map_err(|_| missing(io::ErrorKind::InvalidInput.into()))?;
    sys::interface_index(&text).map_err(missing)
}

impl Netlink {
    /// All interfaces.
    ///
    /// # Errors
    /// A sentence.
    pub fn links(&mut self) -> Result<Vec<Link>, Error> {
        let request = RouteNetlinkMessage::GetLink(LinkMessage::default());
        let objects = self.dump(request, || "list the interfaces".into())?;
        Ok(objects.iter().filter_map(from_message).collect())
    }

    /// The interface of this name.
    ///
    /// # Errors
    /// A sentence when there is none.
    pub fn link(&mut self, name: &str) -> Result<Link, Error> {
        let links = self.links()?;
        links
            .into_iter()
            .find(|link| link.name == name)
            .ok_or_else(|| {
                let why = io::Error::from_raw_os_error(libc::ENODEV);
                Error::new(format!("find the interface {name}"), why)
            })
    }

    /// Switches an interface on or off.
    ///
    /// # Errors
    /// A sentence.
    pub fn set_up(&mut self, index: u32, up: bool) -> Result<(), Error> {
        let mut message = of(index);
        message.header.change_mask = LinkFlags::Up;
        if up {
            message.header.flags = LinkFlags::Up;
        }
        let state = if up { "up" } else { "down" };
        self.change(RouteNetlinkMessage::SetLink(message), 0, || {
            format!("set interface {index} {state}")
        })
    }

    /// Sets the largest packet of an interface, in bytes.
    ///
    /// # Errors
    /// A sentence, for example when the device cannot.
    pub fn set_mtu(&mut self, index: u32, mtu: u32) -> Result<(), Error> {
        self.set_link(index, LinkAttribute::Mtu(mtu), || {
            format!("set the MTU of interface {index} to {mtu}")
        })
    }

    /// Sets the Ethernet address of an interface.
    ///
    /// # Errors
    /// A sentence.
    pub fn set_mac(&mut self, index: u32, mac: [u8; 6]) -> Result<(), Error> {
        self.set_link(index, LinkAttribute::Address(mac.to_vec()), || {
            format!("set the Ethernet address of interface {index}")
        })
    }

    /// Makes an interface a port of a bridge, or of none.
    ///
    /// # Errors
    /// A sentence.
    pub fn set_controller(&mut self, index: u32, controller: Option<u32>) -> Result<(), Error> {
        self.set_link(
            index,
            LinkAttribute::Controller(controller.unwrap_or(0)),
            || format!("make interface {index} a port of a bridge"),
        )
    }

    /// Moves an interface into another network namespace, given by an open descriptor of it.
    ///
    /// # Errors
    /// A sentence, for example when the name is in use there.
    pub fn move_to(&mut self, index: u32, namespace: BorrowedFd<'_>) -> Result<(), Error> {
        self.set_link(index, LinkAttribute::NetNsFd(namespace.as_raw_fd()), || {
            format!("move interface {index} to another network namespace")
        })
    }

    /// Makes a pair of connected virtual Ethernet interfaces; the peer is made in
    /// `peer_namespace` where given. Both are down.
    ///
    /// # Errors
    /// A sentence, for example when a name is in use.
    pub fn add_veth(
        &mut self,
        name: &str,
        peer: &str,
        peer_namespace: Option<BorrowedFd<'_>>,
    ) -> Result<(), Error> {
        let mut other = LinkMessage::default();
        other.attributes.push(LinkAttribute::IfName(peer.into()));
        if let Some(namespace) = peer_namespace {
            other
                .attributes
                .push(LinkAttribute::NetNsFd(namespace.as_raw_fd()));
        }
        let info = vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(other))),
        ];
        self.add_link(name, info)
    }

    /// Makes a bridge (a virtual Ethernet switch) without spanning tree. It is down.
    ///
    /// # Errors
    /// A sentence, for example when the name is in use.
    pub fn add_bridge(&mut self, name: &str) -> Result<(), Error> {
        let info = vec![
            LinkInfo::Kind(InfoKind::Bridge),
            // A switch without a querier must flood multicast, or neighbours are not found.
            LinkInfo::Data(InfoData::Bridge(vec![InfoBridge::MulticastSnooping(false)])),
        ];
        self.add_link(name, info)
    }

    /// Removes an interface (and the other end of a veth pair). Answers whether there was one.
    ///
    /// # Errors
    /// A sentence, for example for an interface that cannot be removed.
    pub fn delete_link(&mut self, index: u32) -> Result<bool, Error> {
        let request = RouteNetlinkMessage::DelLink(of(index));
        self.change_unless(&[libc::ENODEV], request, 0, || {
            format!("remove interface {index}")
        })
    }

    fn set_link(
        &mut self,
        index: u32,
        attribute: LinkAttribute,
        what: impl Fn() -> String,
    ) -> Result<(), Error> {
        let mut message = of(index);
        message.attributes.push(attribute);
        self.change(RouteNetlinkMessage::SetLink(message), 0, what)
    }

    fn add_link(&mut self, name: &str, info: Vec<LinkInfo>) -> Result<(), Error> {
        let mut message = LinkMessage::default();
        message.attributes.push(LinkAttribute::IfName(name.into()));
        message.attributes.push(LinkAttribute::LinkInfo(info));
        let flags = NLM_F_CREATE | NLM_F_EXCL;
        self.change(RouteNetlinkMessage::NewLink(message), flags, || {
            format!("make the interface {name}")
        })
    }
}

fn of(index: u32) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message
}

/// Reads an interface out of a reply or a notification.
pub(crate) fn from_message(message: &RouteNetlinkMessage) -> Option<Link> {
    let (RouteNetlinkMessage::NewLink(message) | RouteNetlinkMessage::DelLink(message)) = message
    else {
        return None;
    };
    let flags = message.header.flags;
    let mut link = Link {
        index: message.header.index,
        name: String::new(),
        mtu: 0,
        up: flags.contains(LinkFlags::Up),
        carrier: flags.contains(LinkFlags::LowerUp),
        running: flags.contains(LinkFlags::Running),
        loopback: flags.contains(LinkFlags::Loopback),
        mac: None,
        kind: None,
        controller: None,
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::Address(address) => link.mac = address.as_slice().try_into().ok(),
            LinkAttribute::Controller(index) => link.controller = Some(*index),
            LinkAttribute::LinkInfo(info) => {
                link.kind = info.iter().find_map(|info| match info {
                    LinkInfo::Kind(kind) => Some(kind.to_string()),
                    _ => None,
                });
            }
            _ => {}
        }
    }
    Some(link)
}
