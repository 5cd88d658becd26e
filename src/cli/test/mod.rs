//! `heka test`: runs the specs beside scripts.
//!
//! | part | what it does |
//! | --- | --- |
//! | `spec` | the words of specs, and running them |
//! | `started` | a script that a spec has started |
//! | `collected` | the messages of logs and captures |
//! | `values` | messages as tables |
//! | `coverage` | lines that never run |

mod collected;
mod coverage;
mod spec;
mod started;
mod values;

use std::cell::RefCell;
use std::fmt;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use self::coverage::Coverage;
use crate::sandbox::Modules;
use crate::sandbox::Role;
use crate::sandbox::Script;
use crate::sandbox::Spec;
use crate::sandbox::required_files;
use crate::stdx::embedded;

/// What the command line may look like.
const EXAMPLES: &str = "\
Examples:
  All specs in a folder and below it:
    heka test filters/

  One of them again after each change, and which lines it leaves out:
    heka test filters/errors_spec.lua --coverage --watch

A spec:
  describe(\"errors\", function()
    it(\"alerts of the third error\", function()
      local script = sandbox({ most = 2 })
      local log = decoded(nil, {}, \"an error\\nan error\\nan error\\n\")
      equal(#script:play(log, 60), 1)
    end)
  end)

Exit codes: 0 all pass, 1 a test fails, 2 there are no specs.";

/// Runs the specs of scripts, in the engine's own sandbox and under its limits.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Command {
    /// Specs (`NAME_spec.lua`), the scripts beside them, or folders with specs
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Only tests whose name, behind that of its spec, has this text in it
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Tells which lines of the scripts never ran
    #[arg(long)]
    coverage: bool,
    /// Runs again whenever a spec, its script or a module beside them changes
    #[arg(long)]
    watch: bool,
    /// Where modules and scripts are looked for before those in the program
    #[arg(long, value_name = "FOLDER", default_value = "/usr/share/heka")]
    share_dir: PathBuf,
}

impl Command {
    /// Runs the command.
    ///
    /// # Errors
    /// When the results cannot be written.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        if !self.watch {
            return self.run_once();
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        loop {
            let mut files = Vec::new();
            for spec in self.specs().unwrap_or_default() {
                let folders = Setup::of(&spec, &self.share_dir, None).modules.folders;
                let script = spec::script_of(&spec);
                files.extend(required_files(&script, &folders));
                files.extend(required_files(&spec, &folders));
                files.extend([script, spec]);
            }
            let files = files.into_iter().filter_map(|file| std::path::absolute(file).ok());
            // Watching begins before the run, so that no change goes unnoticed.
            let mut watch = super::watch::Watch::start(files.collect());
            self.run_once()?;
            runtime.block_on(watch.changed());
            eprintln!("heka: something has changed, once more");
        }
    }

    fn specs(&self) -> anyhow::Result<Vec<PathBuf>> {
        let mut all = Vec::new();
        for path in &self.paths {
            all.extend(spec::specs(path)?);
        }
        Ok(all)
    }

    fn run_once(&self) -> anyhow::Result<ExitCode> {
        let specs = match self.specs() {
            Ok(specs) => specs,
            Err(error) => {
                eprintln!("heka: {error:#}");
                return Ok(ExitCode::from(2));
            }
        };
        let began = Instant::now();
        let coverage = self.coverage.then(Rc::<RefCell<Coverage>>::default);
        let (mut passed, mut failed) = (0, 0);
        for spec in &specs {
            let setup = Setup::of(spec, &self.share_dir, coverage.clone());
            let mut text = String::new();
            match spec::run(spec, None, &setup) {
                Ok(tests) => {
                    for test in tests.iter().filter(|test| self.is_wanted(spec, test)) {
                        match spec::run(spec, Some(test), &setup) {
                            Ok(_) => {
                                passed += 1;
                                text += &format!("  ok    {test}\n");
                            }
                            Err(error) => {
                                failed += 1;
                                let error = indented(&error, spec);
                                text += &format!("  FAIL  {test}\n        {error}\n");
                            }
                        }
                    }
                }
                Err(error) => {
                    failed += 1;
                    text += &format!("  FAIL  {}\n", indented(&error, spec));
                }
            }
            if !text.is_empty() {
                super::print(&format!("{}\n{text}", spec.display()))?;
            }
        }
        if let Some(coverage) = coverage {
            super::print(&format!("\n{}", coverage.borrow().text()))?;
        }
        let seconds = began.elapsed().as_secs_f64();
        eprintln!("heka: {passed} passed, {failed} failed, in {seconds:.1} s");
        Ok(if failed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    fn is_wanted(&self, spec: &Path, test: &str) -> bool {
        let name = spec.file_stem().unwrap_or_default().to_string_lossy();
        self.filter.as_ref().is_none_or(|wanted| format!("{name}: {test}").contains(wanted))
    }
}

/// What scripts are started with.
#[derive(Clone)]
struct Setup {
    share_dir: PathBuf,
    modules: Modules,
    coverage: Option<Rc<RefCell<Coverage>>>,
}

impl Setup {
    /// For the scripts of one spec: its modules stand beside it, or in the folder of modules beside
    /// its own.
    fn of(spec: &Path, share_dir: &Path, coverage: Option<Rc<RefCell<Coverage>>>) -> Setup {
        let own = spec.parent().unwrap_or(Path::new(""));
        let mut folders = vec![own.to_owned()];
        for above in own.ancestors().skip(1).take(2) {
            folders.extend(embedded::module_folders(None, above));
        }
        folders.extend(embedded::module_folders(None, share_dir));
        let mut modules = Modules::default();
        modules.folders = folders;
        modules.built_in = Some(Arc::new(built_in));
        Setup { share_dir: share_dir.to_owned(), modules, coverage }
    }

    /// What a sandbox is made from.
    fn spec(&self, role: Role, script: &Path, text: String) -> Spec {
        let script = Script { path: script.to_owned(), text };
        let mut spec = Spec::new("spec", role, script);
        spec.modules = self.modules.clone();
        spec.is_covered = self.coverage.is_some();
        spec
    }
}

fn built_in(name: &str) -> Option<String> {
    let found = embedded::embedded(&format!("lua/{name}"))?;
    String::from_utf8(found.into_owned()).ok()
}

/// The names of the tests in a spec, which may use the modules in `share_dir`.
///
/// # Errors
/// When the spec is wrong: what is.
pub fn names(spec: &Path, share_dir: &Path) -> Result<Vec<String>, String> {
    spec::run(spec, None, &Setup::of(spec, share_dir, None)).map_err(|error| told(&error, spec))
}

/// Runs one test of a spec.
///
/// # Errors
/// When it fails: found and expected.
pub fn check(spec: &Path, test: &str, share_dir: &Path) -> Result<(), String> {
    let setup = Setup::of(spec, share_dir, None);
    spec::run(spec, Some(test), &setup).map(drop).map_err(|error| told(&error, spec))
}

/// The specs in a folder and below it.
///
/// # Errors
/// When there are none or the folder cannot be read.
pub fn specs(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    spec::specs(folder)
}

fn raised(error: impl fmt::Display) -> mlua::Error {
    mlua::Error::runtime(error)
}

/// What went wrong, and where in the spec: the place nearest to it, and those that led there.
fn told(error: &mlua::Error, spec: &Path) -> String {
    let file = spec.display().to_string();
    // From the outside in: the first traceback is that of `describe`.
    let mut innermost = None;
    let mut cause = error;
    while let mlua::Error::CallbackError { traceback, cause: inner } = cause {
        innermost = Some(traceback);
        cause = inner;
    }
    let text = match cause {
        mlua::Error::RuntimeError(text) => text.clone(),
        other => other.to_string(),
    };
    let (text, own) = match text.split_once("\nstack traceback:") {
        Some((text, traceback)) => (text.to_owned(), Some(traceback)),
        None => (text, None),
    };
    let traceback = own.or(innermost.map(String::as_str)).unwrap_or_default();
    let mut told = text.trim_end().to_owned();
    let lines = traceback.lines().map(str::trim);
    for line in lines.take_while(|line| !line.starts_with("[C]: in function 'it'")) {
        let number = line.strip_prefix(&file).and_then(|rest| rest.split([':', ' ']).nth(1));
        // Where the text itself says it, once is enough.
        if let Some(number) = number
            && !told.starts_with(&format!("{file}:{number}:"))
        {
            told += &format!("\nat {file}:{number}");
        }
    }
    told
}

fn indented(error: &mlua::Error, spec: &Path) -> String {
    told(error, spec).replace('\n', "\n        ")
}
