//! `holdfast sa main-mode` and `holdfast sa quick-mode`: the columns of IP Security Monitor.

use crate::client::Client;
use crate::failure::Failure;
use crate::verb::output::{self, bytes, say};
use api::{Counter, MainMode, MainModeSa, QuickMode, QuickModeSa, Request};

/// SAs of main mode and IKE SAs.
///
/// # Errors
/// When the daemon does not answer.
pub(crate) fn main_mode(ask: &Client, json: bool) -> Result<(), Failure> {
    let result = ask.ask(&Request::MainMode)?;
    if json {
        output::json(result);
        return Ok(());
    }
    let MainMode { sas, statistics } = output::read(result)?;
    table(
        &MAIN_MODE,
        &sas.iter().map(main_mode_row).collect::<Vec<_>>(),
    );
    counters(&statistics);
    Ok(())
}

/// Pairs of SAs.
///
/// # Errors
/// When the daemon does not answer.
pub(crate) fn quick_mode(ask: &Client, json: bool) -> Result<(), Failure> {
    let result = ask.ask(&Request::QuickMode)?;
    if json {
        output::json(result);
        return Ok(());
    }
    let QuickMode { sas, statistics } = output::read(result)?;
    table(
        &QUICK_MODE,
        &sas.iter().map(quick_mode_row).collect::<Vec<_>>(),
    );
    counters(&statistics);
    Ok(())
}

const MAIN_MODE: [&str; 9] = [
    "Version",
    "Me",
    "Peer",
    "Peer ID",
    "Authentication",
    "Encryption",
    "Integrity",
    "Diffie-Hellman",
    "State",
];
const QUICK_MODE: [&str; 9] = [
    "Version",
    "Me",
    "Peer",
    "Negotiation Policy",
    "Mode",
    "ESP Confidentiality",
    "ESP Integrity",
    "State",
    "Received/Sent",
];

fn main_mode_row(sa: &MainModeSa) -> [String; 9] {
    let known = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    [
        sa.version.clone(),
        sa.me.clone(),
        sa.peer.clone(),
        known(&sa.peer_id),
        known(&sa.authentication),
        known(&sa.encryption),
        known(&sa.integrity),
        known(&sa.diffie_hellman),
        sa.state.clone(),
    ]
}

fn quick_mode_row(sa: &QuickModeSa) -> [String; 9] {
    [
        sa.version.clone(),
        sa.me.join(" "),
        sa.peer.join(" "),
        sa.negotiation_policy.clone(),
        sa.mode.clone(),
        sa.esp_confidentiality.clone(),
        sa.esp_integrity.clone().unwrap_or_else(|| "-".to_owned()),
        sa.state.clone(),
        format!("{}/{}", bytes(sa.bytes_received), bytes(sa.bytes_sent)),
    ]
}

/// Columns as wide as what is in them; no table where there is nothing.
fn table<const N: usize>(heads: &[&str; N], rows: &[[String; N]]) {
    if !rows.is_empty() {
        lines(heads, rows).iter().for_each(|line| say!("{line}"));
        say!();
    }
}

fn lines<const N: usize>(heads: &[&str; N], rows: &[[String; N]]) -> Vec<String> {
    let heads = heads.map(str::to_owned);
    let all = || std::iter::once(&heads).chain(rows);
    let mut widths = [0; N];
    for row in all() {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths);
        let cells = cells.map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    all().map(line).collect()
}

fn counters(statistics: &[Counter]) {
    for counter in statistics {
        say!("{:<30}{:>12}", counter.name, counter.count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned);
        let rows = [row(["10.0.0.1:500", "a"]), row(["-", "bcd"])];
        let found = lines(&["Me", "ID"], &rows);
        assert_eq!(
            found,
            ["Me            ID", "10.0.0.1:500  a", "-             bcd"]
        );
    }
}
