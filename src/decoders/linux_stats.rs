//! `LinuxStatsDecoder`: what Linux says of the machine in `/proc` and `/sys`.

use anyhow::Context;
use anyhow::bail;
use schemars::JsonSchema;
use serde::Deserialize;

use super::envelope;
use super::envelope::Envelope;
use crate::formats::linux::cpu;
use crate::formats::linux::disk;
use crate::formats::linux::load;
use crate::formats::linux::memory;
use crate::formats::linux::network;
use crate::message::ArrayBuilder;
use crate::message::Batch;
use crate::message::Builder;
use crate::message::Value;
use crate::plugin::Decoder;
use crate::plugin::DecoderContext;
use crate::plugin::Decoding;
use crate::plugin::Described;
use crate::plugin::Record;

/// Reads what a FilePollingInput reads from `/proc/loadavg`, `/proc/meminfo`, `/proc/stat`,
/// `/proc/diskstats`, `/sys/block/DISK/stat`, `/proc/net/dev`, `/proc/net/snmp` or
/// `/proc/net/netstat`, into the messages of Heka's decoders, of the types `stats.loadavg`,
/// `stats.memstats`, `stats.procstat`, `stats.diskstats`, `stats.netdev` and `stats.netstat`.
///
/// Each disk that was used and each interface is a message of its own, called `device` and `netdevice`.
/// `FilePath` and `TickerInterval` are those of the input.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LinuxStatsDecoder {
    /// Which file it is; the field `FilePath` tells where this is left out.
    #[serde(default)]
    format: Option<Format>,
    /// Whether the file is kept as payload.
    #[serde(default)]
    payload_keep: bool,
}

/// A file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Format {
    Loadavg,
    Meminfo,
    Procstat,
    Diskstats,
    Netdev,
    Netstat,
}

impl Format {
    /// The file that a path leads to.
    fn of(path: &str) -> Option<Format> {
        Some(match path.rsplit('/').next()? {
            "loadavg" => Format::Loadavg,
            "meminfo" => Format::Meminfo,
            "diskstats" => Format::Diskstats,
            "dev" => Format::Netdev,
            "snmp" | "netstat" => Format::Netstat,
            "stat" if path.contains("/block/") => Format::Diskstats,
            "stat" => Format::Procstat,
            _ => return None,
        })
    }

    fn message_type(self) -> &'static [u8] {
        match self {
            Format::Loadavg => b"stats.loadavg",
            Format::Meminfo => b"stats.memstats",
            Format::Procstat => b"stats.procstat",
            Format::Diskstats => b"stats.diskstats",
            Format::Netdev => b"stats.netdev",
            Format::Netstat => b"stats.netstat",
        }
    }
}

impl Described for LinuxStatsDecoder {
    const NAME: &'static str = "LinuxStatsDecoder";
    const ABOUT: &'static str = "Reads load, memory, processors, disks and network from /proc.";
    const EXAMPLE: &'static str = "[LinuxStatsDecoder]\nformat = \"loadavg\"\n";
}

impl Decoder for LinuxStatsDecoder {
    fn start(&self, _cx: &DecoderContext<'_>) -> anyhow::Result<Box<dyn Decoding>> {
        Ok(Box::new(Files { settings: self.clone(), inner: envelope::Inner::default() }))
    }
}

struct Files {
    settings: LinuxStatsDecoder,
    inner: envelope::Inner,
}

impl Decoding for Files {
    fn decode(&mut self, record: &Record<'_>, out: &mut Batch) -> anyhow::Result<()> {
        let record = &envelope::text_of(record, &mut self.inner)?;
        let text = std::str::from_utf8(record.bytes).context("the file is not text")?;
        let format = match self.settings.format {
            Some(format) => format,
            None => format_of(record)?,
        };
        let mut envelope = Envelope::of(record);
        envelope.message_type = format.message_type();
        envelope.payload = self.settings.payload_keep.then_some(record.bytes);
        let before = out.len();
        let written = match format {
            Format::Loadavg => put_load(text, record, &envelope, out),
            Format::Meminfo => put_memory(text, record, &envelope, out),
            Format::Procstat => put_processors(text, record, &envelope, out),
            Format::Diskstats => put_disks(text, record, &envelope, out),
            Format::Netdev => put_interfaces(text, record, &envelope, out),
            Format::Netstat => put_protocols(text, record, &envelope, out),
        };
        written.with_context(|| format!("the file is not that of {format:?}").to_lowercase())?;
        // Disks that were never used give no message, and are no mistake.
        if out.len() == before && format != Format::Diskstats {
            bail!("nothing in the file could be read");
        }
        Ok(())
    }
}

