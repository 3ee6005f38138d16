//! iperf3: one TCP stream between two namespaces.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::program::Program;
use crate::space::Space;

/// The port of its server.
pub(crate) const PORT: u16 = 5201;
/// How long a stream runs, in seconds.
const SECONDS: &str = "8";

/// Mbit/s that the far end received.
pub(crate) fn tcp(
    near: &Space,
    far: &Space,
    from: &str,
    to: &str,
    folder: &Path,
) -> Result<f64, String> {
    let mut command = Command::new("iperf3");
    command.args(["-s", "-1", "-B", to, "-p", &PORT.to_string()]);
    let mut server = Program::start("iperf3", far.name(), folder, &[], command)?;
    server.until(Duration::from_secs(5), || listens(far))?;
    let words = [
        "-c",
        to,
        "-B",
        from,
        "-p",
        &PORT.to_string(),
        "-t",
        SECONDS,
        "-J",
        "--connect-timeout",
        "5000",
    ];
    let text = near.output("iperf3", &words)?;
    let report: Value =
        serde_json::from_str(&text).map_err(|why| format!("iperf3's report: {why}"))?;
    let received = report
        .pointer("/end/sum_received/bits_per_second")
        .and_then(Value::as_f64);
    received
        .map(|bits| bits / 1e6)
        .ok_or_else(|| format!("iperf3 says: {text}"))
}

/// Whether somebody listens on the port, as the kernel's own table has it: to ask by connecting
/// would be the one test that the server takes.
fn listens(space: &Space) -> bool {
    let read = || std::fs::read_to_string("/proc/thread-self/net/tcp").unwrap_or_default();
    let line = format!(":{PORT:04X} 00000000:0000 0A");
    space.run(read).is_ok_and(|table| table.contains(&line))
}
