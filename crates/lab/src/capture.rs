//! Captures: every wire of the lab into a file of its own, and the counts that the report needs.
//!
//! The back network is captured at the switch's ports, whose cables the hosts' packets really
//! travel: a port's incoming frames are what its host sent, so each packet is counted once, and
//! a host that dies does not end the capture of its wire. The heartbeat link has no switch; it
//! is captured at its first end, in both directions.

pub(crate) mod pcap;

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use linux::netns;
use linux::packet::{FrameBatch, PacketSocket};
use linux::poll::{Events, Interest, Poller};

use crate::addresses::*;
use crate::classify::{Ipsec, Kind, Part, classify, ipsec};
use crate::error::{Error, file, kernel};
use crate::flow::Flow;
use crate::oracle::Oracle;
use crate::oracle::esp::IvLength;
use crate::shape::Shape;
use crate::topology::short;

/// The kernel's buffer per wire, in bytes.
const BUFFER: usize = 16 << 20;
/// Frames taken at a time.
const BATCH: usize = 64;
/// A capture looks this often whether it shall end.
const LOOK: Duration = Duration::from_millis(50);

/// One wire to capture.
struct Wire {
    namespace: &'static str,
    interface: &'static str,
    /// The file's name, without its ending.
    name: &'static str,
    counted: Counted,
    /// Whether it is the back network's, where nodes send from the virtual addresses.
    watched: bool,
}

/// Which frames of a wire are counted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Counted {
    /// Those that come in: at a switch's port, what its host sent.
    Incoming,
    /// Both directions.
    All,
    /// None: the client's own network, which no policy covers.
    None,
}

impl Counted {
    fn counts(self, outgoing: bool) -> bool {
        match self {
            Counted::Incoming => !outgoing,
            Counted::All => true,
            Counted::None => false,
        }
    }
}

const HEARTBEAT: Wire = Wire {
    namespace: BE1,
    interface: HEARTBEAT_IF,
    name: "heartbeat",
    counted: Counted::All,
    watched: false,
};
/// The heartbeat network's ports, where there are three nodes.
const HEARTBEAT_WIRES: [&str; 3] = ["heartbeat-be1", "heartbeat-be2", "heartbeat-be3"];
const FRONT: Wire = Wire {
    namespace: FE,
    interface: FRONT_IF,
    name: "client",
    counted: Counted::None,
    watched: false,
};

/// What was seen on the counted wires.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Packets of a protected port in clear.
    pub(crate) clear: u64,
    /// The first of them, in words.
    pub(crate) first_clear: Option<String>,
    /// ESP packets.
    pub(crate) esp: u64,
    /// When each IKE message was seen, and on which wire, in order of arrival per wire.
    pub(crate) ike: Vec<(SystemTime, &'static str)>,
    /// Frames in all.
    pub(crate) frames: u64,
    /// Frames that the captures missed.
    pub(crate) dropped: u64,
}

impl Counts {
    /// How many IKE messages were seen between two times.
    pub(crate) fn ike_between(&self, from: SystemTime, to: SystemTime) -> u64 {
        let between = |(at, _): &&(SystemTime, &str)| (from..to).contains(at);
        self.ike.iter().filter(between).count() as u64
    }

    /// How many IKE messages a host of the back network sent before `mark`.
    pub(crate) fn ike_before(&self, host: &str, mark: SystemTime) -> u64 {
        let sent = self
            .ike
            .iter()
            .filter(|(at, wire)| *at < mark && *wire == short(host));
        sent.count() as u64
    }

    fn add(&mut self, other: Counts) {
        self.clear += other.clear;
        self.first_clear = self.first_clear.take().or(other.first_clear);
        self.esp += other.esp;
        self.ike.extend(other.ike);
        self.frames += other.frames;
        self.dropped += other.dropped;
    }
}

/// What is learned of the nodes' wires together, while packets pass.
pub(crate) struct Sight {
    /// Holds the nodes to what they may never do.
    pub(crate) oracle: Oracle,
    /// How much passed, and when.
    pub(crate) flow: Flow,
}

impl Sight {
    /// Looks at a packet on the wire of a node.
    fn packet(&mut self, wire: &Wire, outgoing: bool, time: SystemTime, packet: &Ipsec<'_>) {
        // A switch's port sends what its host is to get.
        let inner = match outgoing {
            true => packet.destination,
            false => packet.source,
        };
        if let Part::Esp(bytes) = packet.part
            && [VIP.into(), VIP6.into()].contains(&inner)
        {
            self.flow.add(wire.name, time, outgoing, bytes.len());
        }
        if !outgoing {
            self.oracle.packet(wire.name, time, packet);
        }
    }
}

/// Captures that run until they are stopped.
pub(crate) struct Captures {
    start: (Instant, SystemTime),
    stop: Arc<AtomicBool>,
    sight: Arc<Mutex<Sight>>,
    threads: Vec<JoinHandle<Result<Counts, Error>>>,
}

