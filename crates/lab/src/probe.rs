//! The probe: a UDP echo (RFC 862) each millisecond, and the times in which none is answered.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// After the last probe, answers are awaited this long.
const LATE: Duration = Duration::from_millis(200);
/// An answer that takes longer than this is none.
const LATEST: Duration = Duration::from_secs(10);
/// A silence that an event caused begins at most this long before it, and a probe's interval.
pub(crate) const UNSEEN: Duration = Duration::from_millis(20);
/// The first bytes of a probe; what begins otherwise is no answer.
const MAGIC: [u8; 8] = *b"hf-probe";

/// What the probe saw.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Probes sent.
    pub(crate) sent: u64,
    /// Probes that were never answered.
    pub(crate) lost: u64,
    /// Every answer, in the order of arrival.
    pub(crate) answers: Vec<Answer>,
    /// When the probe ended.
    pub(crate) end: Instant,
    /// When it began.
    pub(crate) start: Instant,
    interval: Duration,
}

/// A silence: from the last answer before it to the first one after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    /// When the last answer before it came.
    pub(crate) from: Instant,
    /// How long it was; without an end when nothing was ever answered.
    pub(crate) length: Duration,
}

/// A running probe; dropped, it stops.
pub(crate) struct Probe {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    start: Instant,
    interval: Duration,
    threads: Option<(JoinHandle<u64>, JoinHandle<Vec<Answer>>)>,
}

/// Which probe was answered, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The probe's number, from 0.
    pub(crate) number: u64,
    /// When its answer came.
    pub(crate) at: Instant,
    /// From sending to answer.
    pub(crate) round_trip: Duration,
}

