//! What one run showed, and what must hold after it.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

use api::{IkeSa, Request, Status};

use crate::acts::Moment;
use crate::addresses::*;
use crate::capture::Counts;
use crate::control;
use crate::error::Error;
use crate::hosts::socket;
use crate::options::{FrontEnd, Options};
use crate::oracle::Findings;
use crate::probe::{Gap, Seen, UNSEEN};
use crate::shape::Shape;
use crate::stop::Stop;
use crate::topology::short;

/// How long SAs that were replaced may take to vanish.
const SETTLE: Duration = Duration::from_secs(3);
/// How long a daemon may take to answer.
const ANSWER: Duration = Duration::from_secs(2);

/// What one run of a scenario showed.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// Probes sent.
    pub(crate) sent: u64,
    /// Probes that were never answered.
    pub(crate) lost: u64,
    /// The longest time without an answer.
    pub(crate) outage: Duration,
    /// The longest time without an answer after each event.
    pub(crate) gaps: Vec<After>,
    /// What the captures saw.
    pub(crate) counts: Counts,
    /// What the oracle found.
    pub(crate) findings: Findings,
    /// IKE messages after the event.
    pub(crate) ike_after: u64,
    /// IKE messages between the first event and the first answer after it.
    pub(crate) ike_until_back: u64,
    /// From the event to the first mail that was read after it.
    pub(crate) mail: Option<Duration>,
    /// What did not hold, as sentences.
    pub(crate) failures: Vec<String>,
}

/// What an event cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct After {
    /// The event.
    pub(crate) what: &'static str,
    /// The longest silence that ended after it, and began before the next one.
    pub(crate) gap: Gap,
    /// Probes lost in it.
    pub(crate) lost: u64,
}

/// What each event cost.
pub(crate) fn gaps(moments: &[Moment], seen: &Seen) -> Vec<After> {
    // What begins just before the next event is that event's.
    let next = moments.iter().skip(1);
    let next = next.map(|next| next.at.checked_sub(UNSEEN).unwrap_or(next.at));
    let each = moments.iter().zip(next.chain([seen.end]));
    each.map(|(moment, next)| {
        let gap = seen.gap(moment.at, next.max(moment.at));
        After {
            what: moment.what,
            gap,
            lost: seen.lost_in(gap),
        }
    })
    .collect()
}

/// SAs that are replicated are used on: nobody needs IKE before traffic is back.
pub(crate) fn without_ike(run: &Run) -> Option<String> {
    let messages = run.ike_until_back;
    (messages > 0).then(|| {
        format!("{messages} IKE messages passed before traffic was back: the SAs did not survive")
    })
}

/// Holds what was seen against what must be; an outage above the bound fails.
pub(crate) fn judge(options: &Options, bound_ms: Option<f64>, mut run: Run) -> Run {
    let outage_ms = run.outage.as_secs_f64() * 1000.0;
    if let Some(bound) = bound_ms
        && outage_ms > bound
    {
        run.failures.push(format!(
            "the outage of {outage_ms:.0} ms is above {bound:.0} ms"
        ));
    }
    let counts = &run.counts;
    if counts.frames == 0 {
        let why = "the captures saw nothing, so they prove nothing";
        run.failures.push(why.into());
    }
    match options.plain {
        true if counts.clear == 0 => {
            let why = "no clear packet was counted without IPsec, so the counter proves nothing";
            run.failures.push(why.into());
        }
        true => {}
        false => {
            run.failures.extend(in_clear(counts));
            if counts.esp == 0 {
                run.failures.push("no ESP packet was seen".into());
            }
        }
    }
    run
}

/// S3: nothing protected travelled in clear.
pub(crate) fn in_clear(counts: &Counts) -> Option<String> {
    let first = counts.first_clear.as_deref()?;
    Some(format!(
        "{} packets of protected ports travelled in clear; the first is {first}",
        counts.clear
    ))
}

/// A node that does not have the address says nothing to the front end: all but be1, before
/// `mark`.
pub(crate) fn standbys_silent(shape: Shape, counts: &Counts, mark: SystemTime) -> Vec<String> {
    let spoke = |node| {
        let (messages, node) = (counts.ike_before(node, mark), short(node));
        let text = || {
            format!(
                "{node} sent {messages} IKE messages before it had {VIP}: a standby must be silent"
            )
        };
        (messages > 0).then(text)
    };
    shape.others(BE1).filter_map(spoke).collect()
}

/// The front end has one IKE SA with each virtual address, so has the node that owns them, and
/// its rivals, which live, have none. SAs that are on their way out get some time.
///
/// # Errors
/// When interrupted.
pub(crate) fn negotiated(
    options: &Options,
    owner: &'static str,
    rivals: &[&'static str],
    stop: &Stop,
) -> Result<Option<String>, Error> {
    let mut expected = vec![(owner, 1)];
    // A foreign front end is asked nothing, and has one virtual address only.
    let vips: &[IpAddr] = match options.front_end {
        FrontEnd::Holdfast => {
            expected.insert(0, (FE, 1));
            &[IpAddr::V4(VIP), IpAddr::V6(VIP6)]
        }
        FrontEnd::Strongswan => &[IpAddr::V4(VIP)],
    };
    expected.extend(rivals.iter().map(|rival| (*rival, 0)));
    let mut fault = None;
    stop.until(SETTLE, || {
        let mut each = expected.iter();
        fault = each.find_map(|&(host, wanted)| odd(short(host), vips, wanted));
        fault.is_none()
    })?;
    Ok(fault)
}

/// The SAs of the front end, by their SPIs: IKE's, and those of its traffic.
///
/// # Errors
/// A sentence, when its daemon does not answer.
pub(crate) fn front_end_sas() -> Result<BTreeSet<String>, String> {
    let status = control::ask::<Status>(&socket(short(FE)), &Request::Status, ANSWER)?;
    let spis = |sa: IkeSa| {
        let children = sa.child_sas.into_iter();
        let children = children.flat_map(|child| [child.inbound_spi, child.outbound_spi]);
        [sa.initiator_spi, sa.responder_spi]
            .into_iter()
            .chain(children)
    };
    Ok(status.ike_sas.into_iter().flat_map(spis).collect())
}

/// What is wrong with a host's IKE SAs, if something is.
fn odd(host: &str, vips: &[IpAddr], wanted: usize) -> Option<String> {
    let status = match control::ask::<Status>(&socket(host), &Request::Status, ANSWER) {
        Ok(status) => status,
        Err(why) => return Some(format!("{host}: {why}")),
    };
    vips.iter().find_map(|&vip| {
        let found = status.ike_sas.iter().filter(|sa| is_of(sa, vip)).count();
        (found != wanted)
            .then(|| format!("{host} has {found} IKE SAs for {vip}; {wanted} expected"))
    })
}

fn is_of(sa: &IkeSa, address: IpAddr) -> bool {
    [&sa.local, &sa.remote]
        .into_iter()
        .filter_map(|end| end.parse::<SocketAddr>().ok())
        .any(|end| end.ip() == address)
}
