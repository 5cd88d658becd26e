//! A prepared statement, and the rows that it is run with.

use anyhow::Context;
use anyhow::bail;
use scylla::client::session::Session;
use scylla::cluster::metadata::ColumnType;
use scylla::cluster::metadata::NativeType;
use scylla::serialize::SerializationError;
use scylla::serialize::row::RowSerializationContext;
use scylla::serialize::row::SerializeRow;
use scylla::serialize::writers::RowWriter;
use scylla::statement::batch::BatchType;
use scylla::statement::prepared::PreparedStatement;

use super::settings::Settings;
use super::source::Source;
use super::source::Subject;
use super::value;
use crate::net::cassandra::explained;

/// What the driver calls the marker behind `USING TIMESTAMP`.
const WRITE_TIME: &str = "[timestamp]";

/// See the module.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) prepared: PreparedStatement,
    markers: Vec<Marker>,
    /// The markers that make up the key of the partition; none where it is not known.
    key: Vec<usize>,
}

#[derive(Debug)]
struct Marker {
    name: String,
    kind: ColumnType<'static>,
    filling: Filling,
}

#[derive(Debug)]
enum Filling {
    /// The time of the message, in microseconds.
    WriteTime,
    Source(Source),
}

/// The values of a row.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    bytes: Vec<u8>,
    /// Where each value begins and ends; one that is left as it is has no place.
    cells: Vec<Option<(u32, u32)>>,
}

impl Statement {
    /// Has the cluster prepare what the settings ask for.
    ///
    /// # Errors
    /// When it does not like the statement, or asks for something that `columns` does not give.
    pub(super) async fn prepare(
        session: &Session,
        text: &str,
        settings: &Settings,
    ) -> anyhow::Result<Statement> {
        let prepared = session.prepare(text).await;
        let prepared = prepared
            .map_err(|error| anyhow::anyhow!("cannot prepare `{text}`: {}", explained(&error)))?;
        let mut markers = Vec::new();
        for spec in prepared.get_variable_col_specs().iter() {
            let name = spec.name().to_owned();
            let filling = if settings.time_series.is_empty() {
                settings.columns.get(&name).cloned().map(Filling::Source)
            } else {
                super::series::source(&name).map(Filling::Source)
            };
            let filling = match filling {
                Some(filling) => filling,
                None if name == WRITE_TIME => Filling::WriteTime,
                None => bail!("the statement asks for `{name}`, which `columns` does not give"),
            };
            markers.push(Marker { name, kind: spec.typ().clone(), filling });
        }
        let mut key = prepared.get_variable_pk_indexes().to_vec();
        key.sort_by_key(|index| index.sequence);
        let key = key.into_iter().map(|index| usize::from(index.index)).collect();
        Ok(Statement { prepared, markers, key })
    }

    /// What kind of batch it may be in.
    pub(super) fn batch_type(&self) -> BatchType {
        let is_counter =
            |marker: &Marker| matches!(marker.kind, ColumnType::Native(NativeType::Counter));
        if self.markers.iter().any(is_counter) { BatchType::Counter } else { BatchType::Unlogged }
    }

    /// The row that a message becomes.
    ///
    /// # Errors
    /// When a column cannot have what it is to get.
    pub(super) fn row(&mut self, subject: &Subject<'_>) -> anyhow::Result<Row> {
        let mut row = Row::default();
        row.bytes.reserve(128);
        row.cells.reserve_exact(self.markers.len());
        for marker in &mut self.markers {
            let start = row.bytes.len();
            let is_there = match &mut marker.filling {
                Filling::WriteTime => {
                    let time = value::write_time(&subject.message)?;
                    row.bytes.extend_from_slice(&time.to_be_bytes());
                    true
                }
                Filling::Source(source) => match source.of(subject) {
                    None => false,
                    Some(datum) => {
                        datum
                            .put(&marker.kind, &mut row.bytes)
                            .with_context(|| format!("the column `{}`", marker.name))?;
                        true
                    }
                },
            };
            let end = u32::try_from(row.bytes.len()).context("a row of 4 GiB")?;
            row.cells.push(is_there.then_some((u32::try_from(start).unwrap_or(end), end)));
        }
        for at in &self.key {
            let name = &self.markers[*at].name;
            let is_there = row.cells[*at].is_some();
            anyhow::ensure!(is_there, "the message has nothing for `{name}`, a column of the key");
        }
        Ok(row)
    }

    /// What tells the partition of a row from others; `None` where that is not known.
    pub(super) fn partition(&self, row: &Row) -> Option<Vec<u8>> {
        let mut partition = Vec::new();
        for at in &self.key {
            let cell = row.cell(*at)?;
            partition.extend_from_slice(&u32::try_from(cell.len()).ok()?.to_be_bytes());
            partition.extend_from_slice(cell);
        }
        (!partition.is_empty()).then_some(partition)
    }
}

impl Row {
    fn cell(&self, at: usize) -> Option<&[u8]> {
        let (start, end) = (*self.cells.get(at)?)?;
        self.bytes.get(start as usize..end as usize)
    }

    /// About how many bytes it is on its way.
    pub(super) fn size(&self) -> usize {
        self.bytes.len() + 4 * self.cells.len() + 32
    }
}

impl SerializeRow for Row {
    fn serialize(
        &self,
        _cx: &RowSerializationContext<'_>,
        writer: &mut RowWriter<'_>,
    ) -> Result<(), SerializationError> {
        for at in 0..self.cells.len() {
            let cell = writer.make_cell_writer();
            match self.cell(at) {
                None => cell.set_unset(),
                Some(bytes) => cell.set_value(bytes).map_err(SerializationError::new)?,
            };
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }
}
