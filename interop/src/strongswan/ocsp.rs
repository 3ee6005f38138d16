//! Certificates of strongSwan, and `openssl ocsp` that says whether they still hold (RFC 6960).

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::folder::{self, Scratch};
use crate::holdfast;
use crate::program::{Program, wait_for};
use crate::strongswan::certificates::{Case, GOOD, accepted, prepare, rules};
use crate::strongswan::pki::{Kind, Pki};
use crate::strongswan::session::{Place, Role, Session};
use crate::strongswan::{Hosts, INNER, OUTER};
use crate::table::Table;

const PEER: &str = "strongSwan, OpenSSL";
const PORT: &str = "2560";
/// As strongSwan's certificate names it.
const URL: &str = "http://10.99.0.1:2560/";

/// What the responder knows of the certificate.
#[derive(Clone, Copy)]
enum Knows {
    Good,
    Revoked,
    Nothing,
    /// It does not run.
    Down,
}

/// A case, and what our log must say; empty: nothing of the kind.
struct Test {
    case: Case,
    knows: Knows,
    /// The issuer gave the responder a certificate of its own.
    delegated: bool,
    established: bool,
    says: &'static str,
}

const fn case(what: &'static str, more: &'static str) -> Case {
    Case { what, more, ..GOOD }
}

const ASK: &str = "ocsp = \"ask\"\n";
const REQUIRE: &str = "ocsp = \"require\"\n";
const ELSEWHERE: &str = "ocsp = \"require\"\nocsp_responder = \"http://10.99.0.1:2560/other\"\n";

const TESTS: [Test; 7] = [
    Test {
        case: case("good, asked for", ASK),
        knows: Knows::Good,
        delegated: false,
        established: true,
        says: "",
    },
    Test {
        case: case("good, required, by a responder of the issuer", REQUIRE),
        knows: Knows::Good,
        delegated: true,
        established: true,
        says: "",
    },
    Test {
        case: case("good, required, at a URL of the policy", ELSEWHERE),
        knows: Knows::Good,
        delegated: false,
        established: true,
        says: "",
    },
    Test {
        case: case("revoked", ASK),
        knows: Knows::Revoked,
        delegated: true,
        established: false,
        says: "CN=b-authority` at 2020-02-01T00:00:00Z, says OCSP",
    },
    Test {
        case: case("unknown to the responder, required", REQUIRE),
        knows: Knows::Nothing,
        delegated: false,
        established: false,
        says: "the OCSP responder does not know the certificate",
    },
    Test {
        case: case("no responder, asked for", ASK),
        knows: Knows::Down,
        delegated: false,
        established: true,
        says: "CN=b.example` still holds: the OCSP responder gave no answer",
    },
    Test {
        case: case("no responder, required", REQUIRE),
        knows: Knows::Down,
        delegated: false,
        established: false,
        says: "CN=b.example` may be revoked: the OCSP responder gave no answer",
    },
];

/// Every case in both roles.
pub(crate) fn run(out: &Path) -> Result<(), String> {
    let folder = folder::results(out, "ocsp")?;
    let program = holdfast::build()?;
    let scratch = Scratch::new()?;
    let hosts = Hosts::new("ocsp")?;
    let mut table = Table::new("ocsp");
    for (number, test) in TESTS.iter().enumerate() {
        let kind = [Kind::EcdsaP256, Kind::Rsa2048, Kind::Ed25519][number % 3];
        let of_this = folder.join(format!("pki{number}"));
        let pki = Pki::with_responder(&of_this, "root", kind, Some(URL))?;
        for role in [Role::WeInitiate, Role::TheyInitiate] {
            let name = format!("o{number}{}", role.letter());
            let place = Place {
                program: &program,
                hosts: &hosts,
                scratch: scratch.path(),
                folder: &folder,
                name: &name,
            };
            let done = responder(&place, test, &pki).and_then(|responder| {
                let session = prepare(&place, &test.case, &pki, &pki)?;
                let seen = judge(&session, &place, test, role);
                drop(session);
                drop(responder);
                seen
            });
            table.add(&format!("{}, {}", test.case.what, role.words()), PEER, done);
        }
    }
    brought_along(&hosts, &program, scratch.path(), &folder, &mut table)?;
    table.finish(&folder)
}

/// Two daemons of ours: one brings along what OpenSSL has written into a file, the other demands
/// an answer and has nobody to ask (RFC 4806).
fn brought_along(
    hosts: &Hosts,
    program: &Path,
    scratch: &Path,
    folder: &Path,
    table: &mut Table,
) -> Result<(), String> {
    let of_this = folder.join("pki-own");
    let pki = Pki::with_responder(&of_this, "root", Kind::EcdsaP256, Some(URL))?;
    let response = stapled(&pki, folder)?;
    let with = format!("ocsp_response = \"{}\"\n", response.display());
    for (brings, name) in [(with.as_str(), "own"), ("", "none")] {
        let place = |space, letter: char| (space, format!("{name}-{letter}"));
        let start = |(space, name): (_, String), rules: &str| {
            let (scratch, name) = (scratch, name.as_str());
            let place = holdfast::Place {
                program,
                space,
                scratch,
                folder,
                name,
            };
            holdfast::Daemon::start(&place, rules, None)
        };
        let required = case("", REQUIRE);
        let us = start(place(&hosts.ours, 'a'), &rules(&required, &pki, &pki))?;
        let them = start(place(&hosts.theirs, 'b'), &theirs(&pki, brings))?;
        for (daemon, peer, whose) in [
            (&us, "swan", "who asks"),
            (&them, "we", "who is asked about"),
        ] {
            let said = daemon.command(&["sa", "initiate", "net"]);
            let done = match (said, brings.is_empty()) {
                (Ok(said), false) => Ok(said),
                (Err(why), true) => Ok(format!("refused: {why}")),
                (Ok(said), true) => Err(format!("it was established: {said}")),
                (Err(why), false) => Err(why),
            };
            // The next one proves everything anew.
            let _ = daemon.command(&["sa", "delete", "--peer", peer]);
            let what = if brings.is_empty() {
                "no answer"
            } else {
                "an answer"
            };
            let what = format!("{what} of OpenSSL brought along, {whose} initiates");
            table.add(&what, "Holdfast, OpenSSL", done);
        }
    }
    Ok(())
}

