//! A realm: a KDC in a namespace of its own, two hosts on cables to it and to each other, keytabs.

use std::fs;
use std::io::ErrorKind;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use linux::netns::{self, End};

use crate::folder;
use crate::program::Program;
use crate::space::{Space, cable};

/// Its name.
pub(crate) const REALM: &str = "HOLDFAST.EXAMPLE";
/// How long the KDC may take to begin.
const START: Duration = Duration::from_secs(10);

/// One of the two hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The front end.
    Front,
    /// The back end.
    Back,
}

impl Side {
    pub(crate) const ALL: [Side; 2] = [Side::Front, Side::Back];

    /// The other one.
    pub(crate) fn other(self) -> Side {
        match self {
            Side::Front => Side::Back,
            Side::Back => Side::Front,
        }
    }

    /// As names of interfaces and files have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Side::Front => "fe",
            Side::Back => "be",
        }
    }

    /// Its address, at which the other host knows it.
    pub(crate) fn address(self) -> &'static str {
        match self {
            Side::Front => "10.88.0.1",
            Side::Back => "10.88.0.2",
        }
    }

    /// Its own end of the cable to the KDC, and the KDC's.
    pub(crate) fn to_kdc(self) -> [&'static str; 2] {
        match self {
            Side::Front => ["10.88.1.1", "10.88.1.88"],
            Side::Back => ["10.88.2.1", "10.88.2.88"],
        }
    }
}

/// The realm and its hosts.
pub(crate) struct Realm<'a> {
    kdc: Space,
    pub(crate) front: Space,
    pub(crate) back: Space,
    files: PathBuf,
    folder: &'a Path,
    running: Option<Program>,
}

impl<'a> Realm<'a> {
    /// Makes it and starts the KDC; `name` begins the names of the namespaces. Databases and
    /// keytabs are in `scratch`, logs in `folder`.
    pub(crate) fn new(name: &str, scratch: &Path, folder: &'a Path) -> Result<Self, String> {
        let space = |role: &str| Space::new(&format!("{name}-{role}"));
        let (kdc, front, back) = (space("kdc")?, space("fe")?, space("be")?);
        cable(&front, &back)?;
        for (side, space) in [(Side::Front, &front), (Side::Back, &back)] {
            space.address("eth0", &format!("{}/24", side.address()))?;
            let [own, of_kdc] = side.to_kdc();
            let ends = [(space, "kdc0", own), (&kdc, side.name(), of_kdc)];
            let end = |at: usize| End {
                namespace: ends[at].0.name(),
                interface: ends[at].1,
            };
            netns::cable(end(0), end(1)).map_err(|why| why.to_string())?;
            for (space, interface, address) in ends {
                space.address(interface, &format!("{address}/24"))?;
            }
        }
        let files = scratch.join("realm");
        folder::make(&files)?;
        let mut realm = Realm {
            kdc,
            front,
            back,
            files,
            folder,
            running: None,
        };
        realm.configure()?;
        realm.tool("kdb5_util", &["create", "-s", "-P", "of no use"])?;
        realm.start()?;
        Ok(realm)
    }

    fn configure(&self) -> Result<(), String> {
        let files = self.files.display();
        let conf = format!(
            "[kdcdefaults]\nkdc_listen = 88\nkdc_tcp_listen = 88\n\
             [logging]\nkdc = STDERR\n\
             [realms]\n{REALM} = {{\n database_name = {files}/principal\n \
             key_stash_file = {files}/stash\n acl_file = {files}/acl\n}}\n"
        );
        folder::write(&self.path("kdc.conf"), &conf)?;
        // The KDC's own tools need one as well, and no host.
        let all = [None, Some(Side::Front), Some(Side::Back)];
        for side in all {
            let kdc = side.map_or("127.0.0.1", |side| side.to_kdc()[1]);
            let text = format!(
                "[libdefaults]\ndefault_realm = {REALM}\ndns_lookup_kdc = false\n\
                 dns_canonicalize_hostname = false\nrdns = false\n\
                 [realms]\n{REALM} = {{\n kdc = {kdc}\n}}\n"
            );
            folder::write(&self.config(side), &text)?;
        }
        Ok(())
    }

    /// A file of the realm.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.files.join(name)
    }

    /// The `krb5.conf` of a host, or of the KDC.
    pub(crate) fn config(&self, side: Option<Side>) -> PathBuf {
        self.path(&format!("krb5-{}.conf", side.map_or("kdc", Side::name)))
    }

    /// A host's namespace.
    pub(crate) fn space(&self, side: Side) -> &Space {
        match side {
            Side::Front => &self.front,
            Side::Back => &self.back,
        }
    }

    /// Starts the KDC, if it does not run.
    pub(crate) fn start(&mut self) -> Result<(), String> {
        if self.running.is_some() {
            return Ok(());
        }
        let mut command = self.command("krb5kdc");
        command.arg("-n");
        let mut program = Program::start("krb5kdc", self.kdc.name(), self.folder, &[], command)?;
        let kdc = &self.kdc;
        // As long as nobody listens at the port, it can be taken.
        let taken = || match UdpSocket::bind("0.0.0.0:88") {
            Ok(_) => false,
            Err(why) => why.kind() == ErrorKind::AddrInUse,
        };
        program.until(START, || kdc.run(taken).unwrap_or_default())?;
        self.running = Some(program);
        Ok(())
    }

    /// Ends the KDC.
    pub(crate) fn stop(&mut self) {
        self.running = None;
    }

    /// Makes a principal with a new key, and its keytab `NAME.keytab`.
    pub(crate) fn principal(&self, principal: &str, name: &str) -> Result<PathBuf, String> {
        let keytab = self.path(&format!("{name}.keytab"));
        self.admin(&format!("addprinc -randkey {principal}"))?;
        self.admin(&format!("ktadd -k {} {principal}", keytab.display()))?;
        match keytab.exists() {
            true => Ok(keytab),
            false => Err(format!("there is no keytab {}", keytab.display())),
        }
    }

    /// Has the database's administrator do something.
    pub(crate) fn admin(&self, query: &str) -> Result<String, String> {
        self.tool("kadmin.local", &["-q", query])
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .args(["-r", REALM])
            .env("KRB5_CONFIG", self.config(None))
            .env("KRB5_KDC_PROFILE", self.path("kdc.conf"));
        command
    }

    fn tool(&self, program: &str, words: &[&str]) -> Result<String, String> {
        let output = self.command(program).args(words).output();
        let output = output.map_err(|why| {
            format!("{program} cannot be started: {why}; `cargo xtask packages` installs it")
        })?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        match output.status.success() {
            true => Ok(said),
            false => Err(format!("{program} {}: {said}", words.join(" "))),
        }
    }
}

impl Drop for Realm<'_> {
    fn drop(&mut self) {
        self.stop();
        let _ = fs::remove_dir_all(&self.files);
    }
}
