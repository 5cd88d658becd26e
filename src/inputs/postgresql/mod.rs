//! PostgreSQL: its statistics, and what queries of one's own give.

mod queries;
mod tls;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use anyhow::anyhow;
use anyhow::ensure;
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_postgres::Client;
use tokio_postgres::Config;
use tokio_postgres::NoTls;
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::config::SslMode;
use tokio_postgres::types::Type;

use self::queries::QUERIES;
use self::queries::Query;
use self::tls::Rustls;
use super::daemon;
use super::daemon::Daemon;
use super::daemon::Report;
use super::daemon::Watched;
use crate::message::Builder;
use crate::net::Address;
use crate::net::Connector;
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

/// Asks a PostgreSQL server at once and then every `ticker_interval`: messages of the types
/// `stats.postgresql` for the server, `.database`, `.activity` (the sessions by what they do), `.writer`,
/// `.replication`, `.slot` and `.query` for each row of a query of one's own. What is counted has rates. A
/// server that does not answer is told of once as `daemon.down`, and once as `daemon.up` when it is back.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct PostgresqlInput {
    /// Which kind of socket, `tcp` or `unix`.
    net: StreamNet,
    /// Where the server listens: `host:port`, or the path of a socket.
    address: String,
    /// Who asks: a member of the role `pg_monitor` sees everything.
    username: String,
    /// The password of the user, where the server asks for one.
    password: Option<Secret>,
    /// The database to connect to.
    database: String,
    /// Queries of one's own by name: each row becomes a message with a field for each column.
    queries: BTreeMap<String, String>,
    /// How long the answers may take. In seconds.
    #[serde(deserialize_with = "duration::seconds")]
    #[schemars(with = "duration::Written")]
    timeout: Duration,
    /// Whether TLS is spoken; it is not where this is left out.
    use_tls: Option<bool>,
    /// How TLS is spoken.
    tls: Option<Tls>,
}

impl Default for PostgresqlInput {
    fn default() -> PostgresqlInput {
        PostgresqlInput {
            net: StreamNet::Tcp,
            address: "127.0.0.1:5432".to_owned(),
            username: "postgres".to_owned(),
            password: None,
            database: "postgres".to_owned(),
            queries: BTreeMap::new(),
            timeout: Duration::from_secs(10),
            use_tls: None,
            tls: None,
        }
    }
}

impl Described for PostgresqlInput {
    const NAME: &'static str = "PostgresqlInput";
    const ABOUT: &'static str = "Asks a PostgreSQL server how it is.";
    const EXAMPLE: &'static str = "# On the server: create role heka login; grant pg_monitor to heka;\n\
        [PostgresqlInput]\naddress = \"127.0.0.1:5432\"\nusername = \"heka\"\nticker_interval = 10\n\n\
        [PostgresqlInput.queries]\norders = \"select state, count(*) as orders from orders group by 1\"\n";
    const DEFAULTS: Defaults = Defaults { ticker_interval: 10, ..Defaults::NONE };

    fn check(&self) -> anyhow::Result<()> {
        ensure!(!self.timeout.is_zero(), "`timeout` has to be above 0");
        ensure!(!self.username.is_empty(), "`username` is empty: who is to ask?");
        Address::stream(self.net, &self.address)?;
        self.rustls().map(drop)
    }
}

#[async_trait]
impl Input for PostgresqlInput {
    async fn run(self: Box<Self>, cx: InputContext) -> anyhow::Result<()> {
        let address = self.address.clone();
        let watched = Watched { daemon: "postgresql", address, timeout: self.timeout };
        let connector = Connector::new(Address::stream(self.net, &self.address)?);
        let connector = connector.timeout(self.timeout);
        let tls = self.rustls()?;
        let server = Server { settings: *self, connector, tls, client: None };
        daemon::watch(cx, watched, server).await
    }
}

