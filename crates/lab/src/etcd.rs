//! The witness: an etcd of three members, each on a host of its own, and what stands in it.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use linux::netns;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};
use serde_json::{Value, json};

use crate::addresses::*;
use crate::error::{Error, file};
use crate::program::find;
use crate::topology::short;

/// The Debian package.
pub(crate) const PACKAGE: &str = "etcd-server";
/// What the groups' keys begin with, in the daemons' configuration.
pub(crate) const KEYS: &str = "holdfast/";
/// How long a member may take to answer the lab itself.
const ANSWER: Duration = Duration::from_secs(1);
/// An answer longer than this, in bytes, is not taken.
const LONGEST: u64 = 1 << 16;

/// The program, where it is installed.
pub(crate) fn program() -> Option<PathBuf> {
    find("etcd")
}

/// Where certificates and data are.
pub(crate) fn folder() -> PathBuf {
    Path::new(STATE).join("etcd")
}

/// What a client must have: the authority, its certificate, its key.
pub(crate) fn papers() -> [PathBuf; 3] {
    ["ca.pem", "client.pem", "client.key"].map(|name| folder().join(name))
}

/// Makes an authority, a certificate for the members and one for their clients.
///
/// # Errors
/// When one cannot be made or written.
pub(crate) fn certify() -> Result<(), Error> {
    let folder = folder();
    fs::create_dir_all(&folder).map_err(file(&folder))?;
    let failed = |error: rcgen::Error| Error::Program {
        name: "the witness's certificates".into(),
        detail: error.to_string(),
    };
    let key = KeyPair::generate().map_err(failed)?;
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let named = |params: &mut CertificateParams, name: &str| {
        params.distinguished_name.push(DnType::CommonName, name);
    };
    named(&mut params, "the lab's authority for etcd");
    let authority = params.self_signed(&key).map_err(failed)?;
    write(&folder.join("ca.pem"), &authority.pem())?;
    let issuer = Issuer::new(params, key);
    for (name, serves) in [("member", true), ("client", false)] {
        let addresses = WITNESS_ADDRESSES.iter().filter(|_| serves);
        let addresses: Vec<String> = addresses.map(Ipv4Addr::to_string).collect();
        let key = KeyPair::generate().map_err(failed)?;
        let mut params = CertificateParams::new(addresses).map_err(failed)?;
        named(&mut params, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        if serves {
            let serves = ExtendedKeyUsagePurpose::ServerAuth;
            params.extended_key_usages.push(serves);
        }
        let certificate = params.signed_by(&key, &issuer).map_err(failed)?;
        write(&folder.join(format!("{name}.pem")), &certificate.pem())?;
        write(&folder.join(format!("{name}.key")), &key.serialize_pem())?;
    }
    Ok(())
}

/// Writes a file that its owner reads, and nobody else.
fn write(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(file(path))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(file(path))
}

/// How a member is started, with the data that it has: etcd's own timing, TLS with certificates
/// of both sides to clients and members; in clear only inside its own host, for the lab.
///
/// # Errors
/// When etcd is not installed.
pub(crate) fn command(member: &str) -> Result<Command, Error> {
    let program = program().ok_or_else(|| {
        let text = "--witness needs etcd, which is not installed; run `holdfast lab --setup`";
        Error::Setup(format!("{text} (Debian: {PACKAGE})"))
    })?;
    let url = |at: Ipv4Addr, port| format!("https://{at}:{port}");
    let members = WITNESSES.iter().zip(WITNESS_ADDRESSES);
    let cluster: Vec<String> = members
        .clone()
        .map(|(name, at)| format!("{}={}", short(name), url(at, ETCD.1)))
        .collect();
    let own = members.clone().find(|(name, _)| **name == member);
    let own = own.map_or(Ipv4Addr::LOCALHOST, |(_, at)| at);
    let (client, peer) = (url(own, ETCD.0), url(own, ETCD.1));
    let listen = format!("{client},http://{}:{}", Ipv4Addr::LOCALHOST, ETCD.0);
    let folder = folder();
    let mut command = Command::new(program);
    command
        .args(["--name", short(member), "--data-dir"])
        .arg(folder.join(short(member)))
        .args(["--listen-client-urls", &listen])
        .args(["--advertise-client-urls", &client])
        .args(["--listen-peer-urls", &peer])
        .args(["--initial-advertise-peer-urls", &peer])
        .args(["--initial-cluster", &cluster.join(",")])
        // As etcd 3.5 has it unless told otherwise: who comes back does not unseat the leader.
        .arg("--pre-vote")
        .args(["--client-cert-auth", "--peer-client-cert-auth"]);
    for (option, name) in [
        ("--trusted-ca-file", "ca.pem"),
        ("--cert-file", "member.pem"),
        ("--key-file", "member.key"),
        ("--peer-trusted-ca-file", "ca.pem"),
        ("--peer-cert-file", "member.pem"),
        ("--peer-key-file", "member.key"),
    ] {
        command.arg(option).arg(folder.join(name));
    }
    Ok(command)
}

/// The member that leads the others, if one does.
pub(crate) fn leader() -> Option<&'static str> {
    WITNESSES.into_iter().find(|&member| {
        let status = ask(member, "maintenance/status", &json!({}));
        status.is_some_and(|status| {
            let leader = status["leader"].as_str();
            leader.is_some() && leader == status["header"]["member_id"].as_str()
        })
    })
}

