//! The probe: one UDP echo (RFC 862) each 10 ms, and the longest time between two answers.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Time between two probes.
pub(crate) const INTERVAL: Duration = Duration::from_millis(10);
/// After the last probe, answers are awaited this long.
const LATE: Duration = Duration::from_millis(200);
/// The first bytes of a probe; what begins otherwise is no answer.
const MAGIC: [u8; 8] = *b"hf-probe";

/// What the probe saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Probes sent.
    pub(crate) sent: u64,
    /// Probes that were never answered.
    pub(crate) lost: u64,
    /// Longest time between two answers, or between the last answer and the end.
    pub(crate) outage: Duration,
}

/// A running probe; dropped, it stops.
pub(crate) struct Probe {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    start: Instant,
    threads: Option<(JoinHandle<u64>, JoinHandle<Vec<Answer>>)>,
}

/// Which probe was answered, and when.
#[derive(Clone, Copy, Debug)]
struct Answer {
    number: u64,
    at: Instant,
}

impl Probe {
    /// Starts to probe `target` through `socket`, which decides source and namespace.
    ///
    /// # Errors
    /// When the socket cannot be connected.
    pub(crate) fn start(socket: UdpSocket, target: SocketAddr) -> io::Result<Self> {
        socket.connect(target)?;
        socket.set_read_timeout(Some(Duration::from_millis(50)))?;
        let stop = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicU64::new(0));
        let start = Instant::now();
        let (out, stop_out) = (socket.try_clone()?, Arc::clone(&stop));
        let sender = thread::spawn(move || send(&out, start, &stop_out));
        let (stop_in, count) = (Arc::clone(&stop), Arc::clone(&answered));
        let receiver = thread::spawn(move || receive(&socket, start, &stop_in, &count));
        Ok(Self {
            stop,
            answered,
            start,
            threads: Some((sender, receiver)),
        })
    }

    /// How many answers came so far.
    pub(crate) fn answers(&self) -> u64 {
        self.answered.load(Ordering::Relaxed) >> 40
    }

    /// When the last answer came, if one did.
    pub(crate) fn last_answer(&self) -> Option<Instant> {
        let packed = self.answered.load(Ordering::Relaxed);
        (packed >> 40 > 0).then(|| self.start + Duration::from_micros(packed & ((1 << 40) - 1)))
    }

    /// Stops and says what was seen.
    pub(crate) fn stop(mut self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        let Some((sender, receiver)) = self.threads.take() else {
            return Seen::default();
        };
        let sent = sender.join().unwrap_or(0);
        let end = Instant::now();
        let answers = receiver.join().unwrap_or_default();
        evaluate(sent, &answers, end)
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Sends on a fixed schedule: a late wake-up does not shift the probes that follow.
fn send(socket: &UdpSocket, start: Instant, stop: &AtomicBool) -> u64 {
    let mut number = 0;
    let mut next = start;
    while !stop.load(Ordering::Relaxed) {
        let mut datagram = [0; 16];
        datagram[..8].copy_from_slice(&MAGIC);
        datagram[8..].copy_from_slice(&u64::to_be_bytes(number));
        // A refusal by the kernel (no route, dropped by a filter) is a lost probe.
        let _ = socket.send(&datagram);
        number += 1;
        next += INTERVAL;
        if let Some(pause) = next.checked_duration_since(Instant::now()) {
            thread::sleep(pause);
        }
    }
    number
}

fn receive(
    socket: &UdpSocket,
    start: Instant,
    stop: &AtomicBool,
    count: &AtomicU64,
) -> Vec<Answer> {
    let mut answers: Vec<Answer> = Vec::new();
    let mut buffer = [0; 64];
    let mut until = None;
    loop {
        if stop.load(Ordering::Relaxed) {
            let until = *until.get_or_insert_with(|| Instant::now() + LATE);
            if Instant::now() >= until {
                return answers;
            }
        }
        // Errors are timeouts, or ICMP answers to probes that found nobody.
        let Ok(size) = socket.recv(&mut buffer) else {
            continue;
        };
        let at = Instant::now();
        if let Some(number) = number_of(&buffer[..size]) {
            answers.push(Answer { number, at });
            let micros = at.duration_since(start).as_micros() as u64;
            count.store((answers.len() as u64) << 40 | micros, Ordering::Relaxed);
        }
    }
}

fn number_of(datagram: &[u8]) -> Option<u64> {
    let (magic, rest) = datagram.split_first_chunk::<8>()?;
    let number = u64::from_be_bytes(rest.try_into().ok()?);
    (*magic == MAGIC).then_some(number)
}

/// The longest silence is measured between arrivals, whatever probe they answer.
fn evaluate(sent: u64, answers: &[Answer], end: Instant) -> Seen {
    let mut numbers: Vec<u64> = answers
        .iter()
        .map(|a| a.number)
        .filter(|&n| n < sent)
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    let arrivals = answers.iter().map(|a| a.at);
    let next = arrivals.clone().skip(1).chain([end]);
    let outage = arrivals
        .zip(next)
        .map(|(a, b)| b.saturating_duration_since(a))
        .max()
        .unwrap_or(Duration::MAX);
    Seen {
        sent,
        lost: sent - numbers.len() as u64,
        outage,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(start: Instant, at_ms: &[(u64, u64)]) -> Vec<Answer> {
        at_ms
            .iter()
            .map(|&(number, ms)| Answer {
                number,
                at: start + Duration::from_millis(ms),
            })
            .collect()
    }

    #[test]
    fn the_longest_silence_and_the_lost() {
        let start = Instant::now();
        let seen = answers(start, &[(0, 1), (1, 11), (5, 51), (5, 52), (6, 61)]);
        let end = start + Duration::from_millis(70);
        let outage = Duration::from_millis(40);
        assert_eq!(
            evaluate(7, &seen, end),
            Seen {
                sent: 7,
                lost: 3,
                outage
            }
        );
    }

    #[test]
    fn silence_to_the_end_counts() {
        let start = Instant::now();
        let seen = answers(start, &[(0, 1)]);
        let end = start + Duration::from_secs(5);
        assert_eq!(
            evaluate(500, &seen, end).outage,
            Duration::from_millis(4999)
        );
        assert_eq!(evaluate(500, &[], end).outage, Duration::MAX);
    }

    #[test]
    fn a_server_that_pauses_is_seen_to_pause() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let target = server.local_addr().unwrap();
        thread::spawn(move || {
            let mut buffer = [0; 64];
            for number in 0.. {
                let (size, peer) = server.recv_from(&mut buffer).unwrap();
                if !(20..40).contains(&number) {
                    server.send_to(&buffer[..size], peer).unwrap();
                }
            }
        });
        let probe = Probe::start(UdpSocket::bind("127.0.0.1:0").unwrap(), target).unwrap();
        thread::sleep(Duration::from_millis(700));
        assert!(probe.answers() > 20 && probe.last_answer().is_some());
        let seen = probe.stop();
        assert!((20..22).contains(&seen.lost), "{seen:?}");
        let outage = seen.outage.as_millis();
        assert!((190..400).contains(&outage), "{seen:?}");
    }
}
