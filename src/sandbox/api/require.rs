//! `require`: finds the text of a module. Running it is up to `raw`.

use std::ffi::CString;
use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::sync::PoisonError;

use crate::sandbox::context::Context;
use crate::sandbox::load;
use crate::sandbox::raw::Complaint;
use crate::sandbox::raw::compile;
use crate::sandbox::raw::compile_covered;

/// The largest module, in bytes.
const MAX_MODULE: u64 = 4 << 20;

/// As many modules are kept, more than any script requires.
const MAX_MODULES: usize = 256;

/// Finds the module called `name` and compiles it into the context.
pub(in crate::sandbox) fn find(cx: &mut Context, name: &[u8]) -> Result<(), Complaint> {
    let shown = String::from_utf8_lossy(name).into_owned();
    let is_sound = |part: &&[u8]| {
        !part.is_empty()
            && part.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(byte))
    };
    if !name.split(|byte| b"./".contains(byte)).all(|part| is_sound(&part)) {
        return Err(format!("module '{shown}' has no sound name").into());
    }
    let file = format!("{}.lua", shown.replace('.', "/"));
    let kept = cx.setting.modules.kept.clone();
    let kept = || kept.lock().unwrap_or_else(PoisonError::into_inner);
    let known = kept().get(&file).cloned();
    let (path, text) = if let Some(known) = known {
        known
    } else {
        // The disk may take its time: nobody waits for it at the lock.
        let Some(found) = read(cx, &file)? else {
            return Err(format!("module '{shown}' not found").into());
        };
        let mut kept = kept();
        if kept.len() >= MAX_MODULES {
            kept.clear();
        }
        // What was read first counts.
        kept.entry(file).or_insert(found).clone()
    };
    let chunk: CString = load::chunk_name(&path);
    let text = load::script_text(&text);
    let code = if cx.setting.is_covered { compile_covered(&text) } else { compile(&text) };
    cx.module = (chunk, code);
    Ok(())
}

fn read(cx: &Context, file: &str) -> Result<Option<(PathBuf, String)>, Complaint> {
    for folder in &cx.setting.modules.folders {
        let path = folder.join(file);
        let Ok(opened) = fs::File::open(&path) else { continue };
        let mut text = String::new();
        let read = opened.take(MAX_MODULE + 1).read_to_string(&mut text);
        return match read {
            Ok(_) if text.len() as u64 > MAX_MODULE => {
                Err(format!("module {} is too large", path.display()).into())
            }
            Ok(_) => Ok(Some((path, text))),
            Err(error) => Err(format!("cannot read module {}: {error}", path.display()).into()),
        };
    }
    let built_in = cx.setting.modules.built_in.as_ref();
    Ok(built_in.and_then(|lookup| lookup(file)).map(|text| (PathBuf::from(file), text)))
}