impl PostgresqlInput {
    fn rustls(&self) -> anyhow::Result<Option<Rustls>> {
        let Some(tls) = Tls::wanted(self.use_tls, self.tls.as_ref())? else { return Ok(None) };
        let host = self.address.rsplit_once(':').map_or("localhost", |(host, _)| host);
        let name = if tls.server_name.is_empty() { host } else { &tls.server_name };
        Rustls::new(&tls, name).map(Some)
    }
}

/// A server, and the connection to it while there is one.
struct Server {
    settings: PostgresqlInput,
    connector: Connector,
    tls: Option<Rustls>,
    client: Option<Client>,
}

#[async_trait]
impl Daemon for Server {
    async fn ask(&mut self, report: &mut Report) -> anyhow::Result<()> {
        // One that fails, or is left in the middle of an answer, is not used again.
        let client = match self.client.take().filter(|client| !client.is_closed()) {
            Some(client) => client,
            None => self.connect().await?,
        };
        for query in QUERIES {
            let rows = rows(&client, query.sql).await.map_err(explained)?;
            for row in &rows {
                put(query, None, row, report);
            }
        }
        for (name, sql) in &self.settings.queries {
            let rows = rows(&client, sql).await.map_err(explained);
            let rows = rows.with_context(|| format!("the query `{name}` has failed"))?;
            for row in &rows {
                put(&queries::OWN, Some(name), row, report);
            }
        }
        self.client = Some(client);
        Ok(())
    }
}

impl Server {
    async fn connect(&self) -> anyhow::Result<Client> {
        let stream = self.connector.connect().await?;
        let mut config = Config::new();
        config.user(&self.settings.username).dbname(&self.settings.database);
        config.application_name("heka");
        if let Some(password) = &self.settings.password {
            config.password(password.reveal());
        }
        // The connection ends with the client.
        let client = if let Some(tls) = self.tls.clone() {
            config.ssl_mode(SslMode::Require);
            let (client, connection) = config.connect_raw(stream, tls).await.map_err(explained)?;
            tokio::spawn(connection);
            client
        } else {
            config.ssl_mode(SslMode::Disable);
            let (client, connection) =
                config.connect_raw(stream, NoTls).await.map_err(explained)?;
            tokio::spawn(connection);
            client
        };
        Ok(client)
    }
}

/// The error in the words of the server, and what to do about it.
fn explained(error: tokio_postgres::Error) -> anyhow::Error {
    let Some(told) = error.as_db_error() else {
        let text = in_one_line(&error);
        let advice = if text.contains("password missing") { "; give `password`" } else { "" };
        return anyhow!("{text}{advice}");
    };
    let advice = match told.code().code() {
        "28P01" => "; `username` or `password` is wrong",
        "28000" if told.message().contains("no encryption") => {
            "; give `use_tls = true`, or let this host in without, in pg_hba.conf"
        }
        "28000" => "; is there such a role, and does pg_hba.conf let it in from here?",
        "3D000" => "; `database` names one that is there",
        "42501" => {
            "; grant the role what it needs, `pg_monitor` for what the server tells of itself"
        }
        "53300" => "; the server has no connection left: raise `max_connections`",
        _ => "",
    };
    anyhow!("the server says: {}{advice}", told.message())
}

