//! QEMU without hardware's help: Debian's own kernel on every processor, in 8 s.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::folder;
use crate::guest::Site;

/// Where `cargo xtask packages` has unpacked Debian's kernel.
const KERNEL: &str = "target/debian/linux";
const INITRAMFS: &str = include_str!("initramfs.sh");
const EMULATOR: &str = "qemu-system-x86_64";
/// With AES and random numbers, and without vectors that the emulator is slow at.
const PROCESSOR: &str = "Westmere,+rdrand";

/// The command that boots it.
pub(crate) fn command(site: &Site<'_>, init: &Path) -> Result<Command, String> {
    let tree = fs::canonicalize(KERNEL)
        .map_err(|why| format!("{KERNEL}: {why}; `cargo xtask packages` unpacks it there"))?;
    let modules = tree.join("lib/modules");
    let archive = initramfs(site.scratch, &tree, &release(&modules)?)?;
    let mut command = Command::new(EMULATOR);
    command
        .args(["-accel", "tcg,thread=single,tb-size=256"])
        .args(["-cpu", PROCESSOR, "-smp", "1", "-m", "512"])
        .args(["-nodefaults", "-no-user-config", "-no-reboot"])
        .args(["-nographic", "-monitor", "none", "-serial", "stdio"])
        .arg("-kernel")
        .arg(tree.join("vmlinux"))
        .arg("-initrd")
        .arg(archive)
        .arg("-append")
        .arg(format!(
            "console=ttyS0 quiet panic=-1 cryptomgr.notests HFI_INIT={} HFI_MODULES={} \
             HFI_SHARES={}",
            init.display(),
            modules.display(),
            site.shares()
        ));
    share(&mut command, "root", Path::new("/"), true);
    for (number, path) in site.writable.iter().enumerate() {
        share(&mut command, &format!("share{number}"), path, false);
    }
    let tap = site.tap;
    command
        .arg("-netdev")
        .arg(format!("tap,id=net,ifname={tap},script=no,downscript=no"))
        .arg("-device")
        .arg(format!(
            "virtio-net-pci,netdev=net,romfile=,mac={}",
            mac(tap)
        ));
    Ok(command)
}

/// A hardware address for the guest behind a device: others on the same cable have others.
fn mac(tap: &str) -> String {
    let number = tap
        .bytes()
        .fold(0_u8, |sum, byte| sum.wrapping_mul(31) ^ byte);
    format!("52:54:00:12:34:{number:02x}")
}

/// A folder of the host, under a tag that the guest mounts.
fn share(command: &mut Command, tag: &str, path: &Path, read_only: bool) {
    let read_only = if read_only { "on" } else { "off" };
    command
        .arg("-fsdev")
        .arg(format!(
            "local,id={tag},path={},security_model=passthrough,readonly={read_only},\
             multidevs=remap",
            path.display()
        ))
        .arg("-device")
        .arg(format!("virtio-9p-pci,fsdev={tag},mount_tag={tag}"));
}

/// The release of the kernel, which is the name of the folder of its modules.
fn release(modules: &Path) -> Result<String, String> {
    let entries = fs::read_dir(modules).map_err(|why| format!("{}: {why}", modules.display()))?;
    entries
        .flatten()
        .find_map(|entry| entry.file_name().into_string().ok())
        .ok_or_else(|| format!("{} is empty", modules.display()))
}

/// Makes the initramfs and answers where it is.
fn initramfs(scratch: &Path, tree: &Path, release: &str) -> Result<PathBuf, String> {
    let script = scratch.join("initramfs.sh");
    folder::write(&script, INITRAMFS)?;
    let archive = scratch.join("initramfs");
    let output = Command::new("sh")
        .arg(&script)
        .arg(tree)
        .arg(release)
        .arg(&archive)
        .output()
        .map_err(|why| format!("sh cannot be started: {why}"))?;
    match output.status.success() {
        true => Ok(archive),
        false => Err(format!(
            "the initramfs cannot be made: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )),
    }
}
