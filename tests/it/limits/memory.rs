//! The budget of memory: more comes in than goes out, in big messages, and nothing is lost.
//!
//! A round is a second of overload; `HEKA_ROUNDS=120` asks for two minutes. A release build is held to
//! 256 MiB, others to less: `cargo test --release --test it limits::memory`.

use std::collections::HashMap;
use std::collections::HashSet;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use libtest_mimic::Trial;

use crate::harness;
use crate::harness::Engine;
use crate::harness::Place;
use crate::harness::moments::Moments;
use crate::harness::moments::rounds;
use crate::suite::test;

const CLIENTS: u64 = 16;
const OUTPUTS: usize = 3;
const LARGEST: u64 = 6 << 20;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("limits::memory::an_overload_stays_within_the_budget", overload),
        test("limits::memory::messages_of_64_mebibytes_pass_through", large_messages),
    ]
}

/// What the clients and the peers share.
#[derive(Default)]
struct Traffic {
    next: AtomicU64,
    is_over: AtomicBool,
    /// No client waits for an answer any more.
    is_settled: AtomicBool,
    acknowledged: AtomicU64,
    sizes: Mutex<HashMap<u64, usize>>,
}

/// A message that says which one it is and can be checked.
fn body(number: u64, length: usize) -> Vec<u8> {
    let mut body = format!("{number} {length}\n").into_bytes();
    body.resize(body.len() + length, b'a' + (number % 26) as u8);
    body
}

fn overload() -> anyhow::Result<()> {
    let moments = Moments::new()?;
    let seconds = rounds(3)?;
    // A debug build has more of the program itself in memory.
    let budget = if harness::is_debug() { 160 } else { 256 } << 20;
    let mut peers = Vec::new();
    let mut outputs = String::new();
    for number in 0..OUTPUTS {
        let peer = TcpListener::bind("127.0.0.1:0")?;
        outputs += &format!(
            "[slow_{number}]\ntype = 'TcpOutput'\naddress = '{}'\nmessage_matcher = 'TRUE'\n\
             encoder = 'PayloadEncoder'\nuse_framing = false\n",
            peer.local_addr()?
        );
        peers.push(peer);
    }
    let place = Place::new(&format!(
        "[hekad]\nbase_dir = 'DIR/state'\nmax_memory_bytes = {budget}\nmax_message_size = '8MiB'\n\
         report_interval = 0\n[hekad.admin]\naddress = '127.0.0.1:0'\n\
         [hekad.journal]\nmax_bytes = '1GiB'\nretain_bytes = 0\n\
         [web]\ntype = 'HttpListenInput'\naddress = '127.0.0.1:0'\nsplitter = 'NullSplitter'\n\
         decoder = ''\n[PayloadEncoder]\nappend_newlines = false\n{outputs}"
    ))?;
    let mut engine = place.run(&[])?;
    let address = engine.address("web")?;
    let traffic = Arc::new(Traffic::default());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (traffic, seed) = (traffic.clone(), moments.seed.wrapping_add(client));
            std::thread::spawn(move || post_on(address, &traffic, seed))
        })
        .collect();
    let began = Instant::now();
    let lasts = Duration::from_secs(seconds as u64);
    // The peers read nothing meanwhile.
    engine.wait_for("the overload", |_| {
        (traffic.acknowledged.load(Ordering::Relaxed) >= 32 << 20).then_some(())
    })?;
    while began.elapsed() < lasts {
        std::thread::park_timeout(lasts.saturating_sub(began.elapsed()));
    }
    traffic.is_over.store(true, Ordering::Relaxed);
    let highest = highest(&engine)?;
    let readers: Vec<_> = peers
        .into_iter()
        .map(|peer| {
            let traffic = traffic.clone();
            std::thread::spawn(move || read_all(&peer, &traffic))
        })
        .collect();
    for client in clients {
        client.join().map_err(|_| anyhow::anyhow!("a client has panicked"))??;
    }
    traffic.is_settled.store(true, Ordering::Relaxed);
    let sent = traffic.sizes.lock().unwrap_or_else(PoisonError::into_inner).len();
    for reader in readers {
        let read = reader.join().map_err(|_| anyhow::anyhow!("a reader has panicked"))??;
        anyhow::ensure!(read >= sent, "{read} of {sent} messages came; seed {}", moments.seed);
    }
    let (megabytes, limit) =
        (traffic.acknowledged.load(Ordering::Relaxed) >> 20, budget / 256 * 280);
    println!(
        "{megabytes} MiB in {sent} messages in {seconds} s, at most {} MiB resident of {} MiB",
        highest >> 20,
        budget >> 20
    );
    anyhow::ensure!(highest <= limit, "{} MiB resident; seed {}", highest >> 20, moments.seed);
    engine.stop()?.expect_code(0)?;
    Ok(())
}

