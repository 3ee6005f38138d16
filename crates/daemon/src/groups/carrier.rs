//! Whether a group's interface can carry anything.

use linux::netlink::Link;

/// What keeps a group on this interface from running here, if anything does.
pub(crate) fn obstacle(links: &[Link], interface: &str) -> Option<String> {
    match links.iter().find(|link| link.name == interface) {
        None => Some(format!("there is no interface {interface}")),
        Some(link) if !link.up => Some(format!("the interface {interface} is down")),
        Some(link) if !link.carrier => Some(format!(
            "the interface {interface} has no carrier: see to its cable and switch"
        )),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_interface_that_is_up_with_a_carrier_will_do() {
        let link = |name: &str, up, carrier| Link {
            index: 1,
            name: name.to_owned(),
            mtu: 1500,
            up,
            carrier,
            running: carrier,
            loopback: false,
            mac: None,
            kind: None,
            controller: None,
        };
        let links = [
            link("good", true, true),
            link("down", false, false),
            link("cut", true, false),
        ];
        assert_eq!(obstacle(&links, "good"), None);
        for (name, word) in [
            ("down", "is down"),
            ("cut", "carrier"),
            ("gone", "no interface"),
        ] {
            assert!(obstacle(&links, name).unwrap().contains(word), "{name}");
        }
    }
}
