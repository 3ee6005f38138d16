//! Fast failover of `[[peer]]`s that speak IKEv1 ([MS-IKEE] section 3.5): who says that it is a
//! cluster, and who takes its peer for one.

use policy::{IkeTemplate, IkeVersion, Peer, Timers};

use crate::config::diagnostic::{Problems, Span};
use crate::config::section::Section;
use crate::config::settings::{ClusterSettings, Takeover};
use crate::config::value;

/// Reads both keys into the template. `nlbs_flags = 1` is both of them.
pub(crate) fn read(
    section: &mut Section<'_>,
    problems: &mut Problems,
    timers: &Timers,
    ike: &mut IkeTemplate,
) {
    let version_1 = ike.version == IkeVersion::V1;
    let both = version_1 && *timers == Timers::kb821839(true);
    ike.assume_fast_failover = both;
    for (key, setting) in [
        ("advertise_fast_failover", &mut ike.advertise_fast_failover),
        ("assume_fast_failover", &mut ike.assume_fast_failover),
    ] {
        let Some(wanted) = section.read(problems, key, value::boolean) else {
            continue;
        };
        let (message, remedy) = if !version_1 {
            let message = format!("{} speaks IKEv2, which has no `{key}`", section.title);
            (message, "leave it out, or write `version = \"ikev1\"`")
        } else if both && !wanted {
            let message = format!("`{key}` is off in {}, and `nlbs_flags` on", section.title);
            (
                message,
                "leave one of them out: `nlbs_flags = 1` is both keys",
            )
        } else {
            *setting = wanted;
            continue;
        };
        let label = "of no effect here".to_owned();
        problems.error(section.span_of(key), message, label, remedy.to_owned());
    }
}

/// A peer that waits for minutes when a node dies, because nobody tells it that there are others.
pub(crate) fn check(
    cluster: &ClusterSettings,
    (peer, timers): (&Peer, &Timers),
    span: &Span,
    problems: &mut Problems,
) {
    let ike = &peer.ike;
    let old = ike.legacy.is_some() || *timers != Timers::modern();
    let renegotiates = cluster.takeover == Takeover::Renegotiate && !cluster.groups.is_empty();
    let told = ike.version == IkeVersion::V2 || ike.advertise_fast_failover;
    if told || !old || !renegotiates {
        return;
    }
    let message = format!(
        "the peer `{}` does not hear that this is a cluster, and waits 6 minutes when a node dies",
        peer.name
    );
    let remedy = "leave `advertise_fast_failover` out: then it waits 2 minutes".to_owned();
    let label = "fast failover is off".to_owned();
    problems.warn(span.clone(), message, label, remedy);
}

#[cfg(test)]
mod tests {
    use crate::config::{Loaded, parse};
    use std::time::Duration;

    const KEY: &str = "xT1vVb2cQ4mW0rKpYg7hZs9eLd3nJf5aUo8iRq6tMwE";

    fn load(text: &str) -> Result<Loaded, String> {
        let mut no_files = |_: &str, _| Err("there are no files in this test".to_owned());
        parse("test.toml", text, &mut no_files).map_err(|report| report.render(false))
    }

    /// A policy with one peer and one rule, after lines of the top and those of a cluster.
    fn text(top: &str, peer: &str, rest: &str) -> String {
        format!(
            "{top}\n[[peer]]\nname = \"p\"\naddress = \"10.0.0.1\"\npsk = \"{KEY}\"\n{peer}\n\
             [[rule]]\nname = \"r\"\nremote = \"10.0.0.1\"\naction = \"require\"\n{rest}\n"
        )
    }

    fn refused(top: &str, peer: &str) -> String {
        load(&text(top, peer, "")).err().unwrap()
    }

    /// Whether it is advertised and assumed, and the idle time of the rule.
    fn flags(top: &str, peer: &str) -> (bool, bool, Option<u64>) {
        let config = load(&text(top, peer, "")).unwrap().config;
        let ike = &config.pad.peers()[0].ike;
        let idle = config.rules[0].action.child().unwrap().idle;
        (
            ike.advertise_fast_failover,
            ike.assume_fast_failover,
            idle.map(|idle| Duration::as_secs(&idle)),
        )
    }

    #[test]
    fn nlbs_flags_is_both_keys() {
        let old = "profile = \"kb821839\"";
        let v1 = "version = \"ikev1\"";
        assert_eq!(flags("", v1), (true, false, None));
        assert_eq!(flags(old, v1), (true, false, Some(300)));
        let set = format!("{old}\nnlbs_flags = 1");
        assert_eq!(flags(&set, v1), (true, true, Some(60)));
        assert_eq!(flags("", &format!("{v1}\n{set}")), (true, true, Some(60)));
        let assumed = format!("{v1}\nassume_fast_failover = true");
        assert_eq!(flags(old, &assumed), (true, true, Some(300)));
        let silent = format!("{v1}\nadvertise_fast_failover = false");
        assert_eq!(flags(old, &silent), (false, false, Some(300)));
        let report = refused(&set, &silent);
        assert!(report.contains("`nlbs_flags = 1` is both keys"), "{report}");
    }

    #[test]
    fn ikev2_has_neither() {
        for key in ["advertise_fast_failover", "assume_fast_failover"] {
            let report = refused("", &format!("{key} = true"));
            assert!(report.contains("speaks IKEv2"), "{report}");
        }
        let set = "profile = \"kb821839\"\nnlbs_flags = 1";
        assert_eq!(flags(set, ""), (true, false, Some(60)));
    }

    #[test]
    fn a_cluster_that_does_not_say_so_is_warned() {
        let warned = |takeover: &str, peer: &str| {
            let cluster = format!(
                "[cluster]\nkey = \"{}\"\ntakeover = \"{takeover}\"\n\
                 [[cluster.node]]\nname = \"a\"\naddress = \"10.30.0.1:4511\"\n\
                 [[cluster.node]]\nname = \"b\"\naddress = \"10.30.0.2:4511\"\n\
                 [[cluster.group]]\nname = \"g\"\naddresses = [\"10.20.0.10/24\"]\n\
                 interface = \"eth0\"",
                KEY.chars().rev().collect::<String>()
            );
            let loaded = load(&text("[node]\nname = \"a\"", peer, &cluster)).unwrap();
            let mut found = loaded.report.diagnostics.iter();
            found.any(|found| found.message.contains("waits 6 minutes"))
        };
        let old = "legacy = \"windows2003\"";
        let silent = format!("{old}\nadvertise_fast_failover = false");
        assert!(warned("renegotiate", &silent));
        assert!(!warned("renegotiate", old));
        // Peers notice nothing where their SAs live on, and ours come back without being told.
        assert!(!warned("replicate", &silent));
        let ours = "version = \"ikev1\"\nadvertise_fast_failover = false";
        assert!(!warned("renegotiate", ours));
        let slow = format!("{ours}\nprofile = \"kb821839\"");
        assert!(warned("renegotiate", &slow));
    }
}
