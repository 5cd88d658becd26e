//! The list of all families of plugins.

use crate::decoders::DECODERS;
use crate::encoders::ENCODERS;
use crate::filters::FILTERS;
use crate::inputs::INPUTS;
use crate::outputs::OUTPUTS;
use crate::plugin::Catalog;
use crate::splitters::SPLITTERS;

/// Every kind of plugin there is.
pub const CATALOG: Catalog = Catalog {
    inputs: INPUTS,
    splitters: SPLITTERS,
    decoders: DECODERS,
    filters: FILTERS,
    encoders: ENCODERS,
    outputs: OUTPUTS,
};

/// What a build may be without: the feature of cargo that brings it, whether this build has it, and the
/// kinds it is for.
pub const FEATURES: &[(&str, bool, &[&str])] = &[
    ("cassandra", cfg!(feature = "cassandra"), &["CassandraInput", "CassandraOutput"]),
    ("kafka", cfg!(feature = "kafka"), &["KafkaInput", "KafkaOutput"]),
];
