//! Who answers the handshakes: our daemon, or strongSwan's charon, on the same host.

use std::path::Path;

use crypto::suite::{Encryption, Group, Integrity, Prf};
use policy::AdditionalOffer;
use policy::child::ChildTemplate;
use policy::proposal::{EspProposal, IkeProposal};
use std::sync::Arc;

use crate::crowd::{INNER, PEERS, Wish};
use crate::holdfast::{Daemon, PSK, Place};
use crate::space::{Space, cable, ip};
use crate::strongswan::{Charon, Connection, Tuning, connection};

/// The responder, the peers' end of the cable, and what lies behind the responder.
pub(crate) const RESPONDER: &str = "10.63.0.1";
const FRONT: &str = "10.63.0.10";
const BEHIND: &str = "10.60.0.1";
const IKE: &str = "aes128gcm16-prfsha256-x25519";
const ESP: &str = "aes128gcm16";
/// What charon is given for very many SAs, and what spares it work that is none of IKE's.
const TUNED: &str = "ikesa_table_size = 32768
    ikesa_table_segments = 16
    threads = 32
    dos_protection = no
    reuse_ikesa = no
    install_routes = no";

/// The two hosts.
pub(crate) struct World {
    pub(crate) front: Space,
    pub(crate) host: Space,
}

impl World {
    /// Makes them: the front has the addresses of all peers.
    pub(crate) fn new() -> Result<Self, String> {
        let (front, host) = (Space::new("shakes-fe")?, Space::new("shakes-be")?);
        cable(&front, &host)?;
        front.address("eth0", &format!("{FRONT}/24"))?;
        host.address("eth0", &format!("{RESPONDER}/24"))?;
        host.address("lo", &format!("{BEHIND}/32"))?;
        front.output("ip", &["route", "add", "local", PEERS, "dev", "lo"])?;
        host.output("ip", &["route", "add", PEERS, "via", FRONT])?;
        Ok(World { front, host })
    }
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// An IKE SA and one CHILD SA pair, in tunnel mode and in UDP.
    Pair,
    /// An IKE SA alone: the algorithms of the child are refused.
    Alone,
}

/// A responder that runs.
pub(crate) enum Responder<'a> {
    Ours(Daemon<'a>),
    StrongSwan(Charon<'a>),
}

impl<'a> Responder<'a> {
    pub(crate) fn ours(
        world: &'a World,
        program: &'a Path,
        scratch: &'a Path,
        folder: &'a Path,
    ) -> Result<Self, String> {
        let place = Place {
            program,
            space: &world.host,
            scratch,
            folder,
            name: "ours",
        };
        let rules = format!(
            "[plane]\nencapsulation = \"udp\"\n\n\
             [[peer]]\nname = \"crowd\"\naddress = [\"{FRONT}\", \"{PEERS}\"]\npsk = \"{PSK}\"\n\
             ike_proposals = \"{IKE}\"\nliveness = \"off\"\n\n\
             [[rule]]\nname = \"net\"\naction = \"require\"\nmode = \"tunnel\"\n\
             peer = \"crowd\"\nlocal = \"{BEHIND}\"\nremote = \"{INNER}\"\n\
             esp_proposals = \"{ESP}\"\n"
        );
        Daemon::start(&place, &rules, None).map(Responder::Ours)
    }

    pub(crate) fn strongswan(
        world: &'a World,
        scratch: &Path,
        folder: &Path,
    ) -> Result<Self, String> {
        let tuning = Tuning {
            charon: TUNED,
            log: 0,
        };
        let charon = Charon::start_tuned(&world.host, "charon", scratch, folder, &tuning)?;
        charon.load(&Connection {
            local: RESPONDER,
            remote: PEERS,
            local_id: RESPONDER,
            remote_id: "%any",
            local_selector: BEHIND,
            remote_selector: INNER,
            ..connection(IKE, ESP)
        })?;
        Ok(Responder::StrongSwan(charon))
    }

    /// Its process id.
    pub(crate) fn pid(&mut self) -> u32 {
        match self {
            Responder::Ours(daemon) => daemon.process().pid(),
            Responder::StrongSwan(charon) => charon.pid(),
        }
    }

    /// Half-open handshakes of our daemon.
    pub(crate) fn connecting(&self) -> Result<usize, String> {
        let Responder::Ours(daemon) = self else {
            return Ok(0);
        };
        let sas = daemon.status()?.ike_sas;
        Ok(sas.iter().filter(|sa| sa.state == "connecting").count())
    }

    /// What our daemon refused for one reason.
    pub(crate) fn discards(&self, reason: &str) -> Result<u64, String> {
        let Responder::Ours(daemon) = self else {
            return Ok(0);
        };
        let discards = daemon.status()?.discards;
        let counter = discards.iter().find(|counter| counter.name == reason);
        Ok(counter.map_or(0, |counter| counter.count))
    }

    /// IKE SAs and pairs that it says it has.
    pub(crate) fn count(&self) -> Result<(usize, usize), String> {
        match self {
            Responder::Ours(daemon) => {
                let sas = daemon.status()?.ike_sas;
                let children = sas.iter().map(|sa| sa.child_sas.len()).sum();
                Ok((sas.len(), children))
            }
            Responder::StrongSwan(charon) => {
                let sas = charon.sas()?;
                Ok((sas.ike.len(), sas.children.len()))
            }
        }
    }
}

/// What the peers ask for, of either responder.
pub(crate) fn wish(what: What) -> Result<Wish, String> {
    let (encryption, integrity) = match what {
        What::Pair => (Encryption::AesGcm16 { key_bits: 128 }, Vec::new()),
        // Neither responder allows this one.
        What::Alone => (
            Encryption::AesCbc { key_bits: 256 },
            vec![Integrity::HmacSha2_512_256],
        ),
    };
    let child = ChildTemplate {
        proposals: vec![EspProposal {
            encryption: vec![encryption],
            integrity,
            groups: Vec::new(),
            esn: vec![false],
            additional: AdditionalOffer::default(),
        }],
        ..ChildTemplate::tunnel()
    };
    Ok(Wish {
        ike: vec![IkeProposal {
            encryption: vec![Encryption::AesGcm16 { key_bits: 128 }],
            integrity: Vec::new(),
            prf: vec![Prf::HmacSha2_256],
            groups: vec![Group::Curve25519],
            additional: AdditionalOffer::default(),
        }],
        child: Arc::new(child),
        behind: Some(ip(BEHIND)?),
        childless: what == What::Alone,
    })
}
