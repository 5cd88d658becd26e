//! MySQL and MariaDB: their status, replication, and what queries of one's own give.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use anyhow::anyhow;
use anyhow::ensure;
use async_trait::async_trait;
use mysql_async::ClientIdentity;
use mysql_async::Conn;
use mysql_async::Opts;
use mysql_async::OptsBuilder;
use mysql_async::Row;
use mysql_async::SslOpts;
use mysql_async::Value;
use mysql_async::prelude::Queryable;
use schemars::JsonSchema;
use serde::Deserialize;

use super::daemon;
use super::daemon::Daemon;
use super::daemon::Report;
use super::daemon::Watched;
use super::daemon::number;
use crate::message::Builder;
use crate::net::Address;
use crate::net::StreamNet;
use crate::net::Tls;
use crate::plugin::Defaults;
use crate::plugin::Described;
use crate::plugin::Input;
use crate::plugin::InputContext;
use crate::stdx::duration;
use crate::stdx::secret::Secret;

/// How many rows of a query become messages.
const MAX_ROWS: usize = 10_000;
/// The error of a server that does not know a statement, and that of one who may not use it.
const UNKNOWN: u16 = 1064;
const DENIED: u16 = 1227;

/// What is counted since the start and has a rate: `Name_per_second`.
const COUNTS: [&str; 26] = [
    "Aborted_clients",
    "Aborted_connects",
    "Bytes_received",
    "Bytes_sent",
    "Com_commit",
    "Com_delete",
    "Com_insert",
    "Com_replace",
    "Com_rollback",
    "Com_select",
    "Com_update",
    "Connections",
    "Created_tmp_disk_tables",
    "Created_tmp_tables",
    "Handler_read_rnd_next",
    "Innodb_buffer_pool_read_requests",
    "Innodb_buffer_pool_reads",
    "Innodb_data_read",
    "Innodb_data_written",
    "Innodb_row_lock_waits",
    "Innodb_rows_inserted",
    "Innodb_rows_read",
    "Queries",
    "Questions",
    "Slow_queries",
    "Table_locks_waited",
];

/// Asks a MySQL or MariaDB server at once and then every `ticker_interval`: a message of the type
/// `stats.mysql` with a field for each line of `SHOW GLOBAL STATUS`, rates of what is counted and how many
/// of the connections are used; `stats.mysql.replica` for each source that it replicates, and
/// `stats.mysql.query` for each row of a query of one's own. A server that does not answer is told of once
/// as `daemon.down`, and once as `daemon.up` when it is back.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct MysqlInput {
    /// Which kind of socket, `tcp` or `unix`.
    net: StreamNet,
    /// Where the server listens: `host:port`, or the path of a socket.
    address: String,
    /// Who asks: `PROCESS` and `REPLICATION CLIENT` (`SLAVE MONITOR` on MariaDB) are enough.
    username: String,
    /// The password of the user.
    password: Option<Secret>,
    /// The database that queries of one's own are asked in.
    database: String,
    /// Queries of one's own by name: each row becomes a message with a field for each column.
    queries: BTreeMap<String, String>,
    /// How long the answers may take. In seconds.
    #[serde(deserialize_with = "duration::seconds")]
    #[schemars(with = "duration::Written")]
    timeout: Duration,
    /// Whether TLS is spoken; it is not where this is left out.
    use_tls: Option<bool>,
    /// How TLS is spoken; `server_name`, `cert_file` with `key_file`, `root_cafile` and
    /// `insecure_skip_verify` count.
    tls: Option<Tls>,
}

impl Default for MysqlInput {
    fn default() -> MysqlInput {
        MysqlInput {
            net: StreamNet::Tcp,
            address: "127.0.0.1:3306".to_owned(),
            username: "heka".to_owned(),
            password: None,
            database: String::new(),
            queries: BTreeMap::new(),
            timeout: Duration::from_secs(10),
            use_tls: None,
            tls: None,
        }
    }
}

impl Described for MysqlInput {
    const NAME: &'static str = "MysqlInput";
    const ABOUT: &'static str = "Asks a MySQL or MariaDB server how it is.";
    const EXAMPLE: &'static str = "# On the server: create user heka@localhost identified by '…';\n\
        # grant process, replication client on *.* to heka@localhost;\n\
        [MysqlInput]\naddress = \"127.0.0.1:3306\"\nusername = \"heka\"\npassword = \"secret\"\n\
        ticker_interval = 10\n\n\
        [MysqlInput.queries]\norders = \"select state, count(*) as orders from shop.orders group by 1\"\n";
    const DEFAULTS: Defaults = Defaults { ticker_interval: 10, ..Defaults::NONE };

    fn check(&self) -> anyhow::Result<()> {
        ensure!(!self.timeout.is_zero(), "`timeout` has to be above 0");
        ensure!(!self.username.is_empty(), "`username` is empty: who is to ask?");
        self.options().map(drop)
    }
}

