//! Security methods: `ESP[3DES,SHA1]:100000k/3600s` of quick mode, `3DES-SHA1-2` of main mode.

use std::fmt;
use std::str::FromStr;

/// A cipher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cipher {
    /// DES in CBC mode: broken since 1998.
    Des,
    /// Three-key 3DES in CBC mode.
    TripleDes,
}

/// A keyed hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// HMAC-MD5-96.
    Md5,
    /// HMAC-SHA1-96.
    Sha1,
}

/// A Diffie-Hellman group, by Windows's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// `1`, low: 768 bits.
    Low,
    /// `2`, medium: 1024 bits.
    Medium,
    /// `3`, high: 2048 bits.
    High,
}

const CIPHERS: [(&str, &str, Cipher); 2] = [
    ("DES", "des", Cipher::Des),
    ("3DES", "3des", Cipher::TripleDes),
];
const HASHES: [(&str, &str, Hash); 2] = [("MD5", "md5", Hash::Md5), ("SHA1", "sha1", Hash::Sha1)];
const GROUPS: [(&str, &str, Group); 3] = [
    ("1", "modp768", Group::Low),
    ("2", "modp1024", Group::Medium),
    ("3", "modp2048", Group::High),
];

/// A word of one of the tables; an empty optional stands for `None`.
fn word<T: Copy>(table: &[(&str, &str, T)], text: &str) -> Option<T> {
    let found = table
        .iter()
        .find(|(name, _, _)| name.eq_ignore_ascii_case(text.trim()));
    found.map(|(_, _, meaning)| *meaning)
}

fn names<T: Copy + PartialEq>(
    table: &[(&'static str, &'static str, T)],
    meaning: T,
) -> (&'static str, &'static str) {
    let found = table.iter().find(|(_, _, known)| *known == meaning);
    found.map_or(("", ""), |(netsh, holdfast, _)| (netsh, holdfast))
}

/// What main mode offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyExchangeMethod {
    /// The cipher.
    pub cipher: Cipher,
    /// The hash.
    pub hash: Hash,
    /// The group.
    pub group: Group,
}

impl KeyExchangeMethod {
    /// What a policy has that names none. Windows's list goes on with DES and the group of 768
    /// bits: nobody gets those without a word.
    #[must_use]
    pub fn defaults() -> Vec<Self> {
        let of = |hash| KeyExchangeMethod {
            cipher: Cipher::TripleDes,
            hash,
            group: Group::Medium,
        };
        vec![of(Hash::Sha1), of(Hash::Md5)]
    }

    /// The same in the words of a policy file: `3des-sha1-modp1024`.
    #[must_use]
    pub fn holdfast(self) -> String {
        let (_, cipher) = names(&CIPHERS, self.cipher);
        let (_, hash) = names(&HASHES, self.hash);
        format!("{cipher}-{hash}-{}", self.group.holdfast())
    }

    /// From the words of a policy file; `None` for what Windows 2003 does not know.
    #[must_use]
    pub fn from_holdfast(text: &str) -> Option<Self> {
        let mut words = text.split('-');
        let (cipher, hash, group) = (words.next()?, words.next()?, words.next()?);
        let method = KeyExchangeMethod {
            cipher: of_holdfast(&CIPHERS, cipher)?,
            hash: of_holdfast(&HASHES, hash)?,
            group: of_holdfast(&GROUPS, group)?,
        };
        words.next().is_none().then_some(method)
    }
}

fn of_holdfast<T: Copy>(table: &[(&str, &str, T)], text: &str) -> Option<T> {
    let found = table.iter().find(|(_, holdfast, _)| *holdfast == text);
    found.map(|(_, _, meaning)| *meaning)
}

impl Group {
    /// The word for it in a policy file.
    #[must_use]
    pub fn holdfast(self) -> &'static str {
        names(&GROUPS, self).1
    }
}

impl FromStr for KeyExchangeMethod {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = || {
            let mut words = text.split('-');
            let method = KeyExchangeMethod {
                cipher: word(&CIPHERS, words.next()?)?,
                hash: word(&HASHES, words.next()?)?,
                group: word(&GROUPS, words.next()?)?,
            };
            words.next().is_none().then_some(method)
        };
        read().ok_or_else(|| {
            format!("`{text}` is not CIPHER-HASH-GROUP: DES or 3DES, MD5 or SHA1, 1 to 3")
        })
    }
}