impl Captures {
    /// Starts to capture every wire into `folder`, or into no file at all; the agreed transform
    /// has explicit IVs of length `iv`.
    ///
    /// # Errors
    /// When a socket or a file cannot be had.
    pub(crate) fn start(shape: Shape, folder: Option<&Path>, iv: IvLength) -> Result<Self, Error> {
        let start = SystemTime::now();
        let sight = Sight {
            oracle: Oracle::new(start, iv),
            flow: Flow::new(start),
        };
        let mut captures = Self {
            start: (Instant::now(), start),
            stop: Arc::new(AtomicBool::new(false)),
            sight: Arc::new(Mutex::new(sight)),
            threads: Vec::new(),
        };
        for wire in wires(shape) {
            let writer = folder.map(|folder| writer(folder, wire.name)).transpose()?;
            let open = || PacketSocket::capture(wire.interface, BUFFER);
            let socket = netns::run(wire.namespace, open)??;
            let (stop, sight) = (Arc::clone(&captures.stop), Arc::clone(&captures.sight));
            captures.threads.push(thread::spawn(move || {
                let counts = capture(&socket, writer, &wire, &stop, &sight);
                counts.map_err(kernel(format!("capture the wire of {}", wire.name)))
            }));
        }
        Ok(captures)
    }

    /// When the captures began, by both clocks.
    pub(crate) fn start_time(&self) -> (Instant, SystemTime) {
        self.start
    }

    /// Lets `look` see what was learned so far; packets wait meanwhile.
    pub(crate) fn sight<T>(&self, look: impl FnOnce(&Sight) -> T) -> T {
        look(&self.sight.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Ends the captures and adds up their counts.
    ///
    /// # Errors
    /// When a capture failed: its counts would prove nothing.
    pub(crate) fn stop(&mut self) -> Result<Counts, Error> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Counts::default();
        for thread in self.threads.drain(..) {
            if let Ok(counts) = thread.join() {
                all.add(counts?);
            }
        }
        Ok(all)
    }
}

impl Drop for Captures {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Every wire that is captured.
fn wires(shape: Shape) -> impl Iterator<Item = Wire> {
    let port = |interface, name, watched| Wire {
        namespace: SWITCH,
        interface,
        name,
        counted: Counted::Incoming,
        watched,
    };
    let back = shape
        .ports()
        .map(move |(host, interface)| port(interface, short(host), true));
    let pair = (shape == Shape::Pair).then_some(HEARTBEAT);
    let three = shape.nodes().iter().zip(HEARTBEAT_WIRES);
    let three = three
        .map(move |(node, name)| port(node.heartbeat_port, name, false))
        .filter(move |_| shape == Shape::Witnessed);
    back.chain(pair).chain(three).chain([FRONT])
}

type Writer = pcap::Writer<BufWriter<File>>;

fn writer(folder: &Path, name: &str) -> Result<Writer, Error> {
    let path = folder.join(format!("{name}.pcap"));
    let out = File::create(&path).map_err(file(&path))?;
    pcap::Writer::new(BufWriter::new(out)).map_err(file(&path))
}

/// Captures one wire.
fn capture(
    socket: &PacketSocket,
    mut out: Option<Writer>,
    wire: &Wire,
    stop: &AtomicBool,
    sight: &Mutex<Sight>,
) -> std::io::Result<Counts> {
    let poller = Poller::new()?;
    poller.add(socket, 0, Interest::Read)?;
    let mut events = Events::with_capacity(1);
    let mut batch = FrameBatch::new(BATCH, pcap::SNAP_LENGTH);
    let mut counts = Counts::default();
    loop {
        // Asked before the last look, so that nothing that came earlier is left.
        let last = stop.load(Ordering::Relaxed);
        match socket.receive(&mut batch) {
            Ok(_) => {
                let mut sight = wire
                    .watched
                    .then(|| sight.lock().unwrap_or_else(PoisonError::into_inner));
                for frame in batch.iter() {
                    let since = frame.time.duration_since(UNIX_EPOCH).unwrap_or_default();
                    if let Some(out) = &mut out {
                        out.frame(since, frame.bytes, frame.length)?;
                    }
                    if wire.counted.counts(frame.outgoing) {
                        count(&mut counts, frame.bytes, frame.time, wire.name);
                    }
                    if let Some(sight) = &mut sight
                        && let Some(packet) = ipsec(frame.bytes)
                    {
                        sight.packet(wire, frame.outgoing, frame.time, &packet);
                    }
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                if last {
                    break;
                }
                poller.wait(&mut events, Some(LOOK))?;
            }
            // The kernel tells once that the interface went down; it may come up again.
            Err(error) if error.kind() == std::io::ErrorKind::NetworkDown => {}
            Err(error) => return Err(error),
        }
    }
    counts.dropped = socket.statistics()?.dropped;
    if let Some(mut out) = out {
        out.flush()?;
    }
    Ok(counts)
}

fn count(counts: &mut Counts, frame: &[u8], time: SystemTime, wire: &'static str) {
    counts.frames += 1;
    match classify(frame) {
        Kind::Clear => {
            counts.clear += 1;
            let number = counts.frames;
            counts
                .first_clear
                .get_or_insert_with(|| format!("counted frame {number} of {wire}.pcap"));
        }
        Kind::Esp => counts.esp += 1,
        Kind::Ike => counts.ike.push((time, wire)),
        Kind::Other => {}
    }
}
