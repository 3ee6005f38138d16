//! `version` and `legacy` of a `[[peer]]`, and what follows from them for its IKE.

use policy::pad::{Childless, Mobike};
use policy::{IkeProposal, IkeTemplate, IkeVersion, Legacy, Tcp, version};

use crate::config::diagnostic::Problems;
use crate::config::named::PolicyObject;
use crate::config::section::{Bad, Section, Value, quoted};
use crate::config::value;

/// Most proposals: IKE numbers them with one octet, and no peer reads so many.
pub(crate) const MAX_PROPOSALS: usize = 16;

/// Keys that mean nothing to a peer of IKEv1.
const IKEV2_KEYS: [&str; 14] = [
    "qcd",
    "resumption",
    "message_id_sync",
    "childless",
    "fragment_size",
    "redirect",
    "follow_redirect",
    "clones",
    "mobike",
    "tcp",
    "tcp_port",
    "ppk",
    "ppk_id",
    "ppk_required",
];

/// Reads `version`, `legacy` and `ike_proposals` into the template. A peer that names no proposals
/// has those of `[policy]`, if there are any.
pub(crate) fn read(
    section: &mut Section<'_>,
    problems: &mut Problems,
    ike: &mut IkeTemplate,
    policy: &PolicyObject,
) {
    let versions = [("ikev1", IkeVersion::V1), ("ikev2", IkeVersion::V2)];
    let wanted = section.read(problems, "version", |value| value::word(value, &versions));
    let ages = [(Legacy::Windows2003.word(), Legacy::Windows2003)];
    ike.legacy = section.read(problems, "legacy", |value| value::word(value, &ages));
    if wanted == Some(IkeVersion::V2) && ike.legacy.is_some() {
        let message = format!(
            "{} speaks IKEv2 and is of a legacy that has it not",
            section.title
        );
        let remedy = "leave `legacy` out, or write `version = \"ikev1\"`".to_owned();
        let label = "this means IKEv1".to_owned();
        problems.error(section.span_of("legacy"), message, label, remedy);
    }
    ike.version = match (wanted, ike.legacy) {
        (_, Some(_)) => IkeVersion::V1,
        (wanted, None) => wanted.unwrap_or_default(),
    };
    let (version, legacy) = (ike.version, ike.legacy);
    if let Some(legacy) = legacy {
        ike.lifetime = legacy.ike_lifetime();
    }
    let proposals = section.read(problems, "ike_proposals", |value| {
        ike_proposals(value, version, legacy)
    });
    let inherited = || inherited(section, problems, policy, (version, legacy));
    let proposals = proposals.or_else(inherited);
    ike.proposals = proposals.unwrap_or_else(|| version::default_ike(version, legacy));
}

/// What `[policy]` names, if this peer may have it.
fn inherited(
    section: &Section<'_>,
    problems: &mut Problems,
    policy: &PolicyObject,
    (version, legacy): (IkeVersion, Option<Legacy>),
) -> Option<Vec<IkeProposal>> {
    let (proposals, span) = policy.ike_proposals.clone()?;
    let admitted = proposals
        .into_iter()
        .map(|one| one.admitted(version, legacy));
    match admitted.collect() {
        Ok(proposals) => Some(proposals),
        Err(bad) => {
            let label = format!("{} would have it", section.title);
            let remedy = "give the peer `ike_proposals` of its own".to_owned();
            problems.error(span, bad.to_string(), label, remedy);
            None
        }
    }
}

/// Proposals of which it is not known yet who is to have them.
pub(crate) fn any_ike_proposals(value: &Value<'_>) -> Result<Vec<IkeProposal>, Bad> {
    value::list(value, MAX_PROPOSALS, |item| {
        let remedy = "for example `aes128gcm16-prfsha256-x25519`";
        IkeProposal::read(value::text(item)?).map_err(|bad| Bad::new(format!("{bad}"), remedy))
    })
}

