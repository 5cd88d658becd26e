//! A script is called for the messages of several entries in one go.

use super::*;

/// Tells the status and the entry's second of each message; does what the status says.
const SCRIPT: &str = "seen = {}
    function process_message()
      local status = read_message('Fields[status]')
      seen[#seen + 1] = status .. '@' .. os.time()
      if status == 201 and action == 'inject' then inject_payload('txt', '', 'here') end
      if status == 201 and action == 'fail' then error('no') end
      if status == 201 and action == 'loop' then while true do end end
      if status == 201 and action == 'end' then return 1, 'enough' end
      return 0
    end
    function timer_event() inject_payload('txt', '', table.concat(seen, ' ')) end";

/// Goes over three entries; how many were begun, how many calls completed, what was seen.
fn go(action: &str) -> (usize, usize, String) {
    let mut spec = filter(&format!("action = '{action}'\n{SCRIPT}"));
    spec.limits.cpu = Duration::from_millis(20);
    let mut sandbox = Sandbox::load(&spec).unwrap();
    let batch = batch(3);
    let mut out = Batch::new();
    let entry = |second: u64, matched| Portion {
        now: EntryTime { position: second, ns: i64::try_from(second).unwrap() * 1_000_000_000 },
        batch: &batch,
        matched,
    };
    let portions = [entry(1, &[0, 2][..]), entry(2, &[1, 2]), entry(3, &[0])];
    let done = sandbox.process_portions(&portions, &mut out, &mut |_| ());
    out.truncate(0);
    sandbox.timer(0, EntryTime::default(), false, &mut out).unwrap();
    (done.begun, done.done, String::from_utf8_lossy(out.message(0).payload()).into_owned())
}

#[test]
fn quiet_portions_are_gone_over_in_one_call() {
    assert_eq!(go(""), (3, 5, "200@1 202@1 201@2 202@2 200@3".to_owned()));
}

#[test]
fn what_injects_or_fails_ends_with_its_portion() {
    for action in ["inject", "fail"] {
        assert_eq!(go(action), (2, 4, "200@1 202@1 201@2 202@2".to_owned()), "{action}");
    }
}

#[test]
fn what_stops_ends_at_its_message() {
    for action in ["loop", "end"] {
        assert_eq!(go(action), (2, 2, "200@1 202@1 201@2".to_owned()), "{action}");
    }
}

#[test]
fn code_is_compiled_once_for_scripts_that_are_the_same() {
    let text = b"return 'compiled once'";
    let first = raw::compile(text);
    assert!(Arc::ptr_eq(&first, &raw::compile(text)));
    assert!(!Arc::ptr_eq(&first, &raw::compile(b"return 'another'")));
}