/// The file by the path that the input gives.
fn format_of(record: &Record<'_>) -> anyhow::Result<Format> {
    let mut batch = Batch::new();
    record.write(&mut batch)?;
    let message = batch.message(0);
    let path = message.value(b"FilePath", 0, 0).and_then(|path| path.as_bytes());
    let path = path.context("there is no `format` and no field FilePath")?;
    let path = String::from_utf8_lossy(path);
    Format::of(&path).with_context(|| format!("{path} is no file that is known; set `format`"))
}

/// The envelope with a name of its own for each message of a file.
fn numbered<'a>(envelope: &Envelope<'a>, index: usize) -> Envelope<'a> {
    let mut numbered = *envelope;
    let [.., high, low] = &mut numbered.uuid;
    let bytes = index.to_be_bytes();
    *low ^= bytes[bytes.len() - 1];
    *high ^= bytes[bytes.len() - 2];
    numbered
}

fn end(mut builder: Builder<'_>, record: &Record<'_>) -> anyhow::Result<()> {
    builder.encoded_fields(record.origin.fields());
    builder.finish()?;
    Ok(())
}

fn put_load(
    text: &str,
    record: &Record<'_>,
    envelope: &Envelope<'_>,
    out: &mut Batch,
) -> anyhow::Result<()> {
    let load = load::read(text).context("expected three averages and two counts")?;
    let mut builder = envelope.begin(out);
    for (name, average) in ["1MinAvg", "5MinAvg", "15MinAvg"].iter().zip(load.averages) {
        builder.double(name, "", average);
    }
    builder.double("NumProcesses", "", load.running as f64);
    end(builder, record)
}

fn put_memory(
    text: &str,
    record: &Record<'_>,
    envelope: &Envelope<'_>,
    out: &mut Batch,
) -> anyhow::Result<()> {
    let mut amounts = memory::amounts(text).peekable();
    amounts.peek().context("expected names and amounts")?;
    let mut builder = envelope.begin(out);
    for amount in amounts {
        builder.double(amount.name, amount.unit, amount.value as f64);
    }
    end(builder, record)
}

fn put_processors(
    text: &str,
    record: &Record<'_>,
    envelope: &Envelope<'_>,
    out: &mut Batch,
) -> anyhow::Result<()> {
    let mut counts = cpu::counts(text).peekable();
    counts.peek().context("expected names and counts")?;
    let mut builder = envelope.begin(out);
    let mut values = ArrayBuilder::default();
    for counts in counts {
        values.clear();
        for value in counts.values {
            values.push(Value::Double(value as f64));
        }
        builder.array(counts.name, "", &values);
    }
    end(builder, record)
}

fn put_disks(
    text: &str,
    record: &Record<'_>,
    envelope: &Envelope<'_>,
    out: &mut Batch,
) -> anyhow::Result<()> {
    let mut disks = disk::disks(text).peekable();
    disks.peek().context("expected eleven counts for each disk")?;
    for (index, disk) in disks.enumerate() {
        if !disk.device.is_empty() && !disk.is_whole_and_used() {
            continue;
        }
        let mut builder = numbered(envelope, index).begin(out);
        if !disk.device.is_empty() {
            builder.string("device", "", disk.device.as_bytes());
        }
        for (name, count) in disk::COLUMNS.iter().zip(disk.counts) {
            let unit = if name.contains("Time") { "ms" } else { "" };
            builder.double(name, unit, count as f64);
        }
        end(builder, record)?;
    }
    Ok(())
}

fn put_interfaces(
    text: &str,
    record: &Record<'_>,
    envelope: &Envelope<'_>,
    out: &mut Batch,
) -> anyhow::Result<()> {
    for (index, interface) in network::interfaces(text).enumerate() {
        let mut builder = numbered(envelope, index).begin(out);
        builder.string("netdevice", "", interface.name.as_bytes());
        for (name, count) in network::COLUMNS.iter().zip(interface.counts) {
            let unit = if name.ends_with("_bytes") { "B" } else { "" };
            builder.integer(name, unit, i64::try_from(count).unwrap_or(i64::MAX));
        }
        end(builder, record)?;
    }
    Ok(())
}

