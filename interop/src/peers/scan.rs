//! ike-scan: what a program that only asks is answered (RFC 7296 section 3.10.1, RFC 2409).

use crate::peers::case::{Case, Nat, PLAIN, V1, Version};
use crate::peers::ground::US;
use crate::peers::trial::{Stage, daemon};

pub(crate) const PEER: &str = "ike-scan 1.9.5";
type Ask = fn(&Stage<'_>) -> Result<String, String>;
pub(crate) type Answers = Vec<(&'static str, Result<String, String>)>;

/// Asks with both versions of IKE whoever speaks version 2.
pub(crate) fn ikev2(stage: Stage<'_>) -> Answers {
    let trials: [(&str, Ask); 2] = [
        (
            "asks with IKEv2 and proposals that we do not have",
            proposals,
        ),
        ("asks with IKEv1", old),
    ];
    trials.map(|(what, trial)| (what, trial(&stage))).into()
}

/// Asks whoever speaks version 1, with nothing old.
pub(crate) fn ikev1(stage: Stage<'_>) -> Answers {
    let trials: [(&str, Ask); 3] = [
        (
            "asks for a main mode with our algorithms: one answer",
            chosen,
        ),
        ("asks with the algorithms of its time", refused),
        ("asks with IKEv2 whoever has IKEv1", new),
    ];
    trials.map(|(what, trial)| (what, trial(&stage))).into()
}

/// Its own proposals have nothing that we would choose: it is told so, in one datagram.
fn proposals(stage: &Stage<'_>) -> Result<String, String> {
    let said = ask(stage, Version::V2, &["--ikev2"])?;
    match said.contains("1 returned notify") && said.contains("NO_PROPOSAL_CHOSEN") {
        true => Ok("NO_PROPOSAL_CHOSEN".into()),
        false => Err(format!("it says: {said}")),
    }
}

/// IKEv1 is not spoken: nothing is answered to it.
fn old(stage: &Stage<'_>) -> Result<String, String> {
    silent(stage, Version::V2, &[])
}

fn new(stage: &Stage<'_>) -> Result<String, String> {
    silent(stage, Version::V1, &["--ikev2"])
}

fn silent(stage: &Stage<'_>, version: Version, words: &[&str]) -> Result<String, String> {
    let said = ask(
        stage,
        version,
        &[&["--retry=2", "--timeout=300"], words].concat(),
    )?;
    match said.contains("0 returned handshake; 0 returned notify") {
        true => Ok("not answered".into()),
        false => Err(format!("it says: {said}")),
    }
}

/// An address that may be forged is answered once: there is no second packet.
fn chosen(stage: &Stage<'_>) -> Result<String, String> {
    let transform = "--trans=(1=7,14=256,2=4,3=1,4=14)";
    let said = ask(stage, Version::V1, &[transform, "--showbackoff=3"])?;
    let known = [
        "(RFC 3947 NAT-T)",
        "(Dead Peer Detection v1.0)",
        "(Microsoft Initial-Contact)",
    ];
    let packet = |number| {
        said.lines()
            .any(|line| line.starts_with(&format!("{}\t{number}\t", US[0])))
    };
    let good = said.contains("1 returned handshake; 0 returned notify")
        && known.iter().all(|one| said.contains(one));
    match good && packet(1) && !packet(2) {
        true => Ok("one packet, and it knows our vendor IDs".into()),
        false => Err(format!("it says: {said}")),
    }
}

/// What it offers by itself is 3DES and DES, MD5 and SHA-1.
fn refused(stage: &Stage<'_>) -> Result<String, String> {
    let said = ask(stage, Version::V1, &[])?;
    match said.contains("0 returned handshake; 1 returned notify") && said.contains("NO-PROPOSAL") {
        true => Ok("NO-PROPOSAL-CHOSEN".into()),
        false => Err(format!("it says: {said}")),
    }
}

/// Asks a daemon whose peer is the router itself.
fn ask(stage: &Stage<'_>, version: Version, words: &[&str]) -> Result<String, String> {
    let folder = stage.folder.join("ike-scan");
    std::fs::create_dir_all(&folder).map_err(|why| format!("{}: {why}", folder.display()))?;
    // The peer is who hides behind the router: for us that is the router.
    let plain = match version {
        Version::V2 => PLAIN,
        _ => V1,
    };
    let case = Case {
        nat: Nat::BeforeThem,
        ..plain
    };
    let _us = daemon(stage, &folder, &case)?;
    let mut all = vec!["--sport=0"];
    all.extend(words);
    all.push(US[0]);
    stage.ground.router.output("ike-scan", &all)
}
