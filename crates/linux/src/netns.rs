//! Named network namespaces, compatible with `ip netns` (ip-netns(8), network_namespaces(7)).

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::error::Error;
use crate::netlink::{AddressFlags, Monitor, Netlink};
use crate::poll::{Events, Interest, Poller};
use crate::prefix::Prefix;
use crate::process::Signal;

mod sys;

/// Where the namespaces' names live.
const DIRECTORY: &str = "/run/netns";

/// Makes a network namespace and brings its loopback interface up.
///
/// Interfaces that are made in it skip IPv6 duplicate address detection, so that they work at
/// once and not a second or two later.
///
/// # Errors
/// A sentence, for example that the name exists.
pub fn create(name: &str) -> Result<(), Error> {
    let what = || format!("make the network namespace {name}");
    let path = path_of(name)?;
    let make = || -> io::Result<()> {
        fs::create_dir_all(DIRECTORY)?;
        sys::share_mount(Path::new(DIRECTORY))?;
        File::create_new(&path)?;
        let bound = on_thread(|| sys::pin_new_namespace(&path));
        bound.inspect_err(|_| drop(fs::remove_file(&path)))
    };
    make().map_err(|why| Error::new(what(), why))?;
    // A host without IPv6 has no such file.
    let detection = "/proc/sys/net/ipv6/conf/default/accept_dad";
    run(name, || fs::write(detection, "0"))?.unwrap_or_default();
    let mut netlink = netlink(name)?;
    let loopback = netlink.link("lo")?;
    netlink.set_up(loopback.index, true)
}

/// Removes a network namespace's name; the namespace ends with its last process and socket.
/// Answers whether there was one.
///
/// # Errors
/// A sentence.
pub fn delete(name: &str) -> Result<bool, Error> {
    let path = path_of(name)?;
    let remove = || -> io::Result<bool> {
        // One name may carry several mounts; EINVAL says that none is left.
        while sys::unmount(&path).is_ok() {}
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    };
    remove().map_err(|why| Error::new(format!("remove the network namespace {name}"), why))
}

/// The names of all network namespaces, sorted.
///
/// # Errors
/// A sentence.
pub fn list() -> Result<Vec<String>, Error> {
    let read = || -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(DIRECTORY)? {
            names.extend(entry?.file_name().into_string());
        }
        names.sort();
        Ok(names)
    };
    match read() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        answer => answer.map_err(|why| Error::new("list the network namespaces", why)),
    }
}

/// The ids of the processes that are in a network namespace, sorted.
///
/// # Errors
/// A sentence, for example that there is none of this name.
pub fn processes(name: &str) -> Result<Vec<u32>, Error> {
    let what = || format!("list the processes of the network namespace {name}");
    let space = open(name)?
        .metadata()
        .map_err(|why| Error::new(what(), why))?;
    let entries = fs::read_dir("/proc").map_err(|why| Error::new(what(), why))?;
    let ids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    // A process may end between the listing and the question: it is not there then.
    let inside = ids.filter(|id| {
        let theirs = fs::metadata(format!("/proc/{id}/ns/net"));
        theirs.is_ok_and(|theirs| (theirs.dev(), theirs.ino()) == (space.dev(), space.ino()))
    });
    let mut inside: Vec<u32> = inside.collect();
    inside.sort_unstable();
    Ok(inside)
}

/// An open network namespace: it exists as long as this value does.
///
/// # Errors
/// A sentence, for example that there is none of this name.
pub fn open(name: &str) -> Result<File, Error> {
    let path = path_of(name)?;
    File::open(path).map_err(|why| Error::new(format!("open the network namespace {name}"), why))
}

/// Moves this thread into a network namespace, for good. Sockets and threads that it makes from
/// now on belong there; other threads stay where they are.
///
/// # Errors
/// A sentence, for example that there is none of this name.
pub fn enter(name: &str) -> Result<(), Error> {
    let file = open(name)?;
    sys::enter(file.as_fd())
        .map_err(|why| Error::new(format!("enter the network namespace {name}"), why))
}

/// Runs a closure in a network namespace, on a thread of its own, and answers its answer.
/// Sockets that it opens stay in that namespace when they are handed out.
///
/// # Errors
/// A sentence when the namespace cannot be entered; the closure's own answers pass through.
///
/// # Panics
/// When the closure panics.
pub fn run<T: Send>(name: &str, work: impl FnOnce() -> T + Send) -> Result<T, Error> {
    let file = open(name)?;
    on_thread(|| sys::enter(file.as_fd()).map(|()| work()))
        .map_err(|why| Error::new(format!("enter the network namespace {name}"), why))
}

/// A netlink socket that speaks with this namespace, whichever thread uses it.
///
/// # Errors
/// A sentence.
pub fn netlink(name: &str) -> Result<Netlink, Error> {
    run(name, Netlink::open)?
}

/// A monitor of the changes in this namespace.
///
/// # Errors
/// A sentence.
pub fn monitor(name: &str) -> Result<Monitor, Error> {
    run(name, Monitor::open)?
}

/// One end of a cable: an interface that is made in a namespace.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    /// The namespace.
    pub namespace: &'a str,
    /// The name of the interface, 1 to 15 bytes.
    pub interface: &'a str,
}