fn put_protocols(
    text: &str,
    record: &Record<'_>,
    envelope: &Envelope<'_>,
    out: &mut Batch,
) -> anyhow::Result<()> {
    let mut counts = network::protocols(text).peekable();
    counts.peek().context("expected a line of names and one of counts for each protocol")?;
    let mut builder = envelope.begin(out);
    for (protocol, name, count) in counts {
        builder.integer(&format!("{protocol}_{name}"), "", count);
    }
    end(builder, record)
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    fn check_file(format: &str, text: &str, expected: &str) {
        let settings = format!("[LinuxStatsDecoder]\nformat = '{format}'");
        check(&settings, "LinuxStatsDecoder", text, expected);
    }

    #[test]
    fn files_become_the_messages_of_heka() {
        check_file(
            "loadavg",
            "0.20 0.18 0.12 1/80 11206\n",
            "time 0\ntype stats.loadavg\nfrom logger host\n1MinAvg 0.2f\n5MinAvg 0.18f\n\
             15MinAvg 0.12f\nNumProcesses 1.0f\nextra 1\n",
        );
        check_file(
            "meminfo",
            "MemTotal:  99 kB\nHugePages_Total: 0\n",
            "time 0\ntype stats.memstats\nfrom logger host\nMemTotal[kB] 99.0f\n\
             HugePages_Total 0.0f\nextra 1\n",
        );
        check_file(
            "procstat",
            "cpu  1 2\ncpu0 1 2\nctxt 3\n",
            "time 0\ntype stats.procstat\nfrom logger host\ncpu 1.0f 2.0f\ncpu0 1.0f 2.0f\nctxt 3.0f\n\
             extra 1\n",
        );
        check_file(
            "diskstats",
            " 8 0 sda 1 2 3 4 5 6 7 8 9 10 11\n 8 1 sda1 1 2 3 4 5 6 7 8 9 10 11\n",
            "time 0\ntype stats.diskstats\nfrom logger host\ndevice \"sda\"\nReadsCompleted 1.0f\n\
             ReadsMerged 2.0f\nSectorsRead 3.0f\nTimeReading[ms] 4.0f\nWritesCompleted 5.0f\n\
             WritesMerged 6.0f\nSectorsWritten 7.0f\nTimeWriting[ms] 8.0f\nNumIOInProgress 9.0f\n\
             TimeDoingIO[ms] 10.0f\nWeightedTimeDoingIO[ms] 11.0f\nextra 1\n",
        );
        check_file(
            "netstat",
            "Ip: In Out\nIp: 1 -2\n",
            "time 0\ntype stats.netstat\nfrom logger host\nIp_In 1\nIp_Out -2\nextra 1\n",
        );
    }

    #[test]
    fn each_interface_is_a_message() {
        let interface = |name: &str| format!(" {name}: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n");
        let message = |name: &str| {
            format!(
                "time 0\ntype stats.netdev\nfrom logger host\nnetdevice \"{name}\"\n\
                 receive_bytes[B] 1\nreceive_packets 2\nreceive_errs 3\nreceive_drop 4\n\
                 receive_fifo 5\nreceive_frame 6\nreceive_compressed 7\nreceive_multicast 8\n\
                 transmit_bytes[B] 9\ntransmit_packets 10\ntransmit_errs 11\ntransmit_drop 12\n\
                 transmit_fifo 13\ntransmit_colls 14\ntransmit_carrier 15\ntransmit_compressed 16\n\
                 extra 1\n"
            )
        };
        let text = format!("Inter-|\n{}{}", interface("lo"), interface("eth0"));
        check_file("netdev", &text, &format!("{}--\n{}", message("lo"), message("eth0")));
    }

    #[test]
    fn mistakes_are_told() {
        check(
            "[LinuxStatsDecoder]",
            "LinuxStatsDecoder",
            "x",
            "error: there is no `format` and no field FilePath\n",
        );
        check_file(
            "loadavg",
            "x",
            "error: the file is not that of loadavg: expected three averages and two counts\n",
        );
        check_file("netdev", "x", "error: nothing in the file could be read\n");
    }
}
