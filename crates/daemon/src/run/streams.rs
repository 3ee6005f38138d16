//! The TCP connections of IKE between the node, the plane and the network (RFC 9329).

use crate::plane::Stream;
use crate::run::Daemon;
use crate::streams::News;
use cluster::GroupName;
use ike::IkeSaId;
use node::Command;
use policy::ChildId;
use std::net::{IpAddr, TcpStream};
use std::sync::Arc;
use std::time::Instant;

impl Daemon {
    /// Somebody has connected, or we have, or could not.
    pub(crate) fn stream_news(&mut self, news: News) {
        match news {
            News::Accepted(socket) => self.accept_stream(socket),
            News::Opened {
                ike,
                outcome: Ok(socket),
                ..
            } => self.stream_opened(ike, socket),
            News::Opened {
                ike,
                remote,
                outcome: Err(why),
            } => {
                self.streams.failed(ike);
                let text = format!("no TCP connection to {remote}: {why}");
                self.log.failure("tcp", &text);
            }
        }
    }

    fn accept_stream(&mut self, socket: TcpStream) {
        let pad = self.node.pad();
        let is_peer = |address: IpAddr| pad.nearest(address).is_some();
        let (stream, outdated) = self.streams.accepted(socket, is_peer, Instant::now());
        for old in outdated {
            self.close_stream(old.number);
        }
        self.connect_plane(stream.as_ref());
    }

    fn stream_opened(&mut self, ike: IkeSaId, socket: TcpStream) {
        let (stream, outdated) = self.streams.opened(ike, socket, Instant::now());
        if let Some(old) = outdated {
            self.close_stream(old.number);
        }
        self.connect_plane(stream.as_ref());
        if let Some(stream) = stream {
            let (local, remote) = (stream.ends.local, stream.ends.remote);
            let news = ike::Stream::Opened { ike, local, remote };
            let _ = self
                .node
                .handle_command(Command::Stream(news), Instant::now());
        }
    }

    fn connect_plane(&mut self, stream: Option<&Arc<Stream>>) {
        if let Some(stream) = stream {
            self.plane.connect(stream);
        }
    }

    /// ESP of a pair comes in a connection from now on.
    pub(crate) fn stream_heard(&mut self, number: u64, child: ChildId) {
        let Some(ends) = self.streams.accepted_ends(number) else {
            return;
        };
        let (local, remote) = (ends.local, ends.remote);
        let news = ike::Stream::Heard {
            child,
            local,
            remote,
        };
        let _ = self
            .node
            .handle_command(Command::Stream(news), Instant::now());
    }

    /// A connection is no more: nobody writes to it or reads from it, and IKE knows.
    pub(crate) fn close_stream(&mut self, number: u64) {
        let Some(stream) = self.streams.close(number) else {
            return;
        };
        self.plane.disconnect(&stream);
        let (local, remote) = (stream.ends.local, stream.ends.remote);
        let news = ike::Stream::Closed { local, remote };
        let _ = self
            .node
            .handle_command(Command::Stream(news), Instant::now());
    }

    /// From time to time: those that have ended or that nobody uses.
    pub(crate) fn sweep_streams(&mut self, now: Instant) {
        let ike = self.node.ike();
        let outdated = self
            .streams
            .outdated(|local, remote| ike.uses_stream(local, remote), now);
        for number in outdated {
            self.close_stream(number);
            self.carry_out();
        }
    }

    /// The addresses of a group leave this host: its connections end while it still has them, so
    /// that the peers connect to whoever has them next.
    pub(crate) fn leave_streams(&mut self, group: &GroupName) {
        let groups = self.config.cluster.iter().flat_map(|one| &one.groups);
        let addresses: Vec<IpAddr> = groups
            .filter(|one| one.name == *group)
            .flat_map(|one| one.addresses.iter().map(|(address, _)| *address))
            .collect();
        for number in self.streams.leaving(|local| addresses.contains(&local)) {
            self.close_stream(number);
        }
    }
}