/// What a peer of IKEv1 cannot have, once everything is read: it is refused where it was asked for,
/// and off where it was not.
pub(crate) fn finish(section: &Section<'_>, problems: &mut Problems, ike: &mut IkeTemplate) {
    if ike.version == IkeVersion::V2 {
        return;
    }
    let here = IKEV2_KEYS.into_iter().filter(|key| section.has(key));
    let here: Vec<&str> = here.collect();
    if let Some(first) = here.first() {
        let message = format!(
            "{} speaks IKEv1, which has no {}",
            section.title,
            quoted(&here)
        );
        let remedy = "leave it out, or write `version = \"ikev2\"` if the peer has it".to_owned();
        let label = "of IKEv2 only".to_owned();
        problems.error(section.span_of(first), message, label, remedy);
    }
    ike.qcd = false;
    ike.sync = false;
    ike.resumption = false;
    ike.fragment_size = None;
    ike.childless = Childless::Never;
    ike.mobike = Mobike::Never;
    ike.clones = 0;
    ike.tcp = Tcp::Never;
    let old = old_words(ike.proposals.iter().map(IkeProposal::legacy_words));
    if !old.is_empty() {
        let message = format!(
            "{} may use what can be broken for IKE: {old}",
            section.title
        );
        let remedy = "remove `legacy` as soon as the peer has something better".to_owned();
        let label = "for peers that have nothing else".to_owned();
        problems.warn(section.span_of("legacy"), message, label, remedy);
    }
}

/// The words of legacy algorithms, each once.
pub(crate) fn old_words(all: impl Iterator<Item = Vec<&'static str>>) -> String {
    let mut words: Vec<&str> = all.flatten().collect();
    words.sort_unstable();
    words.dedup();
    words.join(", ")
}

fn ike_proposals(
    value: &Value<'_>,
    version: IkeVersion,
    legacy: Option<Legacy>,
) -> Result<Vec<IkeProposal>, Bad> {
    value::list(value, MAX_PROPOSALS, |item| {
        let remedy = match version {
            IkeVersion::V1 => "for example `aes256-sha256-modp2048`",
            IkeVersion::V2 => "for example `aes128gcm16-prfsha256-x25519`",
        };
        let read = IkeProposal::read(value::text(item)?);
        read.and_then(|one| one.admitted(version, legacy))
            .map_err(|bad| Bad::new(format!("{bad}"), remedy))
    })
}

#[cfg(test)]
mod tests {
    use crate::config::{Loaded, parse};
    use policy::pad::{Childless, Mobike};
    use policy::{IkeTemplate, IkeVersion, Legacy};
    use std::time::Duration;

    const KEY: &str = "xT1vVb2cQ4mW0rKpYg7hZs9eLd3nJf5aUo8iRq6tMwE";

    /// A policy with one peer and one rule, each with these lines, or the report.
    fn read(peer: &str, rule: &str) -> Result<Loaded, String> {
        let text = format!(
            "[[peer]]\nname = \"mail\"\naddress = \"10.20.0.10\"\npsk = \"{KEY}\"\n{peer}\n\
             [[rule]]\nname = \"r\"\nremote = \"10.20.0.10\"\naction = \"require\"\n{rule}\n"
        );
        let mut no_files = |_: &str, _| Err("there are no files in this test".to_owned());
        parse("test.toml", &text, &mut no_files).map_err(|report| report.render(false))
    }

    fn ike(peer: &str) -> Result<IkeTemplate, String> {
        Ok(read(peer, "")?.config.pad.peers()[0].ike.clone())
    }

    fn proposals(ike: &IkeTemplate) -> Vec<String> {
        ike.proposals.iter().map(ToString::to_string).collect()
    }

