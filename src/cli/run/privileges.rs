//! From root to an account of the engine's own, for good.
//!
//! It is done before anything runs: no script, no decoder and no client is ever served by root. Of
//! all that root may do one thing is kept, binding ports below 1024, so that an input can listen
//! there at the start, after a failure and after a reload. What is only root's to read, a log file
//! say, is to be opened to the account or to a group it is in: its supplementary groups are taken.

use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::Context;
use nix::unistd::Gid;
use nix::unistd::Uid;
use rustix::thread::CapabilitySet;
use rustix::thread::CapabilitySets;

use crate::config::Hekad;
use crate::stdx::account::Account;

/// How deep the engine's folder is gone through.
const MAX_DEPTH: u32 = 8;

/// Becomes the account that `[hekad]` names, if it names one.
///
/// # Errors
/// When that fails: the engine is not to run as root then.
pub(super) fn give_up(hekad: &Hekad) -> anyhow::Result<()> {
    let Some(account) = &hekad.user else {
        anyhow::ensure!(
            hekad.group.is_none_or(|group| group == nix::unistd::getegid()),
            "`group` says nothing without `user`"
        );
        return Ok(());
    };
    let group = hekad.group.unwrap_or(account.group);
    let now = (nix::unistd::geteuid(), nix::unistd::getegid());
    if now == (account.id, group) {
        return Ok(());
    }
    let name = &account.name;
    anyhow::ensure!(now.0.is_root(), "cannot become {name}: only root can, and this is {}", now.0);
    anyhow::ensure!(!account.id.is_root(), "`user` is root: leave it out, or name another");
    hand_over(&hekad.base_dir, account.id, group)
        .with_context(|| format!("cannot give {} to {name}", hekad.base_dir.display()))?;
    become_account(account, group).with_context(|| format!("cannot become {name}"))?;
    tracing::info!(user = name, "privileges are dropped");
    Ok(())
}

fn become_account(account: &Account, group: Gid) -> anyhow::Result<()> {
    let name = std::ffi::CString::new(account.name.as_str())?;
    rustix::thread::set_keep_capabilities(true)?;
    nix::unistd::initgroups(&name, group).context("its groups")?;
    nix::unistd::setresgid(group, group, group).context("its group")?;
    nix::unistd::setresuid(account.id, account.id, account.id).context("its user")?;
    rustix::thread::set_keep_capabilities(false)?;
    let kept = CapabilitySet::NET_BIND_SERVICE;
    let sets =
        CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    rustix::thread::set_capabilities(None, sets).context("its capabilities")?;
    nix::sys::prctl::set_no_new_privs().context("no new privileges")?;
    let root = Uid::from_raw(0);
    anyhow::ensure!(
        nix::unistd::setresuid(root, root, root).is_err() && !nix::unistd::geteuid().is_root(),
        "root can be had back"
    );
    Ok(())
}

/// Makes the engine's folder where it is missing, and gives it with all that root has in it to the
/// account. A folder that others than root can write to is left as it is: links in it could lead
/// anywhere.
fn hand_over(folder: &Path, user: Uid, group: Gid) -> anyhow::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let about = std::fs::metadata(folder)?;
    if about.uid() == 0 && about.mode() & 0o022 == 0 {
        give(folder, (user, group), 0)?;
    }
    Ok(())
}

fn give(path: &Path, to: (Uid, Gid), depth: u32) -> anyhow::Result<()> {
    let about = std::fs::symlink_metadata(path)?;
    let is_shared = about.is_file() && about.nlink() > 1;
    if about.uid() == 0 && !is_shared && !about.is_symlink() {
        std::os::unix::fs::lchown(path, Some(to.0.as_raw()), Some(to.1.as_raw()))?;
    }
    if about.is_dir() && depth < MAX_DEPTH {
        for entry in std::fs::read_dir(path)? {
            give(&entry?.path(), to, depth + 1)?;
        }
    }
    Ok(())
}
