//! A network that misbehaves, between an agent and an aggregator.

use std::io::Read;
use std::io::Write;
use std::net::Shutdown;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

/// What happens to a connection on its way from the agent to the aggregator.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    /// All passes.
    Open,
    /// It ends after so many bytes.
    Cut { after: usize },
    /// So much is read of it, and nothing is passed on or answered from there on.
    Mute { after: usize },
    /// It passes slowly: so many bytes, and then a pause.
    Slow { bytes: usize, pause: Duration },
}

/// A proxy; each connection goes the next way, and those after the last are open.
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    ways: Arc<Mutex<Vec<Way>>>,
}

impl Proxy {
    /// Listens, and passes connections on to `target`.
    pub(super) fn to(target: SocketAddr, ways: &[Way]) -> anyhow::Result<Proxy> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let ways = Arc::new(Mutex::new(ways.iter().rev().copied().collect::<Vec<_>>()));
        let left = ways.clone();
        std::thread::spawn(move || {
            for agent in listener.incoming().flatten() {
                let next = left.lock().unwrap_or_else(PoisonError::into_inner).pop();
                let way = next.unwrap_or(Way::Open);
                std::thread::spawn(move || pass(&agent, target, way));
            }
        });
        Ok(Proxy { address, ways })
    }

    /// Whether every way has been gone.
    pub(super) fn is_through(&self) -> bool {
        self.ways.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

fn pass(agent: &TcpStream, target: SocketAddr, way: Way) -> std::io::Result<()> {
    let aggregator = TcpStream::connect(target)?;
    let (mut back, mut answers) = (agent.try_clone()?, aggregator.try_clone()?);
    let is_mute = matches!(way, Way::Mute { .. });
    let answering = std::thread::spawn(move || {
        if is_mute {
            // The welcome passes, for the agent to begin.
            let mut welcome = [0; 64];
            let read = answers.read(&mut welcome)?;
            return back.write_all(&welcome[..read]);
        }
        std::io::copy(&mut answers, &mut back).map(drop)
    });
    let passed = forth(agent, &aggregator, way);
    let _ = aggregator.shutdown(Shutdown::Both);
    let _ = agent.shutdown(Shutdown::Both);
    let _ = answering.join();
    passed
}

fn forth(mut agent: &TcpStream, mut aggregator: &TcpStream, way: Way) -> std::io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    let mut passed = 0;
    loop {
        let most = match way {
            Way::Open => buffer.len(),
            Way::Cut { after } if passed == after => return Ok(()),
            Way::Mute { after } if passed == after => {
                // Until the agent gives it up.
                while agent.read(&mut buffer)? > 0 {}
                return Ok(());
            }
            Way::Cut { after } | Way::Mute { after } => (after - passed).min(buffer.len()),
            Way::Slow { bytes, pause } => {
                std::thread::sleep(pause);
                bytes
            }
        };
        let read = agent.read(&mut buffer[..most])?;
        if read == 0 {
            return Ok(());
        }
        aggregator.write_all(&buffer[..read])?;
        passed += read;
    }
}
