//! `flood`: half-open handshakes from forged addresses, while known peers connect (RFC 7296
//! section 2.6).

mod sender;

use std::path::Path;
use std::time::{Duration, Instant};

use crate::crowd::Crowd;
use crate::flood::sender::Flood;
use crate::folder::{self, Scratch};
use crate::handshakes::responder::{RESPONDER, Responder, What, World, wish};
use crate::holdfast;
use crate::hostile::attack::drops;
use crate::scale::figures::{resident, worked};
use crate::space::ip;
use crate::table::Table;

/// What is sent when nothing else is said: requests a second, and seconds.
const RATE: u64 = 50_000;
const SECONDS: u64 = 30;
/// The short one, which judges and says nothing about how fast the machine is.
const SHORT: (u64, u64) = (20_000, 4);
/// Before the count begins: tables and buffers grow to their sizes.
const WARM: Duration = Duration::from_secs(1);
/// Between two known peers that connect.
const PAUSE: Duration = Duration::from_millis(100);
/// A known peer connects within this; with a slow machine's generosity in the short one.
const CONNECTS: Duration = Duration::from_secs(1);
const CONNECTS_SHORT: Duration = Duration::from_secs(5);
/// More than this are never half-open, by the limit of the daemon.
const HALF_OPEN: usize = ike::limits::HALF_OPEN;
/// Memory may grow so much while the flood lasts, in KiB, beside the SAs of known peers: the
/// buffers of the way from the socket to the control thread at their largest.
const FLAT: u64 = 8_192;
/// What an SA pair takes at most, in KiB.
const PAIR: u64 = 8;
const PEER: &str = "";

/// What was seen.
struct Seen {
    /// Requests a second that were really sent.
    rate: f64,
    seconds: f64,
    /// How long each known peer took.
    connected: Vec<Duration>,
    half_open: usize,
    /// Requests that the daemon asked a cookie of.
    cookies: u64,
    /// Datagrams that found no room: in the socket, in the daemon.
    dropped: (u64, u64),
    grown: u64,
    worked: Duration,
}

/// The whole of it: `[RATE [SECONDS]]`.
pub(crate) fn run(out: &Path, words: &[&str]) -> Result<(), String> {
    let number = |place: usize, usual: u64| match words.get(place) {
        Some(word) => word.parse().map_err(|_| format!("{word} is no number")),
        None => Ok(usual),
    };
    let folder = folder::results(out, "flood")?;
    let program = holdfast::build()?;
    let (scratch, mut table) = (Scratch::new()?, Table::new("flood"));
    let (rate, seconds) = (number(0, RATE)?, number(1, SECONDS)?);
    let seen = flood(&program, scratch.path(), &folder, rate, seconds)?;
    seen.judge(CONNECTS, &mut table);
    table.finish(&folder)
}

/// A short one, as a part of another verb.
pub(crate) fn short(
    program: &Path,
    scratch: &Path,
    folder: &Path,
    table: &mut Table,
) -> Result<(), String> {
    let seen = flood(program, scratch, folder, SHORT.0, SHORT.1)?;
    seen.judge(CONNECTS_SHORT, table);
    Ok(())
}

fn flood(
    program: &Path,
    scratch: &Path,
    folder: &Path,
    rate: u64,
    seconds: u64,
) -> Result<Seen, String> {
    let world = World::new()?;
    let mut responder = Responder::ours(&world, program, scratch, folder)?;
    let pid = responder.pid();
    let at = ip(RESPONDER)?;
    let mut crowd = Crowd::new(&world.front, at, wish(What::Pair)?)?;
    let request = crowd.first_message()?;
    crowd.grow(1)?;
    let flood = Flood::start(&world.front, at, request, rate)?;
    std::thread::sleep(WARM);
    let (before, work, dropped) = (resident(pid)?, worked(pid), drops(&world.host)?);
    let (begun, mut connected, mut half_open) = (Instant::now(), Vec::new(), 0);
    while begun.elapsed() < Duration::from_secs(seconds) {
        connected.push(crowd.grow(crowd.len() + 1)?);
        half_open = half_open.max(responder.connecting()?);
        std::thread::sleep(PAUSE);
    }
    let took = begun.elapsed();
    let grown = resident(pid)?.saturating_sub(before) / 1024;
    let worked = worked(pid) - work;
    let dropped = drops(&world.host)? - dropped;
    let rate = flood.end()?;
    Ok(Seen {
        rate,
        seconds: took.as_secs_f64(),
        half_open,
        cookies: responder.discards("IKE: Cookie")?,
        dropped: (dropped, responder.discards("IKE: MailboxFull")?),
        grown: grown.saturating_sub(connected.len() as u64 * PAIR),
        connected,
        worked,
    })
}

impl Seen {
    fn judge(mut self, bound: Duration, table: &mut Table) {
        let load = self.worked.as_secs_f64() / self.seconds * 100.0;
        let figure = format!(
            "{:.0} a second for {:.0} s; {load:.0} % of a core; {} without room in the socket, {} \
             in the daemon",
            self.rate, self.seconds, self.dropped.0, self.dropped.1
        );
        let asked = self.cookies > 0;
        table.check(
            "forged first messages are asked for cookies",
            PEER,
            asked,
            figure,
        );
        self.connected.sort_unstable();
        let at = |share: usize| {
            let place = (self.connected.len() * share / 100).min(self.connected.len() - 1);
            self.connected.get(place).map_or(0, Duration::as_millis)
        };
        let figure = match self.connected.is_empty() {
            true => "none".to_owned(),
            false => format!(
                "{} of them, {} ms median, {} ms p99, {} ms at worst",
                self.connected.len(),
                at(50),
                at(99),
                at(100)
            ),
        };
        let served = self.connected.last().is_some_and(|worst| *worst <= bound);
        let what = format!(
            "known peers connect meanwhile, within {} s",
            bound.as_secs()
        );
        table.check(&what, PEER, served, figure);
        let figure = format!("{} at most", self.half_open);
        let few = self.half_open <= HALF_OPEN;
        table.check(
            "half-open handshakes stay below the limit",
            PEER,
            few,
            figure,
        );
        let figure = format!("{} KiB more than the SAs of known peers", self.grown);
        table.check(
            "memory is flat under the flood",
            PEER,
            self.grown <= FLAT,
            figure,
        );
    }
}