#[async_trait]
impl Input for MysqlInput {
    async fn run(self: Box<Self>, cx: InputContext) -> anyhow::Result<()> {
        let address = self.address.clone();
        let watched = Watched { daemon: "mysql", address, timeout: self.timeout };
        let options = self.options()?;
        let server = Server { queries: self.queries, options, connection: None };
        daemon::watch(cx, watched, server).await
    }
}

impl MysqlInput {
    fn options(&self) -> anyhow::Result<Opts> {
        Address::stream(self.net, &self.address)?;
        let mut options = OptsBuilder::default().prefer_socket(false).user(Some(&self.username));
        options = options.pass(self.password.as_ref().map(Secret::reveal));
        if !self.database.is_empty() {
            options = options.db_name(Some(&self.database));
        }
        if self.net == StreamNet::Unix {
            options = options.socket(Some(&self.address));
        } else {
            let (host, port) = self.address.rsplit_once(':').context("`address` has no port")?;
            let host = if host.is_empty() { "localhost" } else { host };
            options = options.ip_or_hostname(host).tcp_port(port.parse().context("no port")?);
        }
        let Some(tls) = Tls::wanted(self.use_tls, self.tls.as_ref())? else {
            return Ok(options.into());
        };
        // What is wrong with the files is told as everywhere else.
        tls.client()?;
        let mut secure = SslOpts::default()
            .with_danger_accept_invalid_certs(tls.insecure_skip_verify)
            .with_danger_skip_domain_validation(tls.insecure_skip_verify);
        if let Some(root) = tls.root_cafile {
            secure = secure.with_root_certs(vec![root.into()]).with_disable_built_in_roots(true);
        }
        if let (Some(cert), Some(key)) = (tls.cert_file, tls.key_file) {
            secure =
                secure.with_client_identity(Some(ClientIdentity::new(cert.into(), key.into())));
        }
        if !tls.server_name.is_empty() {
            secure = secure.with_danger_tls_hostname_override(Some(tls.server_name));
        }
        Ok(options.ssl_opts(secure).into())
    }
}

/// A server, and the connection to it while there is one.
struct Server {
    queries: BTreeMap<String, String>,
    options: Opts,
    connection: Option<Conn>,
}

#[async_trait]
impl Daemon for Server {
    async fn ask(&mut self, report: &mut Report) -> anyhow::Result<()> {
        // One that is left in the middle of an answer is not used again, and one that was kept may have
        // been closed by the server meanwhile.
        let kept = match self.connection.take() {
            Some(mut kept) => kept.ping().await.is_ok().then_some(kept),
            None => None,
        };
        let mut connection = match kept {
            Some(kept) => kept,
            None => Conn::new(self.options.clone()).await.map_err(explained)?,
        };
        put_status(&mut connection, report).await?;
        put_replicas(&mut connection, report).await?;
        for (name, sql) in &self.queries {
            let rows: Result<Vec<Row>, _> = connection.query(sql).await;
            let rows = rows.map_err(explained);
            for row in rows
                .with_context(|| format!("the query `{name}` has failed"))?
                .iter()
                .take(MAX_ROWS)
            {
                let mut message = report.begin("stats.mysql.query");
                message.string("query", "", name.as_bytes());
                put_row(row, &mut message);
                Report::finish(message);
            }
        }
        self.connection = Some(connection);
        Ok(())
    }
}

async fn put_status(connection: &mut Conn, report: &mut Report) -> anyhow::Result<()> {
    let status: Vec<(String, String)> =
        connection.query("SHOW GLOBAL STATUS").await.map_err(explained)?;
    let version: Option<(String, i64)> =
        connection.query_first("SELECT @@version, @@max_connections").await.map_err(explained)?;
    put(&status, version, report);
    Ok(())
}

fn put(status: &[(String, String)], version: Option<(String, i64)>, report: &mut Report) {
    let found = |name: &str| {
        let (_, value) = status.iter().find(|(key, _)| key == name)?;
        value.parse::<f64>().ok()
    };
    let rates = COUNTS.map(|name| report.rate(name, found(name)?));
    let mut message = report.begin("stats.mysql");
    if let Some((version, max_connections)) = version {
        message.string("version", "", version.as_bytes());
        message.integer("max_connections", "", max_connections);
        if let Some(used) = found("Threads_connected").filter(|_| max_connections > 0) {
            message.double("connections_used_percent", "%", used * 100.0 / max_connections as f64);
        }
    }
    for (name, value) in status.iter().filter(|(_, value)| !value.is_empty()) {
        number(&mut message, name, unit(name), value);
    }
    for (name, rate) in COUNTS.iter().zip(rates) {
        if let Some(rate) = rate {
            let unit = if unit(name) == "B" { "B/s" } else { "1/s" };
            message.double(&format!("{name}_per_second"), unit, rate);
        }
    }
    let asked = found("Innodb_buffer_pool_read_requests");
    if let Some((asked, read)) = asked.zip(found("Innodb_buffer_pool_reads"))
        && asked > 0.0
    {
        message.double(
            "Innodb_buffer_pool_hit_percent",
            "%",
            (asked - read).max(0.0) * 100.0 / asked,
        );
    }
    Report::finish(message);
}

