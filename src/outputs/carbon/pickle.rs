//! Carbon's other protocol: points as Python pickles them.
//!
//! | bytes | what |
//! | --- | --- |
//! | 4 | the length of what follows, the highest byte first |
//! | … | a pickle of version 2: a list of `(name, (time, value))` |
//!
//! | opcode | what it is followed by |
//! | --- | --- |
//! | `80 02` `]` `(` | a list begins |
//! | `X` | a text: 4 bytes of length, the lowest first, and itself |
//! | `J` | a whole number in 4 bytes, the lowest first |
//! | `G` | a number in 8 bytes of IEEE 754, the highest first |
//! | `86` | the last two are a pair |
//! | `e` `.` | the list ends, and so does the pickle |

/// So many points go in one pickle: as many as Carbon's own relay sends.
const POINTS: usize = 500;

/// Appends the points of sound lines, `name value time`, as pickles.
pub(super) fn put(lines: &[u8], out: &mut Vec<u8>) {
    let mut lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).peekable();
    while lines.peek().is_some() {
        let start = out.len();
        out.extend_from_slice(b"\0\0\0\0\x80\x02](");
        for line in lines.by_ref().take(POINTS) {
            put_point(line, out);
        }
        out.extend_from_slice(b"e.");
        let length = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
        out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }
}

fn put_point(line: &[u8], out: &mut Vec<u8>) {
    let line = String::from_utf8_lossy(line);
    let mut words = line.split_ascii_whitespace();
    let (Some(name), Some(value), Some(time)) = (words.next(), words.next(), words.next()) else {
        return;
    };
    out.push(b'X');
    out.extend_from_slice(&u32::try_from(name.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(name.as_bytes());
    if let Ok(time) = time.parse::<i32>() {
        out.push(b'J');
        out.extend_from_slice(&time.to_le_bytes());
    } else {
        put_number(time, out);
    }
    put_number(value, out);
    out.extend_from_slice(b"\x86\x86");
}

fn put_number(written: &str, out: &mut Vec<u8>) {
    out.push(b'G');
    out.extend_from_slice(&written.parse().unwrap_or(f64::NAN).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_pickled_as_python_does() {
        let mut out = Vec::new();
        put(b"a.b 1.5 1416840893\nc -2 1e3\n", &mut out);
        // pickle.dumps([('a.b', (1416840893, 1.5)), ('c', (1000.0, -2.0))], 2), less its memo.
        let expected = [
            &[0, 0, 0, 56][..],
            b"\x80\x02](",
            b"X\x03\0\0\0a.bJ\xbd\x46\x73\x54G\x3f\xf8\0\0\0\0\0\0\x86\x86",
            b"X\x01\0\0\0cG\x40\x8f\x40\0\0\0\0\0G\xc0\0\0\0\0\0\0\0\x86\x86",
            b"e.",
        ];
        assert_eq!(out, expected.concat());
    }

    #[test]
    fn many_points_are_many_pickles() {
        let mut out = Vec::new();
        put("a 1 2\n".repeat(POINTS + 1).as_bytes(), &mut out);
        let first = u32::from_be_bytes(out[..4].try_into().unwrap()) as usize;
        let second = u32::from_be_bytes(out[first + 4..first + 8].try_into().unwrap()) as usize;
        assert_eq!(first + second + 8, out.len());
        assert!(out.ends_with(b"e."));
    }
}
