//! `hybrid`: key exchanges of X25519 and ML-KEM between our own two ends, as tshark dissects them
//! (RFC 9370).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::capture::Capture;
use crate::folder::{self, Scratch};
use crate::holdfast::{self, Daemon, Place, Rules, by_psk};
use crate::program::wait_for;
use crate::strongswan::fragments::Fragments;
use crate::strongswan::{Hosts, IDS, INNER, OUTER};
use crate::table::Table;
use crate::traffic;
use crate::tshark::PEER;
use crate::tshark::reader::Reader;

const PATIENCE: Duration = Duration::from_secs(10);
const TABLE: &str = "ikev2_decryption_table";
/// Exchange types. Debian's tshark knows no name for 43 and 44.
const IKE_SA_INIT: u8 = 34;
const CREATE_CHILD_SA: u8 = 36;
const IKE_INTERMEDIATE: u8 = 43;
const IKE_FOLLOWUP_KE: u8 = 44;
/// Curve25519 as a transform, and its public values in octets.
const X25519: (u16, usize) = (31, 32);

/// One of the groups: its word, its transform, and the octets of encapsulation key and ciphertext.
struct Group {
    word: &'static str,
    id: u16,
    key: usize,
    ciphertext: usize,
}

/// FIPS 203, table 3.
const GROUPS: [Group; 2] = [
    Group {
        word: "mlkem768",
        id: 36,
        key: 1184,
        ciphertext: 1088,
    },
    Group {
        word: "mlkem1024",
        id: 37,
        key: 1568,
        ciphertext: 1568,
    },
];

/// A key exchange payload: of a request or of its response, of which group, how many octets.
type Ke = (bool, u16, usize);

/// Whether the keys of ML-KEM travel whole or in fragments.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Size {
    Whole,
    Fragments,
}

/// Both groups, whole and in fragments.
pub(crate) fn run(out: &Path) -> Result<(), String> {
    let folder = folder::results(out, "hybrid")?;
    let mut table = Table::new("hybrid");
    let program = holdfast::build()?;
    let scratch = Scratch::new()?;
    let hosts = Hosts::new("pq")?;
    // Keys that are not cut need longer packets.
    for space in [&hosts.ours, &hosts.theirs] {
        space.output("ip", &["link", "set", "eth0", "mtu", "9000"])?;
    }
    for group in &GROUPS {
        for size in [Size::Whole, Size::Fragments] {
            let (words, short) = match size {
                Size::Whole => ("whole", "whole"),
                Size::Fragments => ("in fragments", "cut"),
            };
            let trial = Trial {
                program: &program,
                scratch: scratch.path(),
                hosts: &hosts,
                folder: folder.join(format!("{}-{short}", group.word)),
                group,
                size,
            };
            let what = format!("X25519 and {}, {words}: both rekeyed", group.word);
            table.add(&what, PEER, trial.play());
        }
    }
    table.finish(&folder)
}

/// One group in one size.
struct Trial<'a> {
    program: &'a Path,
    scratch: &'a Path,
    hosts: &'a Hosts,
    folder: PathBuf,
    group: &'a Group,
    size: Size,
}

