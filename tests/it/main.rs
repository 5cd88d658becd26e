//! Drives the built engine from outside, and checks the rules of the house.
//!
//! One binary for all of it, so that linking is paid once. A test that needs a server which is not
//! there shows as ignored, with the name of the program; where `HEKA_REQUIRE_SERVERS=1` is set, it
//! fails instead.

mod admin;
mod agents;
mod check;
mod coming_from_heka;
mod command_line;
mod configurations;
mod destinations;
mod docs;
mod editor;
mod engine;
mod errors;
mod filter;
mod harness;
mod heka_test;
mod heritage;
mod journal;
mod limits;
mod lpeg;
mod quickstart;
mod readme;
mod replay;
mod reports;
mod sandboxes;
mod scripts;
mod sources;
mod suite;
mod tidy;
mod tls;

use std::process::ExitCode;

use libtest_mimic::Arguments;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trials = [
        tidy::trials(),
        command_line::trials(),
        scripts::trials(),
        sources::trials(),
        destinations::trials(),
        readme::trials(),
        quickstart::trials(),
        configurations::trials(),
        engine::trials(),
        errors::trials(),
        docs::trials(),
        editor::trials(),
        filter::trials(),
        heka_test::trials(),
        heritage::trials(),
        replay::trials(),
        journal::trials(),
        limits::trials(),
        lpeg::trials(),
        check::trials(),
        coming_from_heka::trials(),
        reports::trials(),
        tls::trials(),
        admin::trials(),
        agents::trials(),
        sandboxes::trials(),
    ]
    .into_iter()
    .flatten()
    .collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}
