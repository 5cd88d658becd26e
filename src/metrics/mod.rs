//! Counters, gauges and histograms, and their registry.
