//! Our end of the wire to the guest: raw ESP sockets and the small host on manual keys.

use std::net::{IpAddr, UdpSocket};
use std::time::{Duration, Instant};

use linux::poll::{Events, Interest, Poller};
use linux::raw::{EspSocket, IpSocket};
use linux::udp::SocketOptions;
use linux::{Family, RecvBatch};

use crate::host::Host;
use crate::packet::Echo;
use crate::space::Space;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// The guest's network device at times sleeps on a packet until the next one comes. After this
/// long it is sent a broadcast that means nothing.
pub(crate) const NUDGE: Duration = Duration::from_millis(100);
const BROADCAST: &str = "10.88.0.255:9";

/// The sockets of one family.
pub(crate) struct End {
    esp: EspSocket,
    clear: IpSocket,
    batch: RecvBatch,
    poller: Poller,
    nudge: UdpSocket,
}

impl End {
    /// Opens the sockets in a namespace.
    pub(crate) fn open(space: &Space, family: Family) -> Result<Self, String> {
        let open = || -> Result<(EspSocket, IpSocket), linux::Error> {
            let esp = EspSocket::open(family, &SocketOptions::default())?;
            Ok((esp, IpSocket::open(family, None)?))
        };
        let (esp, clear) = space.run(open)?.map_err(|why| why.to_string())?;
        let poller = Poller::new().map_err(|why| why.to_string())?;
        poller
            .add(&esp, 0, Interest::Read)
            .map_err(|why| why.to_string())?;
        let socket = || -> std::io::Result<UdpSocket> {
            let socket = UdpSocket::bind("0.0.0.0:0")?;
            socket.set_broadcast(true)?;
            Ok(socket)
        };
        let nudge = space.run(socket)?.map_err(|why| why.to_string())?;
        Ok(End {
            esp,
            clear,
            batch: RecvBatch::new(1),
            poller,
            nudge,
        })
    }

    /// Sends an ESP datagram.
    pub(crate) fn send(&self, remote: IpAddr, datagram: &[u8]) -> Result<(), String> {
        self.esp
            .send_to(None, remote, datagram)
            .map_err(|why| format!("send ESP: {why}"))
    }

    /// Sends an IP packet as it is.
    pub(crate) fn send_clear(&self, remote: IpAddr, packet: &[u8]) -> Result<(), String> {
        self.clear
            .send(remote, packet)
            .map_err(|why| format!("send in clear: {why}"))
    }

    /// Wakes the guest's network device, in case it sleeps on a packet.
    pub(crate) fn nudge(&self) {
        let _ = self.nudge.send_to(&[0], BROADCAST);
    }

    /// Throws away what came in for an earlier SA.
    pub(crate) fn forget(&mut self) {
        while self.esp.receive(&mut self.batch).is_ok() {}
    }

    /// The next ESP datagram that comes in, opened. `None` when none came in time.
    pub(crate) fn receive(
        &mut self,
        host: &mut Host,
        patience: Duration,
    ) -> Result<Option<Vec<u8>>, String> {
        let end = Instant::now() + patience;
        let mut events = Events::with_capacity(1);
        loop {
            if self.esp.receive(&mut self.batch).is_ok()
                && let Some(datagram) = self.batch.iter().next()
            {
                let (source, local) = (datagram.remote.ip(), datagram.local);
                let opened = host.open(source, local, datagram.bytes);
                return opened
                    .map(Some)
                    .map_err(|why| format!("we cannot open its ESP: {why}"));
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            let wait = left.min(NUDGE);
            let ready = self.poller.wait(&mut events, Some(wait));
            if ready.map_err(|why| why.to_string())? == 0 && wait == NUDGE {
                self.nudge();
            }
        }
    }

    /// Sends an echo request through ESP and waits for the right answer. Answers how long it took.
    pub(crate) fn echo(&mut self, host: &mut Host, echo: &Echo) -> Result<Duration, String> {
        let datagram = host.seal(&echo.emit())?;
        let begun = Instant::now();
        self.send(echo.destination, &datagram)?;
        let number = echo.sequence;
        let Some(packet) = self.receive(host, PATIENCE)? else {
            return Err(format!("echo {number} was not answered"));
        };
        match Echo::parse(&packet) {
            Some(answer) if answer == echo.answer() => Ok(begun.elapsed()),
            other => Err(format!("echo {number} was answered by {other:?}")),
        }
    }
}