impl fmt::Display for KeyExchangeMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (cipher, hash) = (names(&CIPHERS, self.cipher).0, names(&HASHES, self.hash).0);
        write!(f, "{cipher}-{hash}-{}", names(&GROUPS, self.group).0)
    }
}

/// ESP of one method: `None` where nothing is encrypted or nothing is authenticated, never both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Esp {
    /// The cipher.
    pub cipher: Option<Cipher>,
    /// The hash.
    pub hash: Option<Hash>,
}

/// What quick mode offers: ESP, AH, or one in the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecurityMethod {
    /// AH with this hash.
    pub ah: Option<Hash>,
    /// ESP with these.
    pub esp: Option<Esp>,
    /// Lifetime in kilobytes of 1,024 bytes.
    pub kilobytes: u32,
    /// Lifetime in seconds.
    pub seconds: u32,
}

impl SecurityMethod {
    /// Lifetime of a method that names none, in kilobytes.
    pub const KILOBYTES: u32 = 100_000;
    /// Lifetime of a method that names none, in seconds.
    pub const SECONDS: u32 = 3600;

    /// ESP with the default lifetimes.
    #[must_use]
    pub fn esp(cipher: Cipher, hash: Hash) -> Self {
        SecurityMethod {
            ah: None,
            esp: Some(Esp {
                cipher: Some(cipher),
                hash: Some(hash),
            }),
            kilobytes: Self::KILOBYTES,
            seconds: Self::SECONDS,
        }
    }

    /// What an action has that names none.
    #[must_use]
    pub fn defaults() -> Vec<Self> {
        vec![
            SecurityMethod::esp(Cipher::TripleDes, Hash::Sha1),
            SecurityMethod::esp(Cipher::TripleDes, Hash::Md5),
        ]
    }

    /// The same in the words of a policy file, `3des-sha1`; `None` for AH, and for ESP that
    /// authenticates nothing.
    #[must_use]
    pub fn holdfast(self) -> Option<String> {
        let esp = self.esp.filter(|_| self.ah.is_none())?;
        let cipher = esp
            .cipher
            .map_or("null", |cipher| names(&CIPHERS, cipher).1);
        Some(format!("{cipher}-{}", names(&HASHES, esp.hash?).1))
    }

    /// From the words of a policy file, with its group if it has one; `None` for what Windows 2003
    /// does not know.
    #[must_use]
    pub fn from_holdfast(text: &str) -> Option<(Self, Option<Group>)> {
        let mut words = text.split('-');
        let cipher = match words.next()? {
            "null" => None,
            word => Some(of_holdfast(&CIPHERS, word)?),
        };
        let hash = Some(of_holdfast(&HASHES, words.next()?)?);
        let group = match words.next() {
            Some(word) => Some(of_holdfast(&GROUPS, word)?),
            None => None,
        };
        let method = SecurityMethod {
            ah: None,
            esp: Some(Esp { cipher, hash }),
            kilobytes: Self::KILOBYTES,
            seconds: Self::SECONDS,
        };
        words.next().is_none().then_some((method, group))
    }

    fn read(text: &str) -> Option<Self> {
        let (algorithms, lifetimes) = text.split_once(':').unwrap_or((text, ""));
        let mut method = SecurityMethod {
            ah: None,
            esp: None,
            kilobytes: Self::KILOBYTES,
            seconds: Self::SECONDS,
        };
        for part in algorithms.split('+') {
            let (name, inside) = part.trim().strip_suffix(']')?.split_once('[')?;
            if name.eq_ignore_ascii_case("AH") && method.ah.is_none() {
                method.ah = Some(word(&HASHES, inside)?);
            } else if name.eq_ignore_ascii_case("ESP") && method.esp.is_none() {
                method.esp = Some(esp(inside)?);
            } else {
                return None;
            }
        }
        for lifetime in lifetimes.split('/').filter(|part| !part.is_empty()) {
            let (field, digits) = match lifetime.char_indices().last()? {
                (at, 'k' | 'K') => (&mut method.kilobytes, lifetime.get(..at)?),
                (at, 's' | 'S') => (&mut method.seconds, lifetime.get(..at)?),
                _ => return None,
            };
            *field = digits.parse().ok().filter(|number| *number > 0)?;
        }
        Some(method)
    }
}

