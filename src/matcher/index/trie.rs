//! Finds all of many prefixes that a text begins with.

use super::entry::Entry;

/// Prefixes, byte by byte; the first node is the empty prefix.
#[derive(Debug, Default)]
pub(super) struct Trie {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    entries: Vec<Entry>,
    /// Sorted by byte.
    children: Vec<(u8, u32)>,
}

impl Trie {
    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    pub(super) fn insert(&mut self, prefix: impl Iterator<Item = u8>, entry: Entry) {
        if self.nodes.is_empty() {
            self.nodes.push(Node::default());
        }
        let mut at = 0;
        for byte in prefix {
            let next = self.nodes.len();
            let children = &mut self.nodes[at].children;
            at = match children.binary_search_by_key(&byte, |(byte, _)| *byte) {
                Ok(place) => children[place].1 as usize,
                Err(place) => {
                    children.insert(place, (byte, u32::try_from(next).unwrap_or(u32::MAX)));
                    self.nodes.push(Node::default());
                    next
                }
            };
        }
        self.nodes[at].entries.push(entry);
    }

    /// Hands the entries of all prefixes of `text` to `found`, shorter ones first.
    pub(super) fn visit(
        &self,
        mut text: impl Iterator<Item = u8>,
        found: &mut impl FnMut(&[Entry]),
    ) {
        let mut next = self.nodes.first();
        while let Some(node) = next {
            if !node.entries.is_empty() {
                found(&node.entries);
            }
            let Some(byte) = text.next() else { return };
            next = node
                .children
                .binary_search_by_key(&byte, |(byte, _)| *byte)
                .ok()
                .and_then(|place| self.nodes.get(node.children[place].1 as usize));
        }
    }
}
