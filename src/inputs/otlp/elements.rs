//! How many elements a body has, counted before it is read: an empty one takes two bytes in a body and
//! a hundred times as many in memory.

use crate::inputs::http_listen::Refusal;

/// About what an element takes in memory, in bytes.
const ELEMENT: u64 = 160;
/// What is read may take so many times the largest body.
const MOST: u64 = 8;
/// Deeper than the reader itself goes.
const MAX_DEPTH: usize = 128;

/// The fields of a message that hold messages, by number.
struct Shape(&'static [(u64, &'static Shape)]);

static NONE: Shape = Shape(&[]);
static VALUE: Shape = Shape(&[(5, &LIST), (6, &MAP)]);
static LIST: Shape = Shape(&[(1, &VALUE)]);
static MAP: Shape = Shape(&[(1, &PAIR)]);
static PAIR: Shape = Shape(&[(2, &VALUE)]);
static RESOURCE: Shape = Shape(&[(1, &PAIR), (3, &NONE)]);
static SCOPE: Shape = Shape(&[(3, &PAIR)]);

static LOG: Shape = Shape(&[(5, &VALUE), (6, &PAIR)]);
static SCOPE_LOGS: Shape = Shape(&[(1, &SCOPE), (2, &LOG)]);
static RESOURCE_LOGS: Shape = Shape(&[(1, &RESOURCE), (2, &SCOPE_LOGS)]);
/// Of `ExportLogsServiceRequest`.
static LOGS: Shape = Shape(&[(1, &RESOURCE_LOGS)]);

static EVENT: Shape = Shape(&[(3, &PAIR)]);
static LINK: Shape = Shape(&[(4, &PAIR)]);
static SPAN: Shape = Shape(&[(9, &PAIR), (11, &EVENT), (13, &LINK), (15, &NONE)]);
static SCOPE_SPANS: Shape = Shape(&[(1, &SCOPE), (2, &SPAN)]);
static RESOURCE_SPANS: Shape = Shape(&[(1, &RESOURCE), (2, &SCOPE_SPANS)]);
/// Of `ExportTraceServiceRequest`.
static TRACES: Shape = Shape(&[(1, &RESOURCE_SPANS)]);

static EXEMPLAR: Shape = Shape(&[(7, &PAIR)]);
static NUMBER: Shape = Shape(&[(5, &EXEMPLAR), (7, &PAIR)]);
static HISTOGRAM: Shape = Shape(&[(8, &EXEMPLAR), (9, &PAIR)]);
static EXPONENTIAL: Shape = Shape(&[(1, &PAIR), (11, &EXEMPLAR)]);
static SUMMARY: Shape = Shape(&[(6, &NONE), (7, &PAIR)]);
static NUMBERS: Shape = Shape(&[(1, &NUMBER)]);
static HISTOGRAMS: Shape = Shape(&[(1, &HISTOGRAM)]);
static EXPONENTIALS: Shape = Shape(&[(1, &EXPONENTIAL)]);
static SUMMARIES: Shape = Shape(&[(1, &SUMMARY)]);
static METRIC: Shape = Shape(&[
    (5, &NUMBERS),
    (7, &NUMBERS),
    (9, &HISTOGRAMS),
    (10, &EXPONENTIALS),
    (11, &SUMMARIES),
    (12, &PAIR),
]);
static SCOPE_METRICS: Shape = Shape(&[(1, &SCOPE), (2, &METRIC)]);
static RESOURCE_METRICS: Shape = Shape(&[(1, &RESOURCE), (2, &SCOPE_METRICS)]);
/// Of `ExportMetricsServiceRequest`.
static METRICS: Shape = Shape(&[(1, &RESOURCE_METRICS)]);

/// Refuses a body that would take far more memory than `max_body` bytes once it is read.
///
/// # Errors
/// When it has too many elements.
pub(super) fn bound(
    signal: super::Signal,
    form: super::Form,
    body: &[u8],
    max_body: u64,
) -> Result<(), Refusal> {
    let shape = match signal {
        super::Signal::Logs => &LOGS,
        super::Signal::Metrics => &METRICS,
        super::Signal::Traces => &TRACES,
    };
    let most = max_body.saturating_mul(MOST) / ELEMENT;
    let count = match form {
        super::Form::Protobuf => count(body, shape, 0),
        super::Form::Json => memchr::memchr_iter(b'{', body).count() as u64,
    };
    if count > most {
        return Err(Refusal::Body(format!("the body has {count} elements, at most {most} go")));
    }
    Ok(())
}

/// Counts as far as the bytes can be read; whoever reads them in earnest says what is wrong.
fn count(mut bytes: &[u8], shape: &Shape, depth: usize) -> u64 {
    let mut elements = 0;
    while let Some(key) = number(&mut bytes) {
        let length = match key & 7 {
            0 => {
                if number(&mut bytes).is_none() {
                    break;
                }
                continue;
            }
            1 => 8,
            5 => 4,
            2 => match number(&mut bytes).and_then(|length| usize::try_from(length).ok()) {
                Some(length) => length,
                None => break,
            },
            _ => break,
        };
        let Some((field, rest)) = bytes.split_at_checked(length) else { break };
        bytes = rest;
        let inner = shape.0.iter().find(|(number, _)| *number == key >> 3 && key & 7 == 2);
        if let Some((_, inner)) = inner {
            elements += 1;
            if depth < MAX_DEPTH {
                elements += count(field, inner, depth + 1);
            }
        }
    }
    elements
}

/// Takes a number of up to ten bytes from the front.
fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::Form;
    use super::super::Signal;
    use super::*;

    /// A field with this number around `inner`.
    fn around(field: u8, inner: &[u8]) -> Vec<u8> {
        let mut bytes = vec![field << 3 | 2];
        let mut length = inner.len();
        while length >= 0x80 {
            bytes.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
            length >>= 7;
        }
        bytes.push(u8::try_from(length).unwrap());
        bytes.extend_from_slice(inner);
        bytes
    }

    #[test]
    fn empty_elements_are_counted_and_refused() {
        let records = around(2, b"").repeat(1000);
        let body = around(1, &around(2, &records));
        assert_eq!(count(&body, &LOGS, 0), 1002);
        assert!(bound(Signal::Logs, Form::Protobuf, &body, 1 << 20).is_ok());
        assert!(bound(Signal::Logs, Form::Protobuf, &body, 2004).is_err());
        assert!(bound(Signal::Logs, Form::Json, &b"{},".repeat(1000), 3000).is_err());
    }

    #[test]
    fn texts_are_not_counted_and_noise_ends_the_count() {
        let record = around(6, &[around(1, &around(2, b"{}").repeat(50)), vec![0xff]].concat());
        let body = around(1, &around(2, &around(2, &record)));
        assert_eq!(count(&body, &LOGS, 0), 4);
        assert_eq!(count(&[0xff; 100], &LOGS, 0), 0);
    }
}
