//! Lets the linker take the engine's function that writes numbers for Luau's: the engine's own `build.rs`
//! says so for its own programs alone.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        println!("cargo:rustc-link-arg=-Wl,--allow-multiple-definition");
    }
}
