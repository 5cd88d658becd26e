//! Variables by number, so that each is read once for a message however many matchers name it.

use hashbrown::HashMap;

use super::super::condition::Condition;
use super::super::tree::Node;
use super::super::variable::FieldPath;
use super::super::variable::Header;
use super::super::variable::Variable;

/// A variable, as the index names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Operand {
    Header(Header),
    /// The number that [`Operands`] gave to a field.
    Field(u32),
}

impl Operand {
    /// A number for tables: header fields first, then the fields.
    pub(super) fn number(self) -> usize {
        match self {
            Operand::Header(header) => header as usize,
            Operand::Field(field) => Header::ALL.len() + field as usize,
        }
    }
}

/// The fields that the matchers name, numbered in the order of their first mention.
#[derive(Debug, Default)]
pub(super) struct Operands {
    fields: Vec<FieldPath>,
    numbers: HashMap<FieldPath, u32, foldhash::fast::RandomState>,
}

impl Operands {
    /// The tree of a matcher over numbered variables, cheap tests first.
    pub(super) fn number(&mut self, tree: &Node<Variable>) -> Node<Operand> {
        let mut numbered = tree.map(&mut |variable| match variable {
            Variable::Header(header) => Operand::Header(*header),
            Variable::Field(path) => Operand::Field(self.field(path)),
        });
        numbered.arrange(&|_, condition: &Condition| condition.cost());
        numbered
    }

    fn field(&mut self, path: &FieldPath) -> u32 {
        if let Some(number) = self.numbers.get(path) {
            return *number;
        }
        let number = u32::try_from(self.fields.len()).unwrap_or(u32::MAX);
        self.fields.push(path.clone());
        self.numbers.insert(path.clone(), number);
        number
    }

    /// The fields, in the order of their numbers.
    pub(super) fn fields(&self) -> &[FieldPath] {
        &self.fields
    }
}
