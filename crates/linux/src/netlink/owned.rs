//! Removing what a daemon of ours left behind when it was killed.

use crate::error::Error;
use crate::netlink::route::OWNER;
use crate::netlink::socket::Netlink;
use crate::prefix::Family;

impl Netlink {
    /// Removes every policy rule and every route that is marked as ours ([`OWNER`]); answers
    /// how many there were.
    ///
    /// # Errors
    /// A sentence.
    pub fn remove_owned(&mut self) -> Result<usize, Error> {
        let mut removed = 0;
        for family in Family::BOTH {
            for rule in self
                .rules(family)?
                .iter()
                .filter(|rule| rule.owner == OWNER)
            {
                removed += usize::from(self.delete_rule(rule)?);
            }
            for route in self
                .routes(family, None)?
                .iter()
                .filter(|route| route.owner == OWNER)
            {
                removed += usize::from(self.delete_route(route)?);
            }
        }
        Ok(removed)
    }
}
