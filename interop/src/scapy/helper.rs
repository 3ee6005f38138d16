//! The Python process that drives scapy, one line of JSON for each packet.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::IpAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crypto::suite::{Encryption, Integrity};
use policy::sa::{KeyMaterial, SaSpec};
use serde_json::{Value, json};

use crate::suite::{hex, unhex};

/// Debian's Python: scapy's package belongs to it.
const PYTHON: &str = "/usr/bin/python3";
const SCRIPT: &str = include_str!("../scapy.py");

/// The process.
pub(crate) struct Helper {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// One direction of an SA, and what is to be done with it.
pub(crate) struct Ask<'a> {
    pub(crate) spec: &'a SaSpec,
    pub(crate) keys: &'a KeyMaterial,
    pub(crate) spi: u32,
    pub(crate) sequence: u64,
    /// In tunnel mode: the addresses of the outer header.
    pub(crate) tunnel: Option<(IpAddr, IpAddr)>,
}

impl Helper {
    /// Starts it; what it complains about goes to a log in `folder`.
    pub(crate) fn start(folder: &Path) -> Result<Self, String> {
        let log = folder.join("scapy.log");
        let errors = File::create(&log).map_err(|why| format!("{}: {why}", log.display()))?;
        let mut child = Command::new(PYTHON)
            .args(["-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .map_err(|why| format!("{PYTHON} cannot be started: {why}"))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("the pipes to Python are missing".into());
        };
        Ok(Helper {
            child,
            input,
            output: BufReader::new(output),
        })
    }

    /// Opens an IP packet that carries ESP.
    pub(crate) fn open(&mut self, ask: &Ask<'_>, packet: &[u8]) -> Result<Vec<u8>, String> {
        self.ask("open", ask, packet)
    }

    /// Makes an IP packet that carries ESP.
    pub(crate) fn seal(&mut self, ask: &Ask<'_>, packet: &[u8]) -> Result<Vec<u8>, String> {
        self.ask("seal", ask, packet)
    }

    fn ask(&mut self, verb: &str, ask: &Ask<'_>, packet: &[u8]) -> Result<Vec<u8>, String> {
        let mut question = json!({
            "do": verb,
            "packet": hex(packet),
            "spi": ask.spi,
            "sequence": ask.sequence,
            "esn": ask.spec.esn,
            "encryption": cipher(ask.spec.encryption),
            "encryption_key": hex(ask.keys.encryption.as_bytes()),
        });
        if let Some(integrity) = ask.spec.integrity {
            question["integrity"] = authentication(integrity).into();
            question["integrity_key"] = hex(ask.keys.integrity.as_bytes()).into();
        }
        if let Some((source, destination)) = ask.tunnel {
            question["tunnel"] = json!([source, destination]);
        }
        let answer = self
            .exchange(&question)
            .map_err(|why| format!("Python: {why}"))?;
        match (
            answer.get("packet").and_then(Value::as_str),
            answer.get("error"),
        ) {
            (Some(packet), _) => unhex(packet).ok_or_else(|| "Python answered no packet".into()),
            (None, Some(why)) => Err(format!("scapy cannot {verb} it: {why}")),
            (None, None) => Err("Python answered neither packet nor error".into()),
        }
    }

    fn exchange(&mut self, question: &Value) -> std::io::Result<Value> {
        writeln!(self.input, "{question}")?;
        self.input.flush()?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// scapy's name of a cipher; the key says how long it is.
fn cipher(encryption: Encryption) -> &'static str {
    match encryption {
        Encryption::AesGcm16 { .. } => "AES-GCM",
        Encryption::ChaCha20Poly1305 => "CHACHA20-POLY1305",
        Encryption::AesCbc { .. } => "AES-CBC",
        Encryption::TripleDesCbc => "3DES",
        Encryption::DesCbc => "DES",
        Encryption::Null => "NULL",
    }
}

fn authentication(integrity: Integrity) -> &'static str {
    match integrity {
        Integrity::HmacSha2_256_128 => "SHA2-256-128",
        Integrity::HmacSha2_384_192 => "SHA2-384-192",
        Integrity::HmacSha2_512_256 => "SHA2-512-256",
        Integrity::HmacSha1_96 => "HMAC-SHA1-96",
        Integrity::HmacMd5_96 => "HMAC-MD5-96",
    }
}
