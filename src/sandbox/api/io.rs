//! `io`: files and programs, for inputs and outputs alone.
//!
//! What fails gives nil, a text and a number, as in Lua. The iterators of `lines` are the file itself,
//! which can be called.

use std::any::Any;
use std::fs::File;
use std::fs::OpenOptions;
use std::io::Error;
use std::io::Seek;
use std::io::SeekFrom;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;

use crate::sandbox::arguments::Call;
use crate::sandbox::context::Context;
use crate::sandbox::files::BUFFER;
use crate::sandbox::files::LuaFile;
use crate::sandbox::files::line;
use crate::sandbox::files::take;
use crate::sandbox::files::word;
use crate::sandbox::raw::Answer;
use crate::sandbox::raw::Args;
use crate::sandbox::raw::Complaint;
use crate::sandbox::raw::Library;
use crate::sandbox::raw::Object;
use crate::sandbox::raw::ObjectKind;
use crate::sandbox::raw::Value;
use crate::sandbox::waiting;
use crate::stdx::decimal;

/// The library.
pub(super) const LIBRARY: Library = Library {
    name: c"io",
    functions: &[
        (c"open", open),
        (c"lines", lines),
        (c"popen", popen),
        (c"tmpfile", tmpfile),
        (c"type", kind),
        (c"read", read_standard),
        (c"write", write_standard),
    ],
    parts: &[],
    kinds: &[ObjectKind {
        tag: TAG,
        name: c"FILE*",
        methods: &[
            (c"read", read),
            (c"lines", this),
            (c"write", write),
            (c"seek", seek),
            (c"flush", flush),
            (c"setvbuf", setvbuf),
            (c"close", close),
        ],
        metamethods: &[(c"__call", next_line)],
        load: |_| None,
    }],
};

const TAG: u8 = 22;

impl Object for LuaFile {
    fn tag(&self) -> u8 {
        TAG
    }

    fn footprint(&self) -> usize {
        2 * BUFFER
    }

    fn print(&mut self, _: &mut Vec<u8>) -> bool {
        false
    }

    fn save(&self, _: &mut Vec<u8>) {}

    fn restore(&mut self, _: &[u8]) -> Result<(), String> {
        Err("an open file is not kept".to_owned())
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

/// nil, what went wrong, and its number.
pub(super) fn failed<'a>(cx: &mut Context, what: Option<&Path>, error: &Error) -> Answer<'a> {
    let tape = &mut cx.tape;
    tape.clear();
    tape.nil();
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    match what {
        Some(path) => tape.text(format!("{}: {text}", path.display()).as_bytes()),
        None => tape.text(text.as_bytes()),
    }
    tape.number(f64::from(error.raw_os_error().unwrap_or(0)));
    Answer::Tape(3)
}

fn path<'a>(call: &Call<'a>, number: usize) -> Result<&'a Path, Complaint> {
    let text = call.text(number, "filename")?;
    let text =
        std::str::from_utf8(text).map_err(|_| call.refused(number, "filename", "not UTF-8"))?;
    Ok(Path::new(text))
}

/// `io.open(filename[, mode])` → a file.
fn open<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::function("open", args);
    let path = path(&call, 1)?;
    let mode = if call.is_absent(2) { b"r" } else { call.text(2, "mode")? };
    let mut options = OpenOptions::new();
    match mode.strip_suffix(b"b").unwrap_or(mode) {
        b"r" => options.read(true),
        b"w" => options.write(true).create(true).truncate(true),
        b"a" => options.append(true).create(true),
        b"r+" | b"rb+" => options.read(true).write(true),
        b"w+" | b"wb+" => options.read(true).write(true).create(true).truncate(true),
        b"a+" | b"ab+" => options.read(true).append(true).create(true),
        _ => return Err(call.refused(2, "mode", "r, w or a expected, perhaps with + and b")),
    };
    match options.open(path) {
        Ok(file) => {
            cx.park(Box::new(LuaFile::new(file, None)));
            Ok(Answer::Parked)
        }
        Err(error) => Ok(failed(cx, Some(path), &error)),
    }
}

/// `io.lines(filename)` → what gives its lines.
fn lines<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::function("lines", args);
    let path = path(&call, 1)?;
    let file = File::open(path);
    let file = file.map_err(|error| call.refused(1, "filename", error))?;
    cx.park(Box::new(LuaFile::new(file, None)));
    Ok(Answer::Parked)
}

