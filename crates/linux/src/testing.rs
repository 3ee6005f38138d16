//! What the tests of this crate share: namespaces that clean up after themselves, and waiting.
#![allow(clippy::disallowed_methods)]

use std::net::IpAddr;
use std::os::fd::AsFd;
use std::process::Command;
use std::time::Duration;

use crate::netns::{self, End};
use crate::poll::{Events, Interest, Poller};
use crate::prefix::Prefix;
use crate::process::is_root;

mod sys;

pub(crate) use sys::allocations;

/// Answers `false`, loudly, when a test cannot run because it is not root.
pub(crate) fn root_or_say_so(test: &str) -> bool {
    if !is_root() {
        eprintln!("NOT RUN: {test} needs root (network namespaces)");
    }
    is_root()
}

/// A network namespace of one test, removed at its end.
pub(crate) struct Namespace {
    pub(crate) name: String,
}

impl Namespace {
    pub(crate) fn new(name: &str) -> Namespace {
        let name = format!("hfl-{name}");
        // A test that was killed may have left it.
        netns::delete(&name).unwrap();
        netns::create(&name).unwrap();
        Namespace { name }
    }

    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        netns::run(&self.name, work).unwrap()
    }

    pub(crate) fn end<'a>(&'a self, interface: &'a str) -> End<'a> {
        End {
            namespace: &self.name,
            interface,
        }
    }

    /// Gives an interface an address. When this returns it is there to be used: other tests that
    /// make and remove namespaces can keep the kernel from that for long.
    pub(crate) fn address(&self, interface: &str, prefix: &str) {
        let prefix: Prefix = prefix.parse().unwrap();
        netns::add_address(self.end(interface), prefix).unwrap();
        let mut netlink = netns::netlink(&self.name).unwrap();
        if !netlink.link(interface).unwrap().running {
            return;
        }
        for _ in 0..500 {
            if netlink.delivers(prefix.address()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("packets to {prefix} are not for {}", self.name);
    }

    /// What a program prints in this namespace; it must succeed.
    pub(crate) fn output(&self, program: &str, arguments: &[&str]) -> String {
        let mut command = Command::new(program);
        command.args(arguments);
        let output = self.run(|| command.output()).unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Namespace {
    /// Waits until an interface is gone: a program that another test starts may hold a copy of
    /// its last descriptor for a moment.
    pub(crate) fn until_gone(&self, interface: &str) {
        let mut netlink = netns::netlink(&self.name).unwrap();
        for _ in 0..500 {
            if netlink.link(interface).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("{interface} is still there");
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = netns::delete(&self.name);
    }
}

/// Two namespaces with a cable between their interfaces `eth0`: 192.0.2.1/24 and
/// 2001:db8::1/64 in the first, ...2 in the second.
pub(crate) fn two(name: &str) -> (Namespace, Namespace) {
    let a = Namespace::new(&format!("{name}-a"));
    let b = Namespace::new(&format!("{name}-b"));
    netns::cable(a.end("eth0"), b.end("eth0")).unwrap();
    for (space, number) in [(&a, 1), (&b, 2)] {
        space.address("eth0", &format!("192.0.2.{number}/24"));
        space.address("eth0", &format!("2001:db8::{number}/64"));
    }
    (a, b)
}

/// Waits until something can be read; `false` when `patience` is over.
pub(crate) fn readable_within(fd: impl AsFd, patience: Duration) -> bool {
    let poller = Poller::new().unwrap();
    poller.add(fd, 0, Interest::Read).unwrap();
    poller
        .wait(&mut Events::with_capacity(1), Some(patience))
        .unwrap()
        > 0
}

/// Waits until something can be read, at most five seconds.
#[track_caller]
pub(crate) fn wait(fd: impl AsFd) {
    assert!(
        readable_within(fd, Duration::from_secs(5)),
        "nothing came within five seconds"
    );
}

/// Nothing can be read for a while.
pub(crate) fn silent(fd: impl AsFd) -> bool {
    !readable_within(fd, Duration::from_millis(150))
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}
