//! Which names are local where, and in which function: what the words of a script say of it.

use std::collections::HashMap;
use std::collections::HashSet;

use super::lexer::Kind;
use super::lexer::Token;

/// What is open.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Open {
    /// A block that `end` or `until` closes, with its locals. Whether it is that of a function, and of
    /// a loop over `pairs`.
    Block { locals: HashMap<String, Local>, is_function: bool, is_pairs: bool },
    /// `if … then … else …` as an expression, before its `then`.
    Condition,
    /// The same behind it.
    Choice,
    /// Brackets of a table.
    Table,
}

/// A local.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Local {
    /// The word that declares it with `local`; nothing for parameters and variables of loops.
    declared: Option<usize>,
    is_used: bool,
}

/// The blocks around a place.
#[derive(Debug)]
pub(super) struct Scopes {
    open: Vec<Open>,
    /// Names that the next block declares: parameters, and variables of a loop.
    waiting: HashSet<String>,
    /// The next block is the body of a loop over `pairs`.
    is_pairs: bool,
    /// The words that declare locals nothing has used, of blocks that are closed.
    unused: Vec<usize>,
}

impl Scopes {
    pub(super) fn new() -> Scopes {
        let file = Open::Block { locals: HashMap::new(), is_function: false, is_pairs: false };
        Scopes { open: vec![file], waiting: HashSet::new(), is_pairs: false, unused: Vec::new() }
    }

    /// How many functions are open.
    pub(super) fn depth(&self) -> usize {
        let is_function = |open: &&Open| matches!(open, Open::Block { is_function: true, .. });
        self.open.iter().filter(is_function).count()
    }

    /// In how many functions the local `name` is declared; none for what is no local.
    pub(super) fn depth_of(&self, name: &str) -> Option<usize> {
        let at = self.open.iter().rposition(
            |open| matches!(open, Open::Block { locals, .. } if locals.contains_key(name)),
        )?;
        let is_function = |open: &&Open| matches!(open, Open::Block { is_function: true, .. });
        Some(self.open[..=at].iter().filter(is_function).count())
    }

    /// Tells whether a loop over `pairs` is open.
    pub(super) fn is_in_pairs(&self) -> bool {
        self.open.iter().any(|open| matches!(open, Open::Block { is_pairs: true, .. }))
    }

    /// Tells whether the brackets of a table are open, and nothing in them.
    pub(super) fn is_in_table(&self) -> bool {
        self.open.last() == Some(&Open::Table)
    }

    /// Notes that a local is used.
    pub(super) fn uses(&mut self, name: &str) {
        let local = self.open.iter_mut().rev().find_map(|open| match open {
            Open::Block { locals, .. } => locals.get_mut(name),
            _ => None,
        });
        if let Some(local) = local {
            local.is_used = true;
        }
    }

    /// Closes the file; gives the words that declare locals nothing has used, in order.
    pub(super) fn end(mut self) -> Vec<usize> {
        while let Some(open) = self.open.pop() {
            self.note_unused(&open);
        }
        self.unused.sort_unstable();
        self.unused
    }

    fn note_unused(&mut self, open: &Open) {
        let Open::Block { locals, .. } = open else { return };
        let unused = locals
            .iter()
            .filter(|(name, local)| !local.is_used && !name.starts_with('_'))
            .filter_map(|(_, local)| local.declared);
        self.unused.extend(unused);
    }

    /// Declares a local by the word at `at`. One of the same name further out may be what it begins
    /// with: that counts as a use.
    pub(super) fn declare(&mut self, name: &str, at: usize) {
        self.uses(name);
        let block = self.open.iter_mut().rev().find_map(|open| match open {
            Open::Block { locals, .. } => Some(locals),
            _ => None,
        });
        if let Some(locals) = block {
            locals.insert(name.to_owned(), Local { declared: Some(at), is_used: false });
        }
    }

    /// Declares a name of the next block.
    pub(super) fn await_name(&mut self, name: &str) {
        self.waiting.insert(name.to_owned());
    }

    /// Says that the next block is the body of a loop over `pairs`.
    pub(super) fn await_pairs(&mut self) {
        self.is_pairs = true;
    }

    /// Opens the body of a function.
    pub(super) fn open_function(&mut self) {
        let locals = self.take_waiting();
        self.open.push(Open::Block { locals, is_function: true, is_pairs: false });
    }

    /// Follows a word that opens or closes something; `before` is the word before it.
    pub(super) fn follow(&mut self, token: &Token<'_>, before: Option<&Token<'_>>) {
        match token.text {
            "{" => self.open.push(Open::Table),
            "}" if self.is_in_table() => self.close(),
            _ if token.kind != Kind::Keyword => {}
            "do" | "repeat" => self.open_block(),
            "if" if self.is_expression(before) => self.open.push(Open::Condition),
            "then" if self.open.last() == Some(&Open::Condition) => self.replace(Open::Choice),
            "then" => self.open_block(),
            "else" if self.open.last() == Some(&Open::Choice) => self.close(),
            "elseif" if self.open.last() == Some(&Open::Choice) => self.replace(Open::Condition),
            "else" => {
                self.close();
                self.open_block();
            }
            "elseif" | "end" | "until" => self.close(),
            _ => {}
        }
    }

    fn open_block(&mut self) {
        let locals = self.take_waiting();
        let is_pairs = std::mem::take(&mut self.is_pairs);
        self.open.push(Open::Block { locals, is_function: false, is_pairs });
    }

    fn replace(&mut self, with: Open) {
        self.open.pop();
        self.open.push(with);
    }

    fn take_waiting(&mut self) -> HashMap<String, Local> {
        let local = Local { declared: None, is_used: false };
        self.waiting.drain().map(|name| (name, local)).collect()
    }

    fn close(&mut self) {
        if self.open.len() > 1
            && let Some(open) = self.open.pop()
        {
            self.note_unused(&open);
        }
    }

    /// Tells whether an `if` behind this word is an expression.
    fn is_expression(&self, before: Option<&Token<'_>>) -> bool {
        let Some(before) = before else { return false };
        match before.kind {
            Kind::Name | Kind::Literal => false,
            Kind::Symbol => !matches!(before.text, ")" | "]" | "}" | ";"),
            Kind::Keyword => {
                matches!(before.text, "return" | "and" | "or" | "not")
                    || (matches!(before.text, "then" | "else")
                        && self.open.last() == Some(&Open::Choice))
            }
        }
    }
}