/// Which of `names` a group's record names, as the first member that answers has it.
pub(crate) fn named<'a>(names: &[&'a str]) -> Option<Vec<&'a str>> {
    let key = json!({ "key": base64(format!("{KEYS}{GROUP}").as_bytes()) });
    let mut answers = WITNESSES
        .iter()
        .filter_map(|member| ask(member, "kv/range", &key));
    let answer = answers.next()?;
    let record = unbase64(answer["kvs"][0]["value"].as_str()?);
    let holds = |name: &str| {
        record
            .windows(name.len())
            .any(|some| some == name.as_bytes())
    };
    Some(names.iter().copied().filter(|name| holds(name)).collect())
}

/// Removes a group's record, as an etcd that has lost its data would; whether it was there.
pub(crate) fn forget() -> bool {
    let key = json!({ "key": base64(format!("{KEYS}{GROUP}").as_bytes()) });
    let mut answers = WITNESSES
        .iter()
        .filter_map(|member| ask(member, "kv/deleterange", &key));
    answers
        .next()
        .is_some_and(|answer| answer["deleted"] == "1")
}

/// Asks a member, on its own host, through etcd's gateway for JSON.
fn ask(member: &str, what: &str, question: &Value) -> Option<Value> {
    let exchange = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, ETCD.0))?;
        stream.set_read_timeout(Some(ANSWER))?;
        let body = question.to_string();
        let request = format!(
            "POST /v3/{what} HTTP/1.0\r\nHost: etcd\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.take(LONGEST).read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = netns::run(member, exchange).ok()?.ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let done = head.split(' ').nth(1) == Some("200");
    done.then(|| serde_json::from_str(body).ok())?
}

/// The digits of base64 (RFC 4648 §4).
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64(octets: &[u8]) -> String {
    let mut text = String::new();
    for some in octets.chunks(3) {
        let number = (0..3).fold(0_usize, |number, place| {
            number << 8 | usize::from(some.get(place).copied().unwrap_or(0))
        });
        for place in 0..4 {
            let digit = DIGITS[number >> (18 - 6 * place) & 63];
            text.push(if place > some.len() {
                '='
            } else {
                digit.into()
            });
        }
    }
    text
}

/// Reads base64, up to the first character that is none of its digits.
fn unbase64(text: &str) -> Vec<u8> {
    let digit = |octet: u8| DIGITS.iter().position(|digit| *digit == octet);
    let digits: Vec<usize> = text.bytes().map_while(digit).collect();
    let mut octets = Vec::new();
    for some in digits.chunks(4) {
        let number = (0..4).fold(0, |number, place| {
            number << 6 | some.get(place).copied().unwrap_or(0)
        });
        let all = [number >> 16, number >> 8, number].map(|octet| octet as u8);
        octets.extend(all.iter().take(some.len().saturating_sub(1)));
    }
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_there_and_back() {
        // RFC 4648 §10.
        for (octets, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(octets.as_bytes()), text);
            assert_eq!(unbase64(text), octets.as_bytes());
        }
    }
}