/// The most that the process has had in memory, in bytes.
pub(super) fn highest(engine: &Engine) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", engine.id()))?;
    let bytes = |name: &str| -> anyhow::Result<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).context("no line")?;
        Ok(line.split_whitespace().next().context("no number")?.parse::<u64>()? * 1024)
    };
    bytes("VmHWM:")
}

/// Posts messages until the overload is over; what is answered with 200 counts as acknowledged.
fn post_on(address: SocketAddr, traffic: &Traffic, seed: u64) -> anyhow::Result<()> {
    let mut moments = Moments::with(seed);
    let mut connection = None;
    while !traffic.is_over.load(Ordering::Relaxed) {
        let number = traffic.next.fetch_add(1, Ordering::Relaxed);
        // Most are small, some are large.
        let most = if moments.below(4) == 0 { LARGEST } else { 64 << 10 };
        let length = usize::try_from(moments.below(most))?;
        let message = body(number, length);
        let mut to = match connection.take() {
            Some(to) => to,
            None => BufReader::new(TcpStream::connect(address)?),
        };
        if let Ok(200) = post(&mut to, &message) {
            traffic.acknowledged.fetch_add(message.len() as u64, Ordering::Relaxed);
            traffic.sizes.lock().unwrap_or_else(PoisonError::into_inner).insert(number, length);
            connection = Some(to);
        }
    }
    Ok(())
}

fn post(to: &mut BufReader<TcpStream>, body: &[u8]) -> anyhow::Result<u16> {
    let head = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    to.get_mut().write_all(head.as_bytes())?;
    to.get_mut().write_all(body)?;
    let mut line = String::new();
    to.read_line(&mut line)?;
    let code = line.split(' ').nth(1).context("no answer")?.parse()?;
    let mut length = 0;
    loop {
        line.clear();
        anyhow::ensure!(to.read_line(&mut line)? > 0, "the answer is cut off");
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
        if line.trim().is_empty() {
            break;
        }
    }
    std::io::copy(&mut to.by_ref().take(length), &mut std::io::sink())?;
    Ok(code)
}

