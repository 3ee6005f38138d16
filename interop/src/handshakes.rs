//! `handshakes`: IKE SAs with our daemon and with strongSwan as the responder, in turn, from the
//! same initiators: rate, processor time of the responder, and its memory.

pub(crate) mod responder;

use std::path::Path;
use std::time::Duration;

use crate::crowd::Crowd;
use crate::folder::{self, Scratch};
use crate::handshakes::responder::{RESPONDER, Responder, What, World, wish};
use crate::holdfast;
use crate::hostile::attack::drops;
use crate::scale::figures::{resident, worked};
use crate::space::ip;

/// Counts of IKE SAs that are measured when none is named, one on top of the other.
const COUNTS: [usize; 2] = [1_000, 10_000];
/// With strongSwan pairs are made up to this count: each costs it more than the one before, and ten
/// thousand take longer than anybody waits. Its IKE SAs alone are made up to every count.
const PAIRS_OF_STRONGSWAN: usize = 2_000;
/// Handshakes before the first count, which nobody measures: code and tables are warm then.
const WARM: usize = 100;
/// How long a responder may go on working after the last handshake.
const REST: Duration = Duration::from_millis(500);

/// What was measured up to one count.
struct Figures {
    count: usize,
    took: Duration,
    worked: Duration,
    resident: u64,
    dropped: u64,
}

/// Measures both responders and prints a table.
pub(crate) fn run(out: &Path, counts: &[&str]) -> Result<(), String> {
    let number = |text: &&str| text.parse().map_err(|_| format!("{text} is no count"));
    let mut counts: Vec<usize> = counts.iter().map(number).collect::<Result<_, _>>()?;
    if counts.is_empty() {
        counts = COUNTS.to_vec();
    }
    counts.sort_unstable();
    let folder = folder::results(out, "handshakes")?;
    let program = holdfast::build()?;
    let mut table = head();
    print!("{table}");
    for what in [What::Pair, What::Alone] {
        for ours in [true, false] {
            let scratch = Scratch::new()?;
            let world = World::new()?;
            let responder = match ours {
                true => Responder::ours(&world, &program, scratch.path(), &folder)?,
                false => Responder::strongswan(&world, scratch.path(), &folder)?,
            };
            let most = match (what, ours) {
                (What::Pair, false) => PAIRS_OF_STRONGSWAN,
                _ => usize::MAX,
            };
            let counts: Vec<usize> = counts.iter().copied().filter(|n| *n <= most).collect();
            let lines = measure(&world, responder, what, &counts)?;
            print!("{lines}");
            table += &lines;
        }
    }
    folder::write(&folder.join("table.txt"), &table)
}

fn measure(
    world: &World,
    mut responder: Responder<'_>,
    what: What,
    counts: &[usize],
) -> Result<String, String> {
    let pid = responder.pid();
    let mut crowd = Crowd::new(&world.front, ip(RESPONDER)?, wish(what)?)?;
    crowd.grow(WARM)?;
    std::thread::sleep(REST);
    let (first, mut lines) = (resident(pid)?, String::new());
    for count in counts {
        let (before, dropped) = (worked(pid), drops(&world.host)?);
        let more = count.saturating_sub(crowd.len() - WARM);
        let took = crowd.grow(WARM + count)?;
        let work = worked(pid) - before;
        std::thread::sleep(REST);
        let figures = Figures {
            count: *count,
            took: took / more.max(1) as u32,
            worked: work / more.max(1) as u32,
            resident: resident(pid)?.saturating_sub(first),
            dropped: drops(&world.host)? - dropped,
        };
        lines += &figures.line(&responder, what);
    }
    let (sas, pairs) = responder.count()?;
    let wanted = match what {
        What::Pair => (crowd.len(), crowd.len()),
        What::Alone => (crowd.len(), 0),
    };
    match (sas, pairs) == wanted {
        true => Ok(lines),
        false => Err(format!(
            "the responder has {sas} IKE SAs and {pairs} pairs; wanted were {wanted:?}"
        )),
    }
}

impl Figures {
    fn line(&self, responder: &Responder<'_>, what: What) -> String {
        let who = match responder {
            Responder::Ours(_) => "holdfast",
            Responder::StrongSwan(_) => "strongSwan",
        };
        let what = match what {
            What::Pair => "IKE SA and pair",
            What::Alone => "IKE SA alone",
        };
        format!(
            "{what:<16} {who:<11} {:>7} {:>7.0} {:>8.3} {:>8.2} {:>7}\n",
            self.count,
            1.0 / self.took.as_secs_f64(),
            self.worked.as_secs_f64() * 1e3,
            self.resident as f64 / 1024.0 / self.count as f64,
            self.dropped,
        )
    }
}

fn head() -> String {
    format!(
        "{:<16} {:<11} {:>7} {:>7} {:>8} {:>8} {:>7}\n",
        "what", "responder", "SAs", "made/s", "CPU ms", "KiB/SA", "lost"
    )
}
