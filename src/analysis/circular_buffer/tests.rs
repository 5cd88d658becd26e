//! The buffer as scripts use it.

use proptest::prelude::*;

use super::*;

const S: i64 = NS_PER_SECOND;

fn buffer(rows: usize, columns: usize) -> CircularBuffer {
    CircularBuffer::new(rows, columns, 60, true).unwrap()
}

/// Prints a buffer and compares the rows.
fn check(buffer: &CircularBuffer, expected: &[&str]) {
    let mut out = Vec::new();
    buffer.print(&mut out);
    let text = String::from_utf8(out).unwrap();
    let rows: Vec<&str> = text.lines().skip(1).collect();
    assert_eq!(rows, expected);
}

#[test]
fn later_times_move_the_window() {
    let mut cb = buffer(3, 1);
    assert_eq!(cb.add(600 * S, 0, 1.0), Some(1.0));
    assert_eq!(cb.add(659 * S, 0, 2.5), Some(3.5));
    assert_eq!(cb.current_time(), 600 * S);
    assert_eq!(cb.add(480 * S, 0, 4.0), Some(4.0));
    assert_eq!(cb.add(420 * S, 0, 4.0), None);
    check(&cb, &["4", "nan", "3.5"]);
    cb.add(720 * S, 0, 1.0);
    check(&cb, &["3.5", "nan", "1"]);
    cb.add(1_000_000 * S, 0, 9.0);
    check(&cb, &["nan", "nan", "9"]);
    assert_eq!(cb.get(1_000_000 * S, 0), Some(9.0));
    assert_eq!(cb.get(2_000_000 * S, 0), None);
    assert!(cb.get(999_960 * S - 1, 0).unwrap().is_nan());
}

#[test]
fn minima_and_maxima_are_kept() {
    let mut cb = buffer(2, 2);
    cb.set_header(0, b"low", b"ms", Aggregation::Min);
    cb.set_header(1, b"high-est and more than that", b"KiB/s!xx", Aggregation::Max);
    assert_eq!(cb.header(1).unwrap().name, "high_est_and_mo");
    assert_eq!(cb.header(1).unwrap().unit, "KiB/s_x");
    for value in [3.0, -1.0, 2.0] {
        cb.set(0, 0, value);
        cb.set(0, 1, value);
    }
    assert_eq!(cb.current_time(), 60 * S);
    check(&cb, &["-1\t3", "nan\tnan"]);
}

#[test]
fn changes_are_what_was_added_since() {
    let mut cb = buffer(3, 2);
    cb.use_format(Format::Changes);
    cb.add(60 * S, 0, 1.0);
    cb.add(60 * S, 0, 2.0);
    cb.add(0, 1, 0.0);
    check(&cb, &["60\t3\tnan"]);
    cb.forget_changes();
    let mut out = Vec::new();
    cb.print(&mut out);
    assert!(out.is_empty());
    cb.set(60 * S, 0, 5.0);
    check(&cb, &["60\t2\tnan"]);
}

#[test]
fn figures_leave_empty_rows_out() {
    let mut cb = buffer(10, 1);
    for (minute, value) in [(1, -4.0), (2, -2.0), (9, -9.0)] {
        cb.add(minute * 60 * S, 0, value);
    }
    let all = |function| cb.compute(function, 0, None, None).unwrap();
    assert_eq!(all(Function::Sum), (-15.0, 3));
    assert_eq!(all(Function::Average), (-5.0, 3));
    assert_eq!(all(Function::Max), (-2.0, 3));
    assert_eq!(all(Function::Min), (-9.0, 3));
    assert_eq!(cb.compute(Function::Deviation, 0, Some(60 * S), Some(120 * S)), Some((1.0, 2)));
    assert_eq!(cb.compute(Function::Sum, 0, Some(-60 * S), None), None);
    assert_eq!(cb.compute(Function::Sum, 0, None, Some(600 * S)), None);
}

#[test]
fn the_header_says_what_the_rows_are() {
    let mut cb = CircularBuffer::new(2, 1, 60, false).unwrap();
    cb.add(120 * S, 0, 0.25);
    let mut out = Vec::new();
    cb.print(&mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "{\"time\":60,\"rows\":2,\"columns\":1,\"seconds_per_row\":60,\"column_info\":[{\"name\":\
         \"Column_1\",\"unit\":\"count\",\"aggregation\":\"sum\"}]}\nnan\n0.25\n"
    );
}

#[test]
fn the_numbers_heka_preserved_are_read() {
    let mut cb = CircularBuffer::new(2, 1, 60, false).unwrap();
    cb.read_text(b"120 0 7 nan").unwrap();
    check(&cb, &["nan", "7"]);
    assert_eq!(cb.read_text(b"120 0 7"), Err(Error::Mismatch));
}

proptest! {
    #[test]
    fn what_is_saved_is_restored(adds in prop::collection::vec((0_i64..5000, 0_usize..3, -9_i32..9), 0..60)) {
        let mut cb = buffer(7, 3);
        for (second, column, value) in adds {
            cb.add(second * S, column, f64::from(value));
        }
        let mut state = Vec::new();
        cb.save(&mut state);
        let mut other = buffer(7, 3);
        other.restore(&state).unwrap();
        let mut again = Vec::new();
        other.save(&mut again);
        prop_assert_eq!(&state, &again);
        prop_assert_eq!(buffer(6, 3).restore(&state), Err(Error::Mismatch));
        for length in 0..state.len() {
            prop_assert!(CircularBuffer::load(&state[..length]).is_err());
        }
    }

    #[test]
    fn damaged_states_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = CircularBuffer::load(&bytes);
    }
}