/// `io.popen(command[, mode])` → a file that is what the program writes, or reads.
fn popen<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::function("popen", args);
    let command = call.text(1, "command")?;
    let command =
        std::str::from_utf8(command).map_err(|_| call.refused(1, "command", "not UTF-8"))?;
    let is_read = call.is_absent(2) || call.text(2, "mode")?.starts_with(b"r");
    let mut program = Command::new("/bin/sh");
    program.arg("-c").arg(command);
    if is_read {
        program.stdin(Stdio::null()).stdout(Stdio::piped());
    } else {
        program.stdin(Stdio::piped());
    }
    let spawned = program.spawn();
    let opened = spawned.map(|mut child| {
        let pipe = if is_read {
            child.stdout.take().map(OwnedFd::from)
        } else {
            child.stdin.take().map(OwnedFd::from)
        };
        (pipe, child)
    });
    match opened {
        Ok((Some(pipe), child)) => {
            cx.park(Box::new(LuaFile::new(File::from(pipe), Some(child))));
            Ok(Answer::Parked)
        }
        Ok((None, _)) => Err("popen() has no pipe".into()),
        Err(error) => Ok(failed(cx, None, &error)),
    }
}

/// `io.tmpfile()` → a file without a name, gone when it is closed.
fn tmpfile<'a>(cx: &'a mut Context, _: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let path = super::os_io::temporary_name();
    let opened = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
    match opened {
        Ok(file) => {
            let _ = std::fs::remove_file(&path);
            cx.park(Box::new(LuaFile::new(file, None)));
            Ok(Answer::Parked)
        }
        Err(error) => Ok(failed(cx, Some(&path), &error)),
    }
}

/// `io.type(value)` → `file`, `closed file`, or nil.
fn kind<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    Ok(match args.object::<LuaFile>(1) {
        Some(file) if file.file.is_some() => Answer::Text(b"file"),
        Some(_) => Answer::Text(b"closed file"),
        None => Answer::Nil,
    })
}

/// `io.read(...)` reads standard input.
fn read_standard<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let input = std::io::stdin().as_fd().try_clone_to_owned();
    let mut input = LuaFile::new(File::from(input.map_err(|error| error.to_string())?), None);
    // What is read ahead would be lost, so it is read byte by byte.
    let mut line = Vec::new();
    let mut byte = [0];
    let is_line = args.is_absent(1) || args.text(1) == Some(b"*l");
    if !is_line {
        return Err("io.read() reads lines alone; io.open('/dev/stdin') has the rest".into());
    }
    loop {
        let file = input.file()?;
        if !waiting::readable(cx, &args, file.as_fd(), None)? || input.read_some(&mut byte)? == 0 {
            break;
        }
        if byte[0] == b'\n' {
            cx.scratch.clear();
            cx.scratch.extend_from_slice(&line);
            return Ok(Answer::Text(&cx.scratch));
        }
        line.push(byte[0]);
        if !args.admit(line.len()) {
            return Err("not enough memory".into());
        }
    }
    cx.scratch.clear();
    cx.scratch.extend_from_slice(&line);
    Ok(if line.is_empty() { Answer::Nil } else { Answer::Text(&cx.scratch) })
}

/// `io.write(...)` writes to standard output.
fn write_standard<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let mut bytes = Vec::new();
    gather(&Call::function("write", args), &mut bytes)?;
    let mut out = std::io::stdout().lock();
    match out.write_all(&bytes).and_then(|()| out.flush()) {
        Ok(()) => Ok(Answer::Bool(true)),
        Err(error) => Ok(failed(cx, None, &error)),
    }
}

/// `file:lines()` → the file, which gives a line when it is called.
fn this<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    Call::method("lines", args).this::<LuaFile>()?;
    Ok(Answer::Argument(1))
}

/// `file()` → the next line, nil at the end.
fn next_line<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let mut this = Call::method("lines", args).this::<LuaFile>()?;
    match line(cx, &args, &mut this)? {
        None => Ok(Answer::Nil),
        Some(line) => {
            cx.scratch.clear();
            cx.scratch.extend_from_slice(&line);
            Ok(Answer::Text(&cx.scratch))
        }
    }
}

