//! What the view, one matcher and the index of many cost for each message, in CPU time.
//!
//! `cargo bench --bench matcher` prints a line a case: nanoseconds a message, the best of several
//! rounds. The messages are access log entries of ten fields in batches of 256.

use std::hint::black_box;

use heka::matcher::Index;
use heka::matcher::Matcher;
use heka::matcher::Row;
use heka::message::Batch;
use nix::time::ClockId;
use nix::time::clock_gettime;

/// Batches that each case goes over; their messages differ.
const BATCHES: u64 = 16;
const ROUNDS: usize = 15;

fn main() {
    let batches: Vec<Batch> = (0..BATCHES).map(batch).collect();
    let bytes: usize = batches.iter().map(|batch| batch.bytes().len()).sum();
    println!("{} bytes a message", bytes / messages(&batches));
    view(&batches);
    single(&batches, "Type == 'nginx.access'");
    single(&batches, "Type == 'nginx.access' && Fields[status] >= 500 || Payload =~ /timeout/");
    single(&batches, "Payload =~ /timeout/");
    single(&batches, "Payload =~ /(?i)timeout|refused/");
    single(&batches, "Payload =~ /^10\\.1/");
    single(&batches, "Fields[host] == 'host7' && Fields[status] == 200");
    many(&batches, "50, a tenth each, field ==", 50, |n| format!("Fields[tenth] == {}", n % 11));
    many(&batches, "50, a tenth each, 50 texts", 50, |n| {
        let tests: Vec<_> = (0..5).map(|k| format!("Fields[host] == 'host{}'", n + k)).collect();
        tests.join(" || ")
    });
    many(&batches, "50, a tenth each, range", 50, |n| {
        format!("Fields[bytes] >= {} && Fields[bytes] < {}", n * 18, n * 18 + 90)
    });
    many(&batches, "50, a tenth each, prefix", 50, |n| format!("Payload =~ /^10\\.{}/", n % 10));
    many(&batches, "50, a tenth each, text", 50, |n| format!("Payload =~ /page{}\\d/", n % 10));
    many(&batches, "50, a tenth each, type and", 50, |n| {
        format!("Type == 'nginx.access' && Fields[tenth] == {} && Severity < 7", n % 11)
    });
    many(&batches, "1000, 5 match, field ==", 1000, |n| format!("Fields[number] == {}", n % 200));
    many(&batches, "1000, 5 match, type and text", 1000, |n| {
        format!("Type == 'nginx.access' && Fields[tag] == 'tag{}'", n % 200)
    });
    many(&batches, "1000, 5 match, distinct", 1000, |n| {
        format!("Fields[number] == {} && Fields[status] != {}", n % 200, n + 1000)
    });
    many(&batches, "1000, 5 match, range", 1000, |n| {
        format!("Fields[bytes] >= {} && Fields[bytes] < {}", n, n + 5)
    });
    many(&batches, "1000, 5 match, alternatives", 1000, |n| {
        format!("Fields[number] == {} || Logger == 'logger{n}'", n % 200)
    });
    many(&batches, "1000, 5 match, types", 1000, |n| format!("Type == 'type{}'", n % 200));
    many(&batches, "1000, 5 match, patterns", 1000, |n| {
        format!("Payload =~ /item{:03}\\b/", n % 200)
    });
    many(&batches, "1000 TRUE", 1000, |_| "TRUE".to_owned());
    many(&batches, "1000 without a key", 1000, |n| format!("Type != 'type{n}'"));
}

fn messages(batches: &[Batch]) -> usize {
    batches.iter().map(Batch::len).sum()
}

/// A batch of access log entries.
fn batch(number: u64) -> Batch {
    let mut batch = Batch::new();
    for at in 0..256 {
        let n = (number * 256 + at).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        let integer = |modulus: u64| i64::try_from(n % modulus).expect("a small number");
        let payload = format!(
            "10.{}.1.{} - - GET /shop/page{}{}/item{:03} HTTP/1.1 {} Mozilla/5.0 (X11; Linux)",
            n % 10,
            n % 250,
            n % 10,
            n % 7,
            n % 200,
            n % 5000,
        );
        let status = [200, 200, 200, 304, 404, 500][usize::try_from(n % 6).expect("small")];
        let mut message = batch.begin();
        message
            .uuid(&n.to_le_bytes().repeat(2))
            .timestamp(1_700_000_000_000_000_000 + integer(1_000_000_007))
            .message_type(b"nginx.access")
            .logger(b"AccessLogs")
            .severity(6)
            .payload(payload.as_bytes())
            .pid(0)
            .hostname(b"web1.example.com")
            .string("remote_addr", "ipv4", format!("10.1.{}.{}", n % 3, n % 250).as_bytes())
            .string("request", "", format!("GET /page{}/item{}", n % 10, n % 200).as_bytes())
            .string("host", "", format!("host{}", n % 50).as_bytes())
            .integer("status", "", status)
            .integer("bytes", "B", integer(1000))
            .double("request_time", "s", 0.25)
            .integer("tenth", "", integer(11))
            .integer("number", "", integer(200))
            .string("tag", "", format!("tag{}", n % 200).as_bytes())
            .boolean("cached", "", n.is_multiple_of(2));
        message.finish().expect("a small message");
    }
    batch
}

/// Runs a case several times and prints the best round.
fn measure(name: &str, batches: &[Batch], mut case: impl FnMut(&Batch) -> usize) {
    let mut best = f64::INFINITY;
    let mut result = 0;
    for _ in 0..ROUNDS {
        let start = cpu_nanoseconds();
        result = batches.iter().map(&mut case).sum::<usize>();
        best = best.min(cpu_nanoseconds() - start);
    }
    let count = messages(batches) as f64;
    println!("{:>8.1} ns  {:>6.2} matched  {name}", best / count, result as f64 / count);
}

fn view(batches: &[Batch]) {
    measure("view: locate the header", batches, |batch| {
        batch
            .iter()
            .filter(|message| heka::message::Header::locate(black_box(message.bytes())).is_ok())
            .count()
    });
    measure("view: one field of ten", batches, |batch| {
        batch.iter().filter(|message| black_box(message.value(b"status", 0, 0)).is_some()).count()
    });
}

fn single(batches: &[Batch], expression: &str) {
    let matcher = Matcher::parse(expression).expect("an expression");
    measure(expression, batches, |batch| {
        batch.iter().filter(|message| matcher.matches(black_box(message))).count()
    });
}

fn many(batches: &[Batch], name: &str, count: usize, expression: impl Fn(usize) -> String) {
    let row = |n| {
        let matcher = Matcher::parse(&expression(n)).expect("an expression");
        Row { matcher, signer: None }
    };
    let rows: Vec<Row> = (0..count).map(row).collect();
    let indexes: Vec<Index> = (0..2).map(|_| Index::new(rows.clone())).collect();
    let mut turn = 0;
    let name = format!("index: {name}");
    measure(&name, batches, |batch| {
        // Another generation each round, since the answer stays with the batch.
        turn += 1;
        let index = &indexes[turn / batches.len() % 2];
        let matches = index.evaluate(batch);
        (0..count).map(|id| matches.of(id).len()).sum()
    });
}

/// CPU time of this thread.
fn cpu_nanoseconds() -> f64 {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("the clock is there");
    time.tv_sec() as f64 * 1e9 + time.tv_nsec() as f64
}
