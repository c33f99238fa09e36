//! "Did you mean": the known word nearest to a misspelt one.

/// The candidate that `word` most likely means: at most a third of its letters differ. None when
/// none is that near.
pub(super) fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let word = word.to_ascii_lowercase().replace('-', "_");
    let distance_max = (word.chars().count() / 3).max(1);
    candidates
        .iter()
        .map(|candidate| (distance(&word, candidate), *candidate))
        .filter(|(distance, _)| *distance <= distance_max)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The edit distance between `left` and `right` (optimal string alignment).
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut rows = [
        vec![0; right.len() + 1],
        (0..=right.len()).collect(),
        vec![0; right.len() + 1],
    ];
    for (row, letter) in left.iter().enumerate() {
        rows[2][0] = row + 1;
        for (column, other) in right.iter().enumerate() {
            let replaced = rows[1][column] + usize::from(letter != other);
            let mut best = replaced
                .min(rows[1][column + 1] + 1)
                .min(rows[2][column] + 1);
            let swapped =
                row > 0 && column > 0 && letter == &right[column - 1] && &left[row - 1] == other;
            if swapped {
                best = best.min(rows[0][column - 1] + 1);
            }
            rows[2][column + 1] = best;
        }
        rows.rotate_left(1);
    }
    rows[1][right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_counted() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
        assert_eq!(distance("nmae", "name"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("adress", "address"), 1);
    }

    #[test]
    fn near_words_are_suggested_and_far_ones_are_not() {
        let keys = ["name", "aliases", "auth", "max_expires", "min_expires"];
        assert_eq!(nearest("nmae", &keys), Some("name"));
        assert_eq!(nearest("alias", &keys), None);
        assert_eq!(nearest("aliasse", &keys), Some("aliases"));
        assert_eq!(nearest("max-expires", &keys), Some("max_expires"));
        assert_eq!(nearest("MAX_EXPIRE", &keys), Some("max_expires"));
        assert_eq!(nearest("colour", &keys), None);
    }
}
