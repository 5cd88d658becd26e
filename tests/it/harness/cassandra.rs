//! A node of Cassandra, from the artifacts in the folder that `HEKA_CASSANDRA` names: `lib/` with
//! `cassandra-all` and what it needs. Takes a gigabyte of memory and ten seconds to start.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;
use libtest_mimic::Trial;

use super::Place;
use crate::suite::Test;
use crate::suite::test_with;

/// The packages of the JDK that a node looks into.
const OPENED: &[&str] = &[
    "java.base/java.io",
    "java.base/java.lang",
    "java.base/java.lang.reflect",
    "java.base/java.lang.ref",
    "java.base/java.math",
    "java.base/java.net",
    "java.base/java.nio",
    "java.base/java.util",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/jdk.internal.access",
    "java.base/jdk.internal.loader",
    "java.base/jdk.internal.math",
    "java.base/jdk.internal.misc",
    "java.base/jdk.internal.module",
    "java.base/jdk.internal.ref",
    "java.base/jdk.internal.reflect",
    "java.base/jdk.internal.util.jar",
    "java.base/sun.nio.ch",
    "java.management.rmi/com.sun.jmx.remote.internal.rmi",
    "java.rmi/sun.rmi.registry",
    "java.rmi/sun.rmi.server",
    "java.rmi/sun.rmi.transport.tcp",
    "java.sql/java.sql",
    "jdk.management/com.sun.management.internal",
];

fn folder() -> Option<PathBuf> {
    std::env::var_os("HEKA_CASSANDRA").map(PathBuf::from)
}

/// A test that needs a node, and the feature.
pub(crate) fn trial(name: &str, run: Test) -> Trial {
    let missing = if cfg!(feature = "cassandra") { "HEKA_CASSANDRA" } else { "feature cassandra" };
    if missing != "HEKA_CASSANDRA" || folder().is_none() {
        let kind = format!("no {missing}");
        return Trial::test(name, || Ok(())).with_ignored_flag(true).with_kind(kind);
    }
    test_with(&["java"], name, run)
}

/// What starts a node that listens on `port` and lets in the user `cassandra` with that password. What
/// it stores stays in the place. It syncs what it acknowledges, which with the default it does later:
/// a kill would take back what it has said.
pub(crate) fn node(place: &Place, port: u16, storage_port: u16) -> anyhow::Result<Command> {
    node_with(place, port, storage_port, "")
}

/// As [`node`], with more settings, in YAML.
pub(crate) fn node_with(
    place: &Place,
    port: u16,
    storage_port: u16,
    more: &str,
) -> anyhow::Result<Command> {
    let lib = folder().context("HEKA_CASSANDRA is not set")?.join("lib");
    let at = place.path("node").display().to_string();
    place.write(
        "node/cassandra.yaml",
        &format!(
            "cluster_name: heka\nnum_tokens: 1\nlisten_address: 127.0.0.1\nrpc_address: 127.0.0.1\n\
             partitioner: org.apache.cassandra.dht.Murmur3Partitioner\n\
             endpoint_snitch: SimpleSnitch\nnative_transport_port: {port}\n\
             storage_port: {storage_port}\nauthenticator: PasswordAuthenticator\n\
             seed_provider:\n  - class_name: org.apache.cassandra.locator.SimpleSeedProvider\n    \
             parameters: [{{seeds: '127.0.0.1:{storage_port}'}}]\n\
             commitlog_sync: batch\n\
             hints_directory: {at}/hints\ndata_file_directories: [{at}/data]\n\
             commitlog_directory: {at}/commitlog\nsaved_caches_directory: {at}/saved\n\
             cdc_raw_directory: {at}/cdc\nauto_snapshot: false\n{more}"
        ),
    )?;
    let mut command = Command::new("java");
    command.args(["-Xms768m", "-Xmx768m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
    for package in OPENED {
        command.args(["--add-exports", &format!("{package}=ALL-UNNAMED")]);
        command.args(["--add-opens", &format!("{package}=ALL-UNNAMED")]);
    }
    command.arg(format!("-Dcassandra.config=file://{at}/cassandra.yaml"));
    command.arg(format!("-Dcassandra.storagedir={at}"));
    command.arg(format!("-Djava.io.tmpdir={at}"));
    // It is alone: there is nobody to wait for.
    command.args(["-Dcassandra.ring_delay_ms=100", "-Dcassandra.superuser_setup_delay_ms=0"]);
    command.args(["-Dcassandra.skip_wait_for_gossip_to_settle=0", "-Dcassandra-foreground=yes"]);
    command.arg("-Djdk.attach.allowAttachSelf=true");
    command.arg("-cp").arg(format!("{}/*", lib.display()));
    command.arg("org.apache.cassandra.service.CassandraDaemon");
    Ok(command)
}

/// What a node answers to a statement, a line for each row.
#[cfg(feature = "cassandra")]
pub(crate) fn ask(port: u16, statement: &str) -> anyhow::Result<String> {
    use scylla::client::session_builder::SessionBuilder;
    use scylla::value::CqlValue;
    use scylla::value::Row;

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let builder = SessionBuilder::new().known_node(format!("127.0.0.1:{port}"));
        let session = builder.user("cassandra", "cassandra").build().await?;
        let found = session.query_unpaged(statement, &()).await?;
        let Ok(found) = found.into_rows_result() else { return Ok(String::new()) };
        let mut lines = String::new();
        for row in found.rows::<Row>()? {
            let cells = row?.columns.into_iter().map(|cell| match cell {
                Some(CqlValue::Text(text)) => text,
                Some(CqlValue::BigInt(number)) => number.to_string(),
                Some(CqlValue::Int(number)) => number.to_string(),
                Some(CqlValue::Double(number)) => number.to_string(),
                Some(CqlValue::Counter(number)) => number.0.to_string(),
                Some(CqlValue::Timestamp(time)) => time.0.to_string(),
                other => format!("{other:?}"),
            });
            lines.push_str(&(cells.collect::<Vec<_>>().join(" ") + "\n"));
        }
        Ok(lines)
    })
}

/// Without the driver there is nobody to ask.
#[cfg(not(feature = "cassandra"))]
pub(crate) fn ask(_port: u16, _statement: &str) -> anyhow::Result<String> {
    anyhow::bail!("this build is without cassandra")
}
