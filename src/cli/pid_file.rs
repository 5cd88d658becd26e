//! The file that holds the process id while the engine runs.

use std::path::PathBuf;

use anyhow::Context;
use nix::unistd::Gid;
use nix::unistd::Uid;

/// Removes the file, or empties it, when the engine ends.
#[derive(Debug)]
pub(super) struct PidFile(PathBuf);

impl PidFile {
    /// Writes the process id to `path`.
    ///
    /// # Errors
    /// When the file names a process that lives, or cannot be written.
    pub(super) fn write(path: PathBuf) -> anyhow::Result<PidFile> {
        if let Ok(text) = std::fs::read_to_string(&path)
            && let Ok(id) = text.trim().parse::<i32>()
            && nix::sys::signal::kill(nix::unistd::Pid::from_raw(id), None).is_ok()
            && u32::try_from(id) != Ok(std::process::id())
        {
            anyhow::bail!("{} names process {id}, which is running", path.display());
        }
        std::fs::write(&path, format!("{}\n", std::process::id()))
            .with_context(|| format!("cannot write the pid file {}", path.display()))?;
        Ok(PidFile(path))
    }

    /// Gives the file to an account.
    ///
    /// # Errors
    /// As the system gives them.
    pub(super) fn give_to(&self, user: Uid, group: Gid) -> std::io::Result<()> {
        std::os::unix::fs::lchown(&self.0, Some(user.as_raw()), Some(group.as_raw()))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // Who may not take it out of its folder any more can still empty it.
        if std::fs::remove_file(&self.0).is_err() {
            let _ = std::fs::write(&self.0, "");
        }
    }
}