/// `file:read(...)`: `*l` a line, `*a` all, `*n` a number, or so many bytes.
fn read<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("read", args);
    let mut this = call.this::<LuaFile>()?;
    this.file()?;
    let mut results: Vec<Option<Vec<u8>>> = Vec::new();
    let mut is_number = false;
    for number in 1..=call.len().max(1) {
        let result = match call.value(number) {
            Value::Number(_) => {
                let count =
                    usize::try_from(call.whole(number, "format", 0..=1 << 32)?).unwrap_or(0);
                let enough = |bytes: &[u8]| (bytes.len() >= count).then_some(count);
                let (bytes, is_whole) = take(cx, &args, &mut this, enough)?;
                (is_whole || !bytes.is_empty()).then_some(bytes)
            }
            Value::Nil => line(cx, &args, &mut this)?,
            Value::Text(format) => match format.strip_prefix(b"*").unwrap_or(format).first() {
                Some(b'l') => line(cx, &args, &mut this)?,
                Some(b'a') => Some(take(cx, &args, &mut this, |_| None)?.0),
                Some(b'n') => {
                    is_number = true;
                    word(cx, &args, &mut this)?
                }
                _ => return Err(call.refused(number, "format", "*l, *a, *n or a number expected")),
            },
            _ => return Err(call.wrong(number, "format", "string or number")),
        };
        let is_end = result.is_none();
        results.push(result);
        if is_end {
            break;
        }
    }
    let tape = &mut cx.tape;
    tape.clear();
    for result in &results {
        let text = result.as_deref();
        let value = || std::str::from_utf8(text?).ok()?.trim().parse::<f64>().ok();
        match (text, is_number) {
            (None, _) => tape.nil(),
            (Some(_), true) => match value() {
                Some(value) => tape.number(value),
                None => tape.nil(),
            },
            (Some(text), false) => tape.text(text),
        }
    }
    Ok(Answer::Tape(results.len()))
}

/// Writes the arguments of `write` one behind the other.
fn gather(call: &Call<'_>, out: &mut Vec<u8>) -> Result<(), Complaint> {
    for number in 1..=call.len() {
        match call.value(number) {
            Value::Text(text) => out.extend_from_slice(text),
            Value::Number(value) => decimal::write_general(out, value, 14),
            _ => return Err(call.wrong(number, "value", "string or number")),
        }
        call.admit(Some(out.len()))?;
    }
    Ok(())
}

/// `file:write(...)` → true.
fn write<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("write", args);
    let mut this = call.this::<LuaFile>()?;
    this.file()?;
    if this.taken < this.ahead.len() {
        // The place in the file is where the script has read to.
        let back = i64::try_from(this.ahead.len() - this.taken).unwrap_or(0);
        let _ = this.file()?.seek(SeekFrom::Current(-back));
        this.ahead.clear();
        this.taken = 0;
    }
    let mut behind = std::mem::take(&mut this.behind);
    let gathered = gather(&call, &mut behind);
    this.behind = behind;
    gathered?;
    if this.is_unbuffered || this.behind.len() >= BUFFER {
        cx.hand_over();
        if let Err(error) = this.write_behind() {
            return Ok(failed(cx, None, &error));
        }
    }
    Ok(Answer::Bool(true))
}

/// `file:seek([whence[, offset]])` → the place.
fn seek<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("seek", args);
    let whence = if call.is_absent(1) { b"cur" } else { call.text(1, "whence")? };
    let offset = call.optional_whole(2, "offset", i64::MIN..=i64::MAX, 0)?;
    let mut this = call.this::<LuaFile>()?;
    let ahead = i64::try_from(this.ahead.len() - this.taken).unwrap_or(0);
    let place = match whence {
        b"set" => SeekFrom::Start(u64::try_from(offset).unwrap_or(0)),
        b"cur" => SeekFrom::Current(offset.saturating_sub(ahead)),
        b"end" => SeekFrom::End(offset),
        _ => return Err(call.refused(1, "whence", "set, cur or end expected")),
    };
    this.file()?;
    let written = this.write_behind();
    let sought = written.and_then(|()| this.file.as_mut().map_or(Ok(0), |file| file.seek(place)));
    this.ahead.clear();
    this.taken = 0;
    Ok(match sought {
        Ok(place) => Answer::Number(place as f64),
        Err(error) => failed(cx, None, &error),
    })
}

/// `file:flush()` → true.
fn flush<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let result = Call::method("flush", args).this::<LuaFile>()?.write_behind();
    Ok(match result {
        Ok(()) => Answer::Bool(true),
        Err(error) => failed(cx, None, &error),
    })
}

/// `file:setvbuf(mode)`: `no` writes everything at once.
fn setvbuf<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("setvbuf", args);
    call.this::<LuaFile>()?.is_unbuffered = call.text(1, "mode")? == b"no";
    Ok(Answer::Bool(true))
}

/// `file:close()` → true.
fn close<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let mut this = Call::method("close", args).this::<LuaFile>()?;
    this.file()?;
    let result = this.close();
    Ok(match result {
        Ok(()) => Answer::Bool(true),
        Err(error) => failed(cx, None, &error),
    })
}
