//! What every foreign IKE daemon in the guest can do, in its own words.

use crate::guest::Guest;
use crate::holdfast::Key;
use crate::peers::case::Case;

/// An IKE daemon that runs in the guest.
pub(crate) trait Foreign {
    /// Its name and version.
    fn name(&self) -> &'static str;
    /// Starts it, without any connection; the guest's kernel has no SA.
    fn start(&self, guest: &mut Guest) -> Result<(), String>;
    /// Gives it this connection in the place of the one before.
    fn load(&self, guest: &mut Guest, case: &Case) -> Result<(), String>;
    /// Begins; answers when both SAs are there.
    fn initiate(&self, guest: &mut Guest) -> Result<(), String>;
    /// Negotiates new keys.
    fn rekey(&self, guest: &mut Guest, key: Key) -> Result<(), String>;
    /// Deletes the IKE SA and what belongs to it.
    fn delete(&self, guest: &mut Guest) -> Result<(), String>;
    /// Deletes the child SA alone.
    fn delete_child(&self, guest: &mut Guest) -> Result<(), String>;
    /// Ends it as a crash does, and all SAs of the kernel with it.
    fn crash(&self, guest: &mut Guest) -> Result<(), String>;
    /// How many packets it may send on SAs that it has deleted, while keys are made anew.
    fn late(&self) -> u32 {
        0
    }
    /// Whether it sends a long message in fragments (RFC 7383).
    fn fragments(&self) -> bool {
        true
    }
    /// Where its log is, in the results folder.
    fn log(&self) -> &'static str;
}

/// Ends every process of a program, at once, and the kernel's SAs and policies with it.
pub(crate) fn crash(guest: &mut Guest, program: &str) -> Result<(), String> {
    // The guest is its own machine: the file is that of no other process. The shell compares by
    // itself: a fork for each process costs an emulated guest seconds.
    let kill = format!(
        "for p in /proc/[0-9]*; do \
         [ $p/exe -ef {program} ] && kill -9 ${{p#/proc/}}; done; \
         ip xfrm state flush; ip xfrm policy flush"
    );
    guest.run(&kill).map(drop)
}

/// An SA in the guest's kernel, as `ip xfrm state` tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KernelSa {
    /// Eight hexadecimal digits.
    pub(crate) spi: String,
    /// All of it, without keys.
    pub(crate) text: String,
}

/// The SAs of the guest's kernel; those that only wait for one are none.
pub(crate) fn kernel_sas(guest: &mut Guest) -> Result<Vec<KernelSa>, String> {
    let text = guest.run("ip -s xfrm state")?;
    Ok(parse(&text))
}

fn parse(text: &str) -> Vec<KernelSa> {
    let mut sas: Vec<KernelSa> = Vec::new();
    for line in text.lines() {
        if line.starts_with("src ") {
            sas.push(KernelSa {
                spi: String::new(),
                text: String::new(),
            });
        }
        let Some(sa) = sas.last_mut() else {
            continue;
        };
        let words: Vec<&str> = line.split_whitespace().collect();
        if let Some(at) = words.iter().position(|word| *word == "spi")
            && sa.spi.is_empty()
        {
            let spi = words.get(at + 1).copied().unwrap_or_default();
            // `0xcafe0001(3405643777)`
            let spi = spi.split('(').next().unwrap_or_default();
            sa.spi = spi.trim_start_matches("0x").to_owned();
        }
        let shown = words
            .iter()
            .filter(|word| word.len() < 34 || !word.starts_with("0x"));
        sa.text += &shown.copied().collect::<Vec<_>>().join(" ");
        sa.text.push('\n');
    }
    sas.retain(|sa| !sa.spi.trim_start_matches('0').is_empty());
    sas
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_states() {
        let text = "src 10.98.0.2 dst 10.99.0.1
\tproto esp spi 0xc5(197) reqid 1(0x00000001) mode transport
\treplay-window 0 seq 0x00000000 flag esn (0x10000000)
\taead rfc4106(gcm(aes)) 0x00112233445566778899aabbccddeeff00112233 (160 bits) 128
src 10.99.0.1 dst 10.98.0.2
\tproto esp spi 0x00000000(0) reqid 0(0x00000000) mode transport
src 10.99.0.1 dst 10.98.0.2
\tproto esp spi 0xcafe0001(3405643777) reqid 1(0x00000001) mode transport";
        let sas = parse(text);
        let spis: Vec<&str> = sas.iter().map(|sa| sa.spi.as_str()).collect();
        assert_eq!(spis, ["c5", "cafe0001"]);
        assert!(sas[0].text.contains("rfc4106(gcm(aes)) (160 bits)"));
        assert!(sas[0].text.contains("flag esn"));
    }
}
