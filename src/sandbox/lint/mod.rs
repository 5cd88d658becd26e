//! Finds what a script may not mean: names that are not there, what is not kept in a snapshot, and
//! what may come out otherwise when it is played again.
//!
//! It reads the words of a script and the blocks they stand in and runs nothing. What it cannot see
//! (names put together, functions that inject for others) it says nothing of.
//!
//! | finding | why |
//! | --- | --- |
//! | a name that nothing declares and the API does not have | it is `nil` when it is read |
//! | a local that nothing uses | it is a mistake or left over |
//! | too few or too many arguments | it fails when it is called, or is not what was meant |
//! | a coroutine | it is not kept in a snapshot |
//! | a function made while running that outlives the call | it is not kept in a snapshot |
//! | an injection in a loop over `pairs` | the order is another after a snapshot |

mod arity;
mod lexer;
mod mistakes;
mod names;
mod scope;

use std::collections::HashSet;
use std::ops::Range;

pub(super) use self::lexer::Kind;
pub(super) use self::lexer::Token;
pub(super) use self::lexer::tokens;
pub use self::mistakes::mistakes;
pub use self::names::Names;
use self::scope::Scopes;
use crate::stdx::nearest::nearest;

/// Something in a script that may not be meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// Where it stands in the text, in bytes.
    pub at: Range<usize>,
    /// What it is.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
}

/// What a script injects with.
const INJECTIONS: [&str; 3] = ["inject_payload", "inject_message", "add_to_payload"];
/// What a script defines for the engine to call or read.
const ENTRIES: [&str; 5] = [
    "process_message",
    "timer_event",
    "migrate",
    "_PRESERVATION_VERSION",
    "_PRESERVATION_VERSION_",
];
/// Words of Luau that are names elsewhere.
const CONTEXTUAL: [&str; 11] = [
    "continue", "export", "type", "typeof", "any", "boolean", "number", "thread", "unknown",
    "never", "self",
];

/// Finds what `text`, a script that may use `names`, may not mean. `is_kept` says that its state goes
/// into snapshots and its work is played again, as that of filters.
#[must_use]
pub fn lint(text: &str, names: &Names, is_kept: bool) -> Vec<Remark> {
    let tokens = tokens(text);
    let mut lint = Lint {
        source: text,
        tokens: &tokens,
        defined: defined(&tokens),
        names,
        is_kept,
        scopes: Scopes::new(),
        remarks: Vec::new(),
    };
    let mut at = 0;
    while at < tokens.len() {
        at = lint.step(at);
    }
    let Lint { scopes, mut remarks, .. } = lint;
    // A text that ends within a declaration has no word for its name.
    for token in scopes.end().into_iter().filter_map(|at| tokens.get(at)) {
        let message = format!("nothing uses `{}`", token.text);
        let help = Some("a name that begins with `_` says that this is meant".to_owned());
        remarks.push(Remark { at: token.range(), message, help });
    }
    remarks.sort_by_key(|remark| remark.at.start);
    remarks
}

/// The names that a script makes globals of, or may: what it assigns to, names functions, requires.
fn defined<'a>(tokens: &[Token<'a>]) -> HashSet<&'a str> {
    let mut defined = HashSet::new();
    for (at, token) in tokens.iter().enumerate() {
        let text = |offset: usize| tokens.get(at + offset).map_or("", |token| token.text);
        match token.kind {
            Kind::Name
                if matches!(text(1), "=" | ",")
                    && !at
                        .checked_sub(1)
                        .is_some_and(|before| matches!(tokens[before].text, "local" | "for")) =>
            {
                defined.insert(token.text);
            }
            Kind::Keyword if token.text == "function" => {
                defined.insert(text(1));
            }
            Kind::Literal => {
                let name = token.text.trim_matches(['"', '\'']);
                defined.insert(name.rsplit('.').next().unwrap_or(name));
            }
            _ => {}
        }
    }
    defined
}

struct Lint<'a> {
    source: &'a str,
    tokens: &'a [Token<'a>],
    defined: HashSet<&'a str>,
    names: &'a Names,
    is_kept: bool,
    scopes: Scopes,
    remarks: Vec<Remark>,
}