impl Trial<'_> {
    fn play(&self) -> Result<String, String> {
        folder::make(&self.folder)?;
        let pcap = self.folder.join("eth0.pcap");
        let keys = self.folder.join("keys");
        let counter = Fragments::default();
        let capture = Capture::start(&self.hosts.ours, "eth0", &pcap, counter, Fragments::look)?;
        let lived = self.live(&keys);
        let fragments = capture.stop()?;
        lived?;
        let sent = match self.size {
            Size::Whole if fragments.none() => "no fragment".to_owned(),
            Size::Whole => return Err(format!("there were {fragments:?}")),
            Size::Fragments => fragments.both_ways()?,
        };
        let read = self.read(pcap, keys)?;
        Ok(format!("{read}; {sent}"))
    }

    /// Establishes, rekeys the child and the IKE SA, and deletes.
    fn live(&self, keys: &Path) -> Result<(), String> {
        let far = self.daemon(1, None)?;
        let near = self.daemon(0, Some(keys))?;
        near.command(&["sa", "initiate", "net"])?;
        let first = near.only_sa()?;
        near.command(&["sa", "rekey", "--rule", "net"])?;
        let spi = |sa: &api::IkeSa| sa.child_sas.first().map(|child| child.inbound_spi.clone());
        changed(&near, |sa| spi(sa) != spi(&first))?;
        near.command(&["sa", "rekey", "--peer", "other"])?;
        changed(&near, |sa| sa.initiator_spi != first.initiator_spi)?;
        traffic::ping(&self.hosts.ours, INNER[0], INNER[1])?;
        near.command(&["sa", "delete", "--peer", "other"])?;
        let gone = wait_for(PATIENCE, || {
            far.status().is_ok_and(|s| s.ike_sas.is_empty())
        });
        gone.map(drop)
            .ok_or_else(|| "the IKE SA is still there".to_owned())
    }

    fn daemon(&self, side: usize, keys: Option<&Path>) -> Result<Daemon<'_>, String> {
        let word = self.group.word;
        let more = match self.size {
            Size::Whole => "fragment_size = 9000\n",
            // Less than a ciphertext of either.
            Size::Fragments => "fragment_size = 576\n",
        };
        let rules = Rules {
            name: "other",
            address: OUTER[1 - side],
            ids: [IDS[side], IDS[1 - side]],
            proof: by_psk() + more,
            ike: &format!("aes256gcm16-prfsha384-x25519-ke1_{word}"),
            inside: [INNER[side], INNER[1 - side]],
            mode: "tunnel",
            esp: &format!("aes256gcm16-x25519-ke1_{word}"),
            more: String::new(),
        };
        let place = Place {
            program: self.program,
            space: [&self.hosts.ours, &self.hosts.theirs][side],
            scratch: self.scratch,
            folder: &self.folder,
            name: ["near", "far"][side],
        };
        Daemon::start(&place, &rules.text(), keys)
    }

    /// What tshark makes of it.
    fn read(&self, pcap: PathBuf, keys: PathBuf) -> Result<String, String> {
        let none = self.folder.join("no-keys");
        folder::make(&none)?;
        let before = self.folder.join("keys-before");
        first_lines(&keys, &before)?;
        let reader = Reader { pcap, keys, none };
        let Group {
            id,
            key,
            ciphertext,
            ..
        } = *self.group;
        let (classic, hybrid) = (both(X25519, X25519.1), both((id, key), ciphertext));
        let offers = format!("isakmp.exchangetype == {IKE_SA_INIT} && isakmp.tf.id == {id}");
        let offers = format!("{offers} && isakmp.tf.type == 6");
        let offered = reader.count(&offers, &reader.none)?;
        if offered < 2 {
            return Err(format!("{offered} messages have transform {id} of type 6"));
        }
        let (all, first) = (&reader.keys, &before);
        expect(&reader, IKE_SA_INIT, &reader.none, &classic, 1)?;
        expect(&reader, IKE_INTERMEDIATE, first, &hybrid, 1)?;
        let proven = reader.ike()?;
        expect(&reader, CREATE_CHILD_SA, all, &classic, 2)?;
        expect(&reader, IKE_FOLLOWUP_KE, all, &hybrid, 2)?;
        for exchange in [IKE_INTERMEDIATE, CREATE_CHILD_SA, IKE_FOLLOWUP_KE] {
            expect(&reader, exchange, &reader.none, &BTreeSet::new(), 0)?;
        }
        Ok(format!(
            "{key} and {ciphertext} octets in exchanges {IKE_INTERMEDIATE} and {IKE_FOLLOWUP_KE}; \
             IKE_AUTH: {proven}"
        ))
    }
}

fn changed(daemon: &Daemon<'_>, holds: impl Fn(&api::IkeSa) -> bool) -> Result<(), String> {
    let done = wait_for(PATIENCE, || daemon.only_sa().is_ok_and(|sa| holds(&sa)));
    done.map(drop).ok_or_else(|| match daemon.status() {
        Ok(status) => format!("not rekeyed: {}", status.recent_failures.join(" | ")),
        Err(why) => why,
    })
}

/// What a request and its response have.
fn both((group, request): (u16, usize), response: usize) -> BTreeSet<Ke> {
    BTreeSet::from([(false, group, request), (true, group, response)])
}

/// The key exchange payloads that are read in exchanges of a type are these, in so many exchanges.
fn expect(
    reader: &Reader,
    exchange: u8,
    keys: &Path,
    wanted: &BTreeSet<Ke>,
    count: usize,
) -> Result<(), String> {
    let filter = format!("isakmp.exchangetype == {exchange} && isakmp.key_exchange.data");
    let fields = [
        "isakmp.ispi",
        "isakmp.messageid",
        "isakmp.flag_r",
        "isakmp.key_exchange.dh_group",
        "isakmp.key_exchange.data",
    ];
    let mut exchanges: BTreeMap<(String, String), BTreeSet<Ke>> = BTreeMap::new();
    for row in reader.fields(&filter, &fields, keys)? {
        let [spi, id, response, group, data] = row.as_slice() else {
            return Err(format!("tshark says {row:?}"));
        };
        let digits = data.chars().filter(char::is_ascii_hexdigit).count();
        let group = group.parse().map_err(|_| format!("{group} is no group"))?;
        // A request that was repeated is the same one.
        let seen = exchanges.entry((spi.clone(), id.clone())).or_default();
        seen.insert((response == "1", group, digits / 2));
    }
    match exchanges.len() == count && exchanges.values().all(|seen| seen == wanted) {
        true => Ok(()),
        false => Err(format!(
            "exchanges of type {exchange} have {exchanges:?}, and not {count} times {wanted:?}"
        )),
    }
}

/// The tables with the first keys of every IKE SA alone: those of IKE_SA_INIT, which additional
/// key exchanges have replaced.
fn first_lines(from: &Path, to: &Path) -> Result<(), String> {
    folder::make(to)?;
    let path = from.join(TABLE);
    let text = fs::read_to_string(&path).map_err(|why| format!("{}: {why}", path.display()))?;
    let mut known = BTreeSet::new();
    let spis = |line: &str| {
        line.split(',')
            .take(2)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let first: Vec<&str> = text
        .lines()
        .filter(|line| known.insert(spis(line)))
        .collect();
    folder::write(&to.join(TABLE), &(first.join("\n") + "\n"))
}
