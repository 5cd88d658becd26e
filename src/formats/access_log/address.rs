//! Whether a text is an address, and of what sort.

use std::net::Ipv6Addr;

/// The representation of an address field: `ipv4`, `ipv6`, `hostname`, or nothing.
pub(super) fn representation(text: &[u8]) -> &'static str {
    if is_ipv4(text) {
        "ipv4"
    } else if is_hostname(text) {
        "hostname"
    } else if is_ipv6(text) {
        "ipv6"
    } else {
        ""
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
            assert_eq!(representation(text.as_bytes()), expected, "{text}");
        };
        check("127.0.0.1", "ipv4");
        check("255.255.255.255", "ipv4");
        check("1.2.3.256", "hostname");
        check("1.2.3", "hostname");
        check("999999999999999", "hostname");
        check("www.example.org", "hostname");
        check("::1", "ipv6");
        check("2001:db8::10.0.0.1", "ipv6");
        check("2001:zz::1", "");
        check("unix:", "");
        check("-", "");
        check("", "");
    }
}
