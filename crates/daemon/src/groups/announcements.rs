//! Telling the neighbours that addresses are here: at once, and again, for one may be missed.

use linux::Prefix;
use linux::announce::Announcer;
use std::net::IpAddr;
use std::time::Duration;
use tokio::task::JoinHandle;

/// Pauses before each further announcement. The first ones are short: who just lost the earlier
/// owner asks at this moment, and a switch may need to learn.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(10),
    Duration::from_millis(50),
    Duration::from_millis(250),
    Duration::from_millis(1000),
    Duration::from_millis(5000),
];

/// What is announced, and through what.
struct Announcements {
    /// `None` only at the end.
    announcer: Option<Announcer>,
    addresses: Vec<IpAddr>,
}

/// Announces once before this returns, then in a task that may be aborted at any moment.
/// `None`: the interface cannot announce, as one without Ethernet addresses.
pub(crate) fn begin(interface: &str, addresses: &[Prefix]) -> Option<JoinHandle<()>> {
    let announcer = Some(Announcer::open(interface).ok()?);
    let addresses = addresses.iter().map(Prefix::address).collect();
    let announcements = Announcements {
        announcer,
        addresses,
    };
    announcements.say();
    Some(tokio::spawn(async move {
        for pause in PAUSES {
            tokio::time::sleep(pause).await;
            announcements.say();
        }
    }))
}

impl Announcements {
    fn say(&self) {
        for address in &self.addresses {
            // One that is lost is followed by the next.
            let _ = self
                .announcer
                .as_ref()
                .map(|announcer| announcer.announce(*address));
        }
    }
}

impl Drop for Announcements {
    /// To close a packet socket, the kernel waits until every processor has let go of it, which
    /// takes longer than the loop may stand still.
    fn drop(&mut self) {
        let announcer = self.announcer.take();
        let _ = std::thread::Builder::new().spawn(move || drop(announcer));
    }
}
