//! `windows`: policies imported from scripts of netsh, between two of our daemons: what comes in
//! clear text and is answered with IPsec, soft SAs, what holds before the policy, and rules that a
//! running daemon is given.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::folder::{self, Scratch};
use crate::holdfast::{self, Daemon, PSK, Place};
use crate::program::wait_for;
use crate::space::{Space, cable, ip};
use crate::table::Table;
use crate::traffic::{echo_tcp, ping};

const CLIENT: &str = "10.99.8.1";
const SERVER: &str = "10.99.8.2";
/// Another address of the server, about which nothing is known.
const STRANGER: &str = "10.99.8.3";
const PEER: &str = "holdfast";
const PATIENCE: Duration = Duration::from_secs(10);

/// The server takes clear text in, and answers with IPsec.
const SERVES: &str = "add filter l srcaddr=10.99.8.0 srcmask=24 dstaddr=me protocol=tcp\n\
     add filteraction a inpass=yes\n\
     add policy p activatedefaultrule=no assign=yes\n\
     add rule serve p l a psk=KEY\n";
/// The client has nothing but the default response rule.
const RESPONDS: &str = "add policy p assign=yes\nset defaultrule p activate=yes psk=KEY\n";
/// The client gives up on protection after 3 s.
const SOFT: &str = "add filter l srcaddr=me dstaddr=10.99.8.2 protocol=tcp\n\
     add filter l srcaddr=me dstaddr=10.99.8.3 protocol=tcp\n\
     add filteraction a soft=yes\n\
     add policy p activatedefaultrule=no assign=yes\n\
     add rule ask p l a psk=KEY\n";

/// Two hosts on a cable.
struct World {
    client: Space,
    server: Space,
}

impl World {
    fn new() -> Result<Self, String> {
        let world = World {
            client: Space::new("win-c")?,
            server: Space::new("win-s")?,
        };
        cable(&world.client, &world.server)?;
        world.client.address("eth0", &format!("{CLIENT}/24"))?;
        for own in [SERVER, STRANGER] {
            world.server.address("eth0", &format!("{own}/24"))?;
        }
        Ok(world)
    }
}

/// Runs what is to be seen, one after the other.
pub(crate) fn run(out: &Path) -> Result<(), String> {
    let folder = folder::results(out, "windows")?;
    let program = holdfast::build()?;
    let scratch = Scratch::new()?;
    let world = World::new()?;
    let mut table = Table::new("windows");
    let trial = Trial {
        world: &world,
        program: &program,
        scratch: scratch.path(),
        folder: &folder,
    };
    table.add(
        "inpass, and the default response rule",
        PEER,
        trial.inpass(),
    );
    table.add("a soft SA, and its end", PEER, trial.soft());
    table.add("before the policy", PEER, trial.boot());
    table.add("dynamic rules", PEER, trial.dynamic());
    table.finish(&folder)
}

struct Trial<'a> {
    world: &'a World,
    program: &'a Path,
    scratch: &'a Path,
    folder: &'a Path,
}

impl<'a> Trial<'a> {
    /// Removes the rules that daemons of the trial before left in force when they ended.
    fn forget(&self) {
        for space in [&self.world.client, &self.world.server] {
            let _ = space.output("nft", &["delete table inet holdfast"]);
        }
    }

