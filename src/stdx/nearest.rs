//! The nearest right word for a misspelt one, as a help in error messages.
//!
//! Two words are near when few letters were added, left out, changed or swapped: at most a third of
//! the longer word, and one is always forgiven. Upper and lower case count as the same letter, and
//! a word that the other starts with, or ends with behind a `_`, is near too.

/// Returns the candidate nearest to `word`, or none when nothing is near enough to be meant.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let written = word.to_lowercase();
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let right = candidate.to_lowercase();
            let distance = strsim::damerau_levenshtein(&written, &right);
            let longer = written.chars().count().max(right.chars().count());
            // Of one letter every other is as near.
            let is_close = distance <= (longer / 3).max(1) && longer > 1;
            let near = is_close || is_part(&written, &right);
            near.then_some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn is_part(written: &str, right: &str) -> bool {
    let (short, long) =
        if written.len() < right.len() { (written, right) } else { (right, written) };
    let is_end = || long.strip_suffix(short).is_some_and(|rest| rest.ends_with('_'));
    short.len() >= 4 && (long.starts_with(short) || is_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(word: &str, expected: Option<&str>) {
        let known = ["address", "net", "use_tls", "keep_alive", "keep_alive_period", "TcpInput"];
        assert_eq!(nearest(word, known), expected, "for {word}");
        assert_eq!(nearest("t", ["0", "x"]), None);
    }

    #[test]
    fn slips_of_the_finger_are_near() {
        check("adress", Some("address"));
        check("addrses", Some("address"));
        check("keepalive", Some("keep_alive"));
        check("nte", Some("net"));
        check("tcpinput", Some("TcpInput"));
    }

    #[test]
    fn the_shortest_way_wins() {
        check("keep_alive_perio", Some("keep_alive_period"));
        check("keep_alives", Some("keep_alive"));
        check("listen_address", Some("address"));
    }

    #[test]
    fn other_words_are_not_near() {
        check("encoder", None);
        check("", None);
        check("port", None);
    }
}