/// Writes how far behind the server is, of each source that it replicates. One that does not tell the user
/// is passed over.
async fn put_replicas(connection: &mut Conn, report: &mut Report) -> anyhow::Result<()> {
    let mut rows: Result<Vec<Row>, _> = connection.query("SHOW REPLICA STATUS").await;
    if matches!(&rows, Err(mysql_async::Error::Server(error)) if error.code == UNKNOWN) {
        rows = connection.query("SHOW SLAVE STATUS").await;
    }
    let rows = match rows {
        Ok(rows) => rows,
        Err(mysql_async::Error::Server(error)) if error.code == DENIED => return Ok(()),
        Err(error) => return Err(explained(error)),
    };
    for row in &rows {
        let mut message = report.begin("stats.mysql.replica");
        put_row(row, &mut message);
        Report::finish(message);
    }
    Ok(())
}

fn put_row(row: &Row, message: &mut Builder<'_>) {
    for (index, column) in row.columns_ref().iter().enumerate() {
        let name = column.name_str();
        let is_number = column.column_type().is_numeric_type();
        match row.as_ref(index) {
            Some(Value::Bytes(bytes)) if is_number => {
                number(message, &name, unit(&name), &String::from_utf8_lossy(bytes));
            }
            Some(Value::Bytes(bytes)) => {
                message.string(&name, "", String::from_utf8_lossy(bytes).as_bytes());
            }
            None | Some(Value::NULL) => {}
            Some(value) => {
                number(message, &name, unit(&name), value.as_sql(true).trim_matches('\''));
            }
        }
    }
}

/// The error in the words of the server, and what to do about it.
fn explained(error: mysql_async::Error) -> anyhow::Error {
    let mysql_async::Error::Server(told) = &error else { return anyhow!(error) };
    let advice = match told.code {
        1045 => "; `username` or `password` is wrong, or the user may not connect from this host",
        1130 => "; the server lets nobody in from this host: create the user for it",
        1049 => "; `database` names one that is there",
        1142 | 1227 => "; grant the user what it needs: PROCESS, REPLICATION CLIENT, SELECT",
        1040 => "; the server has no connection left: raise `max_connections`",
        3159 => "; the server wants TLS: give `use_tls = true`",
        _ => "",
    };
    anyhow!("the server says: {} ({}){advice}", told.message, told.code)
}

/// The unit of a number by its name.
fn unit(name: &str) -> &'static str {
    match name {
        "Uptime" | "Uptime_since_flush_status" => return "s",
        "Seconds_Behind_Master" | "Seconds_Behind_Source" => return "s",
        "Bytes_received" | "Bytes_sent" | "Memory_used" => return "B",
        "Innodb_data_read" | "Innodb_data_written" | "Innodb_os_log_written" => return "B",
        _ => {}
    }
    let ends = |end| name.ends_with(end);
    if ends("_bytes") || ends("_bytes_data") || ends("_bytes_dirty") || ends("_page_size") {
        "B"
    } else if ends("_time") || ends("_time_avg") || ends("_time_max") {
        if name.starts_with("Innodb_row_lock") { "ms" } else { "" }
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Value as Field;

    #[test]
    fn status_becomes_typed_fields_with_rates() {
        let status = |queries: &str| {
            [("Uptime", "9"), ("Threads_connected", "3"), ("Queries", queries), ("Rpl_status", "X")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
        };
        let version = || Some(("10.11".to_owned(), 12));
        let mut report = Report::new(crate::plugin::Origin::default());
        report.start();
        put(&status("10"), version(), &mut report);
        report.take();
        report.start_after(2.0);
        put(&status("20"), version(), &mut report);
        let batches = report.take();
        let told = batches[0].message(0);
        for (name, unit, expected) in [
            ("version", "", Field::String(b"10.11")),
            ("connections_used_percent", "%", Field::Double(25.0)),
            ("Uptime", "s", Field::Integer(9)),
            ("Rpl_status", "", Field::String(b"X")),
            ("Queries_per_second", "1/s", Field::Double(5.0)),
        ] {
            let field = told.field(name.as_bytes(), 0).unwrap();
            assert_eq!(field.only_value(), Some(expected), "{name}");
            assert_eq!(field.representation(), unit.as_bytes(), "{name}");
        }
    }
}
