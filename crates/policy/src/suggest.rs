//! "Did you mean": the known word that is nearest to a mistyped one.

/// Longer words are not compared: nobody mistypes them, and the work grows with the square.
const MAX_LENGTH: usize = 64;

/// The candidate that the fewest edits make of `word`, if a third of its letters are enough.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.chars().take(MAX_LENGTH + 1).collect();
    if word.len() > MAX_LENGTH {
        return None;
    }
    let scored = candidates
        .into_iter()
        .map(|candidate| (distance(&word, candidate), candidate));
    let (edits, best) = scored.min()?;
    let longer = word.len().max(best.chars().count());
    (edits <= longer.div_ceil(3)).then_some(best)
}

/// Insertions, deletions, replacements and swaps of neighbours between two words.
fn distance(word: &[char], other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in word.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let at =
                |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX / 2);
            let same = a.eq_ignore_ascii_case(b);
            let mut best = at(&row, j) + usize::from(!same);
            best = best.min(at(&row, j + 1) + 1).min(at(&next, j) + 1);
            let swapped =
                i > 0 && j > 0 && word.get(i - 1) == Some(b) && other.get(j - 1) == Some(a);
            if swapped {
                best = best.min(at(&before, j - 1) + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or(word.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_typing_errors_and_nothing_else() {
        let words = ["remote", "remote_ports", "local", "action", "name"];
        assert_eq!(nearest("remte", words), Some("remote"));
        assert_eq!(nearest("loacl", words), Some("local"));
        assert_eq!(nearest("remoteports", words), Some("remote_ports"));
        assert_eq!(nearest("Action", words), Some("action"));
        assert_eq!(nearest("zebra", words), None);
        assert_eq!(nearest("", []), None);
    }
}