/// How long the kernel may take to notice that a cable has been plugged in: hardly ever more
/// than a second, but its worker waits for the lock that the removal of namespaces holds.
const PLUGGED: Duration = Duration::from_secs(30);
/// After how long without a notification the interface is looked at all the same.
const LOOK: Duration = Duration::from_millis(200);

/// Lays a cable (a veth pair) between two namespaces, brings both ends up, and waits until
/// packets pass: up to a second.
///
/// # Errors
/// A sentence, for example that a name is in use.
pub fn cable(a: End<'_>, b: End<'_>) -> Result<(), Error> {
    let mut near = netlink(a.namespace)?;
    let mut far = netlink(b.namespace)?;
    let namespace = open(b.namespace)?;
    let mut near_changes = monitor(a.namespace)?;
    let mut far_changes = monitor(b.namespace)?;
    near.add_veth(a.interface, b.interface, Some(namespace.as_fd()))?;
    for (netlink, name) in [(&mut far, b.interface), (&mut near, a.interface)] {
        let link = netlink.link(name)?;
        netlink.set_up(link.index, true)?;
    }
    wait_until_running(&mut near, a.interface, &mut near_changes)?;
    wait_until_running(&mut far, b.interface, &mut far_changes)
}

/// Waits until the kernel has noticed the carrier of an interface; `monitor` has been listening
/// since before the interface was brought up.
fn wait_until_running(
    netlink: &mut Netlink,
    interface: &str,
    monitor: &mut Monitor,
) -> Result<(), Error> {
    let what = || format!("wait for the cable of the interface {interface}");
    let poller = Poller::new().map_err(|why| Error::new(what(), why))?;
    poller
        .add(&*monitor, 0, Interest::Read)
        .map_err(|why| Error::new(what(), why))?;
    let mut events = Events::with_capacity(1);
    let mut patience = PLUGGED.as_millis() / LOOK.as_millis();
    while !netlink.link(interface)?.running {
        let ready = poller
            .wait(&mut events, Some(LOOK))
            .map_err(|why| Error::new(what(), why))?;
        if ready == 0 {
            patience = patience
                .checked_sub(1)
                .ok_or_else(|| Error::new(what(), io::ErrorKind::TimedOut.into()))?;
        }
        while monitor
            .next_event()
            .map_err(|why| Error::new(what(), why))?
            .is_some()
        {}
    }
    Ok(())
}

/// Makes a bridge in a namespace, of ports that exist there, and brings it up.
///
/// # Errors
/// A sentence.
pub fn bridge(end: End<'_>, ports: &[&str]) -> Result<(), Error> {
    let mut netlink = netlink(end.namespace)?;
    netlink.add_bridge(end.interface)?;
    let bridge = netlink.link(end.interface)?.index;
    for port in ports {
        let port = netlink.link(port)?.index;
        netlink.set_controller(port, Some(bridge))?;
    }
    netlink.set_up(bridge, true)
}

/// Adds an address to an interface of a namespace; IPv6 addresses are usable at once.
///
/// # Errors
/// A sentence.
pub fn add_address(end: End<'_>, prefix: Prefix) -> Result<(), Error> {
    let mut netlink = netlink(end.namespace)?;
    let link = netlink.link(end.interface)?;
    netlink
        .add_address(link.index, prefix, AddressFlags::default())
        .map(drop)
}

/// Where and how a program starts. The default changes nothing.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The network namespace.
    pub namespace: Option<String>,
    /// Directories that are empty and writable for this program alone (each a tmpfs).
    pub empty: Vec<PathBuf>,
    /// Files or directories that this program sees in another place: (what, where). The place
    /// must exist.
    pub bound: Vec<(PathBuf, PathBuf)>,
    /// A signal that the program gets when the *thread* that started it ends.
    pub death_signal: Option<Signal>,
}

/// Makes `command` start in these surroundings. The steps happen between fork and exec; a step
/// that fails makes the start fail.
///
/// # Errors
/// A sentence, for example that there is no such namespace.
pub fn surround(command: &mut Command, surroundings: &Surroundings) -> Result<(), Error> {
    let namespace = surroundings.namespace.as_deref().map(open).transpose()?;
    let steps = sys::Steps::new(
        namespace,
        &surroundings.empty,
        &surroundings.bound,
        surroundings.death_signal.map(Signal::number),
    )
    .map_err(|why| Error::new("prepare the surroundings of a program", why))?;
    sys::before_exec(command, steps);
    Ok(())
}

/// The file of a name; a name is one path component.
fn path_of(name: &str) -> Result<PathBuf, Error> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if name.is_empty() || name.len() > 200 || !name.bytes().all(plain) || name.starts_with('.') {
        return Err(Error::other(
            format!("use \"{name}\" as the name of a network namespace"),
            "a name has letters, digits, '-', '_' and '.', and does not begin with '.'",
        ));
    }
    Ok(Path::new(DIRECTORY).join(name))
}

/// Runs a closure on a thread of its own, so that what it does to its thread ends with it.
fn on_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| match scope.spawn(work).join() {
        Ok(answer) => answer,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

#[cfg(test)]
mod tests;
