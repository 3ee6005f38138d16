//! `holdfast status`: SAs, rules, the data plane, counters.

use crate::arguments::StatusOptions;
use crate::client::Client;
use crate::failure::Failure;
use crate::verb::cluster;
use crate::verb::output::{self, bytes, count, duration, say};
use api::{ChildSa, IkeSa, Plane, Request, RuleStatus, Status};
use std::time::Duration;

/// Shows it once, or each second.
///
/// # Errors
/// When the daemon does not answer.
pub(crate) fn run(options: &StatusOptions, ask: &Client, json: bool) -> Result<(), Failure> {
    loop {
        let result = ask.ask(&Request::Status)?;
        if json {
            output::json(result);
        } else {
            let status: Status = output::read(result)?;
            if options.watch {
                print!("\x1b[H\x1b[2J");
            }
            print(&status);
        }
        if !options.watch {
            return Ok(());
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "a person watches; the clock is theirs"
        )]
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// Where ESP runs, and why there.
fn place(plane: &Plane) -> String {
    let Plane {
        kind, device, mtu, ..
    } = plane;
    let place = match device.is_empty() {
        true => format!("the {kind}"),
        false => format!("{kind} space, {device} (MTU {mtu})"),
    };
    format!("{place} ({})", plane.why)
}

fn print(status: &Status) {
    let children: usize = status.ike_sas.iter().map(|sa| sa.child_sas.len()).sum();
    say!(
        "{}: up {}, {}, {}",
        status.node,
        duration(status.uptime_s),
        count(status.ike_sas.len(), "IKE SA"),
        count(children, "CHILD_SA"),
    );
    for soft in &status.soft_sas {
        say!(
            "NOT PROTECTED: {} is spoken to in clear text by the rule {} (soft), asked again in {}",
            soft.remote,
            soft.rule,
            duration(soft.asked_in_s)
        );
    }
    let plane = &status.plane;
    say!(
        "plane: {}, in {} packets / {}, out {} packets / {}",
        place(plane),
        plane.packets_in,
        bytes(plane.bytes_in),
        plane.packets_out,
        bytes(plane.bytes_out),
    );
    if let Some(dropped @ 1..) = plane.clear_packets_dropped {
        say!(
            "dropped in clear: {} of protected selectors",
            count_packets(dropped)
        );
    }
    for path in &plane.paths {
        say!("path to {}: packets of {} bytes", path.remote, path.mtu);
    }
    say!("\nrules, in the order in which they are tried");
    status.rules.iter().for_each(print_rule);
    if let Some(cluster) = &status.cluster {
        say!();
        cluster::print(cluster);
    }
    for sa in &status.ike_sas {
        say!();
        print_ike_sa(sa);
    }
    if !status.recent_failures.is_empty() {
        say!("\nlately failed, newest first");
        status
            .recent_failures
            .iter()
            .for_each(|failure| say!("  {failure}"));
    }
    if !status.discards.is_empty() {
        say!("\nrefused");
        for counter in &status.discards {
            say!("  {:>8}  {}", counter.count, counter.name);
        }
    }
}

fn count_packets(number: u64) -> String {
    output::count(usize::try_from(number).unwrap_or(usize::MAX), "packet")
}

/// A rule with what it covers now; says where it comes from, if that is not the policy file.
pub(crate) fn print_rule(rule: &RuleStatus) {
    let dormant = if rule.dormant {
        " (dormant: no local address of it is ours)"
    } else {
        ""
    };
    let origin = match rule.origin.as_str() {
        "" | "file" => String::new(),
        origin => format!(" [{origin}]"),
    };
    say!("  {} {}{origin}{dormant}", rule.action, rule.name);
    rule.selectors
        .iter()
        .for_each(|selector| say!("      {selector}"));
}

fn print_ike_sa(sa: &IkeSa) {
    let role = if sa.initiator {
        "initiator"
    } else {
        "responder"
    };
    say!(
        "{} {}, {role}: {} -> {}",
        sa.peer,
        sa.state,
        sa.local,
        sa.remote
    );
    if let Some(remote_id) = &sa.remote_id {
        say!("  {remote_id}");
    }
    say!("  IKE {}_i {}_r", sa.initiator_spi, sa.responder_spi);
    if let Some(proposal) = &sa.proposal {
        say!("  {proposal}{}", age(sa.established_s, sa.rekey_in_s));
    }
    if !sa.extensions.is_empty() {
        say!("  with {}", sa.extensions.join(", "));
    }
    sa.child_sas.iter().for_each(print_child);
}

fn age(established: Option<u64>, rekey_in: Option<u64>) -> String {
    let since = established
        .map(|s| format!(", for {}", duration(s)))
        .unwrap_or_default();
    let rekey = rekey_in
        .map(|s| format!(", rekeyed in {}", duration(s)))
        .unwrap_or_default();
    since + &rekey
}

fn print_child(child: &ChildSa) {
    let esn = if child.esn { ", ESN" } else { "" };
    say!(
        "  {} {} {}: in {} out {}, {}{esn}{}",
        child.rule,
        child.mode,
        child.state,
        child.inbound_spi,
        child.outbound_spi,
        child.proposal,
        age(Some(child.installed_s), child.rekey_in_s),
    );
    say!(
        "    {} === {}",
        child.local_selectors.join(" "),
        child.remote_selectors.join(" ")
    );
    let idle = child
        .inbound_idle_s
        .map(|s| format!(", last {s:.1} s ago"))
        .unwrap_or_default();
    say!(
        "    in {} packets / {}{idle}; out {} packets / {}",
        child.packets_in,
        bytes(child.bytes_in),
        child.packets_out,
        bytes(child.bytes_out),
    );
}
