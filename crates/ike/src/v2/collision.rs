//! What to answer when both sides want something at once (RFC 7296 sections 2.8 and 2.25).

/// What this endpoint is doing to the SA that a request is about, or to the IKE SA above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    /// Nothing that collides.
    Nothing,
    /// Creating a child: perhaps the very one in question, which the peer has already. Or cloning
    /// the IKE SA when the request is about that.
    CreatingChild,
    /// Rekeying the child in question, or any child when the request is about the IKE SA.
    RekeyingChild,
    /// Deleting the child in question, or any child when the request is about the IKE SA.
    ClosingChild,
    /// Rekeying the IKE SA.
    RekeyingIke,
    /// Deleting the IKE SA, or waiting for its Delete after it was replaced.
    ClosingIke,
    /// The child in question does not exist.
    NoSuchChild,
}

/// What a peer asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A new child.
    CreateChild,
    /// A new child in the place of one.
    RekeyChild,
    /// To close a child.
    CloseChild,
    /// A new IKE SA in the place of this one.
    RekeyIke,
    /// Another IKE SA beside this one (RFC 7791).
    CloneIke,
    /// To close the IKE SA.
    CloseIke,
}

/// How to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// As if nothing else went on.
    AsUsual,
    /// As usual; when our own exchange is over, the nonces decide which SA is redundant.
    AsUsualThenCompare,
    /// As usual, with a Delete payload for our own half of the pair.
    WithDelete,
    /// As usual, without a Delete payload.
    WithoutDelete,
    /// As usual, and forget what we were doing to the IKE SA.
    AsUsualAndForget,
    /// N(TEMPORARY_FAILURE).
    TemporaryFailure,
    /// N(CHILD_SA_NOT_FOUND).
    ChildSaNotFound,
}

/// The table of section 2.25.
pub(crate) fn answer(asked: Asked, doing: Doing) -> Answer {
    use Answer::{
        AsUsual, AsUsualAndForget, AsUsualThenCompare, ChildSaNotFound, TemporaryFailure,
        WithDelete, WithoutDelete,
    };
    match (asked, doing) {
        (
            Asked::CreateChild | Asked::RekeyChild | Asked::CloneIke,
            Doing::RekeyingIke | Doing::ClosingIke,
        ) => TemporaryFailure,
        (Asked::CreateChild | Asked::CloneIke, _) => AsUsual,

        (Asked::RekeyChild, Doing::ClosingChild | Doing::CreatingChild) => TemporaryFailure,
        (Asked::RekeyChild, Doing::RekeyingChild) => AsUsualThenCompare,
        (Asked::RekeyChild, Doing::NoSuchChild) => ChildSaNotFound,
        (Asked::RekeyChild, Doing::Nothing) => AsUsual,

        (Asked::CloseChild, Doing::ClosingChild | Doing::NoSuchChild) => WithoutDelete,
        (Asked::CloseChild, _) => WithDelete,

        (Asked::RekeyIke, Doing::RekeyingIke) => AsUsualThenCompare,
        (Asked::RekeyIke, Doing::Nothing | Doing::NoSuchChild) => AsUsual,
        (Asked::RekeyIke, _) => TemporaryFailure,

        (Asked::CloseIke, Doing::RekeyingIke | Doing::ClosingIke) => AsUsualAndForget,
        (Asked::CloseIke, _) => AsUsual,
    }
}

/// Which of two SAs that replace the same one is redundant: the one that was created with the
/// lowest of the four nonces, compared octet by octet (section 2.8.1). `true` when it is ours.
pub(crate) fn ours_is_redundant(ours: &[u8], theirs: &[u8]) -> bool {
    ours < theirs
}

/// The lower of the two nonces of one exchange.
pub(crate) fn lowest<'a>(one: &'a [u8], other: &'a [u8]) -> &'a [u8] {
    one.min(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Doing; 7] = [
        Doing::Nothing,
        Doing::CreatingChild,
        Doing::RekeyingChild,
        Doing::ClosingChild,
        Doing::RekeyingIke,
        Doing::ClosingIke,
        Doing::NoSuchChild,
    ];

    /// One row per request, one cell per column of `ALL`.
    #[test]
    fn the_table_of_section_2_25_cell_by_cell() {
        use Answer::*;
        let rows = [
            (
                Asked::CreateChild,
                [
                    AsUsual,
                    AsUsual,
                    AsUsual,
                    AsUsual,
                    TemporaryFailure,
                    TemporaryFailure,
                    AsUsual,
                ],
            ),
            (
                Asked::RekeyChild,
                [
                    AsUsual,
                    TemporaryFailure,
                    AsUsualThenCompare,
                    TemporaryFailure,
                    TemporaryFailure,
                    TemporaryFailure,
                    ChildSaNotFound,
                ],
            ),
            (
                Asked::CloseChild,
                [
                    WithDelete,
                    WithDelete,
                    WithDelete,
                    WithoutDelete,
                    WithDelete,
                    WithDelete,
                    WithoutDelete,
                ],
            ),
            (
                Asked::RekeyIke,
                [
                    AsUsual,
                    TemporaryFailure,
                    TemporaryFailure,
                    TemporaryFailure,
                    AsUsualThenCompare,
                    TemporaryFailure,
                    AsUsual,
                ],
            ),
            (
                Asked::CloneIke,
                [
                    AsUsual,
                    AsUsual,
                    AsUsual,
                    AsUsual,
                    TemporaryFailure,
                    TemporaryFailure,
                    AsUsual,
                ],
            ),
            (
                Asked::CloseIke,
                [
                    AsUsual,
                    AsUsual,
                    AsUsual,
                    AsUsual,
                    AsUsualAndForget,
                    AsUsualAndForget,
                    AsUsual,
                ],
            ),
        ];
        for (asked, cells) in rows {
            for (doing, expected) in ALL.into_iter().zip(cells) {
                assert_eq!(answer(asked, doing), expected, "{asked:?} while {doing:?}");
            }
        }
    }

    #[test]
    fn the_lowest_of_four_nonces_loses() {
        assert!(ours_is_redundant(
            lowest(&[1, 9], &[5, 0]),
            lowest(&[2, 0], &[9, 9])
        ));
        assert!(!ours_is_redundant(lowest(&[3], &[4]), lowest(&[9], &[2])));
        // A nonce that is the beginning of another is the lower one.
        assert!(ours_is_redundant(&[1, 2], &[1, 2, 0]));
    }
}