fn in_one_line(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// A row: the name and type of each column, and its value as text.
type Row = Vec<(String, Type, Option<String>)>;

/// Runs a query.
async fn rows(client: &Client, sql: &str) -> Result<Vec<Row>, tokio_postgres::Error> {
    // Texts can be read whatever the type is; what it is only a prepared query tells.
    let columns: Vec<(String, Type)> = client
        .prepare(sql)
        .await?
        .columns()
        .iter()
        .map(|column| (column.name().to_owned(), column.type_().clone()))
        .collect();
    let mut rows = Vec::new();
    for message in client.simple_query(sql).await? {
        let SimpleQueryMessage::Row(row) = message else { continue };
        if rows.len() < MAX_ROWS {
            let cells = columns.iter().enumerate().map(|(number, (name, kind))| {
                let value = row.try_get(number).ok().flatten().map(str::to_owned);
                (name.clone(), kind.clone(), value)
            });
            rows.push(cells.collect());
        }
    }
    Ok(rows)
}

fn put(query: &Query, own: Option<&str>, row: &Row, report: &mut Report) {
    // Texts tell the rows of a query apart.
    let texts = row.iter().filter(|(_, kind, _)| !is_number(kind));
    let key: Vec<&str> = texts.filter_map(|(.., value)| value.as_deref()).collect();
    let key = format!("{} {} {}", query.kind, own.unwrap_or_default(), key.join("\0"));
    let mut rates = Vec::new();
    for (name, kind, value) in row {
        let count = value.as_ref().and_then(|value| value.parse().ok());
        if let Some(count) =
            count.filter(|_| is_number(kind) && query.counts.contains(&name.as_str()))
        {
            rates.push((name, report.rate(&format!("{key} {name}"), count)));
        }
    }
    let mut message = report.begin(query.kind);
    if let Some(own) = own {
        message.string("query", "", own.as_bytes());
    }
    for (name, kind, value) in row {
        if let Some(value) = value {
            put_value(name, kind, value, &mut message);
        }
    }
    for (name, rate) in rates {
        if let Some(rate) = rate {
            let unit = if queries::unit(name) == "B" { "B/s" } else { "1/s" };
            message.double(&format!("{name}_per_second"), unit, rate);
        }
    }
    Report::finish(message);
}

fn is_number(kind: &Type) -> bool {
    [Type::INT2, Type::INT4, Type::INT8, Type::OID, Type::FLOAT4, Type::FLOAT8, Type::NUMERIC]
        .contains(kind)
}

fn put_value(name: &str, kind: &Type, value: &str, message: &mut Builder<'_>) {
    let unit = queries::unit(name);
    let whole = [Type::INT2, Type::INT4, Type::INT8, Type::OID].contains(kind);
    if *kind == Type::BOOL {
        message.boolean(name, "", value == "t");
    } else if let Some(number) = value.parse::<i64>().ok().filter(|_| whole) {
        message.integer(name, unit, number);
    } else if let Some(number) = value.parse::<f64>().ok().filter(|_| is_number(kind)) {
        message.double(name, unit, number);
    } else {
        message.string(name, "", value.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Value;

    #[test]
    fn rows_become_typed_fields_with_rates() {
        let row = |count: &str| -> Row {
            let cell =
                |name: &str, kind, value: &str| (name.to_owned(), kind, Some(value.to_owned()));
            vec![
                cell("database", Type::NAME, "shop"),
                cell("commits", Type::INT8, count),
                cell("size", Type::INT8, "4096"),
                cell("is_standby", Type::BOOL, "f"),
                cell("ratio", Type::NUMERIC, "0.5"),
                ("nothing".to_owned(), Type::INT8, None),
            ]
        };
        let query = Query { kind: "stats.postgresql.database", sql: "", counts: &["commits"] };
        let mut report = Report::new(crate::plugin::Origin::default());
        report.start();
        put(&query, None, &row("10"), &mut report);
        report.take();
        report.start_after(2.0);
        put(&query, None, &row("20"), &mut report);
        let batches = report.take();
        let told = batches[0].message(0);
        for (name, unit, expected) in [
            ("database", "", Value::String(b"shop")),
            ("commits", "", Value::Integer(20)),
            ("size", "B", Value::Integer(4096)),
            ("is_standby", "", Value::Bool(false)),
            ("ratio", "", Value::Double(0.5)),
            ("commits_per_second", "1/s", Value::Double(5.0)),
        ] {
            let field = told.field(name.as_bytes(), 0).unwrap();
            assert_eq!(field.only_value(), Some(expected), "{name}");
            assert_eq!(field.representation(), unit.as_bytes(), "{name}");
        }
        assert!(told.field(b"nothing", 0).is_none());
    }
}
