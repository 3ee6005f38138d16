//! Which algorithms a peer may have: those that its version of IKE can name, and legacy ones only
//! where the policy says that the peer is so old.

use crypto::suite::{Encryption, Group};

use crate::additional::AdditionalOffer;
use crate::bad_proposal::{BadProposal, Needless};
use crate::proposal::{
    EspProposal, IkeProposal, encryption_word, group_word, integrity_word, prf_of, prf_word,
};
use crate::version::{IkeVersion, Legacy};

impl IkeProposal {
    /// The proposal, if a peer of this kind may have it.
    ///
    /// # Errors
    /// [`BadProposal`] with the first word that it may not have, and why.
    pub fn admitted(
        self,
        version: IkeVersion,
        legacy: Option<Legacy>,
    ) -> Result<Self, BadProposal> {
        if self.encryption.contains(&Encryption::Null) {
            return Err(needless("null", Needless::NullInIke));
        }
        if let Some(word) = self.legacy_words().first().filter(|_| legacy.is_none()) {
            return Err(BadProposal::legacy(word));
        }
        if version == IkeVersion::V2 {
            return Ok(self);
        }
        if let Some(aead) = self.encryption.iter().find(|one| one.is_aead()) {
            return Err(needless(encryption_word(*aead), Needless::AeadInIkeV1));
        }
        let hashes: Vec<_> = self.integrity.iter().copied().map(prf_of).collect();
        if let Some(other) = self.prf.iter().find(|one| !hashes.contains(one)) {
            return Err(needless(prf_word(*other), Needless::PrfInIkeV1));
        }
        check_groups(&self.groups, &self.additional)?;
        Ok(IkeProposal {
            prf: hashes,
            ..self
        })
    }

    /// The words of its legacy algorithms.
    #[must_use]
    pub fn legacy_words(&self) -> Vec<&'static str> {
        let old = |one: &&Encryption| one.is_legacy();
        let encryption = self.encryption.iter().filter(old);
        let integrity = self.integrity.iter().filter(|one| one.is_legacy());
        let prf = self.prf.iter().filter(|one| one.is_legacy());
        // A hash that is named as the integrity algorithm need not be named twice.
        let prf = prf.filter(|one| !self.integrity.iter().any(|hash| prf_of(*hash) == **one));
        let words = encryption.map(|one| encryption_word(*one));
        let words = words.chain(integrity.map(|one| integrity_word(*one)));
        let words = words.chain(prf.map(|one| prf_word(*one)));
        words
            .chain(old_groups(&self.groups, &self.additional))
            .collect()
    }
}

impl EspProposal {
    /// The proposal, if a peer of this kind may have it; for IKEv1 with sequence numbers of 32
    /// bits, unless others are asked for.
    ///
    /// # Errors
    /// [`BadProposal`] with the first word that it may not have, and why.
    pub fn admitted(
        mut self,
        version: IkeVersion,
        legacy: Option<Legacy>,
    ) -> Result<Self, BadProposal> {
        if let Some(word) = self.legacy_words().first().filter(|_| legacy.is_none()) {
            return Err(BadProposal::legacy(word));
        }
        if version == IkeVersion::V2 {
            return Ok(self);
        }
        if self.encryption.contains(&Encryption::ChaCha20Poly1305) {
            let word = encryption_word(Encryption::ChaCha20Poly1305);
            return Err(needless(word, Needless::NotInIkeV1));
        }
        check_groups(&self.groups, &self.additional)?;
        self.esn.retain(|wanted| !wanted);
        match self.esn.is_empty() {
            true => Err(needless("esn", Needless::EsnInIkeV1)),
            false => Ok(self),
        }
    }

    /// The words of its legacy algorithms.
    #[must_use]
    pub fn legacy_words(&self) -> Vec<&'static str> {
        let encryption = self.encryption.iter().filter(|one| one.is_legacy());
        let integrity = self.integrity.iter().filter(|one| one.is_legacy());
        let words = encryption.map(|one| encryption_word(*one));
        let words = words.chain(integrity.map(|one| integrity_word(*one)));
        words
            .chain(old_groups(&self.groups, &self.additional))
            .collect()
    }
}

fn needless(word: &str, reason: Needless) -> BadProposal {
    let word = word.to_owned();
    BadProposal::Needless { word, reason }
}

fn old_groups(groups: &[Group], more: &AdditionalOffer) -> Vec<&'static str> {
    let additional = more.choices().flatten().filter_map(|choice| *choice);
    let all = groups.iter().copied().chain(additional);
    all.filter(|one| one.is_legacy()).map(group_word).collect()
}