/// Reads what an output sends until all that was acknowledged has come; says how many messages.
fn read_all(peer: &TcpListener, traffic: &Traffic) -> anyhow::Result<usize> {
    let mut seen = HashSet::new();
    let (connection, _) = peer.accept()?;
    connection.set_read_timeout(Some(Duration::from_millis(200)))?;
    let mut from = BufReader::new(Patient { connection, last: Instant::now() });
    loop {
        let mut head = Vec::new();
        while head.last() != Some(&b'\n') {
            let mut byte = [0];
            match from.read(&mut byte) {
                Ok(0) => anyhow::bail!("the output has closed after {}", seen.len()),
                Ok(_) => head.push(byte[0]),
                Err(error) if is_pause(&error) => {
                    if head.is_empty() && has_all(traffic, &seen) {
                        return Ok(seen.len());
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        let head = String::from_utf8(head)?;
        let (number, length) = head.trim().split_once(' ').context("no message begins here")?;
        let (number, length): (u64, usize) = (number.parse()?, length.parse()?);
        let mut rest = vec![0; length];
        let mut at = 0;
        while at < length {
            match from.read(&mut rest[at..]) {
                Ok(0) => anyhow::bail!("message {number} is cut off"),
                Ok(count) => at += count,
                Err(error) if is_pause(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let letter = b'a' + (number % 26) as u8;
        anyhow::ensure!(rest.iter().all(|byte| *byte == letter), "message {number} is not its own");
        seen.insert(number);
    }
}

/// Whether nothing more is acknowledged, and everything acknowledged has been seen.
fn has_all(traffic: &Traffic, seen: &HashSet<u64>) -> bool {
    if !traffic.is_settled.load(Ordering::Relaxed) {
        return false;
    }
    let sizes = traffic.sizes.lock().unwrap_or_else(PoisonError::into_inner);
    seen.len() >= sizes.len() && sizes.keys().all(|number| seen.contains(number))
}

fn is_pause(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
}

/// A connection that is given up when nothing has come for a long time.
struct Patient {
    connection: TcpStream,
    last: Instant,
}

impl Read for Patient {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.connection.read(buffer);
        match &read {
            Ok(_) => self.last = Instant::now(),
            Err(error) if is_pause(error) && self.last.elapsed() > Duration::from_mins(2) => {
                return Err(std::io::Error::other("nothing has come for two minutes"));
            }
            Err(_) => {}
        }
        read
    }
}

/// From an HTTP body through journal and filter to a file, as large as a message may be.
fn large_messages() -> anyhow::Result<()> {
    let place = Place::new(
        "[hekad]\nbase_dir = 'DIR/state'\nmax_message_size = '64MiB'\nreport_interval = 0\n\
         [hekad.admin]\naddress = '127.0.0.1:0'\n\
         [web]\ntype = 'HttpListenInput'\naddress = '127.0.0.1:0'\nsplitter = 'NullSplitter'\n\
         decoder = ''\nmax_body_bytes = '64MiB'\n\
         [size]\ntype = 'SandboxFilter'\nfilename = 'DIR/size.lua'\nmessage_matcher = \"Type == \
         'heka.httpdata.request'\"\nmemory_limit = 268435456\n\
         [PayloadEncoder]\nappend_newlines = false\n\
         [copy]\ntype = 'FileOutput'\nmessage_matcher = \"Type == 'heka.httpdata.request'\"\n\
         path = 'DIR/copy'\nencoder = 'PayloadEncoder'\nflush_interval = 10\n\
         [sizes]\ntype = 'FileOutput'\nmessage_matcher = \"Type == 'heka.sandbox-output'\"\n\
         path = 'DIR/sizes'\nencoder = 'PayloadEncoder'\nflush_interval = 10\n",
    )?;
    place.write(
        "size.lua",
        "function process_message()\n  inject_payload('txt', 'size', #read_message('Payload'), '\\n')\n\
         return 0\nend\n",
    )?;
    let mut engine = place.run(&[])?;
    let mut to = BufReader::new(TcpStream::connect(engine.address("web")?)?);
    // The fields of a message count too.
    let message = body(7, (64 << 20) - 4096);
    let code = post(&mut to, &message)?;
    anyhow::ensure!(code == 200, "answered {code}; {}", engine.stderr());
    engine.wait_for("the message", |_| {
        let copied = std::fs::metadata(place.path("copy")).map_or(0, |copy| copy.len());
        let is_there = copied == message.len() as u64 && !place.read("sizes").is_empty();
        is_there.then_some(())
    })?;
    anyhow::ensure!(std::fs::read(place.path("copy"))? == message, "the copy differs");
    let sizes = place.read("sizes");
    anyhow::ensure!(sizes.trim() == message.len().to_string(), "the filter saw {sizes}");
    engine.stop()?.expect_code(0)?;
    Ok(())
}
