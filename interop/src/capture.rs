//! A wire captured into a file, every frame shown to a counter.

use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, UNIX_EPOCH};

use linux::packet::{Frame, FrameBatch, PacketSocket};
use linux::poll::{Events, Interest, Poller};
use wire::pcap;

use crate::space::Space;

/// The kernel's buffer, in bytes.
const BUFFER: usize = 32 << 20;
/// Frames taken at a time, and how much of each: TCP segments come uncut.
const BATCH: usize = 64;
const SNAPSHOT: usize = 65_600;
/// The capture looks this often whether it shall end.
const LOOK: Duration = Duration::from_millis(20);

/// A capture that runs until it is stopped; its counter is `T`.
pub(crate) struct Capture<T> {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<std::io::Result<(T, u64)>>>,
}

impl<T: Send + 'static> Capture<T> {
    /// Captures an interface into `path`, showing every frame to `see`.
    pub(crate) fn start(
        space: &Space,
        interface: &str,
        path: &Path,
        counter: T,
        see: fn(&mut T, &Frame<'_>),
    ) -> Result<Self, String> {
        let socket = space.run(|| PacketSocket::capture(interface, BUFFER))?;
        let socket = socket.map_err(|why| why.to_string())?;
        let file = File::create(path).map_err(|why| format!("{}: {why}", path.display()))?;
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        let thread =
            thread::spawn(move || capture(&socket, BufWriter::new(file), counter, see, &asked));
        Ok(Capture {
            stop,
            thread: Some(thread),
        })
    }

    /// Ends the capture and answers its counter.
    ///
    /// # Errors
    /// When it failed or missed a frame: then the counter proves nothing.
    pub(crate) fn stop(mut self) -> Result<T, String> {
        self.stop.store(true, Ordering::Relaxed);
        let Some(Ok(done)) = self.thread.take().map(JoinHandle::join) else {
            return Err("the capture ended early".into());
        };
        match done.map_err(|why| format!("the capture failed: {why}"))? {
            (counter, 0) => Ok(counter),
            (_, missed) => Err(format!("the capture missed {missed} frames")),
        }
    }
}

impl<T> Drop for Capture<T> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn capture<T>(
    socket: &PacketSocket,
    mut out: impl Write,
    mut counter: T,
    see: fn(&mut T, &Frame<'_>),
    stop: &AtomicBool,
) -> std::io::Result<(T, u64)> {
    let poller = Poller::new()?;
    poller.add(socket, 0, Interest::Read)?;
    let mut events = Events::with_capacity(1);
    let mut batch = FrameBatch::new(BATCH, SNAPSHOT);
    out.write_all(&pcap::header(pcap::ETHERNET))?;
    loop {
        // Asked before the last look, so that nothing that came earlier is left.
        let last = stop.load(Ordering::Relaxed);
        match socket.receive(&mut batch) {
            Ok(_) => {
                for frame in batch.iter() {
                    let since = frame.time.duration_since(UNIX_EPOCH).unwrap_or_default();
                    let (kept, whole) = (frame.bytes.len() as u32, frame.length as u32);
                    out.write_all(&pcap::record_header(since, kept, whole.max(kept)))?;
                    out.write_all(frame.bytes)?;
                    see(&mut counter, &frame);
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if last {
                    break;
                }
                poller.wait(&mut events, Some(LOOK))?;
            }
            Err(error) if error.kind() == ErrorKind::NetworkDown => {}
            Err(error) => return Err(error),
        }
    }
    out.flush()?;
    Ok((counter, socket.statistics()?.dropped))
}