/// Whether IKEv1 has numbers for the groups; for additional key exchanges it has none.
fn check_groups(groups: &[Group], more: &AdditionalOffer) -> Result<(), BadProposal> {
    let newer = |group: &&Group| {
        matches!(
            group,
            Group::Curve25519 | Group::MlKem768 | Group::MlKem1024
        )
    };
    let first = groups.iter().find(newer).copied();
    let additional = || more.choices().flatten().find_map(|choice| *choice);
    match first.or_else(additional) {
        Some(group) => Err(needless(group_word(group), Needless::NotInIkeV1)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::{default_esp, default_ike};

    const OLD: Option<Legacy> = Some(Legacy::Windows2003);

    fn ike(text: &str, version: IkeVersion, legacy: Option<Legacy>) -> Result<String, String> {
        let read = IkeProposal::read(text).unwrap().admitted(version, legacy);
        read.map(|one| one.to_string())
            .map_err(|bad| bad.to_string())
    }

    fn esp(text: &str, version: IkeVersion, legacy: Option<Legacy>) -> Result<String, String> {
        let read = EspProposal::read(text).unwrap().admitted(version, legacy);
        read.map(|one| one.to_string())
            .map_err(|bad| bad.to_string())
    }

    #[test]
    fn only_old_peers_have_old_algorithms() {
        for (text, word) in [
            ("3des-sha256-modp2048", "`3des`"),
            ("des-sha256-modp2048", "`des`"),
            ("aes128-sha1-modp2048", "`sha1`"),
            ("aes128-md5-modp2048", "`md5`"),
            ("aes128-sha256-prfsha1-modp2048", "`prfsha1`"),
            ("aes128-sha256-prfmd5-modp2048", "`prfmd5`"),
            ("aes128-sha256-modp1536", "`modp1536`"),
            ("aes128-sha256-modp1024", "`modp1024`"),
            ("aes128-sha256-modp768", "`modp768`"),
            ("aes128-sha256-modp2048-ke1_modp1024", "`modp1024`"),
        ] {
            for version in [IkeVersion::V1, IkeVersion::V2] {
                let refused = ike(text, version, None).unwrap_err();
                assert!(refused.contains(word), "{text}: {refused}");
                assert!(refused.contains("legacy = \"windows2003\""), "{refused}");
            }
        }
        for text in [
            "3des-sha1",
            "des-md5",
            "null-sha1",
            "aes128-sha1",
            "aes128-sha256-modp768",
        ] {
            for version in [IkeVersion::V1, IkeVersion::V2] {
                let refused = esp(text, version, None).unwrap_err();
                assert!(
                    refused.contains("legacy = \"windows2003\""),
                    "{text}: {refused}"
                );
            }
            assert!(esp(text, IkeVersion::V1, OLD).unwrap().ends_with("-noesn"));
        }
        let both = "3des-sha1-prfsha1-modp1024";
        assert_eq!(
            ike("3des-sha1-modp1024", IkeVersion::V1, OLD).unwrap(),
            both
        );
        // A new algorithm is no sin of an old peer's.
        assert!(ike("aes256-sha256-modp2048", IkeVersion::V1, OLD).is_ok());
    }

    #[test]
    fn ikev1_has_what_it_can_name() {
        let v1 = |text| ike(text, IkeVersion::V1, None);
        assert!(v1("aes256-aes128-sha256-sha512-modp2048-ecp256").is_ok());
        for (text, says) in [
            ("aes128gcm16-prfsha256-modp2048", "CBC"),
            ("aes128-sha256-prfsha512-modp2048", "`prfsha512`"),
            ("aes128-sha256-x25519", "`x25519`"),
            ("aes128-sha256-modp2048-ke1_mlkem768", "`mlkem768`"),
        ] {
            let refused = v1(text).unwrap_err();
            assert!(refused.contains(says), "{text}: {refused}");
        }
        let refused = ike("null-sha1-modp1024", IkeVersion::V1, OLD).unwrap_err();
        assert!(refused.contains("always encrypted"), "{refused}");
        let v1 = |text| esp(text, IkeVersion::V1, None);
        assert_eq!(
            v1("aes128gcm16-ecp256").unwrap(),
            "aes128gcm16-ecp256-noesn"
        );
        assert!(v1("chacha20poly1305").unwrap_err().contains("no number"));
        assert!(v1("aes128gcm16-x25519").unwrap_err().contains("no number"));
        assert!(v1("aes128gcm16-esn").unwrap_err().contains("noesn"));
    }

    #[test]
    fn the_defaults_are_admitted_and_read_what_they_print() {
        for (version, legacy) in [
            (IkeVersion::V2, None),
            (IkeVersion::V1, None),
            (IkeVersion::V1, OLD),
        ] {
            for one in default_ike(version, legacy) {
                let read = IkeProposal::read(&one.to_string());
                assert_eq!(read, Ok(one.clone()));
                assert_eq!(one.legacy_words().is_empty(), legacy.is_none());
                assert_eq!(one.clone().admitted(version, legacy), Ok(one));
            }
            for one in default_esp(version, legacy) {
                let read = EspProposal::read(&one.to_string());
                assert_eq!(read, Ok(one.clone()));
                assert_eq!(one.legacy_words().is_empty(), legacy.is_none());
                assert_eq!(one.clone().admitted(version, legacy), Ok(one));
            }
        }
        let first = &default_ike(IkeVersion::V1, OLD)[0];
        assert_eq!(first.to_string(), "3des-sha1-prfsha1-modp2048");
    }
}
