//! Several pairs with the same selectors, for the processors or queues of a peer (RFC 9611). The
//! first is for all; which of them we use ourselves is the user plane's business.

use crate::pair::Agreed;
use crate::pair::{Child, Stage};
use crate::v2::child::is_of_resource;
use crate::v2::contents::Contents;
use crate::v2::sa::Sa;

/// Whether a pair for a resource would be one too many. A pair that is being replaced or deleted
/// does not count: its successor does.
pub(crate) fn is_full(sa: &Sa, contents: &Contents<'_>, agreed: &Agreed) -> bool {
    let stands = |child: &&Child| matches!(child.stage, Stage::Installed | Stage::Rekeying);
    let same = |child: &&Child| {
        child.rule == agreed.rule && child.spec.selectors == agreed.selectors && stands(child)
    };
    let most = 1 + usize::from(agreed.template.per_resource);
    is_of_resource(contents) && sa.children.iter().filter(same).count() >= most
}
