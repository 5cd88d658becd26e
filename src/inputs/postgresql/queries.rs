//! What a PostgreSQL server is asked, version 10 and later.

/// A query and what its rows become.
pub(super) struct Query {
    /// The type of the messages.
    pub(super) kind: &'static str,
    /// The query.
    pub(super) sql: &'static str,
    /// The columns that are counted since a start and have rates.
    pub(super) counts: &'static [&'static str],
}

/// What a query of one's own gives.
pub(super) const OWN: Query = Query { kind: "stats.postgresql.query", sql: "", counts: &[] };

/// What every server is asked.
pub(super) const QUERIES: &[Query] = &[
    Query {
        kind: "stats.postgresql",
        sql: "select current_setting('server_version') as version, \
              extract(epoch from now() - pg_postmaster_start_time())::float8 as uptime, \
              current_setting('max_connections')::int8 as max_connections, \
              (select count(*) from pg_stat_activity where backend_type = 'client backend') \
              as connections, \
              (select count(*) from pg_locks where not granted) as locks_waited_for, \
              (select count(*) from pg_prepared_xacts) as prepared_transactions, \
              pg_is_in_recovery() as is_standby, \
              case when pg_is_in_recovery() then \
              extract(epoch from now() - pg_last_xact_replay_timestamp())::float8 end as replay_delay",
        counts: &[],
    },
    Query {
        kind: "stats.postgresql.database",
        sql: "select s.datname as database, s.numbackends as connections, \
              s.xact_commit as commits, s.xact_rollback as rollbacks, \
              s.blks_read as blocks_read, s.blks_hit as blocks_hit, \
              case when s.blks_hit + s.blks_read > 0 then \
              s.blks_hit * 100.0::float8 / (s.blks_hit + s.blks_read) end as cache_hit_percent, \
              s.tup_returned as rows_returned, s.tup_fetched as rows_fetched, \
              s.tup_inserted as rows_inserted, s.tup_updated as rows_updated, \
              s.tup_deleted as rows_deleted, s.conflicts, s.deadlocks, \
              s.temp_files, s.temp_bytes, age(d.datfrozenxid)::int8 as transaction_age, \
              case when has_database_privilege(s.datid, 'connect') then \
              pg_database_size(s.datid) end as size \
              from pg_stat_database s join pg_database d on d.oid = s.datid \
              where not d.datistemplate",
        counts: &[
            "commits",
            "rollbacks",
            "blocks_read",
            "blocks_hit",
            "rows_returned",
            "rows_fetched",
            "rows_inserted",
            "rows_updated",
            "rows_deleted",
            "conflicts",
            "deadlocks",
            "temp_files",
            "temp_bytes",
        ],
    },
    Query {
        kind: "stats.postgresql.activity",
        sql: "select coalesce(datname, '') as database, coalesce(state, 'unknown') as state, \
              count(*) as connections, \
              count(*) filter (where wait_event_type = 'Lock') as waiting_for_locks, \
              coalesce(max(extract(epoch from now() - xact_start)), 0)::float8 \
              as oldest_transaction, \
              coalesce(max(extract(epoch from now() - query_start)), 0)::float8 as oldest_query \
              from pg_stat_activity \
              where backend_type = 'client backend' and pid <> pg_backend_pid() group by 1, 2",
        counts: &[],
    },
    Query {
        kind: "stats.postgresql.writer",
        sql: "select * from pg_stat_bgwriter",
        counts: &[
            "checkpoints_timed",
            "checkpoints_req",
            "buffers_checkpoint",
            "buffers_clean",
            "maxwritten_clean",
            "buffers_backend",
            "buffers_backend_fsync",
            "buffers_alloc",
        ],
    },
    Query {
        kind: "stats.postgresql.replication",
        sql: "select application_name as standby, coalesce(host(client_addr), 'local') as address, \
              state, sync_state, \
              coalesce(extract(epoch from write_lag), 0)::float8 as write_lag, \
              coalesce(extract(epoch from flush_lag), 0)::float8 as flush_lag, \
              coalesce(extract(epoch from replay_lag), 0)::float8 as replay_lag, \
              pg_wal_lsn_diff(case when pg_is_in_recovery() then pg_last_wal_receive_lsn() \
              else pg_current_wal_lsn() end, replay_lsn)::int8 as behind_bytes \
              from pg_stat_replication",
        counts: &[],
    },
    Query {
        kind: "stats.postgresql.slot",
        sql: "select slot_name as slot, slot_type as type, coalesce(database, '') as database, \
              active, pg_wal_lsn_diff(case when pg_is_in_recovery() then \
              pg_last_wal_receive_lsn() else pg_current_wal_lsn() end, restart_lsn)::int8 \
              as retained_bytes from pg_replication_slots",
        counts: &[],
    },
];

/// The unit of a column.
pub(super) fn unit(name: &str) -> &'static str {
    match name {
        "size" => "B",
        "uptime" | "replay_delay" | "oldest_transaction" | "oldest_query" => "s",
        "write_lag" | "flush_lag" | "replay_lag" => "s",
        "checkpoint_write_time" | "checkpoint_sync_time" => "ms",
        _ if name.ends_with("_bytes") => "B",
        _ if name.ends_with("_percent") => "%",
        _ if name.ends_with("_seconds") => "s",
        _ => "",
    }
}