impl Probe {
    /// Starts to probe `target` each `interval` through `socket`, which decides source and
    /// namespace.
    ///
    /// # Errors
    /// When the socket cannot be connected.
    pub(crate) fn start(
        socket: UdpSocket,
        target: SocketAddr,
        interval: Duration,
    ) -> io::Result<Self> {
        socket.connect(target)?;
        socket.set_read_timeout(Some(Duration::from_millis(50)))?;
        let stop = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicU64::new(0));
        let start = Instant::now();
        let (out, stop_out) = (socket.try_clone()?, Arc::clone(&stop));
        let sender = thread::spawn(move || send(&out, start, interval, &stop_out));
        let (stop_in, count) = (Arc::clone(&stop), Arc::clone(&answered));
        let receiver = thread::spawn(move || receive(&socket, start, &stop_in, &count));
        Ok(Self {
            stop,
            answered,
            start,
            interval,
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
        let (sender, receiver) = self.threads.take().unzip();
        let sent = sender.and_then(|thread| thread.join().ok()).unwrap_or(0);
        let end = Instant::now();
        let answers = receiver.and_then(|thread| thread.join().ok());
        Seen::new(
            sent,
            answers.unwrap_or_default(),
            (self.start, end),
            self.interval,
        )
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Sends on a fixed schedule: a late wake-up does not shift the probes that follow.
fn send(socket: &UdpSocket, start: Instant, interval: Duration, stop: &AtomicBool) -> u64 {
    let mut number = 0;
    let mut next = start;
    while !stop.load(Ordering::Relaxed) {
        let now = start.elapsed().as_micros() as u64;
        let datagram = [MAGIC, u64::to_be_bytes(number), u64::to_be_bytes(now)].concat();
        // A refusal by the kernel (no route, dropped by a filter) is a lost probe.
        let _ = socket.send(&datagram);
        number += 1;
        next += interval;
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
        if let Some((number, sent)) = read(&buffer[..size]) {
            let micros = at.duration_since(start).as_micros() as u64;
            let round_trip = Duration::from_micros(micros.saturating_sub(sent));
            answers.push(Answer {
                number,
                at,
                round_trip,
            });
            count.store((answers.len() as u64) << 40 | micros, Ordering::Relaxed);
        }
    }
}

/// The number of a probe, and when it was sent, in microseconds since the start.
fn read(datagram: &[u8]) -> Option<(u64, u64)> {
    let rest = datagram.strip_prefix(&MAGIC)?;
    let (number, sent) = rest.split_first_chunk()?;
    let sent = sent.try_into().ok()?;
    Some((u64::from_be_bytes(*number), u64::from_be_bytes(sent)))
}

impl Seen {
    /// What was seen of `sent` probes, one each `interval` between two times.
    pub(crate) fn new(
        sent: u64,
        answers: Vec<Answer>,
        (start, end): (Instant, Instant),
        interval: Duration,
    ) -> Self {
        let mut seen = Self {
            sent,
            lost: 0,
            answers,
            end,
            start,
            interval,
        };
        seen.lost = seen.lost_of(0, sent);
        seen
    }

    /// The longest silence of those that begin between two times, or shortly before the first:
    /// what happens then cannot be seen before an answer is missing. It is measured between
    /// arrivals, whatever probe they answer; the last one ends with the probe.
    pub(crate) fn gap(&self, since: Instant, until: Instant) -> Gap {
        let earliest = since.checked_sub(UNSEEN + self.interval).unwrap_or(since);
        let begin = self.answers.partition_point(|answer| answer.at < earliest);
        let end = self.answers.partition_point(|answer| answer.at < until);
        let some = self.answers.get(begin..).unwrap_or_default();
        let arrivals = some.iter().map(|answer| answer.at);
        let next = arrivals.clone().skip(1).chain([self.end]);
        arrivals
            .zip(next)
            .take(end.saturating_sub(begin))
            .filter(|(_, to)| *to > since)
            .map(|(from, to)| Gap {
                from,
                length: to.saturating_duration_since(from),
            })
            .max_by_key(|gap| gap.length)
            .unwrap_or(Gap {
                from: since,
                length: Duration::MAX,
            })
    }

    /// How many probes of those that were due in a silence were never answered.
    pub(crate) fn lost_in(&self, gap: Gap) -> u64 {
        let number = |at: Duration| (at.as_nanos() / self.interval.as_nanos().max(1)) as u64;
        let from = gap.from.saturating_duration_since(self.start);
        let first = number(from).min(self.sent);
        let last = number(from.saturating_add(gap.length)).saturating_add(1);
        self.lost_of(first, last.min(self.sent))
    }

    /// The longest silence of all.
    pub(crate) fn outage(&self) -> Duration {
        self.gap(self.start, self.end).length
    }

    /// How many of the probes from number `first` to before `end` were never answered.
    fn lost_of(&self, first: u64, end: u64) -> u64 {
        // Looked for where it can be: not before it was sent, and not too long after.
        let sent = |number: u64| self.start + self.interval * number.min(1 << 31) as u32;
        let begin = self
            .answers
            .partition_point(|answer| answer.at < sent(first));
        let after = sent(end) + LATEST;
        let last = self.answers.partition_point(|answer| answer.at < after);
        let some = self.answers.get(begin..last).unwrap_or_default();
        let numbers = some.iter().map(|answer| answer.number);
        let mut answered: Vec<u64> = numbers.filter(|n| (first..end).contains(n)).collect();
        answered.sort_unstable();
        answered.dedup();
        end.saturating_sub(first) - answered.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_millis(10);

    fn seen(start: Instant, sent: u64, at_ms: &[(u64, u64)], end_ms: u64) -> Seen {
        let answer = |&(number, ms)| Answer {
            number,
            at: start + Duration::from_millis(ms),
            round_trip: Duration::ZERO,
        };
        let end = start + Duration::from_millis(end_ms);
        Seen::new(sent, at_ms.iter().map(answer).collect(), (start, end), STEP)
    }

    #[test]
    fn the_longest_silence_and_the_lost() {
        let start = Instant::now();
        let seen = seen(start, 7, &[(0, 1), (1, 11), (5, 51), (5, 52), (6, 61)], 70);
        assert_eq!((seen.sent, seen.lost), (7, 3));
        assert_eq!(seen.outage(), Duration::from_millis(40));
        let gap = seen.gap(start + 2 * STEP, start + 3 * STEP);
        let from = start + Duration::from_millis(11);
        let length = Duration::from_millis(40);
        assert_eq!(gap, Gap { from, length });
        assert_eq!(seen.lost_in(gap), 3);
        // Of what comes after it, it is no part.
        let later = seen.gap(start + 6 * STEP, start + 7 * STEP);
        assert_eq!(later.length, Duration::from_millis(9));
        assert_eq!(seen.lost_in(later), 0);
    }

    #[test]
    fn silence_to_the_end_counts() {
        let start = Instant::now();
        let silent = seen(start, 500, &[(0, 1)], 5000);
        assert_eq!(silent.outage(), Duration::from_millis(4999));
        assert_eq!(silent.lost_in(silent.gap(start, silent.end)), 499);
        let dead = seen(start, 500, &[], 5000);
        assert_eq!((dead.outage(), dead.lost), (Duration::MAX, 500));
        assert_eq!(dead.lost_in(dead.gap(start, dead.end)), 500);
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
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let probe = Probe::start(socket, target, STEP).unwrap();
        thread::sleep(Duration::from_millis(700));
        assert!(probe.answers() > 20 && probe.last_answer().is_some());
        let seen = probe.stop();
        assert!((20..22).contains(&seen.lost), "{}", seen.lost);
        let outage = seen.outage().as_millis();
        assert!(seen.answers.iter().all(|a| a.round_trip < 20 * STEP));
        assert!((190..400).contains(&outage), "{outage}");
    }
}
