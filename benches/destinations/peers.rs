//! Peers that only acknowledge.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::net::TcpStream;

/// Whom the engine sends to, for as long as this lives.
pub(crate) struct Peer {
    pub(crate) address: String,
    /// What runs as long as it is held.
    _held: Option<Box<dyn std::any::Any>>,
}

impl Peer {
    /// A peer at this address, with what has to live as long.
    pub(crate) fn at(address: String, held: Option<Box<dyn std::any::Any>>) -> Peer {
        Peer { address, _held: held }
    }
}

/// Has `serve` answer each connection, in a thread each.
pub(crate) fn listen(
    serve: impl Fn(TcpStream) -> anyhow::Result<()> + Clone + Send + 'static,
) -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = serve.clone();
            std::thread::spawn(move || serve(stream));
        }
    });
    Ok(address)
}

/// A socket that is read.
pub(crate) fn socket(_server: Option<&str>) -> anyhow::Result<Option<Peer>> {
    let address = listen(|mut stream| {
        let mut bytes = vec![0; 1 << 16];
        while stream.read(&mut bytes)? > 0 {}
        Ok(())
    })?;
    Ok(Some(Peer::at(address, None)))
}

/// What answers bulks of Elasticsearch, one item a document.
pub(crate) fn bulk(_server: Option<&str>) -> anyhow::Result<Option<Peer>> {
    let address = listen(|stream| answer_bulks(&stream))?;
    Ok(Some(Peer::at(format!("http://{address}"), None)))
}

fn answer_bulks(mut stream: &TcpStream) -> anyhow::Result<()> {
    let mut reader = BufReader::with_capacity(1 << 16, stream);
    let (mut body, mut line) = (Vec::new(), String::new());
    loop {
        let mut length = 0;
        loop {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if line.trim().is_empty() {
                break;
            }
            let lower = line.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
        }
        body.resize(length, 0);
        reader.read_exact(&mut body)?;
        let documents = body.split(|byte| *byte == b'\n').count() / 2;
        let item = "{\"index\":{\"_index\":\"bench\",\"_id\":\"x\",\"_version\":1,\"result\":\"created\",\
                    \"_shards\":{\"total\":1,\"successful\":1,\"failed\":0},\"status\":201}}";
        let items = vec![item; documents].join(",");
        let answer = format!("{{\"took\":1,\"errors\":false,\"items\":[{items}]}}");
        let length = answer.len();
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{answer}"
        )?;
    }
}

/// librdkafka's mock of a broker.
#[cfg(feature = "kafka")]
pub(crate) fn broker(_server: Option<&str>) -> anyhow::Result<Option<Peer>> {
    let cluster = rdkafka::mocking::MockCluster::new(1)?;
    let address = cluster.bootstrap_servers();
    Ok(Some(Peer::at(address, Some(Box::new(cluster)))))
}

/// Without the library there is none.
#[cfg(not(feature = "kafka"))]
pub(crate) fn broker(_server: Option<&str>) -> anyhow::Result<Option<Peer>> {
    Ok(None)
}
