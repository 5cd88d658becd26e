//! What the machine and the account say of themselves.

use std::env;
use std::path::PathBuf;

/// Returns the name of the machine, or `localhost` if it has none.
pub fn hostname() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| "localhost".to_owned())
}

/// Returns the folder where the state of the engine goes by default: `/var/cache/hekad` for root, for
/// others `heka` in `$XDG_STATE_HOME` or in `~/.local/state`.
pub fn state_folder() -> PathBuf {
    if nix::unistd::geteuid().is_root() {
        return PathBuf::from("/var/cache/hekad");
    }
    let absolute =
        |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
        .unwrap_or_else(env::temp_dir);
    state.join("heka")
}
