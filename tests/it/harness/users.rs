//! Servers that do not run as root.

use std::process::Command;

use anyhow::Context;

use super::Place;

/// A command that runs as this user, where the tests run as root.
pub(crate) fn as_user(user: &str, program: &str) -> Command {
    if !nix::unistd::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", user, "--regid", user, "--clear-groups", program]);
    command
}

/// Gives what is called `name` in a place to a user; the folder itself where that is empty.
pub(crate) fn give(place: &Place, user: &str, name: &str) -> anyhow::Result<()> {
    if nix::unistd::geteuid().is_root() {
        let user = nix::unistd::User::from_name(user)?.context("there is no such user")?;
        nix::unistd::chown(&place.path(name), Some(user.uid), Some(user.gid))?;
    }
    Ok(())
}
