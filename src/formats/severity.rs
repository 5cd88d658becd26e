//! Words of severity, as programs write them.

/// The severity of syslog, 0 to 7, that a word stands for, whatever its case.
#[must_use]
pub fn named(word: &[u8]) -> Option<i32> {
    let mut lower = [0; 16];
    let lower = lower.get_mut(..word.len())?;
    lower.copy_from_slice(word);
    lower.make_ascii_lowercase();
    Some(match &*lower {
        b"emerg" | b"emergency" | b"panic" => 0,
        b"alert" => 1,
        b"crit" | b"critical" | b"fatal" | b"severe" => 2,
        b"err" | b"error" | b"eror" => 3,
        b"warn" | b"warning" => 4,
        b"notice" => 5,
        b"info" | b"information" | b"informational" | b"log" | b"note" => 6,
        b"debug" | b"trace" | b"verbose" | b"fine" | b"finer" | b"finest" => 7,
        _ if lower.starts_with(b"debug") || lower.starts_with(b"trace") => 7,
        [digit @ b'0'..=b'7'] => i32::from(digit - b'0'),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_known_in_any_case() {
        let check = |word: &str, expected| assert_eq!(named(word.as_bytes()), expected, "{word}");
        check("ERROR", Some(3));
        check("Warning", Some(4));
        check("DEBUG5", Some(7));
        check("trace8", Some(7));
        check("3", Some(3));
        check("8", None);
        check("", None);
        check("something very long", None);
    }
}
