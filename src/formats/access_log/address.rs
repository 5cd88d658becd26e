//! Whether a text is an address, and of what sort.

use std::net::Ipv6Addr;

/// What an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Ipv4,
    Ipv6,
    Hostname,
}

/// Tells what a text is; `None` when it is neither an address nor a name.
pub(super) fn sort(text: &[u8]) -> Option<Sort> {
    if is_ipv4(text) {
        Some(Sort::Ipv4)
    } else if is_hostname(text) {
        Some(Sort::Hostname)
    } else {
        is_ipv6(text).then_some(Sort::Ipv6)
    }
}

fn is_ipv4(text: &[u8]) -> bool {
    if text.len() > 15 {
        return false;
    }
    let (mut dots, mut value, mut digits) = (0, 0u32, 0);
    for byte in text {
        match byte {
            b'0'..=b'9' if digits < 3 => {
                value = value * 10 + u32::from(byte - b'0');
                digits += 1;
            }
            b'.' if digits > 0 && value <= 255 => {
                dots += 1;
                (value, digits) = (0, 0);
            }
            _ => return false,
        }
    }
    dots == 3 && digits > 0 && value <= 255
}

fn is_hostname(text: &[u8]) -> bool {
    text.first().is_some_and(u8::is_ascii_alphanumeric)
        && text
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

fn is_ipv6(text: &[u8]) -> bool {
    text.len() <= 45
        && text.contains(&b':')
        && std::str::from_utf8(text).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_names() {
        let check = |text: &str, expected| {
            assert_eq!(sort(text.as_bytes()), expected, "{text}");
        };
        check("127.0.0.1", Some(Sort::Ipv4));
        check("255.255.255.255", Some(Sort::Ipv4));
        check("1.2.3.256", Some(Sort::Hostname));
        check("1.2.3", Some(Sort::Hostname));
        check("999999999999999", Some(Sort::Hostname));
        check("www.example.org", Some(Sort::Hostname));
        check("::1", Some(Sort::Ipv6));
        check("2001:db8::10.0.0.1", Some(Sort::Ipv6));
        check("2001:zz::1", None);
        check("unix:", None);
        check("-", None);
        check("", None);
    }
}
