//! Wire formats that inputs, decoders, encoders and outputs share.

pub mod json_text;
