//! `io`: files and programs, for inputs and outputs alone.
//!
//! What fails gives nil, a text and a number, as in Lua. The iterators of `lines` are the file itself,
//! which can be called.

use std::any::Any;
use std::ffi::CStr;
use std::fs::File;
use std::fs::OpenOptions;
use std::io::Error;
use std::io::Seek;
use std::io::SeekFrom;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;

use super::read_message;
use crate::sandbox::arguments::Call;
use crate::sandbox::context::Context;
use crate::sandbox::files::BUFFER;
use crate::sandbox::files::LuaFile;
use crate::sandbox::files::OpenFile;
use crate::sandbox::raw::Answer;
use crate::sandbox::raw::Args;
use crate::sandbox::raw::Complaint;
use crate::sandbox::raw::Library;
use crate::sandbox::raw::Object;
use crate::sandbox::raw::ObjectKind;
use crate::sandbox::raw::Value;
use crate::sandbox::reading;
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
        (c"input", input),
        (c"output", output),
        (c"read", read_standard),
        (c"write", write_standard),
        (c"flush", flush_standard),
        (c"close", close_standard),
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
        metamethods: &[(c"__call", next_line), (c"__tostring", tostring)],
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
    let text = call.text(number)?;
    let text =
        std::str::from_utf8(text).map_err(|_| call.refused(number, "filename", "not UTF-8"))?;
    Ok(Path::new(text))
}

/// `io.open(filename[, mode])` → a file.
fn open<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::function("open", args);
    let path = path(&call, 1)?;
    let mode = call.optional_text(2, b"r")?;
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
            cx.park(Box::new(LuaFile::new(OpenFile::new(file, None))));
            Ok(Answer::Parked)
        }
        Err(error) => Ok(failed(cx, Some(path), &error)),
    }
}

/// `io.lines([filename])` → what gives its lines; those of standard input where it is left out.
fn lines<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::function("lines", args);
    if call.is_absent(1) {
        let file = standard_input(cx)?;
        cx.park(Box::new(file));
        return Ok(Answer::Parked);
    }
    let path = path(&call, 1)?;
    let file = File::open(path);
    let file = file.map_err(|error| call.refused(1, "filename", error))?;
    cx.park(Box::new(LuaFile::new(OpenFile::new(file, None))));
    Ok(Answer::Parked)
}

/// `io.popen(command[, mode])` → a file that is what the program writes, or reads.
fn popen<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::function("popen", args);
    let command = call.text(1)?;
    let command =
        std::str::from_utf8(command).map_err(|_| call.refused(1, "command", "not UTF-8"))?;
    let is_read = call.is_absent(2) || call.text(2)?.starts_with(b"r");
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
            cx.park(Box::new(LuaFile::new(OpenFile::new(File::from(pipe), Some(child)))));
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
            cx.park(Box::new(LuaFile::new(OpenFile::new(file, None))));
            Ok(Answer::Parked)
        }
        Err(error) => Ok(failed(cx, Some(&path), &error)),
    }
}

/// `io.type(value)` → `file`, `closed file`, or nil.
fn kind<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    Ok(match args.object::<LuaFile>(1) {
        Some(file) if file.lock().file.is_some() => Answer::Text(b"file"),
        Some(_) => Answer::Text(b"closed file"),
        None => Answer::Nil,
    })
}

/// A file that stands for one of the process.
fn of_process(fd: BorrowedFd<'_>) -> Result<LuaFile, Complaint> {
    let owned = fd.try_clone_to_owned().map_err(|error| error.to_string())?;
    let mut file = OpenFile::new(File::from(owned), None);
    file.is_unbuffered = true;
    Ok(LuaFile::new(file))
}

/// What `io.read` reads.
fn standard_input(cx: &mut Context) -> Result<LuaFile, Complaint> {
    if cx.standard.input.is_none() {
        cx.standard.input = Some(of_process(std::io::stdin().as_fd())?);
    }
    cx.standard.input.clone().ok_or_else(|| "there is no standard input".into())
}

/// What `io.write` writes to.
fn standard_output(cx: &mut Context) -> Result<LuaFile, Complaint> {
    if cx.standard.output.is_none() {
        cx.standard.output = Some(of_process(std::io::stdout().as_fd())?);
    }
    cx.standard.output.clone().ok_or_else(|| "there is no standard output".into())
}

/// Makes one of the files of the process.
type Make = fn(&mut Context) -> Result<Box<dyn Object>, Complaint>;

/// The files of the process, by their names in the library.
pub(super) const STANDARD: [(&CStr, Make); 3] = [
    (c"stdin", |cx| Ok(Box::new(standard_input(cx)?))),
    (c"stdout", |cx| Ok(Box::new(standard_output(cx)?))),
    (c"stderr", |_| Ok(Box::new(of_process(std::io::stderr().as_fd())?))),
];

/// The file that `io.input` or `io.output` is given: an open one, or one to be opened.
fn chosen(call: &Call<'_>, options: &OpenOptions) -> Result<Option<LuaFile>, Complaint> {
    match call.value(1) {
        Value::Nil => Ok(None),
        Value::Text(_) => {
            let opened = options.open(path(call, 1)?);
            let file = opened.map_err(|error| call.refused(1, "file", error))?;
            Ok(Some(LuaFile::new(OpenFile::new(file, None))))
        }
        _ => Ok(Some(call.object::<LuaFile>(1, "file or filename")?.clone())),
    }
}

