//! What a message must have for a matcher to be worth evaluating.
//!
//! A matcher is entered in the index under one or several **keys** such that every message it
//! matches has at least one of them. Under each key stands what is left to evaluate then, often
//! nothing. They are found from the tree:
//!
//! - a test gives a key where a table can answer it;
//! - of a conjunction the member that seems to hold most seldom gives the keys, and the other
//!   members are left to evaluate; several bounds on one number count as one member;
//! - a disjunction gives the keys of all its members, or none if one has none;
//! - what is negated gives none.

use std::cmp::Ordering;
use std::sync::Arc;

use super::super::condition::Comparison;
use super::super::condition::Condition;
use super::super::number::Number;
use super::super::pattern::Matching;
use super::super::tree::Node;
use super::operand::Operand;
use super::statistics::Statistics;

/// What is asked of the value of one variable.
#[derive(Clone, Debug)]
pub(super) enum Key {
    /// It is this text.
    Text(Arc<[u8]>),
    /// It is this number, in canonical form.
    Number(Number),
    /// It is this truth value.
    Truth(bool),
    /// It is a number within bounds.
    Range(Bounds),
    /// It begins with this text.
    Prefix(Box<[u8]>),
    /// It ends with this text.
    Suffix(Box<[u8]>),
    /// It contains one of these texts.
    Literals(Box<[Box<[u8]>]>),
    /// It is there.
    Present,
}

/// A lower and an upper bound of a number; each with whether the bound itself is within.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bounds {
    pub(super) lower: Option<(Number, bool)>,
    pub(super) upper: Option<(Number, bool)>,
}

impl Bounds {
    fn of(comparison: Comparison, number: Number) -> Option<Bounds> {
        let (lower, upper) = (|bound| (Some(bound), None), |bound| (None, Some(bound)));
        let (lower, upper) = match comparison {
            Comparison::Greater => lower((number, false)),
            Comparison::GreaterOrEqual => lower((number, true)),
            Comparison::Less => upper((number, false)),
            Comparison::LessOrEqual => upper((number, true)),
            Comparison::Equal | Comparison::NotEqual => return None,
        };
        Some(Bounds { lower, upper })
    }

    /// The numbers within both.
    fn and(self, other: Bounds) -> Bounds {
        Bounds {
            lower: tighter(self.lower, other.lower, Ordering::Greater),
            upper: tighter(self.upper, other.upper, Ordering::Less),
        }
    }
}

/// The bound that lies on the `wanted` side of the other; of equal ones that which excludes.
fn tighter(
    left: Option<(Number, bool)>,
    right: Option<(Number, bool)>,
    wanted: Ordering,
) -> Option<(Number, bool)> {
    let (Some(a), Some(b)) = (left, right) else { return left.or(right) };
    Some(match a.0.compare(b.0) {
        Some(Ordering::Equal) => (a.0, a.1 && b.1),
        Some(ordering) if ordering == wanted => a,
        _ => b,
    })
}

/// One way for a message to match.
#[derive(Clone, Debug)]
pub(super) struct Alternative {
    pub(super) operand: Operand,
    pub(super) key: Key,
    /// What must hold besides.
    pub(super) rest: Vec<Arc<Node<Operand>>>,
}

/// The ways for a message to match, and how much they cost for each message, about: the share of
/// messages that have the key.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) alternatives: Vec<Alternative>,
    cost: f64,
}

/// Finds the keys of a tree; `None` when it must be evaluated for every message.
pub(super) fn plan(node: &Node<Operand>, statistics: &Statistics) -> Option<Plan> {
    match node {
        Node::Constant(false) => Some(Plan { alternatives: Vec::new(), cost: 0.0 }),
        Node::Constant(true) | Node::Not(_) => None,
        Node::Test(operand, condition) => plan_test(*operand, condition, statistics),
        Node::All(nodes) => plan_all(nodes, statistics),
        Node::Any(nodes) => {
            let mut whole = Plan { alternatives: Vec::new(), cost: 0.0 };
            for node in nodes {
                let part = plan(node, statistics)?;
                whole.cost += part.cost;
                whole.alternatives.extend(part.alternatives);
            }
            Some(whole)
        }
    }
}

