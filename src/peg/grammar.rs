//! Grammars: rules that call each other.

use std::collections::HashMap;

use super::Error;
use super::tree::Kept;
use super::tree::Key;
use super::tree::Op;
use super::tree::Pattern;

/// The most rules a grammar may have.
const MAX_RULES: usize = 1000;

/// How many nodes are looked at, at most, to find out what rules can do.
const MAX_WORK: usize = 50_000_000;

/// What is known of the rules of a grammar.
struct Rules {
    /// Where their nodes are.
    nodes: Vec<usize>,
    is_nullable: Vec<bool>,
}

impl Pattern {
    /// Makes a grammar of named rules, of which the first is where it begins.
    ///
    /// # Errors
    /// When a rule is called that is not there, may call itself without consuming anything, or
    /// repeats what may consume nothing; when the result is too large.
    pub fn grammar(rules: &[(Key<'_>, &Pattern)]) -> Result<Pattern, Error> {
        if rules.is_empty() {
            return Err(Error::Grammar("grammar has no initial rule"));
        }
        if rules.len() > MAX_RULES {
            return Err(Error::Grammar("grammar has too many rules"));
        }
        let root = Op::Grammar { is_nullable: false, is_nofail: false };
        let mut grammar = Pattern::root(root);
        for (name, body) in rules {
            let mut rule = Pattern::root(Op::Rule(0));
            let key = rule.keep_key(*name)?;
            rule.nodes[0].op = Op::Rule(key);
            rule.append(body, 0)?;
            grammar.append(&rule, 0)?;
        }
        grammar.resolve()?;
        let rules = grammar.nullable_rules()?;
        grammar.refuse_left_recursion(&rules)?;
        grammar.refuse_empty_loops(&rules)?;
        let is_nofail = grammar.is_nofail(rules.nodes[0] + 1);
        grammar.nodes[0].op = Op::Grammar { is_nullable: rules.is_nullable[0], is_nofail };
        Ok(grammar)
    }

    /// Turns the calls by name into calls by number.
    fn resolve(&mut self) -> Result<(), Error> {
        let mut names: HashMap<Vec<u8>, u32> = HashMap::new();
        for (number, rule) in self.children(0).enumerate() {
            if let Op::Rule(key) = self.nodes[rule].op {
                let number = u32::try_from(number).unwrap_or(u32::MAX);
                names.entry(self.key_bytes(key)).or_insert(number);
            }
        }
        for index in 0..self.nodes.len() {
            if let Op::Open(key) = self.nodes[index].op {
                let Some(number) = names.get(&self.key_bytes(key)) else {
                    return Err(Error::UndefinedRule(self.shown_key(key)));
                };
                self.nodes[index].op = Op::Call(*number);
            }
        }
        Ok(())
    }

    /// Bytes that differ where keys do.
    fn key_bytes(&self, key: u32) -> Vec<u8> {
        match self.keys[key as usize] {
            Kept::Text { at, len } => [b"t", self.text(at, len)].concat(),
            Kept::Number(number) => [&b"n"[..], &number.to_bits().to_le_bytes()].concat(),
            other => format!("{other:?}").into_bytes(),
        }
    }

    /// Finds out which rules may consume nothing: none, to begin with, then ever more.
    fn nullable_rules(&self) -> Result<Rules, Error> {
        let nodes: Vec<usize> = self.children(0).collect();
        let mut rules = Rules { is_nullable: vec![false; nodes.len()], nodes };
        let mut work = 0;
        loop {
            let mut has_changed = false;
            for number in (0..rules.nodes.len()).rev() {
                let body = rules.nodes[number] + 1;
                if !rules.is_nullable[number] && self.is_nullable_in(body, &rules.is_nullable) {
                    rules.is_nullable[number] = true;
                    has_changed = true;
                }
            }
            work += self.nodes.len();
            if !has_changed {
                return Ok(rules);
            }
            if work > MAX_WORK {
                return Err(Error::Grammar("grammar is too complex"));
            }
        }
    }

    fn refuse_left_recursion(&self, rules: &Rules) -> Result<(), Error> {
        let calls: Vec<Vec<u32>> = rules
            .nodes
            .iter()
            .map(|rule| {
                let mut calls = Vec::new();
                self.left_calls(rule + 1, &rules.is_nullable, &mut calls);
                calls.sort_unstable();
                calls.dedup();
                calls
            })
            .collect();
        left_order(&calls).map(|_| ()).map_err(|rule| {
            let name = match self.nodes[rules.nodes[rule]].op {
                Op::Rule(key) => self.shown_key(key),
                _ => String::new(),
            };
            Error::LeftRecursion(name)
        })
    }

    fn refuse_empty_loops(&self, rules: &Rules) -> Result<(), Error> {
        for rule in &rules.nodes {
            let Op::Rule(key) = self.nodes[*rule].op else { continue };
            let end = rule + self.nodes[*rule].size as usize;
            let mut index = rule + 1;
            while index < end {
                match self.nodes[index].op {
                    // A grammar inside has been looked at when it was made.
                    Op::Grammar { .. } => index += self.nodes[index].size as usize,
                    Op::Repeat(_) if self.is_nullable_in(index + 1, &rules.is_nullable) => {
                        return Err(Error::EmptyLoopInRule(self.shown_key(key)));
                    }
                    _ => index += 1,
                }
            }
        }
        Ok(())
    }
}

/// Puts rules behind those they call before consuming anything; the number of a rule that calls
/// itself so where there is one.
pub(super) fn left_order(calls: &[Vec<u32>]) -> Result<Vec<usize>, usize> {
    #[derive(Clone, Copy, PartialEq)]
    enum Seen {
        Not,
        Inside,
        Done,
    }
    let mut seen = vec![Seen::Not; calls.len()];
    let mut order = Vec::with_capacity(calls.len());
    for start in 0..calls.len() {
        let mut path = Vec::new();
        if seen[start] == Seen::Not {
            seen[start] = Seen::Inside;
            path.push((start, 0));
        }
        while let Some((rule, next)) = path.last_mut() {
            let Some(called) = calls[*rule].get(*next).map(|called| *called as usize) else {
                seen[*rule] = Seen::Done;
                order.push(*rule);
                path.pop();
                continue;
            };
            *next += 1;
            match seen[called] {
                Seen::Inside => return Err(called),
                Seen::Not => {
                    seen[called] = Seen::Inside;
                    path.push((called, 0));
                }
                Seen::Done => {}
            }
        }
    }
    Ok(order)
}
