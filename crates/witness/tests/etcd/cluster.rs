//! An etcd cluster on loopback, in a folder of its own, gone with the test.

use crate::authority;
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use witness::{Settings, Tls};

pub(crate) const PREFIX: &str = "holdfast/test/";

struct Member {
    client: u16,
    peer: u16,
    process: Option<Child>,
}

pub(crate) struct Cluster {
    folder: PathBuf,
    members: Vec<Member>,
    pub(crate) tls: Option<Tls>,
}

/// Ports that nobody had a moment ago.
fn ports(count: usize) -> Vec<u16> {
    let sockets: Vec<_> = (0..count)
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    let port = |socket: &TcpListener| socket.local_addr().unwrap().port();
    sockets.iter().map(port).collect()
}

impl Cluster {
    /// So many members, in clear or with TLS between them and their clients. Nothing, if there is
    /// no etcd on this machine.
    pub(crate) async fn start(count: usize, tls: bool) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        Command::new("etcd").arg("--version").output().ok()?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("witness-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let written = authority::write(&folder);
        let ports = ports(2 * count);
        let member = |pair: &[u16]| Member {
            client: pair[0],
            peer: pair[1],
            process: None,
        };
        let mut cluster = Self {
            folder,
            members: ports.chunks(2).map(member).collect(),
            tls: tls.then_some(written),
        };
        for index in 0..count {
            cluster.bring(index);
        }
        Some(cluster)
    }

    /// Starts a member, with the data that it has.
    pub(crate) fn bring(&mut self, index: usize) {
        let peers: Vec<String> = self
            .members
            .iter()
            .enumerate()
            .map(|(i, m)| format!("m{i}=http://127.0.0.1:{}", m.peer))
            .collect();
        let client = self.endpoint(index);
        let peer = format!("http://127.0.0.1:{}", self.members[index].peer);
        let data = self.folder.join(format!("m{index}"));
        let log = File::create(self.folder.join(format!("m{index}.log"))).unwrap();
        let mut command = Command::new("etcd");
        command
            .args(["--name", &format!("m{index}"), "--data-dir"])
            .arg(data)
            .args([
                "--listen-client-urls",
                &client,
                "--advertise-client-urls",
                &client,
            ])
            .args([
                "--listen-peer-urls",
                &peer,
                "--initial-advertise-peer-urls",
                &peer,
            ])
            .args(["--initial-cluster", &peers.join(",")])
            .args(["--heartbeat-interval", "50", "--election-timeout", "500"]);
        if self.tls.is_some() {
            command
                .arg("--client-cert-auth")
                .arg("--trusted-ca-file")
                .arg(self.folder.join("ca.pem"))
                .arg("--cert-file")
                .arg(self.folder.join("member.pem"))
                .arg("--key-file")
                .arg(self.folder.join("member.key"));
        }
        let process = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.members[index].process = Some(process);
    }

    /// As a power cut would, but for the reset of its connections.
    pub(crate) fn kill(&mut self, index: usize) {
        if let Some(mut process) = self.members[index].process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// `STOP` or `CONT`.
    pub(crate) fn signal(&self, index: usize, signal: &str) {
        let process = self.members[index].process.as_ref().unwrap();
        let command = format!("kill -{signal} {}", process.id());
        let status = Command::new("sh").args(["-c", &command]).status().unwrap();
        assert!(status.success());
    }

    pub(crate) fn endpoint(&self, index: usize) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.members[index].client)
    }

    pub(crate) fn client_port(&self, index: usize) -> u16 {
        self.members[index].client
    }

    pub(crate) fn peer_port(&self, index: usize) -> u16 {
        self.members[index].peer
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings {
            endpoints: (0..self.members.len()).map(|i| self.endpoint(i)).collect(),
            tls: self.tls.clone(),
            prefix: PREFIX.to_owned(),
            request_timeout: Duration::from_secs(3),
            mark: None,
        }
    }

    /// The member that leads, asked through etcd's gateway; only in clear.
    pub(crate) async fn leader(&self) -> usize {
        for _ in 0..200 {
            for index in 0..self.members.len() {
                let status = self.gateway(index, "maintenance/status", "{}").await;
                let Some(status) = status else { continue };
                let field = |name: &str| {
                    let rest = status.split(&format!("\"{name}\":\"")).nth(1)?;
                    rest.split('"').next().map(str::to_owned)
                };
                if field("leader").is_some() && field("leader") == field("member_id") {
                    return index;
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("no member leads");
    }

    /// Asks etcd's gateway for JSON what the witness itself never asks.
    pub(crate) async fn gateway(&self, index: usize, path: &str, body: &str) -> Option<String> {
        let port = self.members[index].client;
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
        let length = body.len();
        let request = format!(
            "POST /v3/{path} HTTP/1.1\r\nHost: etcd\r\nConnection: close\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        answer.starts_with("HTTP/1.1 200").then_some(answer)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for index in 0..self.members.len() {
            self.kill(index);
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
