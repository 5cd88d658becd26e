//! A Lua script that makes messages.
//!
//! The script has a thread of its own, which may wait in `io` and `socket`. What it injects goes through
//! a queue to the task and from there to the stream; a checkpoint is the detail of the position of
//! one source, and moves when all before it has been handed over. A script that does not end when it
//! is asked to is ended; one that hangs in the system is left behind.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use anyhow::anyhow;
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::sync::oneshot;

use crate::message::Batch;
use crate::message::SourcePosition;
use crate::plugin::Described;
use crate::plugin::Input;
use crate::plugin::InputContext;
use crate::plugin::Stream;
use crate::sandbox::Checkpoint;
use crate::sandbox::Ender;
use crate::sandbox::Feed;
use crate::sandbox::Role;
use crate::sandbox::Sandbox;
use crate::sandbox::Settings;
use crate::sandbox::Spec;
use crate::sandbox::Stop;
use crate::sandbox::Trouble;

/// How many batches may wait for the task.
const QUEUE: usize = 4;
/// How long a script has to end by itself.
const GRACE: Duration = Duration::from_millis(1500);

/// Makes messages with a Lua script, which may read files and the network.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(super) struct SandboxInput(Settings);

impl Described for SandboxInput {
    const NAME: &'static str = "SandboxInput";
    const ABOUT: &'static str = "Makes messages with a Lua script.";
    const EXAMPLE: &'static str =
        "[SandboxInput]\nfilename = \"lua_inputs/example.lua\"\nticker_interval = 60\n";
}

/// What the script's thread gives to the task.
type Handed = (Batch, Option<Checkpoint>);

#[async_trait]
impl Input for SandboxInput {
    fn promise(&self) -> &'static str {
        "goes on from the checkpoint of the last message that is durable, at least once"
    }

    async fn run(self: Box<Self>, cx: InputContext) -> anyhow::Result<()> {
        let mut spec = self.0.spec(&cx.name, Role::Input, &cx.engine.share_dir)?;
        spec.hostname = cx.engine.hostname.to_string();
        spec.pid = cx.engine.pid;
        // A script that waits for the world is not held to a time, unless its section says so.
        if self.0.cpu_limit.is_none() {
            spec.limits.cpu = Duration::ZERO;
        }
        spec.limits.output = spec.limits.output.min(cx.engine.max_message_size);
        let source = cx.source("checkpoint");
        let mut position = cx.last_position(&source).unwrap_or_default();
        let mut stream = cx.stream(cx.origin(""), Some(source)).await?;
        stream.at(position.clone()).await?;
        let thread = ScriptThread {
            stopping: spec.stopping.clone(),
            checkpoint: Checkpoint::of_stored(&position.detail),
            ticker_interval: cx.ticker_interval,
            spec,
        };
        let stopping = thread.stopping.clone();
        let (tx, mut rx) = mpsc::channel(QUEUE);
        let (ender_tx, ender) = oneshot::channel();
        let (done_tx, done) = oneshot::channel();
        std::thread::Builder::new().name(cx.name.to_string()).stack_size(8 << 20).spawn(
            move || {
                let result = thread.run(tx, ender_tx);
                let _ = done_tx.send(result);
            },
        )?;
        loop {
            tokio::select! {
                handed = rx.recv() => match handed {
                    Some(handed) => take(&mut stream, &mut position, handed).await?,
                    None => break,
                },
                () = cx.stopping.cancelled() => {
                    stopping.store(true, Ordering::Release);
                    let rest = drain(&mut rx, &mut stream, &mut position);
                    if tokio::time::timeout(GRACE, rest).await.is_err() {
                        end(ender).await;
                        let rest = drain(&mut rx, &mut stream, &mut position);
                        if tokio::time::timeout(GRACE, rest).await.is_err() {
                            tracing::warn!(input = &*cx.name, "a script did not end and is left");
                            return Ok(());
                        }
                    }
                    return Ok(());
                }
            }
        }
        stream.durable().await?;
        done.await.unwrap_or_else(|_| Err(anyhow!("the thread of the script has died")))
    }
}