fn esp(inside: &str) -> Option<Esp> {
    let (cipher, hash) = inside.split_once(',')?;
    let none = |text: &str| text.trim().eq_ignore_ascii_case("none");
    let esp = Esp {
        cipher: match none(cipher) {
            true => None,
            false => Some(word(&CIPHERS, cipher)?),
        },
        hash: match none(hash) {
            true => None,
            false => Some(word(&HASHES, hash)?),
        },
    };
    (esp.cipher.is_some() || esp.hash.is_some()).then_some(esp)
}

impl FromStr for SecurityMethod {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        SecurityMethod::read(text).ok_or_else(|| {
            format!("`{text}` is not ESP[CIPHER,HASH]:KILOBYTESk/SECONDSs, nor AH[HASH]")
        })
    }
}

impl fmt::Display for SecurityMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(hash) = self.ah {
            write!(f, "AH[{}]", names(&HASHES, hash).0)?;
        }
        if let Some(esp) = self.esp {
            let plus = if self.ah.is_some() { "+" } else { "" };
            let cipher = esp
                .cipher
                .map_or("None", |cipher| names(&CIPHERS, cipher).0);
            let hash = esp.hash.map_or("None", |hash| names(&HASHES, hash).0);
            write!(f, "{plus}ESP[{cipher},{hash}]")?;
        }
        write!(f, ":{}k/{}s", self.kilobytes, self.seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_read_and_written() {
        for (text, written, holdfast) in [
            (
                "ESP[3DES,SHA1]",
                "ESP[3DES,SHA1]:100000k/3600s",
                Some("3des-sha1"),
            ),
            (
                "esp[des,md5]:900s",
                "ESP[DES,MD5]:100000k/900s",
                Some("des-md5"),
            ),
            (
                "ESP[none,SHA1]:50000k",
                "ESP[None,SHA1]:50000k/3600s",
                Some("null-sha1"),
            ),
            ("ESP[3DES,None]:1k/2s", "ESP[3DES,None]:1k/2s", None),
            ("AH[MD5]:5k/6s", "AH[MD5]:5k/6s", None),
            (
                "AH[SHA1]+ESP[3DES,None]",
                "AH[SHA1]+ESP[3DES,None]:100000k/3600s",
                None,
            ),
        ] {
            let read: SecurityMethod = text.parse().unwrap();
            assert_eq!(read.to_string(), written);
            assert_eq!(read.holdfast().as_deref(), holdfast);
            if let Some(holdfast) = holdfast {
                let back = SecurityMethod::from_holdfast(holdfast).unwrap().0;
                assert_eq!((back.esp, back.ah), (read.esp, read.ah));
            }
        }
        for wrong in [
            "",
            "ESP",
            "ESP[]",
            "ESP[AES128,SHA256]",
            "ESP[None,None]",
            "ESP[3DES,SHA1]:0k",
            "ESP[3DES,SHA1]:5",
            "AH[SHA1]+AH[MD5]",
            "3DES-SHA1",
            "ESP[3DES,SHA1]:99999999999k",
        ] {
            assert!(wrong.parse::<SecurityMethod>().is_err(), "{wrong}");
        }
        assert_eq!(
            SecurityMethod::from_holdfast("3des-sha1-modp1024").map(|(_, group)| group),
            Some(Some(Group::Medium))
        );
    }

    #[test]
    fn key_exchange_methods_read_and_written() {
        let read: KeyExchangeMethod = "3des-sha1-2".parse().unwrap();
        assert_eq!(read.to_string(), "3DES-SHA1-2");
        assert_eq!(read.holdfast(), "3des-sha1-modp1024");
        assert_eq!(
            KeyExchangeMethod::from_holdfast(&read.holdfast()),
            Some(read)
        );
        for wrong in [
            "3DES-SHA1",
            "AES-SHA1-2",
            "3DES-SHA1-14",
            "3DES-SHA1-2-2",
            "",
        ] {
            assert!(wrong.parse::<KeyExchangeMethod>().is_err(), "{wrong}");
        }
    }
}
