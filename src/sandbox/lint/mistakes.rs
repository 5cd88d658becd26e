//! All mistakes of grammar in a script, not the first alone.
//!
//! The compiler stops at the first. What it stands in (from one line that begins at the margin to the
//! next that does) is blanked, line by line so that numbers stay right, and the rest is read again.

use crate::sandbox::load;
use crate::sandbox::raw::compile;

/// As many mistakes are looked for.
const MOST: usize = 20;

/// The lines, counted from one, and what is wrong there, in the order of the text.
#[must_use]
pub fn mistakes(text: &str) -> Vec<(u32, String)> {
    let mut lines: Vec<&str> = text.lines().collect();
    let mut found: Vec<(u32, String)> = Vec::new();
    while found.len() < MOST {
        let rest = lines.join("\n");
        let Some((line, message)) = first_mistake(&rest) else { break };
        let is_new = found.iter().all(|(known, _)| *known != line);
        let at = (line as usize).saturating_sub(1).min(lines.len().saturating_sub(1));
        let Some(written) = lines.get(at) else { break };
        if !is_new || written.is_empty() && found.len() > 1 {
            break;
        }
        found.push((line, message));
        let start = (0..=at).rev().find(|&line| begins(lines[line])).unwrap_or(0);
        let end = (at + 1..lines.len()).find(|&line| begins(lines[line])).unwrap_or(lines.len());
        lines[start..end].fill("");
    }
    found.sort_by_key(|(line, _)| *line);
    found
}

/// Tells whether a line begins a statement of the file: at the margin, and nothing is closed there.
fn begins(line: &str) -> bool {
    let word: String =
        line.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    let closes = ["end", "else", "elseif", "until", "then", "do", "and", "or"];
    !word.is_empty() && !closes.contains(&word.as_str())
}

/// The first mistake that the compiler finds.
fn first_mistake(text: &str) -> Option<(u32, String)> {
    let code = compile(&load::script_text(text));
    let (&0, complaint) = code.split_first()? else { return None };
    let complaint = String::from_utf8_lossy(complaint);
    let (line, message) = complaint.strip_prefix(':')?.split_once(':')?;
    Some((line.parse().ok()?, message.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[u32]) {
        let found: Vec<u32> = mistakes(text).into_iter().map(|(line, _)| line).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn every_function_has_its_mistake() {
        check("local a = 1\nfunction f()\n  return a\nend\n", &[]);
        check(
            "local a = +\nfunction f()\n  return a +\nend\n\nfunction g()\n  if a the\n  end\nend\n\
             function h()\n  return 1\nend\n",
            &[1, 4, 7],
        );
        check("function f()\n", &[1]);
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_written_is_read(text in "[a-z(){}=+\\n \"']{0,200}") {
            proptest::prop_assert!(mistakes(&text).len() <= MOST);
        }
    }
}
