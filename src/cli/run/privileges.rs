//! From root to an account of the engine's own, for good.
//!
//! Root binds what only root may bind, gives the engine's folders and its pid file away, and becomes
//! the account before anything runs: no script, no decoder and no client is ever served by root.
//! Of all that root may do nothing is kept but what `keep_capabilities` names:
//!
//! | to | it takes |
//! | --- | --- |
//! | listen on a port below 1024 that the configuration had at the start | nothing: the socket is held |
//! | listen on one that a reload or a script brings | `net_bind_service` |
//! | read logs and keys that are only root's | `dac_read_search`, or a group: the account's supplementary groups are taken |

use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::Context;
use nix::unistd::Gid;
use nix::unistd::Uid;
use rustix::thread::CapabilitySet;
use rustix::thread::CapabilitySets;

use crate::cli::pid_file::PidFile;
use crate::net;
use crate::net::Binding;
use crate::net::Successor;
use crate::pipeline::Plan;
use crate::stdx::capability;

/// How deep the engine's folders are gone through.
const MAX_DEPTH: u32 = 8;

/// Becomes the account that `[hekad]` names, if it names one.
///
/// # Errors
/// When that fails: the engine is not to run as root then.
pub(super) fn give_up(plan: &Plan, pid_file: Option<&PidFile>) -> anyhow::Result<()> {
    let hekad = &plan.config().hekad;
    let Some(account) = &hekad.user else {
        let group = hekad.group.is_none_or(|group| group == nix::unistd::getegid());
        anyhow::ensure!(group, "`group` says nothing without `user`");
        let kept = hekad.keep_capabilities;
        anyhow::ensure!(kept.is_empty(), "`keep_capabilities` says nothing without `user`");
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
    let known_as = std::ffi::CString::new(account.name.as_str())?;
    let groups = nix::unistd::getgrouplist(&known_as, group).context("cannot find its groups")?;
    let successor = Successor { user: account.id, group, groups };
    for folder in plan.folders() {
        hand_over(&folder, &successor)
            .with_context(|| format!("cannot give {} to {name}", folder.display()))?;
    }
    if let Some(file) = pid_file {
        file.give_to(account.id, group).context("cannot give the pid file away")?;
    }
    let mut held = Vec::new();
    for (section, binding) in bindings(plan).into_iter().filter(|(_, at)| at.is_roots(&successor)) {
        match binding.hold(&successor) {
            Ok(()) => held.push(section),
            // Whether the engine goes on is for its section to say, when it starts.
            Err(error) => {
                let error = format!("{:#}", anyhow::Error::new(error));
                tracing::error!(section, error, "root cannot listen for it");
            }
        }
    }
    become_account(&successor, hekad.keep_capabilities)
        .with_context(|| format!("cannot become {name}"))?;
    let kept = capability::names(hekad.keep_capabilities).join(" ");
    tracing::info!(user = name, sockets = held.join(" "), kept, "privileges are dropped");
    Ok(())
}

/// After a reload: lets go of sockets that nobody is to listen on any more, and tells of ports that
/// only root may bind.
pub(super) fn follow(plan: &Plan) {
    let wanted = bindings(plan);
    let all: Vec<Binding> = wanted.iter().map(|(_, binding)| binding.clone()).collect();
    net::keep_only(&all);
    let may_bind = rustix::thread::capabilities(None)
        .is_ok_and(|sets| sets.effective.contains(CapabilitySet::NET_BIND_SERVICE));
    for (section, binding) in wanted {
        if binding.is_privileged() && !may_bind && !binding.is_held() {
            tracing::error!(
                section,
                "its port is only root's to bind: start the engine anew, or have `[hekad]` keep the \
                 capability beforehand, keep_capabilities = [\"net_bind_service\"]"
            );
        }
    }
}

/// All addresses that somebody listens on.
fn bindings(plan: &Plan) -> Vec<(String, Binding)> {
    let read = |section: String, net: &str, address: &str, mode| {
        // What is no address is told by the plugin.
        Some((section, Binding::read(net, address, mode).ok()?))
    };
    let plugins = plan.listens().into_iter();
    let mut all: Vec<_> =
        plugins.filter_map(|(name, at)| read(name, at.net, &at.address, at.mode)).collect();
    let admin = plan.config().hekad.admin.address;
    all.extend(admin.and_then(|at| read("hekad.admin".to_owned(), "tcp", &at.to_string(), None)));
    all
}

fn become_account(to: &Successor, kept: CapabilitySet) -> anyhow::Result<()> {
    // A thread that runs already would keep its capabilities.
    let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    anyhow::ensure!(threads == 1, "{threads} threads run already");
    rustix::thread::set_keep_capabilities(true)?;
    nix::unistd::setgroups(&to.groups).context("its groups")?;
    nix::unistd::setresgid(to.group, to.group, to.group).context("its group")?;
    nix::unistd::setresuid(to.user, to.user, to.user).context("its user")?;
    rustix::thread::set_keep_capabilities(false)?;
    let sets =
        CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    rustix::thread::set_capabilities(None, sets)
        .with_context(|| format!("its capabilities {}", capability::names(kept).join(" ")))?;
    nix::sys::prctl::set_no_new_privs().context("no new privileges")?;
    let root = Uid::from_raw(0);
    anyhow::ensure!(
        nix::unistd::setresuid(root, root, root).is_err() && !nix::unistd::geteuid().is_root(),
        "root can be had back"
    );
    Ok(())
}

/// Makes a folder of the engine where it is missing, and gives it with all that root has in it to the
/// account. A folder that others than root can write to is left as it is: links in it could lead
/// anywhere.
fn hand_over(folder: &Path, to: &Successor) -> anyhow::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let about = std::fs::metadata(folder)?;
    if about.uid() == 0 && about.mode() & 0o022 == 0 {
        give(folder, (to.user, to.group), 0)?;
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
