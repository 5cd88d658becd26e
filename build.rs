//! Lets the linker take our function that writes numbers for Luau's, whichever linker it is: some take both for a
//! mistake. Why stands in `src/sandbox/raw/number.rs`.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        println!("cargo:rustc-link-arg=-Wl,--allow-multiple-definition");
    }
}
