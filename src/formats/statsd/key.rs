//! Names and tags as Graphite knows them: `name;env=prod;host=web-1`.

/// The most tags of a name; further ones are left out.
const MAX_TAGS: usize = 32;

/// Appends the name, and its tags in order. White space becomes an underscore, a slash a minus; other
/// characters that names do not have are left out.
pub fn put_name(name: &[u8], tags: &[u8], out: &mut String) {
    let (name, own) = split_tags(name);
    for byte in name {
        put_byte(*byte, out);
    }
    if own.is_empty() && tags.is_empty() {
        return;
    }
    let own = own.split(|byte| matches!(byte, b',' | b';')).map(|tag| pair(tag, b'='));
    let behind = tags.split(|byte| *byte == b',').map(|tag| pair(tag, b':'));
    let mut all: Vec<_> = own.chain(behind).filter(|(key, _)| !key.is_empty()).collect();
    all.sort_unstable();
    all.dedup();
    for (key, value) in all.into_iter().take(MAX_TAGS) {
        out.push(';');
        put_part(key, out);
        out.push('=');
        put_part(if value.is_empty() { b"true" } else { value }, out);
    }
}

/// The name, and the tags that follow it behind a semicolon or a comma.
fn split_tags(name: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr2(b';', b',', name) {
        Some(at) if at > 0 && name[at..].contains(&b'=') => (&name[..at], &name[at + 1..]),
        _ => (name, b""),
    }
}

fn pair(tag: &[u8], separator: u8) -> (&[u8], &[u8]) {
    let tag = tag.trim_ascii();
    match memchr::memchr(separator, tag) {
        Some(at) => (&tag[..at], &tag[at + 1..]),
        None => (tag, b""),
    }
}

fn put_byte(byte: u8, out: &mut String) {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | b'.' => out.push(char::from(byte)),
        b'/' => out.push('-'),
        b' ' | b'\t' => out.push('_'),
        _ => {}
    }
}

/// Appends a key or a value; what would end it becomes an underscore.
fn put_part(part: &[u8], out: &mut String) {
    for character in String::from_utf8_lossy(part).chars() {
        let is_end = matches!(character, ';' | '=' | '~') || character.is_whitespace();
        out.push(if is_end || character.is_control() { '_' } else { character });
    }
}
