//! What ike-scan takes a responder with `legacy = "windows2003"` for: vendor IDs, and how often and
//! when the first answer comes again. It takes a minute and a half, beside all else.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::holdfast::{Daemon, Place, Rules, by_psk};
use crate::peers::case::{OUR_ID, THEIR_ID, Version};
use crate::peers::scan::Answers;
use crate::program::{Program, wait_for};
use crate::space::{Space, cable};

const US: &str = "10.97.0.1";
const THEM: &str = "10.97.0.2";
/// 3DES, SHA-1, a pre-shared key, MODP-1024; and the longest time between two packets is 32 s.
const WORDS: [&str; 4] = [
    "--sport=0",
    "--trans=(1=5,2=2,3=1,4=2)",
    "--showbackoff=34",
    US,
];
const PATIENCE: Duration = Duration::from_secs(120);
/// What it prints: what we say that we are, what of it, and what it makes of the pauses.
const SAYS: [&str; 5] = [
    "1 returned handshake; 0 returned notify",
    "1e2b516905991c7d7c96fcbfb587e46100000004 (Windows-2003-or-XP-SP2)",
    "4048b7d56ebce88525e7de7f00d6c2d3 (IKE Fragmentation)",
    "90cb80913ebb696e086381b5ec427b1f (draft-ietf-ipsec-nat-t-ike-02\\n)",
    "Implementation guess: Windows 2000, 2003 or XP",
];

/// Asks a daemon of its own.
pub(crate) fn windows(program: &Path, scratch: &Path, folder: &Path) -> Answers {
    let what = "takes us for Windows 2003 by vendor IDs, and by seven packets in 63 s";
    vec![(what, scan(program, scratch, folder))]
}

fn scan(program: &Path, scratch: &Path, folder: &Path) -> Result<String, String> {
    let (ours, theirs) = (Space::new("scan-a")?, Space::new("scan-b")?);
    cable(&ours, &theirs)?;
    ours.address("eth0", &format!("{US}/24"))?;
    theirs.address("eth0", &format!("{THEM}/24"))?;
    let place = Place {
        program,
        space: &ours,
        scratch,
        folder,
        name: "scanned",
    };
    let rules = Rules {
        name: "peer",
        address: THEM,
        ids: [OUR_ID, THEIR_ID],
        proof: Version::Windows2003.line().to_owned() + &by_psk(),
        ike: "3des-sha1-modp1024",
        inside: [US, THEM],
        mode: "transport",
        esp: "3des-sha1",
        more: String::new(),
    };
    let _us = Daemon::start(&place, &rules.text(), None)?;
    let mut command = Command::new("ike-scan");
    command.args(WORDS);
    let mut scan = Program::start("ike-scan", theirs.name(), folder, &[], command)?;
    wait_for(PATIENCE, || !scan.lives()).ok_or("ike-scan does not end")?;
    let said = scan.words();
    let missing: Vec<&str> = SAYS.into_iter().filter(|one| !said.contains(one)).collect();
    match missing.is_empty() {
        true => Ok(SAYS[4].to_owned()),
        false => Err(format!("it does not say {missing:?}, but: {said}")),
    }
}
