//! The arrows between crates: what each may use, from the table in ARCHITECTURE.md.

use std::path::Path;

/// A crate, and those of ours that it may use. Arrows run down only.
const TABLE: &[(&str, &[&str])] = &[
    ("cli", &["api", "daemon", "lab", "link", "pki"]),
    (
        "daemon",
        &[
            "node", "esp", "link", "linux", "netsh", "policy", "cluster", "api", "crypto", "ike",
            "wire", "witness", "x509",
        ],
    ),
    ("lab", &["link", "linux", "api", "wire", "witness"]),
    ("link", &["pki"]),
    ("pki", &[]),
    (
        "sim",
        &["node", "esp", "policy", "cluster", "crypto", "ike", "wire"],
    ),
    (
        "node",
        &["ike", "esp", "cluster", "policy", "crypto", "wire"],
    ),
    ("witness", &[]),
    ("ike", &["policy", "x509", "crypto", "wire"]),
    ("esp", &["policy", "crypto", "wire"]),
    ("linux", &["policy", "wire"]),
    ("netsh", &["policy"]),
    ("policy", &["x509", "crypto", "wire"]),
    ("cluster", &["crypto"]),
    ("x509", &["crypto", "wire"]),
    ("crypto", &["wire"]),
    ("wire", &[]),
    ("api", &[]),
    ("model", &[]),
];

/// What only the edge may use: it waits, logs and reads the clock.
const EDGE_ONLY: &[&str] = &["tokio", "tracing", "log", "clap", "mio", "async-std"];
const EDGE: &[&str] = &["daemon", "lab", "cli", "link", "witness"];

/// Compares every manifest below `crates` with the table.
///
/// # Errors
/// A sentence, when a manifest cannot be read.
pub(crate) fn check(crates: &Path) -> Result<Vec<String>, String> {
    let mut breaches = Vec::new();
    for (name, allowed) in TABLE {
        let path = crates.join(name).join("Cargo.toml");
        let text = std::fs::read_to_string(&path)
            .map_err(|error| format!("{} cannot be read: {error}.", path.display()))?;
        let manifest: toml::Table = text
            .parse()
            .map_err(|error| format!("{}: {error}", path.display()))?;
        let Some(uses) = manifest.get("dependencies").and_then(toml::Value::as_table) else {
            continue;
        };
        for used in uses.keys() {
            let ours = TABLE.iter().any(|(other, _)| other == used);
            if ours && !allowed.contains(&used.as_str()) {
                breaches.push(format!(
                    "{}: `{name}` may not use `{used}`.",
                    path.display()
                ));
            }
            if EDGE_ONLY.contains(&used.as_str()) && !EDGE.contains(name) {
                let why = "only daemon, lab, cli, link and witness wait, log or read the clock";
                breaches.push(format!(
                    "{}: `{name}` uses `{used}`: {why}.",
                    path.display()
                ));
            }
        }
    }
    Ok(breaches)
}