    fn esp(peer: &str, rule: &str) -> Result<Vec<String>, String> {
        let config = read(peer, rule)?.config;
        let child = config.rules[0].action.child().unwrap();
        Ok(child.proposals.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_peer_speaks_ikev2_unless_it_is_said_otherwise() {
        assert_eq!(ike("").unwrap(), ike("version = \"ikev2\"").unwrap());
        let modern = ike("").unwrap();
        assert_eq!((modern.version, modern.legacy), (IkeVersion::V2, None));
        let v1 = ike("version = \"ikev1\"").unwrap();
        assert_eq!((v1.version, v1.legacy), (IkeVersion::V1, None));
        let default = "aes256-aes128-sha256-prfsha256-modp2048-modp3072-ecp256";
        assert_eq!(proposals(&v1), [default]);
        assert_eq!((v1.childless, v1.mobike), (Childless::Never, Mobike::Never));
        assert!(!v1.qcd && !v1.sync && !v1.resumption && v1.fragment_size.is_none());
        assert!(ike("version = \"ikev3\"").is_err());
        assert!(ike("legacy = \"windows95\"").is_err());
        let both = ike("version = \"ikev2\"\nlegacy = \"windows2003\"").unwrap_err();
        assert!(both.contains("leave `legacy` out"), "{both}");
    }

    #[test]
    fn an_old_peer_has_the_list_of_its_time_and_a_warning() {
        let old = "legacy = \"windows2003\"";
        let read = read(old, "").unwrap();
        let template = read.config.pad.peers()[0].ike.clone();
        assert_eq!(template.version, IkeVersion::V1);
        assert_eq!(template.legacy, Some(Legacy::Windows2003));
        let offered = proposals(&template);
        assert_eq!(offered[0], "3des-sha1-prfsha1-modp2048");
        assert_eq!(offered[4], "des-md5-prfmd5-modp768");
        let warnings = read
            .report
            .diagnostics
            .iter()
            .map(|one| one.message.as_str());
        let warnings: Vec<&str> = warnings.collect();
        assert!(
            warnings[0].contains("3des, des, md5, modp1024, modp768, sha1"),
            "{warnings:?}"
        );
        assert!(warnings[1].contains("the rule `r`"), "{warnings:?}");
        let quick = [
            "3des-sha1-noesn",
            "3des-md5-noesn",
            "des-sha1-noesn",
            "des-md5-noesn",
        ];
        assert_eq!(esp(old, "").unwrap(), quick);
        let named = esp(old, "esp_proposals = \"null-sha1\"").unwrap();
        assert_eq!(named, ["null-sha1-noesn"]);
        let hours = |line: &str| ike(&format!("{old}\n{line}")).unwrap().lifetime.rekey;
        assert_eq!(hours(""), Duration::from_secs(8 * 3600));
        assert_eq!(hours("rekey = \"2h\""), Duration::from_secs(2 * 3600));
        let bytes = |rule: &str| {
            let config = self::read(old, rule).unwrap().config;
            config.rules[0].action.child().unwrap().lifetime.bytes
        };
        assert_eq!(bytes(""), Some(102_400_000));
        assert_eq!(bytes("rekey_bytes = \"1GiB\""), Some(1 << 30));
        assert_eq!(bytes("esp_proposals = \"aes128-sha1\""), None);
        // It need not use any of it.
        let sound = format!("{old}\nike_proposals = \"aes256-sha256-modp2048\"");
        let read = self::read(&sound, "esp_proposals = \"aes256-sha256\"").unwrap();
        assert!(read.report.diagnostics.is_empty());
    }

    #[test]
    fn nobody_else_has_it_and_the_report_says_where() {
        for version in ["", "version = \"ikev1\""] {
            let line = format!("{version}\nike_proposals = [\"3des-sha1-modp1024\"]");
            let report = ike(&line).unwrap_err();
            assert!(report.contains("test.toml:6:18"), "{report}");
            assert!(report.contains("legacy = \"windows2003\""), "{report}");
            let report = esp(version, "esp_proposals = \"3des-sha1\"").unwrap_err();
            assert!(report.contains("test.toml:10:17"), "{report}");
            assert!(report.contains("legacy = \"windows2003\""), "{report}");
        }
        for (line, says) in [
            (
                "ike_proposals = \"aes128gcm16-prfsha256-modp2048\"",
                "CBC only",
            ),
            ("ike_proposals = \"aes128-sha256-x25519\"", "no number"),
            ("mobike = true", "of IKEv2 only"),
            ("tcp = \"always\"", "of IKEv2 only"),
        ] {
            let report = ike(&format!("version = \"ikev1\"\n{line}")).unwrap_err();
            assert!(report.contains(says), "{line}: {report}");
        }
        let v1 = "version = \"ikev1\"";
        let quick = [
            "aes128gcm16-aes256gcm16-noesn",
            "aes128-aes256-sha256-noesn",
        ];
        assert_eq!(esp(v1, "").unwrap(), quick);
        let report = esp(v1, "esp_proposals = \"chacha20poly1305\"").unwrap_err();
        assert!(report.contains("no number"), "{report}");
    }

    #[test]
    fn the_peers_of_a_rule_are_of_one_generation() {
        let second = format!(
            "[[peer]]\nname = \"old\"\naddress = \"10.20.0.0/24\"\npsk = \"{KEY}\"\n\
             version = \"ikev1\""
        );
        let report = esp(&second, "").unwrap_err();
        assert!(report.contains("with its `peer`"), "{report}");
        assert!(read(&second, "peer = \"mail\"").is_ok());
        let mine = esp(&second, "peer = \"old\"").unwrap();
        assert!(mine.iter().all(|one| one.ends_with("-noesn")));
    }
}