fn plan_test(operand: Operand, condition: &Condition, statistics: &Statistics) -> Option<Plan> {
    let (key, is_whole) = key(operand, condition, statistics)?;
    let cost = statistics.cost(operand, &key);
    let rest =
        if is_whole { Vec::new() } else { vec![Arc::new(Node::Test(operand, condition.clone()))] };
    Some(Plan { alternatives: vec![Alternative { operand, key, rest }], cost })
}

/// The key of a test, and whether it says all that the test says.
fn key(operand: Operand, condition: &Condition, statistics: &Statistics) -> Option<(Key, bool)> {
    let fallback = matches!(operand, Operand::Field(_)).then_some((Key::Present, false));
    match condition {
        Condition::Text(Comparison::Equal, text) => Some((Key::Text(text.clone()), true)),
        Condition::Number(Comparison::Equal, number) => {
            Some((Key::Number(number.canonical()), true))
        }
        Condition::Number(comparison, number) => match Bounds::of(*comparison, *number) {
            Some(bounds) => Some((Key::Range(bounds), true)),
            None => fallback,
        },
        Condition::Truth(truth) => Some((Key::Truth(*truth), true)),
        Condition::Found(pattern) => match pattern.matching() {
            Matching::Equal(text) => Some((Key::Text(Arc::from(&**text)), true)),
            Matching::Prefix(text) => Some((Key::Prefix(text.clone()), true)),
            Matching::Suffix(text) => Some((Key::Suffix(text.clone()), true)),
            Matching::Contains(finder) if statistics.is_searched_at_once(operand) => {
                Some((Key::Literals([Box::from(finder.needle())].into()), true))
            }
            Matching::Regex { required: Some(literals), .. }
                if statistics.is_searched_at_once(operand) =>
            {
                Some((Key::Literals(literals.clone()), false))
            }
            _ => fallback,
        },
        Condition::Present => fallback.map(|(key, _)| (key, true)),
        Condition::Text(..) | Condition::NotFound(_) => fallback,
        Condition::Absent => None,
    }
}

fn plan_all(nodes: &[Node<Operand>], statistics: &Statistics) -> Option<Plan> {
    let single = nodes.iter().enumerate().map(|(at, node)| (vec![at], plan(node, statistics)));
    let bounded = bounded(nodes).into_iter().map(|(members, operand, bounds)| {
        let key = Key::Range(bounds);
        let cost = statistics.cost(operand, &key);
        let alternatives = vec![Alternative { operand, key, rest: Vec::new() }];
        (members, Some(Plan { alternatives, cost }))
    });
    let (members, mut best) = single
        .chain(bounded)
        .filter_map(|(members, plan)| Some((members, plan?)))
        .min_by(|(_, a), (_, b)| a.cost.total_cmp(&b.cost))?;
    let others = nodes.iter().enumerate().filter(|(at, _)| !members.contains(at));
    let others: Vec<_> = others.map(|(_, node)| node.clone()).collect();
    if !others.is_empty() {
        let rest = Arc::new(Node::all(others));
        for alternative in &mut best.alternatives {
            alternative.rest.push(rest.clone());
        }
    }
    Some(best)
}

/// The members of a conjunction that bound the same number, joined.
fn bounded(nodes: &[Node<Operand>]) -> Vec<(Vec<usize>, Operand, Bounds)> {
    let mut groups: Vec<(Vec<usize>, Operand, Bounds)> = Vec::new();
    for (at, node) in nodes.iter().enumerate() {
        let Node::Test(operand, Condition::Number(comparison, number)) = node else { continue };
        let Some(bounds) = Bounds::of(*comparison, *number) else { continue };
        match groups.iter_mut().find(|(_, known, _)| known == operand) {
            Some((members, _, joined)) => {
                members.push(at);
                *joined = joined.and(bounds);
            }
            None => groups.push((vec![at], *operand, bounds)),
        }
    }
    groups.retain(|(members, ..)| members.len() > 1);
    groups
}