/// Ends the call the script is in.
async fn end(ender: oneshot::Receiver<Ender>) {
    if let Ok(ender) = ender.await {
        ender.end();
    }
}

/// Takes what is left until the script has ended.
async fn drain(
    rx: &mut mpsc::Receiver<Handed>,
    stream: &mut Stream,
    position: &mut SourcePosition,
) -> anyhow::Result<()> {
    while let Some(handed) = rx.recv().await {
        take(stream, position, handed).await?;
    }
    Ok(())
}

/// Hands messages over, then moves the position behind them.
async fn take(
    stream: &mut Stream,
    position: &mut SourcePosition,
    (batch, checkpoint): Handed,
) -> anyhow::Result<()> {
    if !batch.is_empty() {
        stream.undecoded(batch).await?;
    }
    if let Some(checkpoint) = checkpoint {
        position.offset += 1;
        position.detail = Arc::from(checkpoint.to_stored());
        stream.at(position.clone()).await?;
        stream.messages(Batch::new()).await?;
    }
    Ok(())
}

/// The thread a script runs on.
struct ScriptThread {
    spec: Spec,
    stopping: Arc<AtomicBool>,
    checkpoint: Option<Checkpoint>,
    ticker_interval: Duration,
}

/// Gives what the script injects to the task, and keeps its last checkpoint.
struct Outlet {
    tx: mpsc::Sender<Handed>,
    last: Option<Checkpoint>,
}

impl Feed for Outlet {
    fn deliver(&mut self, batch: Batch, checkpoint: Option<Checkpoint>) -> bool {
        if checkpoint.is_some() {
            self.last.clone_from(&checkpoint);
        }
        self.tx.blocking_send((batch, checkpoint)).is_ok()
    }
}

impl ScriptThread {
    /// Calls the script once, and again at every tick.
    fn run(
        mut self,
        tx: mpsc::Sender<Handed>,
        ender: oneshot::Sender<Ender>,
    ) -> anyhow::Result<()> {
        let mut sandbox = Sandbox::load(&self.spec).context("cannot load the script")?;
        let _ = ender.send(sandbox.ender());
        let mut outlet = Outlet { tx, last: self.checkpoint.take() };
        loop {
            let checkpoint = outlet.last.clone();
            match sandbox.receive(checkpoint.as_ref(), &mut outlet) {
                Ok(()) => {}
                Err(Trouble::Failed(failure)) => {
                    let (input, error) = (&*self.spec.name, failure.message);
                    tracing::warn!(input, error, status = ?failure.status, "a script has failed");
                    if failure.status.is_none() {
                        return Err(anyhow!("{error}").context(failure.traceback));
                    }
                }
                Err(Trouble::Stopped(Stop::Terminated { reason, .. })) => {
                    return Err(anyhow!("the script has ended itself: {reason}"));
                }
                Err(Trouble::Stopped(Stop::Limit { message, .. })) => return Err(anyhow!(message)),
            }
            if self.ticker_interval.is_zero() || !self.pause() {
                return Ok(());
            }
        }
    }

