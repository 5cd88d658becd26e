//! Wire formats that inputs, decoders, encoders and outputs share.
