//! What the kernel's IPsec has refused (`/proc/net/xfrm_stat`).

use std::fs;

/// Of this thread's network namespace.
const FILE: &str = "/proc/thread-self/net/xfrm_stat";
/// ESP came for which there is no SA.
const NO_SA: &str = "XfrmInNoStates";

/// All counters that are not zero, under the kernel's names.
pub(crate) fn all() -> Vec<(String, u64)> {
    parse(&fs::read_to_string(FILE).unwrap_or_default())
}

/// Datagrams of ESP for which there was no SA.
pub(crate) fn without_sa() -> u64 {
    let all = all();
    let found = all.iter().find(|(name, _)| name == NO_SA);
    found.map_or(0, |(_, count)| *count)
}

fn parse(text: &str) -> Vec<(String, u64)> {
    let counter = |line: &str| {
        let (name, count) = line.split_once(char::is_whitespace)?;
        let count: u64 = count.trim().parse().ok()?;
        (count > 0).then(|| (name.to_owned(), count))
    };
    text.lines().filter_map(counter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_have_the_kernels_names() {
        let text = "XfrmInError             \t0\nXfrmInNoStates          \t12\nodd\n";
        assert_eq!(parse(text), [("XfrmInNoStates".to_owned(), 12)]);
    }
}
