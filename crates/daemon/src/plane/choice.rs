//! Which plane a host gets: what was asked for, what the configuration needs, what the kernel has.

use crate::config::PlaneKind;
use crate::plane::kernel::{self, KernelPlane};
use crate::plane::user::UserPlane;
use crate::plane::{DataPlane, Mailbox, Report, Settings};
use linux::Error;
use std::fmt;
use tokio::sync::mpsc;

/// A plane, and why it is this one.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    /// Whether ESP runs in the kernel.
    pub(crate) kernel: bool,
    /// A clause for people.
    pub(crate) why: String,
}

impl Choice {
    /// Removes what a daemon with another plane left on this host; once the packet filter's rules
    /// are in force.
    ///
    /// # Errors
    /// A sentence, when the kernel refuses.
    pub(crate) fn tidy_up(&self) -> Result<(), Error> {
        match self.kernel {
            // Its policies are taken over, and routing rules are removed by the capture.
            true => Ok(()),
            false => kernel::remove_leftovers(),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.kernel {
            "the kernel"
        } else {
            "user space"
        };
        write!(f, "ESP runs in {place}: {}", self.why)
    }
}

/// A plane that has started, and what comes of it.
pub(crate) struct Opened {
    pub(crate) plane: Box<dyn DataPlane>,
    pub(crate) reports: mpsc::Receiver<Report>,
    /// IKE messages that come in.
    pub(crate) mailbox: Mailbox,
}

/// What the configuration wants of a plane.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Needs {
    /// Inbound SAs of groups never deliver anything twice.
    pub(crate) strict: bool,
    /// IKE and ESP may travel in TCP.
    pub(crate) tcp: bool,
    /// SAs are replicated.
    pub(crate) replicate: bool,
    /// Devices may do ESP.
    pub(crate) offload: bool,
    /// A rule gives up on protection for peers that say nothing.
    pub(crate) soft: bool,
    /// A control experiment that the kernel does not take part in.
    pub(crate) sabotage: bool,
}

/// Chooses. Asks the kernel only where it matters.
///
/// # Errors
/// A sentence, where the kernel's plane was asked for by name and cannot be.
pub(crate) fn choose(wanted: PlaneKind, needs: Needs) -> Result<Choice, Error> {
    if wanted == PlaneKind::User {
        return Ok(Choice {
            kernel: false,
            why: "`plane.kind` says so".to_owned(),
        });
    }
    let obstacle = unfit(needs).or_else(|| kernel::obstacle(needs.replicate));
    match (wanted, obstacle) {
        (PlaneKind::Kernel, Some(why)) => {
            let what = "run ESP in the kernel, which `plane.kind` asks for";
            Err(Error::other(
                what,
                format!("{why}; write `kind = \"auto\"` or `\"user\"`"),
            ))
        }
        (_, Some(why)) => Ok(Choice { kernel: false, why }),
        (PlaneKind::Kernel, None) => Ok(Choice {
            kernel: true,
            why: "`plane.kind` says so".to_owned(),
        }),
        (_, None) => Ok(Choice {
            kernel: true,
            why: "the kernel has ESP with every algorithm".to_owned(),
        }),
    }
}

/// What the kernel cannot do, whichever it is.
fn unfit(needs: Needs) -> Option<String> {
    if needs.strict {
        let why = "`inbound_window = \"strict\"` needs a ceiling of received numbers, and the \
                   kernel has none";
        return Some(why.to_owned());
    }
    if needs.offload && needs.replicate {
        let why = "`offload` lets a device cut super-packets, and the limit of an SA that is \
                   replicated counts packets before they are cut: remove one of the two";
        return Some(why.to_owned());
    }
    if needs.soft {
        let why = "`soft` lets traffic pass in clear text for single hosts and for a time, which \
                   the daemon does in user space";
        return Some(why.to_owned());
    }
    if needs.tcp {
        let why = "`tcp` and `tcp_listen` put ESP into TCP, which the daemon does in user space";
        return Some(why.to_owned());
    }
    needs
        .sabotage
        .then(|| "the control experiment without reservations is one of user space".to_owned())
}

/// Starts the plane that was chosen.
///
/// # Errors
/// A sentence: a port in use, no TUN, no permission.
pub(crate) fn start(choice: &Choice, settings: &Settings) -> Result<Opened, Error> {
    match choice.kernel {
        true => KernelPlane::start(settings),
        false => UserPlane::start(settings),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Needs = Needs {
        strict: false,
        tcp: false,
        replicate: false,
        offload: false,
        soft: false,
        sabotage: false,
    };

    #[test]
    fn what_the_kernel_cannot_do_is_done_in_user_space_or_refused() {
        let strict = Needs {
            strict: true,
            ..NONE
        };
        let choice = choose(PlaneKind::Auto, strict).unwrap();
        assert!(!choice.kernel && choice.why.contains("inbound_window"));
        let refusal = choose(PlaneKind::Kernel, strict).unwrap_err().to_string();
        assert!(
            refusal.starts_with("cannot run ESP in the kernel"),
            "{refusal}"
        );
        assert!(refusal.contains("inbound_window") && refusal.contains("\"auto\""));
        let both = Needs {
            replicate: true,
            offload: true,
            ..NONE
        };
        let refusal = choose(PlaneKind::Kernel, both).unwrap_err().to_string();
        assert!(refusal.contains("`offload`"), "{refusal}");
        let tcp = Needs { tcp: true, ..NONE };
        let refusal = choose(PlaneKind::Kernel, tcp).unwrap_err().to_string();
        assert!(refusal.contains("`tcp_listen`"), "{refusal}");
        assert!(!choose(PlaneKind::Auto, tcp).unwrap().kernel);
        let soft = Needs { soft: true, ..NONE };
        assert!(!choose(PlaneKind::Auto, soft).unwrap().kernel);
        assert!(!choose(PlaneKind::User, NONE).unwrap().kernel);
    }
}
