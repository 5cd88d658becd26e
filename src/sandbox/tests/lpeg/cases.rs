//! What patterns match and capture: the body of a function, and what it returns.

/// These hold for the LPeg in C as well.
pub(super) const CASES: &[(&str, &str)] = &[
    ("return match(P'abc', 'abcd')", "4"),
    ("return match(P'abc', 'xabc')", "nil"),
    ("return match(C(R'az'^1) * ',' * C(R'09'^1), 'abc,12')", "abc 12"),
    ("return match(Ct(C(P(1))^0), 'abc')", "{a b c}"),
];
