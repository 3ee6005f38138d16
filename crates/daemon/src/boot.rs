//! `holdfast boot`: what holds from the start of a host until its policy does.

use crate::capture::NFT_TABLE;
use crate::config;
use linux::nft::Boot;
use netsh::model::BootMode;
use std::path::Path;

/// The words of `boot_mode`.
pub const BOOT_MODES: [&str; 3] = ["permit", "stateful", "block"];

/// Puts into force what `mode` says, one of [`BOOT_MODES`], or else the policy file at `path`, and
/// answers with a sentence. Rules that are in force already stay: the daemon's own replace these in
/// one step.
///
/// # Errors
/// A text, when the file is wrong or the kernel refuses; nothing has changed then.
pub fn boot(path: &Path, mode: Option<&str>) -> Result<String, String> {
    let wanted = match mode {
        Some(word) => known(word)?,
        None => config::boot_mode(path).map_err(|report| report.render(false))?,
    };
    let boot = match wanted {
        BootMode::Permit => return Ok("everything passes until the daemon runs".to_owned()),
        BootMode::Stateful => Boot::Stateful,
        BootMode::Block => Boot::Block,
    };
    let applied = linux::nft::boot(NFT_TABLE, boot).map_err(|error| error.to_string())?;
    Ok(match (applied, boot) {
        (false, _) => "rules are in force already, and stay",
        (true, Boot::Stateful) => "until the daemon runs only what goes out passes, and answers",
        (true, Boot::Block) => "until the daemon runs nothing passes, except DHCP and neighbours",
    }
    .to_owned())
}

fn known(word: &str) -> Result<BootMode, String> {
    let modes = [BootMode::Permit, BootMode::Stateful, BootMode::Block];
    let found = modes.into_iter().find(|mode| mode.word() == word);
    found.ok_or_else(|| format!("There is no boot mode `{word}`: write one of {BOOT_MODES:?}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_other_faults_still_says_what_holds_at_the_start() {
        for mode in BOOT_MODES {
            assert_eq!(known(mode).map(BootMode::word), Ok(mode));
        }
        assert!(boot(Path::new("/nonexistent"), None).is_err());
        assert!(boot(Path::new("/nonexistent"), Some("open")).is_err());
        let dir = std::env::temp_dir().join(format!("holdfast-boot-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let file = dir.join("holdfast.toml");
        let mode = |text: &str| {
            std::fs::write(&file, text).unwrap();
            config::boot_mode(&file).map_err(|report| report.render(false))
        };
        let broken = "[policy]\nboot_mode = \"block\"\n[[rule]]\nremote = \"nowhere at all\"\n";
        assert_eq!(mode(broken), Ok(BootMode::Block));
        assert_eq!(mode("[node]\n"), Ok(BootMode::Permit));
        assert!(
            mode("[policy]\nboot_mode = \"shut\"\n")
                .unwrap_err()
                .contains("stateful")
        );
        assert!(mode("[policy\n").unwrap_err().contains("no TOML"));
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
