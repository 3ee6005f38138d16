//! Tests of what a reload makes of the groups of this host.

use super::*;

fn group(name: &str, address: &str) -> Group {
    Group {
        name: GroupName::new(name).unwrap(),
        addresses: vec![Prefix::new(address.parse().unwrap(), 24)],
        interface: "eth0".to_owned(),
        start: None,
        stop: None,
        check: None,
        check_interval: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
    }
}

#[test]
fn a_group_that_is_up_is_kept_until_it_is_stopped() {
    let (mail, web) = (group("mail", "10.0.0.100"), group("web", "10.0.0.101"));
    let known = [mail.clone(), web.clone()];
    let up = [mail.name.clone()];
    assert_eq!(merge(&known, &up, Vec::new()), Ok(vec![mail]));
    assert_eq!(merge(&known, &[], vec![web.clone()]), Ok(vec![web]));
}

#[test]
fn a_group_that_is_up_keeps_its_addresses() {
    let (old, new) = (group("mail", "10.0.0.100"), group("mail", "10.0.0.101"));
    let known = [old.clone()];
    let up = [old.name.clone()];
    let refused = merge(&known, &up, vec![new.clone()]).unwrap_err();
    assert!(refused.contains("move it"), "{refused}");
    assert_eq!(merge(&known, &[], vec![new.clone()]), Ok(vec![new]));
    let changed = Group {
        check_interval: Duration::from_secs(9),
        ..old
    };
    assert_eq!(merge(&known, &up, vec![changed.clone()]), Ok(vec![changed]));
}