/// `io.input([file or filename])` → what `io.read` reads.
fn input<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let chosen = chosen(&Call::function("input", args), OpenOptions::new().read(true))?;
    if chosen.is_some() {
        cx.standard.input = chosen;
    }
    let file = standard_input(cx)?;
    cx.park(Box::new(file));
    Ok(Answer::Parked)
}

/// `io.output([file or filename])` → what `io.write` writes to.
fn output<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    let chosen = chosen(&Call::function("output", args), &options)?;
    if chosen.is_some() {
        cx.standard.output = chosen;
    }
    let file = standard_output(cx)?;
    cx.park(Box::new(file));
    Ok(Answer::Parked)
}

/// `io.read(...)` reads standard input, as `file:read`.
fn read_standard<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let file = standard_input(cx)?;
    reading::read(cx, Call::function("read", args), &mut file.lock())
}

/// `io.write(...)` writes to standard output, as `file:write`.
fn write_standard<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let file = standard_output(cx)?;
    put(cx, &Call::function("write", args), &mut file.lock())
}

/// `io.flush()` → true.
fn flush_standard<'a>(cx: &'a mut Context, _: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let written = standard_output(cx)?.lock().write_behind();
    Ok(done(cx, written))
}

/// `io.close([file])` → true.
fn close_standard<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::function("close", args);
    let file = if call.is_absent(1) {
        standard_output(cx)?
    } else {
        call.object::<LuaFile>(1, "file")?.clone()
    };
    let mut file = file.lock();
    file.file()?;
    let closed = file.close();
    Ok(done(cx, closed))
}

/// true, or what went wrong.
fn done<'a>(cx: &mut Context, result: Result<(), Error>) -> Answer<'a> {
    match result {
        Ok(()) => Answer::Bool(true),
        Err(error) => failed(cx, None, &error),
    }
}

/// `tostring(file)`.
fn tostring<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let this = Call::method("tostring", args).this::<LuaFile>()?;
    let is_open = this.lock().file.is_some();
    Ok(Answer::Text(if is_open { b"file (0x0)" } else { b"file (closed)" }))
}

/// `file:lines()` → the file, which gives a line when it is called.
fn this<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    Call::method("lines", args).this::<LuaFile>()?;
    Ok(Answer::Argument(1))
}

/// `file()` → the next line, nil at the end.
fn next_line<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let file = Call::method("lines", args).this::<LuaFile>()?.clone();
    match reading::line(cx, &args, &mut file.lock())? {
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
    let file = call.this::<LuaFile>()?.clone();
    reading::read(cx, call, &mut file.lock())
}

/// Writes the arguments of `write` one behind the other.
fn gather(cx: &mut Context, call: &Call<'_>, out: &mut Vec<u8>) -> Result<(), Complaint> {
    for number in 1..=call.len() {
        match call.value(number) {
            Value::Text(text) => out.extend_from_slice(text),
            Value::Number(value) => decimal::write_general(out, value, 14),
            other if read_message::put(cx, other, out) => {}
            _ => return Err(call.wrong(number, "string or number")),
        }
        call.admit(Some(out.len()))?;
    }
    Ok(())
}

/// `file:write(...)` → true.
fn write<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("write", args);
    let file = call.this::<LuaFile>()?.clone();
    put(cx, &call, &mut file.lock())
}

/// Writes the arguments of `call` to a file.
fn put<'a>(
    cx: &mut Context,
    call: &Call<'_>,
    this: &mut OpenFile,
) -> Result<Answer<'a>, Complaint> {
    this.file()?;
    if this.taken < this.ahead.len() {
        // The place in the file is where the script has read to.
        let back = i64::try_from(this.ahead.len() - this.taken).unwrap_or(0);
        let _ = this.file()?.seek(SeekFrom::Current(-back));
        this.ahead.clear();
        this.taken = 0;
    }
    let mut behind = std::mem::take(&mut this.behind);
    let gathered = gather(cx, call, &mut behind);
    this.behind = behind;
    gathered?;
    if this.is_unbuffered || this.behind.len() >= BUFFER {
        cx.hand_over();
        let written = this.write_behind();
        return Ok(done(cx, written));
    }
    Ok(Answer::Bool(true))
}

/// `file:seek([whence[, offset]])` → the place.
fn seek<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("seek", args);
    let whence = call.optional_text(1, b"cur")?;
    let offset = call.optional_whole(2, "offset", i64::MIN..=i64::MAX, 0)?;
    let file = call.this::<LuaFile>()?.clone();
    let mut this = file.lock();
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
    let file = Call::method("flush", args).this::<LuaFile>()?.clone();
    let written = file.lock().write_behind();
    Ok(done(cx, written))
}

/// `file:setvbuf(mode)`: `no` writes everything at once.
fn setvbuf<'a>(_: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let call = Call::method("setvbuf", args);
    let is_unbuffered = call.text(1)? == b"no";
    call.this::<LuaFile>()?.lock().is_unbuffered = is_unbuffered;
    Ok(Answer::Bool(true))
}

/// `file:close()` → true.
fn close<'a>(cx: &'a mut Context, args: Args<'a>) -> Result<Answer<'a>, Complaint> {
    let file = Call::method("close", args).this::<LuaFile>()?.clone();
    let mut file = file.lock();
    file.file()?;
    let closed = file.close();
    Ok(done(cx, closed))
}
