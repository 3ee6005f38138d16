//! Packages that must not be installed on the host, unpacked into `target/debian`.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Where they are unpacked, each in a folder of its name.
const FOLDER: &str = "target/debian";

/// What is unpacked: a folder, its packages, and what it is for.
struct Unpacked {
    folder: &'static str,
    packages: &'static [&'static str],
    /// Shell commands that make it ready, run in the folder with each package as `*.deb`.
    ready: &'static str,
}

/// A kernel is not installed, for it would ask for a boot loader, nor Libreswan, whose package
/// conflicts with strongSwan's.
const ALL: &[Unpacked] = &[
    Unpacked {
        folder: "linux",
        packages: &["linux-image-amd64"],
        ready: include_str!("linux.sh"),
    },
    Unpacked {
        folder: "libreswan",
        packages: &[
            "libreswan",
            "libldns3",
            "libevent-pthreads-2.1-7",
            "libevent-2.1-7",
            "libunbound8",
            "libcurl3-nss",
            "libcap-ng0",
            "libnspr4",
            "libnss3",
            "libnss3-tools",
        ],
        ready: include_str!("libreswan.sh"),
    },
];

/// Whether everything is there.
pub(crate) fn complete() -> bool {
    ALL.iter()
        .all(|one| Path::new(FOLDER).join(one.folder).exists())
}

/// Unpacks what is missing.
///
/// # Errors
/// A sentence, when a package is not to be had.
pub(crate) fn unpack() -> Result<(), String> {
    for one in ALL {
        let folder = Path::new(FOLDER).join(one.folder);
        if folder.exists() {
            continue;
        }
        eprintln!(
            "== unpack {} into {}",
            one.packages.join(", "),
            folder.display()
        );
        // Under another name until it is complete.
        let unfinished = folder.with_extension("unfinished");
        let _ = fs::remove_dir_all(&unfinished);
        fs::create_dir_all(&unfinished)
            .map_err(|why| format!("{}: {why}", unfinished.display()))?;
        for package in one.packages {
            shell(
                &unfinished,
                &format!("apt-get download -q {}", current(package)?),
            )?;
        }
        shell(&unfinished, one.ready)?;
        fs::rename(&unfinished, &folder).map_err(|why| format!("{}: {why}", folder.display()))?;
    }
    Ok(())
}

/// The package that a name stands for: `linux-image-amd64` is empty and depends on the newest one.
fn current(package: &str) -> Result<String, String> {
    if package != "linux-image-amd64" {
        return Ok(package.to_owned());
    }
    let output = Command::new("apt-cache")
        .args(["depends", package])
        .output()
        .map_err(|why| format!("apt-cache cannot be started: {why}"))?;
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .find_map(|line| line.trim().strip_prefix("Depends: ").map(str::to_owned))
        .ok_or_else(|| format!("apt does not know which package {package} depends on"))
}

fn shell(folder: &Path, script: &str) -> Result<(), String> {
    let status = Command::new("sh")
        .args(["-ec", script])
        .current_dir(folder)
        .status()
        .map_err(|why| format!("sh cannot be started: {why}"))?;
    match status.success() {
        true => Ok(()),
        false => Err(format!(
            "{} cannot be unpacked ({status}); what was printed is above.",
            folder.display()
        )),
    }
}
