//! The rules of the house that neither the compiler nor clippy can check.
//!
//! - [`files`]: names, sizes, the first line
//! - [`layers`]: who imports whom, and who may name tokio
//! - [`imports`]: one path a line, three groups
//! - [`lua`]: the spec beside a script, the types beside the API
//!
//! `TIDY=fix cargo test tidy` formats the code instead of complaining about its format.

mod files;
mod imports;
mod layers;
mod lua;
mod source;

use std::process::Command;

use libtest_mimic::Trial;

use crate::suite::test;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("tidy::code_is_formatted", code_is_formatted),
        test("tidy::files_say_what_they_are", files::files_say_what_they_are),
        test("tidy::files_are_of_a_size_to_be_read", files::files_are_of_a_size_to_be_read),
        test("tidy::files_are_named_after_one_thing", files::files_are_named_after_one_thing),
        test("tidy::layers_import_only_what_their_row_names", layers::imports_follow_the_table),
        test("tidy::layers_are_all_in_the_table", layers::table_names_every_module),
        test("tidy::tokio_stays_where_it_belongs", layers::tokio_stays_where_it_belongs),
        test("tidy::imports_are_one_path_a_line", imports::imports_are_one_path_a_line),
        test("tidy::imports_stand_in_three_groups", imports::imports_stand_in_three_groups),
        test("tidy::scripts_have_a_spec_beside_them", lua::scripts_have_a_spec_beside_them),
        test("tidy::api_has_its_types_for_the_editor", lua::api_has_its_types_for_the_editor),
    ]
}

fn code_is_formatted() -> anyhow::Result<()> {
    let fixes = std::env::var_os("TIDY").is_some_and(|value| value == "fix");
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.arg("fmt").current_dir(env!("CARGO_MANIFEST_DIR"));
    if !fixes {
        command.args(["--", "--check", "-l"]);
    }
    let output = command.output()?;
    anyhow::ensure!(
        output.status.success(),
        "run `TIDY=fix cargo test tidy`; not formatted:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// Fails with the complaints, one a line, where there are any.
fn none(complaints: Vec<String>) -> anyhow::Result<()> {
    anyhow::ensure!(complaints.is_empty(), "\n  {}", complaints.join("\n  "));
    Ok(())
}
