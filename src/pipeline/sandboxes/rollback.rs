//! Another version in the place of the one that runs: what the files say, or one that was kept.

use anyhow::Context;

use super::Refusal;
use super::Reply;
use crate::pipeline::Pipeline;
use crate::pipeline::versions::Version;

impl Pipeline {
    pub(super) fn reload_one(&mut self, name: &str) -> Result<Reply, Refusal> {
        let name = self.filter(name)?.name.clone();
        let planned = self.written(&name)?;
        let version = Version::of(&planned, &self.plan.engine)?;
        let before = self.running.get(&name).cloned().unwrap_or_default();
        if version.hash == before {
            return Ok(Reply::done(format!("{name}: nothing has changed, {before} runs\n")));
        }
        self.take_written(planned).with_context(|| failed(&name, &before))?;
        Ok(Reply::done(format!("{name}: {} runs in the place of {before}\n", version.hash)))
    }

    pub(super) fn roll_back(
        &mut self,
        name: &str,
        version: Option<&str>,
    ) -> Result<Reply, Refusal> {
        let name = self.filter(name)?.name.clone();
        let before = self.running.get(&name).cloned().unwrap_or_default();
        if version.is_none()
            && let Some(hash) = self.drop_shadow(&name)
        {
            return Ok(Reply::done(format!("{name}: {hash} is tried no more, {before} goes on\n")));
        }
        let wanted = self.kept_version(&name, &before, version)?;
        let version = self.versions.load(&name, &wanted)?;
        let planned = self.plan.of_version(&name, &version)?;
        // Whatever the files say now waits until they change again.
        let written = self.written(&name).ok();
        let written = written.and_then(|planned| Version::of(&planned, &self.plan.engine).ok());
        let written = written.map(|version| version.hash);
        let set_aside = self.versions.known(&name).and_then(|known| known.set_aside.clone());
        self.waiting.retain(|waiting| *waiting != name);
        let is_written = written.as_ref() == Some(&wanted);
        // What is set aside is written down first: a crash in between changes nothing.
        self.versions.set_aside(&name, written.or(Some(before.clone())))?;
        if let Err(error) = self.swap_to(planned) {
            self.versions.set_aside(&name, set_aside)?;
            return Err(error.context(failed(&name, &before)).into());
        }
        if is_written {
            self.versions.set_aside(&name, None)?;
            return Ok(Reply::done(format!("{name}: {wanted} runs in the place of {before}\n")));
        }
        Ok(Reply::done(format!(
            "{name}: {wanted} runs again in the place of {before}; its files are followed again \
             when they change, or by `heka sandbox reload {name}`\n"
        )))
    }

    /// The whole hash of the version that is meant: the one before where nothing is said.
    fn kept_version(
        &self,
        name: &str,
        running: &str,
        wanted: Option<&str>,
    ) -> Result<String, Refusal> {
        let kept = self.versions.known(name).map(|known| &known.kept[..]).unwrap_or_default();
        let Some(wanted) = wanted else {
            let at = kept.iter().position(|(hash, _)| hash == running).unwrap_or(kept.len());
            let before = kept[..at].last().map(|(hash, _)| hash.clone());
            return before.ok_or_else(|| {
                Refusal::Mistake(format!("{name} has no version before {running}"))
            });
        };
        let all = || kept.iter().map(|(hash, _)| hash.as_str()).collect::<Vec<_>>().join(", ");
        let mut found = kept.iter().filter(|(hash, _)| hash.starts_with(wanted));
        match (found.next(), found.next()) {
            (Some((hash, _)), None) if hash == running => {
                Err(Refusal::Mistake(format!("{name}: {running} runs already")))
            }
            (Some((hash, _)), None) => Ok(hash.clone()),
            (Some(_), Some(_)) => Err(Refusal::Mistake(format!(
                "{name}: several versions begin with {wanted}: {}",
                all()
            ))),
            _ => Err(Refusal::Mistake(format!(
                "{name}: no version that begins with {wanted} is kept; there are {}",
                all()
            ))),
        }
    }
}

/// What is said when a version cannot take over.
pub(super) fn failed(name: &str, running: &str) -> String {
    format!("{name}: nothing was changed, {running} goes on")
}
