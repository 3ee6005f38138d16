//! What this endpoint is doing when a request arrives: the columns of the collision table
//! (RFC 7296 section 2.25).

use crate::pair::{Child, Stage as ChildStage};
use crate::v2::collision::Doing;
use crate::v2::sa::{Kind, Sa, Stage};

/// What goes on that concerns a request for a new child or a clone.
pub(crate) fn doing(sa: &Sa) -> Doing {
    let mut kinds = sa.exchanges.iter().map(|exchange| &exchange.kind);
    if sa.stage != Stage::Live {
        Doing::ClosingIke
    } else if kinds.any(|kind| matches!(kind, Kind::RekeyIke { .. })) {
        Doing::RekeyingIke
    } else {
        Doing::Nothing
    }
}

/// What goes on that concerns a request to rekey a child.
pub(crate) fn doing_to(sa: &Sa, child: Option<&Child>) -> Doing {
    let rekeys = |kind: &Kind, id| matches!(kind, Kind::RekeyChild { old, .. } if *old == id);
    match (doing(sa), child) {
        // It may be the child of an answer that is still on its way to us.
        (Doing::Nothing, None) if sa.is_creating() => Doing::CreatingChild,
        (Doing::Nothing, None) => Doing::NoSuchChild,
        (Doing::Nothing, Some(child)) => match child.stage {
            ChildStage::Deleting | ChildStage::Replaced { .. } => Doing::ClosingChild,
            _ if sa.exchanges.iter().any(|one| rekeys(&one.kind, child.id)) => Doing::RekeyingChild,
            _ => Doing::Nothing,
        },
        (doing, _) => doing,
    }
}

/// What goes on that concerns a request to close a child.
pub(crate) fn doing_to_closed(child: Option<&Child>) -> Doing {
    match child.map(|child| child.stage) {
        None => Doing::NoSuchChild,
        Some(ChildStage::Deleting) => Doing::ClosingChild,
        Some(ChildStage::Rekeying) => Doing::RekeyingChild,
        Some(_) => Doing::Nothing,
    }
}

/// What goes on that concerns a request to rekey or close the IKE SA.
pub(crate) fn doing_to_ike(sa: &Sa) -> Doing {
    let of = |kind: &Kind| match kind {
        Kind::CreateChild { .. } | Kind::CloneIke { .. } => Doing::CreatingChild,
        Kind::RekeyChild { .. } => Doing::RekeyingChild,
        Kind::DeleteChild { .. } | Kind::DisownChild { .. } => Doing::ClosingChild,
        Kind::RekeyIke { .. } => Doing::RekeyingIke,
        Kind::DeleteIke { .. } => Doing::ClosingIke,
        Kind::Liveness | Kind::Addresses { .. } | Kind::Redirect { .. } | Kind::Forgotten(_) => {
            Doing::Nothing
        }
    };
    if sa.stage != Stage::Live {
        return Doing::ClosingIke;
    }
    let busy = sa.exchanges.iter().map(|one| of(&one.kind));
    busy.into_iter()
        .find(|doing| *doing != Doing::Nothing)
        .unwrap_or(Doing::Nothing)
}
