//! ike-scan: what a program that only asks is answered (RFC 7296 section 2.6, section 3.10.1).

use crate::peers::case::{Case, Nat, PLAIN};
use crate::peers::ground::US;
use crate::peers::trial::{Stage, daemon};

pub(crate) const PEER: &str = "ike-scan 1.9.5";
type Ask = fn(&Stage<'_>) -> Result<String, String>;
type Answers = Vec<(&'static str, Result<String, String>)>;

/// Asks with both versions of IKE.
pub(crate) fn run(stage: Stage<'_>) -> Answers {
    let trials: [(&str, Ask); 2] = [
        (
            "asks with IKEv2 and proposals that we do not have",
            proposals,
        ),
        ("asks with IKEv1", old),
    ];
    trials.map(|(what, trial)| (what, trial(&stage))).into()
}

/// Its own proposals have nothing that we would choose: it is told so, in one datagram.
fn proposals(stage: &Stage<'_>) -> Result<String, String> {
    let said = ask(stage, &["--ikev2"])?;
    match said.contains("1 returned notify") && said.contains("NO_PROPOSAL_CHOSEN") {
        true => Ok("NO_PROPOSAL_CHOSEN".into()),
        false => Err(format!("it says: {said}")),
    }
}

/// IKEv1 is not spoken: nothing is answered to it.
fn old(stage: &Stage<'_>) -> Result<String, String> {
    let said = ask(stage, &["--retry=2", "--timeout=300"])?;
    match said.contains("0 returned handshake; 0 returned notify") {
        true => Ok("not answered".into()),
        false => Err(format!("it says: {said}")),
    }
}

/// Asks a daemon whose peer is the router itself.
fn ask(stage: &Stage<'_>, words: &[&str]) -> Result<String, String> {
    let folder = stage.folder.join("ike-scan");
    std::fs::create_dir_all(&folder).map_err(|why| format!("{}: {why}", folder.display()))?;
    // The peer is who hides behind the router: for us that is the router.
    let case = Case {
        nat: Nat::BeforeThem,
        ..PLAIN
    };
    let _us = daemon(stage, &folder, &case)?;
    let mut all = vec!["--sport=0"];
    all.extend(words);
    all.push(US[0]);
    stage.ground.router.output("ike-scan", &all)
}