    /// A daemon on the policy that a script becomes.
    fn daemon(&self, space: &'a Space, name: &'a str, script: &str) -> Result<Daemon<'a>, String> {
        let path = self.folder.join(format!("{name}.cmd"));
        folder::write(
            &path,
            &format!("pushd ipsec static\n{}", script.replace("KEY", PSK)),
        )?;
        let output = Command::new(self.program)
            .args(["import", "netsh", "--modern"])
            .arg(&path)
            .output()
            .map_err(|why| format!("holdfast cannot be started: {why}"))?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let place = Place {
            program: self.program,
            space,
            scratch: self.scratch,
            folder: self.folder,
            name,
        };
        Daemon::start(&place, &String::from_utf8_lossy(&output.stdout), None)
    }

    /// A connection of 200 kB and back; how long it took.
    fn connects(&self, to: &str) -> Result<Duration, String> {
        let begun = Instant::now();
        echo_tcp(&self.world.client, &self.world.server, ip(to)?, 200_000)?;
        Ok(begun.elapsed())
    }

    /// The client asks in clear text, the server answers with IPsec, and all else is protected.
    fn inpass(&self) -> Result<String, String> {
        let server = self.daemon(&self.world.server, "win-server", SERVES)?;
        let client = self.daemon(&self.world.client, "win-client", RESPONDS)?;
        self.connects(SERVER)?;
        let before = server.only_sa()?;
        if !before.initiator || before.child_sas[0].rule != "serve" {
            return Err(format!("the server did not begin: {before:?}"));
        }
        let there = client.only_sa()?;
        if there.child_sas[0].rule != "default-response" {
            return Err(format!("another rule answered: {there:?}"));
        }
        self.connects(SERVER)?;
        let after = server.only_sa()?;
        let bytes = after.child_sas[0].bytes_in - before.child_sas[0].bytes_in;
        match bytes >= 200_000 {
            true => Ok(format!(
                "{bytes} bytes of the second connection came protected"
            )),
            false => Err(format!("only {bytes} bytes came protected")),
        }
    }

    /// Nobody answers IKE: clear text after 3 s, with that host alone, until IKE is answered.
    fn soft(&self) -> Result<String, String> {
        self.forget();
        let client = self.daemon(&self.world.client, "win-soft", SOFT)?;
        let took = self.connects(SERVER)?;
        if took < Duration::from_secs(3) {
            return Err(format!("clear text after {} ms", took.as_millis()));
        }
        let hosts = |client: &Daemon<'_>| -> Result<Vec<String>, String> {
            let soft = client.status()?.soft_sas;
            Ok(soft.into_iter().map(|soft| soft.remote).collect())
        };
        match hosts(&client)?.as_slice() {
            [one] if one == SERVER => {}
            others => return Err(format!("these are in clear text: {others:?}")),
        }
        let text = client.command(&["status"])?;
        if !text.contains(&format!("NOT PROTECTED: {SERVER}")) {
            return Err(format!("the status does not say so: {text}"));
        }
        let answers = "add filter l srcaddr=me dstaddr=10.99.8.1 protocol=tcp\n\
                       add filteraction a\nadd policy p activatedefaultrule=no assign=yes\n\
                       add rule answer p l a psk=KEY\n";
        let server = self.daemon(&self.world.server, "win-hard", answers)?;
        // The handshake that nobody answered may be under way yet.
        let begins = || client.command(&["sa", "initiate", "ask"]).is_ok();
        wait_for(2 * PATIENCE, begins).ok_or("the server does not answer")?;
        let ended = || hosts(&client).is_ok_and(|hosts| hosts.is_empty());
        wait_for(PATIENCE, ended).ok_or("it does not end")?;
        let took_protected = self.connects(SERVER)?;
        let bytes = server.only_sa()?.child_sas[0].bytes_in;
        match bytes >= 200_000 && took_protected < Duration::from_secs(3) {
            true => Ok(format!(
                "clear text after {} ms, then protected",
                took.as_millis()
            )),
            false => Err(format!("{bytes} bytes in {took_protected:?}")),
        }
    }

    /// The kernel lets out and answers in, then the daemon's rules take their place.
    fn boot(&self) -> Result<String, String> {
        self.forget();
        let (client, server) = (&self.world.client, &self.world.server);
        let boot = |mode| {
            let mut command = Command::new(self.program);
            command.args(["boot", "--mode", mode]);
            client
                .run(|| command.output())?
                .map_err(|why| why.to_string())
        };
        boot("stateful")?;
        ping(client, CLIENT, SERVER).map_err(|why| format!("nothing goes out: {why}"))?;
        if ping(server, SERVER, CLIENT).is_ok() {
            return Err("what nobody asked for comes in".into());
        }
        // A rule about TCP alone: what else there is passes again.
        let _client = self.daemon(client, "win-boot", SOFT)?;
        ping(server, SERVER, CLIENT).map_err(|why| format!("the policy does not hold: {why}"))?;
        boot("block")?;
        ping(server, SERVER, CLIENT).map_err(|why| format!("boot replaced a policy: {why}"))?;
        Ok("stateful until the daemon, then its policy".to_owned())
    }

    /// Gives a running daemon the rules of a file.
    fn give(&self, to: &Daemon<'_>, name: &str, text: &str) -> Result<(), String> {
        let path = self.folder.join(name);
        folder::write(&path, text)?;
        let path = path.to_string_lossy();
        match name.ends_with(".cmd") {
            true => to.command(&["dynamic", "add", "--netsh", &path]),
            false => to.command(&["dynamic", "add", &path]),
        }
        .map(|_| ())
    }

    /// A running daemon is given rules, keeps them through a reload, and loses them one by one.
    fn dynamic(&self) -> Result<String, String> {
        self.forget();
        let (client, server) = (&self.world.client, &self.world.server);
        let quiet = "add policy p activatedefaultrule=no assign=yes\n";
        let serves = self.daemon(server, "win-dyn-s", SERVES)?;
        let asks = self.daemon(client, "win-dyn-c", quiet)?;
        let command = |verb: &str, more: &str| {
            format!("netsh ipsec dynamic {verb} rule me {STRANGER} protocol=icmp {more}\n")
        };
        let block = command("add", "actioninbound=block actionoutbound=block");
        let protect = format!(
            "[[peer]]\nname = \"server\"\naddress = \"{SERVER}\"\npsk = \"{PSK}\"\n\
             [[rule]]\nname = \"protect\"\nremote = \"{SERVER}\"\nprotocol = \"tcp\"\n\
             action = \"require\"\n"
        );
        let closed = || match ping(client, CLIENT, STRANGER) {
            Ok(_) => Err("what is blocked passes".to_owned()),
            Err(_) => Ok(()),
        };
        ping(client, CLIENT, STRANGER).map_err(|why| format!("nothing passes before: {why}"))?;
        self.give(&asks, "block.cmd", &block)?;
        closed()?;
        self.give(&asks, "protect.toml", &protect)?;
        self.connects(SERVER)?;
        let spi = serves.only_sa()?.child_sas[0].inbound_spi.clone();
        asks.command(&["reload"])?;
        closed()?;
        self.connects(SERVER)?;
        let sa = serves.only_sa()?;
        if sa.child_sas[0].inbound_spi != spi || sa.child_sas[0].bytes_in < 400_000 {
            return Err(format!("the reload ended the SA: {sa:?}"));
        }
        let explained = asks.command(&["explain", CLIENT, STRANGER, "icmp"])?;
        if !explained.contains("_icmp` is dynamic") {
            return Err(format!("it is not said to be dynamic: {explained}"));
        }
        self.give(&asks, "open.cmd", &command("delete", ""))?;
        ping(client, CLIENT, STRANGER).map_err(|why| format!("it is blocked yet: {why}"))?;
        asks.command(&["dynamic", "delete", "protect"])?;
        let gone = || asks.status().is_ok_and(|status| status.ike_sas.is_empty());
        wait_for(PATIENCE, gone).ok_or("the SAs of a rule that is gone stay")?;
        match asks.command(&["dynamic", "delete", "protect"]) {
            Err(why) if why.contains("no dynamic rule") => {}
            other => return Err(format!("deleted twice: {other:?}")),
        }
        self.give(&asks, "protect.toml", &protect)?;
        drop(asks);
        let again = self.daemon(client, "win-dyn-c", quiet)?;
        match again.command(&["dynamic", "show"])?.as_str() {
            "no dynamic rules" => Ok("blocked, protected, reloaded, deleted, gone".to_owned()),
            shown => Err(format!("a new daemon has them: {shown}")),
        }
    }
}