/// What OpenSSL says of strongSwan's certificate, in a file.
fn stapled(pki: &Pki, folder: &Path) -> Result<PathBuf, String> {
    let (index, response) = (folder.join("own.index"), folder.join("b.ocsp"));
    let request = folder.join("own.request");
    folder::write(&index, "V\t400101000000Z\t\t1092\tunknown\t/CN=b.example\n")?;
    let openssl = |words: &[(&str, &Path)], more: &[&str]| {
        let mut command = Command::new("openssl");
        command.arg("ocsp").args(more);
        for (option, path) in words {
            command.arg(option).arg(path);
        }
        let output = command.output().map_err(|why| format!("openssl: {why}"))?;
        match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    };
    let (issuer, own) = (pki.path("b-authority.crt"), pki.path("b.crt"));
    let asks: [(&str, &Path); 3] = [("-issuer", &issuer), ("-cert", &own), ("-reqout", &request)];
    openssl(&asks, &["-no_nonce"])?;
    let key = pki.path("b-authority.key");
    let answers: [(&str, &Path); 6] = [
        ("-index", &index),
        ("-CA", &issuer),
        ("-rsigner", &issuer),
        ("-rkey", &key),
        ("-reqin", &request),
        ("-respout", &response),
    ];
    openssl(&answers, &["-ndays", "1"])?;
    Ok(response)
}

/// The other daemon's side: peer `we`, rule `net`.
fn theirs(pki: &Pki, brings: &str) -> String {
    let path = |name: &str| pki.path(name).display().to_string();
    format!(
        "[[peer]]
name = \"we\"
address = \"{}\"
auth = \"certificate\"
certificate = \"{}\"
private_key = \"{}\"
authorities = \"{}\"
{brings}
[[rule]]
name = \"net\"
action = \"require\"
local = \"{}\"
remote = \"{}\"
mode = \"tunnel\"
peer = \"we\"
esp_proposals = \"aes128gcm16\"
",
        OUTER[0],
        path("b-chain.crt"),
        path("b.key"),
        path("root.crt"),
        INNER[1],
        INNER[0]
    )
}

/// Starts it in our namespace, if it is to run.
fn responder(place: &Place<'_>, test: &Test, pki: &Pki) -> Result<Option<Program>, String> {
    // 4242, as every host's certificate has it.
    let entry = match test.knows {
        Knows::Good => "V\t400101000000Z\t\t1092\tunknown\t/CN=b.example\n",
        Knows::Revoked => "R\t400101000000Z\t200201000000Z\t1092\tunknown\t/CN=b.example\n",
        Knows::Nothing => "V\t400101000000Z\t\t1093\tunknown\t/CN=c.example\n",
        Knows::Down => return Ok(None),
    };
    let name = format!("{}-responder", place.name);
    let index = place.folder.join(format!("{}.index", place.name));
    folder::write(&index, entry)?;
    let signer = if test.delegated {
        "b-responder"
    } else {
        "b-authority"
    };
    let mut command = Command::new("openssl");
    command.args(["ocsp", "-port", PORT, "-ndays", "1", "-index"]);
    command
        .arg(&index)
        .arg("-CA")
        .arg(pki.path("b-authority.crt"));
    command
        .arg("-rsigner")
        .arg(pki.path(&format!("{signer}.crt")));
    command.arg("-rkey").arg(pki.path(&format!("{signer}.key")));
    let space = &place.hosts.ours;
    let mut program = Program::start(&name, space.name(), place.folder, &[], command)?;
    // A connection that asks nothing would keep it from answering others.
    let log = place.folder.join(format!("{name}.log"));
    let ready = || std::fs::read_to_string(&log).is_ok_and(|log| log.contains("waiting for"));
    program.until(Duration::from_secs(5), ready)?;
    Ok(Some(program))
}

fn judge(
    session: &Session<'_>,
    place: &Place<'_>,
    test: &Test,
    role: Role,
) -> Result<String, String> {
    let seen = match test.established {
        true => accepted(session, &test.case, role)?,
        false => refused(session, role)?,
    };
    let path = place.folder.join(format!("{}-daemon.log", place.name));
    let log = || std::fs::read_to_string(&path).unwrap_or_default();
    if test.says.is_empty() {
        return match log().contains("still holds") {
            true => Err(format!("nobody knew whether it holds: {}", log())),
            false => Ok(seen),
        };
    }
    match wait_for(Duration::from_secs(3), || log().contains(test.says)) {
        Some(_) => Ok(format!("{seen}; we say: {}", test.says)),
        None => Err(format!("we do not say `{}`, but: {}", test.says, log())),
    }
}

fn refused(session: &Session<'_>, role: Role) -> Result<String, String> {
    let said = match role {
        Role::WeInitiate => session.us.command(&["sa", "initiate", "net"]),
        Role::TheyInitiate => {
            let words = ["--initiate", "--child", "net", "--timeout", "8"];
            session.them.swanctl(&words)
        }
    };
    match said {
        Ok(said) => Err(format!("it was established: {said}")),
        Err(_) => Ok("refused".to_owned()),
    }
}
