//! The compiled expression: tests joined by and, or, not.
//!
//! The depth of a tree is bounded by the nesting of parentheses that the parser allows: what is
//! joined by the same word lies in one row, however long it is.

use super::condition::Condition;

/// A node over tests of variables, whatever a variable is to the one who evaluates.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node<V> {
    Constant(bool),
    Test(V, Condition),
    Not(Box<Node<V>>),
    All(Box<[Node<V>]>),
    Any(Box<[Node<V>]>),
}

impl<V> Node<V> {
    /// Joins nodes of which all must hold; constants and conjunctions among them dissolve.
    pub(super) fn all(nodes: Vec<Node<V>>) -> Node<V> {
        let mut row = Vec::with_capacity(nodes.len());
        for node in nodes {
            match node {
                Node::Constant(true) => {}
                Node::Constant(false) => return Node::Constant(false),
                Node::All(inner) => row.extend(inner),
                other => row.push(other),
            }
        }
        match row.pop() {
            None => Node::Constant(true),
            Some(only) if row.is_empty() => only,
            Some(last) => {
                row.push(last);
                Node::All(row.into())
            }
        }
    }

    /// Joins nodes of which one must hold; constants and disjunctions among them dissolve.
    pub(super) fn any(nodes: Vec<Node<V>>) -> Node<V> {
        let mut row = Vec::with_capacity(nodes.len());
        for node in nodes {
            match node {
                Node::Constant(false) => {}
                Node::Constant(true) => return Node::Constant(true),
                Node::Any(inner) => row.extend(inner),
                other => row.push(other),
            }
        }
        match row.pop() {
            None => Node::Constant(false),
            Some(only) if row.is_empty() => only,
            Some(last) => {
                row.push(last);
                Node::Any(row.into())
            }
        }
    }

    /// The opposite of a node.
    pub(super) fn not(node: Node<V>) -> Node<V> {
        match node {
            Node::Constant(truth) => Node::Constant(!truth),
            Node::Not(inner) => *inner,
            other => Node::Not(Box::new(other)),
        }
    }

    /// Evaluates the node, asking `test` no more than is needed.
    #[inline]
    pub(super) fn holds(&self, test: &impl Fn(&V, &Condition) -> bool) -> bool {
        match self {
            Node::Test(variable, condition) => test(variable, condition),
            Node::All(nodes) => nodes.iter().all(|node| node.holds(test)),
            Node::Any(nodes) => nodes.iter().any(|node| node.holds(test)),
            Node::Not(node) => !node.holds(test),
            Node::Constant(truth) => *truth,
        }
    }

    /// Puts cheap tests before dear ones where their order does not matter.
    pub(super) fn arrange(&mut self, cost: &impl Fn(&V, &Condition) -> u32) {
        match self {
            Node::Constant(_) | Node::Test(..) => {}
            Node::Not(node) => node.arrange(cost),
            Node::All(nodes) | Node::Any(nodes) => {
                nodes.iter_mut().for_each(|node| node.arrange(cost));
                nodes.sort_by_cached_key(|node| node.cost(cost));
            }
        }
    }

    fn cost(&self, cost: &impl Fn(&V, &Condition) -> u32) -> u32 {
        match self {
            Node::Constant(_) => 0,
            Node::Test(variable, condition) => cost(variable, condition),
            Node::Not(node) => node.cost(cost),
            Node::All(nodes) | Node::Any(nodes) => {
                nodes.iter().map(|node| node.cost(cost)).fold(0, u32::saturating_add)
            }
        }
    }

    /// The same tree over other variables.
    pub(super) fn map<W>(&self, variable: &mut impl FnMut(&V) -> W) -> Node<W> {
        match self {
            Node::Constant(truth) => Node::Constant(*truth),
            Node::Test(from, condition) => Node::Test(variable(from), condition.clone()),
            Node::Not(node) => Node::Not(Box::new(node.map(variable))),
            Node::All(nodes) => Node::All(nodes.iter().map(|node| node.map(variable)).collect()),
            Node::Any(nodes) => Node::Any(nodes.iter().map(|node| node.map(variable)).collect()),
        }
    }
}
