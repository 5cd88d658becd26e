//! The binary `heka`.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Huge pages round every arena up: they doubled the memory of a busy engine and gained no time.
    let _ = nix::sys::prctl::set_thp_disable(true);
    heka::cli::main()
}
