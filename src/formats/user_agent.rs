//! What a browser says of itself, as name, version and system.
//!
//! Browsers name others in their text to be let in; the order of the tables is what tells them
//! apart: who is imitated most comes last.

use memchr::memmem;

/// A browser, as its `User-Agent` tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserAgent {
    /// The name of the browser.
    pub browser: &'static str,
    /// Its main version, where it says one.
    pub version: Option<i64>,
    /// The system it runs on, where it is known.
    pub os: Option<&'static str>,
}

/// What stands before a version, and whose it is.
const BROWSERS: &[(&str, &str)] = &[
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("Edge/", "Edge"),
    ("OPR/", "Opera"),
    ("Opera/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("MSIE ", "MSIE"),
    ("Trident/", "MSIE"),
    ("Safari/", "Safari"),
];

const SYSTEMS: &[(&str, &str)] = &[
    ("Windows NT 10.0", "Windows 10"),
    ("Windows NT 6.3", "Windows 8.1"),
    ("Windows NT 6.2", "Windows 8"),
    ("Windows NT 6.1", "Windows 7"),
    ("Windows NT 6.0", "Windows Vista"),
    ("Windows NT 5.1", "Windows XP"),
    ("Windows NT 5.0", "Windows 2000"),
    ("Windows Phone", "Windows Phone"),
    ("Windows", "Windows"),
    ("iPod", "iPod"),
    ("iPad", "iPad"),
    ("iPhone", "iPhone"),
    ("Android", "Android"),
    ("CrOS", "Chrome OS"),
    ("Macintosh", "Macintosh"),
    ("Linux", "Linux"),
    ("Mozilla/5.0 (Mobile;", "FirefoxOS"),
    ("FreeBSD", "FreeBSD"),
    ("OpenBSD", "OpenBSD"),
];

/// Tells which browser `text` is of; `None` when it is of none that is known.
#[must_use]
pub fn read(text: &[u8]) -> Option<UserAgent> {
    let (token, browser, at) = BROWSERS.iter().find_map(|(token, browser)| {
        memmem::find(text, token.as_bytes()).map(|at| (*token, *browser, at + token.len()))
    })?;
    let at = match token {
        "Safari/" => memmem::find(text, b"Version/").map(|at| at + "Version/".len()),
        "Opera/" => memmem::find(text, b"Version/").map_or(Some(at), |at| Some(at + 8)),
        "Trident/" => memmem::find(text, b"rv:").map(|at| at + 3),
        _ => Some(at),
    };
    let os = SYSTEMS.iter().find(|(token, _)| memmem::find(text, token.as_bytes()).is_some());
    let version = at.and_then(|at| number(&text[at..]));
    Some(UserAgent { browser, version, os: os.map(|(_, name)| *name) })
}

fn number(text: &[u8]) -> Option<i64> {
    let length = text.iter().take(9).take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&text[..length]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(&'static str, Option<i64>, Option<&'static str>)>) {
        let expected = expected.map(|(browser, version, os)| UserAgent { browser, version, os });
        assert_eq!(read(text.as_bytes()), expected, "{text}");
    }

    #[test]
    fn browsers_are_told_apart() {
        check(
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
             Chrome/99.0.0.0 Safari/537.36",
            Some(("Chrome", Some(99), Some("Windows 10"))),
        );
        check(
            "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
            Some(("Firefox", Some(128), Some("Linux"))),
        );
        check(
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, \
             like Gecko) Version/17.4 Mobile/15E148 Safari/604.1",
            Some(("Safari", Some(17), Some("iPhone"))),
        );
        check(
            "Mozilla/5.0 (Windows NT 6.1; Trident/7.0; rv:11.0) like Gecko",
            Some(("MSIE", Some(11), Some("Windows 7"))),
        );
        check(
            "Opera/9.80 (X11; FreeBSD) Version/12.16",
            Some(("Opera", Some(12), Some("FreeBSD"))),
        );
        check("Firefox/", Some(("Firefox", None, None)));
        check("curl/8.5.0", None);
        check("", None);
    }
}
