//! The destinations that are measured.

use std::path::Path;

use crate::Arguments;
use crate::cassandra;
use crate::feed;
use crate::feed::Lines;
use crate::peers;
use crate::peers::Peer;

/// Where messages go.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// What comes in.
    pub(crate) lines: fn(&Path) -> anyhow::Result<Lines>,
    /// The output, with ADDRESS for the address.
    output: &'static str,
    /// The address of a real server.
    pub(crate) server: Option<String>,
    /// Makes the peer that only acknowledges, before the real server where that is needed.
    pub(crate) peer: fn(Option<&str>) -> anyhow::Result<Option<Peer>>,
    /// Why there is none.
    pub(crate) why_not: &'static str,
}

const RAW: &str = "[lines]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\n\
    splitter = 'TokenSplitter'\ndecoder = ''\n";
const DECODED: &str = "[lines]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\n\
    splitter = 'TokenSplitter'\ndecoder = 'access'\n\
    [access]\ntype = 'AccessLogDecoder'\nlog_format = 'combined'\n";

impl Row {
    /// The configuration; `user` is `name:password`.
    pub(crate) fn config(&self, address: &str, user: Option<&str>) -> String {
        let input = if self.name == "graphite" { RAW } else { DECODED };
        let output = self.output.replace("ADDRESS", address);
        let (name, password) = user.and_then(|user| user.split_once(':')).unwrap_or_default();
        let user = match self.name {
            "cassandra" if !name.is_empty() => {
                format!("username = '{name}'\npassword = '{password}'\n")
            }
            _ => String::new(),
        };
        format!("{input}[out]\nmessage_matcher = \"Type !~ /^heka/\"\n{user}{output}")
    }
}

pub(crate) fn all(arguments: &Arguments) -> [Row; 4] {
    [
        Row {
            name: "graphite",
            lines: feed::points,
            output: "type = 'CarbonOutput'\nencoder = 'PayloadEncoder'\naddress = 'ADDRESS'\n\
                [PayloadEncoder]\nappend_newlines = false\n",
            server: arguments.graphite.clone(),
            peer: peers::socket,
            why_not: "",
        },
        Row {
            name: "elasticsearch",
            lines: feed::access_log,
            output: "type = 'ElasticSearchOutput'\nencoder = 'ESJsonEncoder'\nserver = 'ADDRESS'\n\
                flush_count = 1000\n[ESJsonEncoder]\nindex = 'bench'\n",
            server: arguments.elasticsearch.clone(),
            peer: peers::bulk,
            why_not: "",
        },
        Row {
            name: "kafka",
            lines: feed::access_log,
            output: "type = 'KafkaOutput'\naddrs = ['ADDRESS']\ntopic = 'bench'\n",
            server: arguments.kafka.clone(),
            peer: peers::broker,
            why_not: "needs a build with --features kafka",
        },
        Row {
            name: "cassandra",
            lines: feed::access_log,
            output: "type = 'CassandraOutput'\nnodes = ['ADDRESS']\nkeyspace = 'heka_bench'\n\
                create_schema = true\nschema = ['CREATE TABLE IF NOT EXISTS access (host text, day date, \
                at timestamp, id uuid, status int, bytes bigint, address inet, request text, \
                PRIMARY KEY ((host, day), at, id))']\ntable = 'access'\n\
                [out.columns]\nhost = '%{Hostname}'\nday = '%{Timestamp}'\nat = '%{Timestamp}'\n\
                id = '%{Position}'\nstatus = '%{status}'\nbytes = '%{body_bytes_sent}'\n\
                address = '%{remote_addr}'\nrequest = '%{request}'\n",
            server: arguments.cassandra.clone(),
            peer: cassandra::proxy,
            why_not: "needs --features cassandra and --cassandra with the address of a node",
        },
    ]
}