impl<'a> Lint<'a> {
    fn text(&self, at: usize) -> &'a str {
        self.tokens.get(at).map_or("", |token| token.text)
    }

    fn before(&self, at: usize) -> &'a str {
        at.checked_sub(1).map_or("", |before| self.text(before))
    }

    fn say(&mut self, at: usize, message: String, help: Option<String>) {
        self.remarks.push(Remark { at: self.tokens[at].range(), message, help });
    }

    /// Looks at the word at `at`; gives the place of the next to look at.
    fn step(&mut self, at: usize) -> usize {
        let tokens = self.tokens;
        let token = &tokens[at];
        match (token.kind, token.text) {
            (Kind::Keyword, "function") => return self.function(at),
            (Kind::Keyword, "local") => return self.local(at),
            (Kind::Keyword, "for") => return self.variables(at),
            (Kind::Keyword, "until") => return self.until(at),
            (Kind::Name, _) => self.name(at),
            _ => {}
        }
        let before = at.checked_sub(1).map(|before| &tokens[before]);
        self.scopes.follow(token, before);
        at + 1
    }

    /// A function: its name, its parameters, and that its body begins.
    fn function(&mut self, at: usize) -> usize {
        self.made_while_running(at);
        if self.before(at) != "local" {
            // Of `function a.b()` that is the table.
            self.scopes.uses(self.text(at + 1));
        }
        let mut next = at + 1;
        while next < self.tokens.len() && self.text(next) != "(" {
            if self.text(next) == ":" {
                self.scopes.await_name("self");
            }
            next += 1;
        }
        let mut depth = 0;
        while next < self.tokens.len() {
            match self.text(next) {
                "(" => depth += 1,
                ")" => depth -= 1,
                name if depth == 1
                    && self.tokens[next].kind == Kind::Name
                    && matches!(self.before(next), "(" | ",") =>
                {
                    self.scopes.await_name(name);
                }
                _ => {}
            }
            next += 1;
            if depth == 0 {
                break;
            }
        }
        self.scopes.open_function();
        next
    }

    /// `local`: the names it declares. A function is looked at by itself.
    fn local(&mut self, at: usize) -> usize {
        let mut next = at + 1;
        if self.text(next) == "function" {
            let name = self.text(next + 1);
            self.scopes.declare(name, next + 1);
            return next;
        }
        while self.tokens.get(next).is_some_and(|token| token.kind == Kind::Name) {
            let name = self.text(next);
            self.scopes.declare(name, next);
            next += 1;
            if self.text(next) != "," {
                break;
            }
            next += 1;
        }
        next
    }

    /// `for`: its variables, and whether it goes through `pairs`.
    fn variables(&mut self, at: usize) -> usize {
        let mut next = at + 1;
        while next < self.tokens.len() && !matches!(self.text(next), "in" | "=" | "do") {
            if self.tokens[next].kind == Kind::Name {
                let name = self.text(next);
                self.scopes.await_name(name);
            }
            next += 1;
        }
        if self.text(next) == "in" && matches!(self.text(next + 1), "pairs" | "next") {
            self.scopes.await_pairs();
        }
        next
    }

    /// `until`: its condition, as far as it stands on the same line, sees the locals of the block.
    fn until(&mut self, at: usize) -> usize {
        let mut next = at + 1;
        while next < self.tokens.len() && !self.is_new_line(next) {
            if self.tokens[next].kind == Kind::Name {
                self.name(next);
            }
            next += 1;
        }
        self.scopes.follow(&self.tokens[at], None);
        next
    }

    /// Whether the word at `at` begins a line.
    fn is_new_line(&self, at: usize) -> bool {
        let end = at.checked_sub(1).map_or(0, |before| self.tokens[before].range().end);
        self.source[end..self.tokens[at].start].contains('\n')
    }

    /// A name that is read or written.
    fn name(&mut self, at: usize) {
        let (name, before, behind) = (self.text(at), self.before(at), self.text(at + 1));
        if matches!(before, "." | ":" | "::" | "->") {
            return;
        }
        if self.scopes.is_in_table() && behind == "=" && matches!(before, "{" | "," | ";") {
            return;
        }
        if self.scopes.depth_of(name).is_some() {
            self.scopes.uses(name);
            return;
        }
        self.call(at);
        if self.is_kept && name == "coroutine" && matches!(self.text(at + 2), "create" | "wrap") {
            let message = "a coroutine is not kept in a snapshot".to_owned();
            let help = "after a restart it is `nil`; a table that says how far the work is is kept";
            self.say(at, message, Some(help.to_owned()));
        }
        if self.is_kept && INJECTIONS.contains(&name) && self.scopes.is_in_pairs() {
            let message = format!(
                "`{name}` in a loop over `pairs`: its order may be another after a restart"
            );
            let help = "go through a list, or sort the keys, where the order matters";
            self.say(at, message, Some(help.to_owned()));
        }
        if matches!(behind, "." | ":")
            && self.names.has_members(name)
            && !self.defined.contains(name)
        {
            self.member(at, name);
        } else if !self.is_known(name) {
            let known = self.names.globals().chain(self.defined.iter().copied());
            let near = nearest(name, known.filter(|known| *known != name));
            let help = near.map(|near| format!("did you mean `{near}`?"));
            self.say(at, format!("`{name}` is not there: nothing declares it"), help);
        }
    }

    /// A call of a function whose arguments are known: of a global, or of a library by its name.
    fn call(&mut self, at: usize) {
        let (name, bracket) = match self.text(at + 1) {
            "(" => (self.text(at).to_owned(), at + 1),
            "." if self.text(at + 3) == "(" => {
                (format!("{}.{}", self.text(at), self.text(at + 2)), at + 3)
            }
            _ => return,
        };
        let is_own = self.defined.contains(self.text(at)) && !self.names.has_members(self.text(at));
        if is_own || self.before(at) == "function" {
            return;
        }
        let Some(arity) = arity::arity(&name) else { return };
        let Some((count, may_be_more)) = arity::arguments(self.tokens, bracket) else { return };
        if count > *arity.end() || count < *arity.start() && !may_be_more {
            let (takes, plural) = (arity::told(&arity), if count == 1 { "is" } else { "are" });
            self.say(at, format!("`{name}` takes {takes}, and there {plural} {count}"), None);
        }
    }

    /// What stands behind the name of a library.
    fn member(&mut self, at: usize, library: &str) {
        let member = self.text(at + 2);
        let is_name = self.tokens.get(at + 2).is_some_and(|token| token.kind == Kind::Name);
        if is_name && self.text(at + 3) != "=" && !self.names.has_member(library, member) {
            let near = nearest(member, self.names.members(library));
            let help = near.map(|near| format!("did you mean `{library}.{near}`?"));
            self.say(at + 2, format!("`{library}` has no `{member}`"), help);
        }
    }

    fn is_known(&self, name: &str) -> bool {
        self.names.has(name)
            || self.defined.contains(name)
            || ENTRIES.contains(&name)
            || CONTEXTUAL.contains(&name)
    }

    /// A function that is made in another and put where it outlives the call: into a global, a
    /// variable of the file or a table of those.
    fn made_while_running(&mut self, at: usize) {
        let depth = self.scopes.depth();
        if !self.is_kept || depth == 0 {
            return;
        }
        let target = if self.before(at) == "=" {
            self.target(at - 1)
        } else if self.before(at) != "local"
            && self.tokens.get(at + 1).is_some_and(|next| next.kind == Kind::Name)
        {
            Some(self.text(at + 1))
        } else {
            None
        };
        let Some(target) = target else { return };
        if self.scopes.depth_of(target).unwrap_or(0) < depth {
            let message = format!(
                "a function made while running is not kept in a snapshot: `{target}` holds it"
            );
            let help = "make it once in the file, outside of functions";
            self.say(at, message, Some(help.to_owned()));
        }
    }

    /// The first name of what stands before the `=` at `at`: `a` of `a.b[c] = `. None in a table, and
    /// behind `local`.
    fn target(&self, at: usize) -> Option<&'a str> {
        if self.scopes.is_in_table() {
            return None;
        }
        let mut start = at;
        let mut depth = 0;
        while start > 0 {
            let (token, before) = (&self.tokens[start - 1], self.text(start));
            match token.text {
                "]" => depth += 1,
                "[" => depth -= 1,
                _ if depth > 0 => {}
                "." => {}
                _ if token.kind == Kind::Name && matches!(before, "=" | "." | "[") => {}
                "local" => return None,
                _ => break,
            }
            start -= 1;
        }
        self.tokens.get(start).filter(|first| first.kind == Kind::Name).map(|first| first.text)
    }
}

#[cfg(test)]
mod tests;
