//! The sockets of IKE and ESP: UDP 500, UDP 4500 and protocol 50, each for IPv4 and IPv6.

use crate::plane::family_index;
use linux::icmp::IcmpSocket;
use linux::poll::{Events, Interest, Poller};
use linux::raw::{EspSocket, IpSocket};
use linux::udp::{DontFragment, SocketOptions, UdpSocket};
use linux::{Error, Family};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;
use wire::esp::NON_ESP_MARKER;

/// The port of IKE (RFC 7296 section 2).
pub(crate) const IKE_PORT: u16 = 500;
/// The port of IKE and ESP in UDP (RFC 3948).
pub(crate) const NATT_PORT: u16 = 4500;
/// How long a full socket buffer is waited for before the packet is given up.
const PATIENCE: Duration = Duration::from_millis(50);

/// All of them, IPv4 first; IPv6 is missing on a host without it.
pub(crate) struct Sockets {
    pub(crate) ike: [Option<UdpSocket>; 2],
    pub(crate) natt: [Option<UdpSocket>; 2],
    pub(crate) esp: [Option<EspSocket>; 2],
    pub(crate) icmp: [Option<IcmpSocket>; 2],
    clear: [Option<IpSocket>; 2],
}

/// What the IP header of sealed datagrams says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outer {
    pub(crate) traffic_class: u8,
    pub(crate) dont_fragment: bool,
}

impl Outer {
    /// We know ourselves how large packets may be: the kernel believes routers more than we do.
    fn fragmentation(self) -> DontFragment {
        match self.dont_fragment {
            true => DontFragment::Probe,
            false => DontFragment::Never,
        }
    }
}

impl Sockets {
    /// Opens them; what they send carries `mark`. Where ESP is the kernel's, only IKE comes here.
    ///
    /// # Errors
    /// A sentence: a port is in use, or permission is missing.
    pub(crate) fn open(mark: u32, esp_in_kernel: bool) -> Result<Self, Error> {
        let options = SocketOptions {
            mark: Some(mark),
            ..SocketOptions::default()
        };
        let ipv6 = UdpSocket::bind(Family::V6, 0, &options).is_ok();
        let with = |family| family == Family::V4 || ipv6;
        let udp = |port| {
            let kernels = esp_in_kernel && port == NATT_PORT;
            let options = SocketOptions {
                esp_in_udp: kernels,
                gro: !kernels,
                ..options.clone()
            };
            let bind = |family: Family| {
                with(family)
                    .then(|| UdpSocket::bind(family, port, &options))
                    .transpose()
            };
            Ok::<_, Error>([bind(Family::V4)?, bind(Family::V6)?])
        };
        let raw = |family: Family| {
            (with(family) && !esp_in_kernel)
                .then(|| EspSocket::open(family, &options))
                .transpose()
        };
        let clear = |family: Family| {
            (with(family) && !esp_in_kernel)
                .then(|| IpSocket::open(family, Some(mark)))
                .transpose()
        };
        let icmp = |family| with(family).then(|| IcmpSocket::open(family)).transpose();
        Ok(Self {
            ike: udp(IKE_PORT)?,
            natt: udp(NATT_PORT)?,
            esp: [raw(Family::V4)?, raw(Family::V6)?],
            icmp: [icmp(Family::V4)?, icmp(Family::V6)?],
            clear: [clear(Family::V4)?, clear(Family::V6)?],
        })
    }

    /// Sends an IKE message; from a port other than 500 behind the non-ESP marker.
    ///
    /// # Errors
    /// Those of sendmsg(2): IKE sends again what is lost.
    pub(crate) fn send_ike(
        &self,
        local: SocketAddr,
        remote: SocketAddr,
        message: &[u8],
    ) -> io::Result<()> {
        let index = family_index(Family::of(remote.ip()));
        if local.port() == IKE_PORT {
            let socket = of(&self.ike, index)?;
            return socket.send_to(Some(local.ip()), remote, message);
        }
        let marked = [&NON_ESP_MARKER[..], message].concat();
        let socket = of(&self.natt, index)?;
        // The outbound worker says otherwise before each of its own.
        let _ = socket.set_dont_fragment(DontFragment::Never);
        socket.send_to(Some(local.ip()), remote, &marked)
    }

    /// Sends the octet that keeps a NAT open (RFC 3948 section 2.3).
    ///
    /// # Errors
    /// Those of sendmsg(2).
    pub(crate) fn send_keepalive(&self, local: SocketAddr, remote: SocketAddr) -> io::Result<()> {
        let socket = of(&self.natt, family_index(Family::of(remote.ip())))?;
        socket.send_to(Some(local.ip()), remote, &[0xff])
    }

    /// Sends datagrams of `segment_size` bytes each, raw. Says whether they fit the link.
    pub(crate) fn send_esp(
        &self,
        local: IpAddr,
        remote: IpAddr,
        bytes: &[u8],
        segment: usize,
        outer: Outer,
    ) -> bool {
        let Ok(socket) = of(&self.esp, family_index(Family::of(remote))) else {
            return true;
        };
        let _ = socket.set_dont_fragment(outer.fragmentation());
        persist(socket, bytes.len(), |done| {
            let rest = bytes.get(done..).unwrap_or_default();
            socket.send_segments(Some(local), remote, rest, segment, outer.traffic_class)
        })
    }

    /// Sends datagrams of `segment_size` bytes each, in UDP. Says whether they fit the link.
    pub(crate) fn send_esp_in_udp(
        &self,
        local: IpAddr,
        remote: SocketAddr,
        bytes: &[u8],
        segment: usize,
        outer: Outer,
    ) -> bool {
        let Ok(socket) = of(&self.natt, family_index(Family::of(remote.ip()))) else {
            return true;
        };
        let _ = socket.set_dont_fragment(outer.fragmentation());
        persist(socket, bytes.len(), |done| {
            let rest = bytes.get(done..).unwrap_or_default();
            socket.send_segments(Some(local), remote, rest, segment, outer.traffic_class)
        })
    }

    /// Sends an IP packet that the policy lets pass in clear.
    pub(crate) fn send_clear(&self, destination: IpAddr, packet: &[u8]) {
        if let Ok(socket) = of(&self.clear, family_index(Family::of(destination))) {
            let _ = socket.send(destination, packet);
        }
    }
}

fn of<T>(sockets: &[Option<T>; 2], index: usize) -> io::Result<&T> {
    let socket = sockets.get(index).and_then(Option::as_ref);
    socket.ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

/// Sends all of it: a full buffer is waited for, a little; another error ends it, as a lossy wire
/// would. Says whether the datagrams fit the link.
fn persist(socket: impl AsFd, length: usize, send: impl Fn(usize) -> io::Result<usize>) -> bool {
    let mut done = 0;
    while done < length {
        match send(done) {
            Ok(0) => return true,
            Ok(sent) => done += sent,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if !writable(&socket) {
                    return true;
                }
            }
            Err(error) => return error.raw_os_error() != Some(linux::udp::MESSAGE_TOO_LONG),
        }
    }
    true
}

/// Waits for room. Rare, so that making a poller for it costs nothing that matters.
fn writable(socket: &impl AsFd) -> bool {
    let wait = || {
        let poller = Poller::new()?;
        poller.add(socket.as_fd(), 0, Interest::Write)?;
        poller.wait(&mut Events::with_capacity(1), Some(PATIENCE))
    };
    wait().is_ok_and(|ready| ready > 0)
}
