//! user-mode-linux: a kernel as a process, which boots in 3 s. Not every processor lets it.

use std::path::Path;
use std::process::Command;

use crate::guest::Site;

/// Debian's kernel, of the package `user-mode-linux`, and its modules.
const KERNEL: &str = "linux.uml";
const MODULES: &str = "/usr/lib/uml/modules";
/// What it says where the host wants the whole register state of a process, and that is larger
/// than the guest's kernel knows: EFAULT. No guest process can run there.
const FOREIGN_PROCESSOR: &str = "ptrace set fp regs failed, errno = 14";

/// The command that boots it.
pub(crate) fn command(site: &Site<'_>, init: &Path) -> Command {
    let mut command = Command::new(KERNEL);
    let tap = site.tap;
    command
        .args(["umid=guest", "mem=192M", "root=/dev/root"])
        .args(["rootfstype=hostfs", "rootflags=/", "ro"])
        .args(["con=null", "con0=fd:0,fd:1", "ssl=null", "quiet"])
        .arg(format!("vec0:transport=tap,ifname={tap},depth=64,gro=1"))
        .arg(format!("init={}", init.display()))
        .arg(format!("HFI_MODULES={MODULES}"))
        .arg(format!("HFI_SHARES={}", site.shares()))
        .env("HOME", site.scratch);
    command
}

/// Whether it failed because of the processor.
pub(crate) fn is_foreign(why: &str) -> bool {
    why.contains(FOREIGN_PROCESSOR)
}