    /// Waits for the next tick; false when the script is to end.
    fn pause(&self) -> bool {
        let step = Duration::from_millis(20);
        let mut left = self.ticker_interval;
        while !left.is_zero() && !self.stopping.load(Ordering::Acquire) {
            std::thread::sleep(left.min(step));
            left = left.saturating_sub(step);
        }
        !self.stopping.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inputs::testing::Desk;

    fn input(script: &str) -> Box<SandboxInput> {
        let folder = tempfile::tempdir().unwrap().keep();
        let path = folder.join("script.lua");
        std::fs::write(&path, script).unwrap();
        Box::new(toml::from_str(&format!("filename = '{}'", path.display())).unwrap())
    }

    #[tokio::test]
    async fn messages_and_checkpoints_go_on_after_a_restart() {
        let script = "function process_message(checkpoint)
               local from = checkpoint or 0
               for n = from + 1, from + 2 do
                 inject_message({Type = 'x', Payload = 'line ' .. n}, n)
               end
               inject_message({Payload = tostring(is_running())})
               return 0
             end";
        let desk = Desk::new("lua");
        input(script).run(desk.context()).await.unwrap();
        assert_eq!(desk.lines("lua"), ["line 1", "line 2", "true"]);
        let again = desk.restarted();
        input(script).run(again.context()).await.unwrap();
        assert_eq!(again.lines("lua")[3..], ["line 3", "line 4", "true"]);
    }

    #[tokio::test]
    async fn a_script_is_called_at_every_tick_and_ends_when_asked() {
        let mut desk = Desk::new("lua");
        desk.ticker_interval = Duration::from_millis(1);
        let script = "local n = 0
             function process_message()
               n = n + 1
               inject_message({Payload = 'tick ' .. n})
               return 0
             end";
        let running = tokio::spawn(input(script).run(desk.context()));
        desk.wait_for(3).await;
        desk.stopping.cancel();
        running.await.unwrap().unwrap();
        assert_eq!(desk.lines("lua")[..3], ["tick 1", "tick 2", "tick 3"]);
    }

    #[tokio::test]
    async fn a_script_that_never_ends_is_ended() {
        let desk = Desk::new("lua");
        let script = "function process_message()
               inject_message({Payload = 'x'})
               is_running()
               while true do pcall(function() while true do end end) end
             end";
        let running = tokio::spawn(input(script).run(desk.context()));
        desk.wait_for(1).await;
        desk.stopping.cancel();
        running.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn files_sockets_and_streams_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("data");
        let script = format!(
            "local socket = require 'socket'
             require 'io' require 'os'
             function process_message()
               local out = assert(io.open('{0}', 'w'))
               out:write('one\\n', 2, '\\nthree') out:close()
               local f = assert(io.open('{0}'))
               local lines = {{}}
               for line in f:lines() do lines[#lines + 1] = line end
               assert(f:seek('set') == 0 and f:read(3) == 'one' and f:read('*l') == '')
               assert(f:read('*n') == 2 and f:read('*a') == '\\nthree' and f:read('*l') == nil)
               f:close()
               assert(not pcall(f.read, f) and io.type(f) == 'closed file')
               inject_message({{Payload = table.concat(lines, ',')}})
               local none, why, number = io.open('/nonexistent/x')
               assert(none == nil and number == 2, why)
               local p = io.popen('echo hello') inject_message({{Payload = p:read('*a')}}) p:close()
               assert(os.rename('{0}', '{0}2') and os.remove('{0}2') and not os.remove('{0}'))
               assert(os.getenv('PATH') and os.execute('exit 3') == 768)

               local server = assert(socket.bind('127.0.0.1', 0))
               local _, port = server:getsockname()
               local client = assert(socket.connect('127.0.0.1', port))
               local peer = assert(server:accept())
               assert(client:send('line\\r\\nrest') == 10)
               client:shutdown('send')
               local line = peer:receive()
               local rest, why, part = peer:receive(10)
               inject_message({{Payload = line .. ' ' .. why .. ' ' .. part}})
               peer:settimeout(0)
               assert(select(2, server:settimeout(0.01), server:accept()) == nil)
               local a, b = socket.udp(), socket.udp()
               assert(a:setsockname('127.0.0.1', 0) == 1)
               local _, port = a:getsockname()
               assert(b:sendto('datagram', '127.0.0.1', port) == 1)
               local data, ip = a:receivefrom()
               a:settimeout(0.01)
               local _, why = a:receive()
               inject_message({{Payload = data .. ' ' .. ip .. ' ' .. why}})

               local reader = create_stream_reader('test')
               local framed = io.popen(\"printf 'x\\\\036\\\\002\\\\010\\\\002\\\\037\\\\012\\\\000'\"):read('*a')
               local found, consumed, need = reader:find_message(framed:sub(1, 5), false)
               assert(not found and need > 0)
               found, consumed = reader:find_message(framed:sub(6), false)
               assert(found and reader:read_message('Payload') == '')
               return 0
             end",
            file.display()
        );
        let desk = Desk::new("lua");
        input(&script).run(desk.context()).await.unwrap();
        assert_eq!(
            desk.lines("lua"),
            ["one,2,three", "hello\n", "line closed rest", "datagram 127.0.0.1 timeout"]
        );
    }

    #[tokio::test]
    async fn files_are_read_in_every_form() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("data");
        std::fs::write(&file, "one\n2\nthree").unwrap();
        let script = "function process_message()
               local f = assert(io.open('FILE'))
               f:read('*a')
               assert(f:read(0) == nil and f:read('*a') == '')
               f:seek('set', 4)
               local number, line = f:read('*n', '*l')
               assert(number == 2 and line == '' and f:read(0) == '' and f:read(99) == 'three')
               assert(tostring(f) == 'file (0x0)')
               f:close()
               assert(io.input('FILE') ~= io.stdin and io.read('*l', 1) == 'one' and io.read() == '')
               local rest = {}
               for line in io.lines() do rest[#rest + 1] = line end
               assert(table.concat(rest) == 'three' and io.read() == nil and io.input():close())
               assert(io.output('FILE') and io.write('12;', 0.5, ' x') and io.close())
               local f = io.open('FILE')
               local first, one, second, two, third = f:read('*n', 1, '*n', 1, '*n')
               assert(first == 12 and one == ';' and second == 0.5 and two == ' ' and third == nil)
               f:close()
               assert(io.type(io.stdout) == 'file' and io.stderr:write(''))
               return 1, 'done'
             end"
            .replace("FILE", &file.display().to_string());
        let error = input(&script).run(Desk::new("lua").context()).await.unwrap_err();
        assert_eq!(error.to_string(), "the script has ended itself: done");
    }

    #[tokio::test]
    async fn sockets_are_waited_for_together() {
        let script = "local socket = require 'socket'
             function process_message()
               local one, other = assert(socket.tcp()), assert(socket.tcp())
               assert(one:bind('127.0.0.1', 0) == 1 and other:bind('127.0.0.1', 0) == 1)
               local ip, port = one:getsockname()
               assert(select(2, one:accept()) == 'not listening' and one:listen(5) == 1)
               local _, own = other:getsockname()
               assert(other:connect(ip, port) == 1)
               local ready, _, why = socket.select({one, other}, nil, 10)
               assert(#ready == 1 and ready[1] == one and ready[one] == 1 and why == nil)
               local peer = one:accept()
               assert(select(2, peer:getpeername()) == own)
               local reads, writes, why = socket.select({peer}, {}, 0)
               assert(#reads == 0 and #writes == 0 and why == 'timeout')
               other:send('x')
               local reads, writes = socket.select({peer, other}, {other, other}, 10)
               assert(reads[1] == peer and #writes == 2 and writes[other] == 2)
               assert(socket.dns.toip('127.0.0.1') == '127.0.0.1' and socket.dns.gethostname())
               return 1, 'done'
             end";
        let error = input(script).run(Desk::new("lua").context()).await.unwrap_err();
        assert_eq!(error.to_string(), "the script has ended itself: done");
    }

    #[tokio::test]
    async fn what_is_not_allowed_is_not_there() {
        let script = "assert(io == nil and os.getenv == nil and not pcall(require, 'socket'))
             assert(os.time)
             function process_message() return 1, 'enough' end";
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("script.lua");
        std::fs::write(&path, script).unwrap();
        let text = format!("filename = '{}'\nallow = []", path.display());
        let input: Box<SandboxInput> = Box::new(toml::from_str(&text).unwrap());
        let error = input.run(Desk::new("lua").context()).await.unwrap_err();
        assert_eq!(error.to_string(), "the script has ended itself: enough");
    }
}
