//! Key generations from the daemons' key tables, where they were written.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::oracle::repeat::Sa;

/// The table that a daemon writes for Wireshark.
const TABLE: &str = "esp_sa";

/// The keys that an SPI had.
#[derive(Clone, Debug, Default)]
pub(crate) struct Generations(BTreeMap<Sa, BTreeSet<String>>);

impl Generations {
    /// Reads the tables of all hosts below `folder`; what is not there says nothing.
    pub(crate) fn read(folder: &Path) -> Self {
        let hosts = fs::read_dir(folder).into_iter().flatten().flatten();
        let tables = hosts.filter_map(|host| fs::read_to_string(host.path().join(TABLE)).ok());
        let mut all = Self::default();
        for table in tables {
            all.add(&table);
        }
        all
    }

    /// Adds a table: lines of family, source, destination, SPI, transform, key, ...
    fn add(&mut self, table: &str) {
        for line in table.lines() {
            let mut fields = line.split(',').map(|field| field.trim_matches('"')).skip(2);
            let sa = (|| {
                let destination = fields.next()?.parse().ok()?;
                let spi = fields.next()?.strip_prefix("0x")?;
                let spi = u32::from_str_radix(spi, 16).ok()?;
                Some((spi, destination))
            })();
            if let (Some(sa), Some(key)) = (sa, fields.nth(1)) {
                self.0.entry(sa).or_default().insert(key.to_owned());
            }
        }
    }

    /// Whether an SPI is known to have had more than one key.
    pub(crate) fn several(&self, sa: Sa) -> bool {
        self.0.get(&sa).is_some_and(|keys| keys.len() > 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addresses::FE_BACK;

    #[test]
    fn an_spi_that_came_back_has_several_keys() {
        let line = |spi: &str, key: &str| {
            format!(
                "\"IPv4\",\"10.77.0.100\",\"10.77.0.10\",\"0x{spi}\",\"AES-GCM [RFC4106]\",\
                 \"0x{key}\",\"NULL\",\"\"\n"
            )
        };
        let mut generations = Generations::default();
        // Both ends write the same key.
        generations.add(&(line("0000abcd", "01") + &line("0000abcd", "01")));
        generations.add(&(line("0000ef01", "02") + "nonsense\n" + &line("0000ef01", "03")));
        assert!(!generations.several((0xabcd, FE_BACK.into())));
        assert!(generations.several((0xef01, FE_BACK.into())));
        assert!(!generations.several((0x7777, FE_BACK.into())));
    }
}
