//! What happens to SAs of IKEv1 alone: pairs of their own for each port, the first packet, a peer
//! that asks whether we are there, and tshark, which reads all of it.

use std::time::Duration;

use crate::guest::Guest;
use crate::peers::case::{Case, Ports, Role};
use crate::peers::foreign::kernel_sas;
use crate::peers::ground::{ECHO, SECOND_ECHO};
use crate::peers::lives::{Life, Scene, again, begin};
use crate::peers::trial::step;
use crate::program::wait_for;
use crate::space::ip;
use crate::traffic::{self, Pings};
use crate::tshark::Reader;

/// The peer asks each second, and gives up after 6 s.
const NOTICED: Duration = Duration::from_secs(20);
/// Longer than that: whoever answers stays.
const QUIET: Duration = Duration::from_secs(8);
const DATA: usize = 10_000;

pub(crate) const EACH_PORT: Life = Life {
    name: "traffic to two ports of one rule makes a quick mode for each, under one main mode",
    play: each_port,
};
pub(crate) const FIRST_PACKET: Life = Life {
    name: "a ping begins it all, and is answered",
    play: first_packet,
};
pub(crate) const IT_ASKS: Life = Life {
    name: "it asks with R-U-THERE and is answered; our daemon is killed, and it finds out",
    play: it_asks,
};
pub(crate) const IT_KEEPS: Life = Life {
    name: "our daemon is killed, and calls again: what it keeps of the old SAs does no harm",
    play: it_keeps,
};
pub(crate) const READ: Life = Life {
    name: "tshark opens every message and every packet of ESP with our key tables",
    play: read,
};

fn each_port(scene: &Scene<'_>, guest: &mut Guest) -> Result<String, String> {
    let case = Case {
        ports: Ports::Two,
        ..scene.case
    };
    let trial = scene.open_for(guest, "each-port", case)?;
    let played = (|| {
        let to = ip(trial.ends.ours[1])?;
        for port in [ECHO, SECOND_ECHO, ECHO] {
            let done = traffic::exchange(&scene.stage.ground.ours, (to, port).into(), DATA);
            step(&format!("port {port}"), done)?;
        }
        let sas = trial.us.status()?.ike_sas;
        let [sa] = sas.as_slice() else {
            return Err(format!("we have {} IKE SAs", sas.len()));
        };
        let (ours, theirs) = (sa.child_sas.len(), kernel_sas(guest)?.len());
        match (ours, theirs) {
            (2, 4) => Ok("2 pairs".to_owned()),
            _ => Err(format!("we have {ours} pairs, and its kernel {theirs} SAs")),
        }
    })();
    trial.end(played)
}

fn first_packet(scene: &Scene<'_>, guest: &mut Guest) -> Result<String, String> {
    let trial = scene.open(guest, "first-packet")?;
    let played = (|| {
        let [from, to] = trial.ends.ours;
        let done = Pings::start(&scene.stage.ground.ours, from, to, 1, 10)?.finish()?;
        trial.settled(guest)?;
        match done.received {
            1 => Ok(format!("after {:.0} ms", done.mean_ms)),
            _ => Err("no answer".to_owned()),
        }
    })();
    trial.end(played)
}

fn it_asks(scene: &Scene<'_>, guest: &mut Guest) -> Result<String, String> {
    let trial = scene.open(guest, "it-asks")?;
    let before = match begin(&trial, guest) {
        Ok(before) => before,
        Err(why) => return trial.end(Err(why)),
    };
    std::thread::sleep(QUIET);
    let stayed = trial.settled(guest).map(|sa| sa.initiator_spi == before);
    let (trial, noticed) = trial.crash(|| {
        let gone = wait_for(NOTICED, || {
            kernel_sas(guest).is_ok_and(|sas| sas.is_empty())
        });
        gone.map(|took| took.as_secs_f64())
    })?;
    let played = (|| match (stayed?, noticed) {
        (true, Some(took)) => {
            step("again", again(&trial, guest, Role::We, &before))?;
            Ok(format!("its SAs are gone {took:.1} s after we are"))
        }
        (stayed, noticed) => Err(format!("it stayed: {stayed}, noticed: {noticed:?}")),
    })();
    trial.end(played)
}

fn it_keeps(scene: &Scene<'_>, guest: &mut Guest) -> Result<String, String> {
    let mut trial = scene.open(guest, "it-keeps")?;
    trial.keeps = true;
    let before = match begin(&trial, guest) {
        Ok(before) => before,
        Err(why) => return trial.end(Err(why)),
    };
    let (trial, ()) = trial.crash(|| ())?;
    let played = again(&trial, guest, Role::We, &before);
    trial.end(played)
}

fn read(scene: &Scene<'_>, guest: &mut Guest) -> Result<String, String> {
    let case = Case {
        // tshark 4.0 takes the ICV of AES-GCM for payload.
        esp: "aes128-sha256-modp2048-noesn",
        ..scene.case
    };
    let trial = scene.open_for(guest, "read", case)?;
    let reader = Reader {
        pcap: trial.folder.join("cable.pcap"),
        keys: trial.folder.join("keys"),
        none: scene.stage.folder.join("no-keys"),
    };
    std::fs::create_dir_all(&reader.none).map_err(|why| why.to_string())?;
    let played = (|| {
        step("established", trial.establish(guest, Role::We))?;
        step("traffic", trial.traffic(guest))?;
        trial.us.command(&["sa", "rekey", "--peer", "peer"])?;
        wait_for(NOTICED, || {
            trial.us.status().is_ok_and(|now| now.ike_sas.len() == 1)
        });
        step("deleted", trial.delete(guest, Role::We))
    })();
    trial.end(played.map(|()| String::new()))?;
    let ike = step("IKE", reader.isakmp())?;
    let esp = step("ESP", reader.esp())?;
    Ok(format!("{ike}; {esp}"))
}
