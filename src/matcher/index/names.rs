//! Finds the fields that matchers name among those of a message, in one walk over them.
//!
//! Most fields of a message are named by no matcher. A small table indexed by the length and three
//! bytes of a name says so without hashing or comparing it.

use super::super::variable::FieldPath;

/// The names that matchers use, and which values of those fields they want.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// For each mark the first name with it, counted from one.
    first: Box<[u32]>,
    names: Vec<Name>,
}

#[derive(Debug)]
struct Name {
    text: Box<[u8]>,
    wanted: Vec<Wanted>,
    /// The next name with the same mark, counted from one.
    next: u32,
    /// The last field of the name that is of interest.
    last: u32,
}

/// A value that is of interest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// The number of the variable.
    pub(super) number: u32,
    /// Which of the fields of that name.
    pub(super) field: u32,
    /// Which of its values.
    pub(super) value: u32,
}

impl Names {
    pub(super) fn new(fields: &[FieldPath]) -> Names {
        let mut names: Vec<Name> = Vec::new();
        let mut known = hashbrown::HashMap::<&[u8], usize>::new();
        for (path, number) in fields.iter().zip(0..) {
            let at = *known.entry(&path.name).or_insert_with(|| {
                names.push(Name { text: path.name.clone(), wanted: Vec::new(), next: 0, last: 0 });
                names.len() - 1
            });
            names[at].wanted.push(Wanted { number, field: path.field, value: path.value });
            names[at].last = names[at].last.max(path.field);
        }
        let size = (names.len() * 8).next_power_of_two().clamp(64, 1 << 20);
        let mut first = vec![0; size].into_boxed_slice();
        for (name, number) in names.iter_mut().zip(1..) {
            let head = &mut first[mark(&name.text) & (size - 1)];
            name.next = *head;
            *head = number;
        }
        Names { first, names }
    }

    /// How many names there are.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// The number of a name, if it is used.
    #[inline]
    pub(super) fn find(&self, name: &[u8]) -> Option<usize> {
        let mut number = *self.first.get(mark(name) & (self.first.len() - 1))?;
        while let Some(at) = number.checked_sub(1).map(|at| at as usize) {
            let known = &self.names[at];
            if *known.text == *name {
                return Some(at);
            }
            number = known.next;
        }
        None
    }

    /// What is wanted of the fields with a name.
    #[inline]
    pub(super) fn wanted(&self, name: usize) -> &[Wanted] {
        &self.names[name].wanted
    }

    /// Which of the fields with a name is the last that is wanted.
    #[inline]
    pub(super) fn last(&self, name: usize) -> u32 {
        self.names[name].last
    }
}

/// A number that tells most names apart.
#[inline]
fn mark(name: &[u8]) -> usize {
    let [first, .., last] = name else { return usize::from(name.first().copied().unwrap_or(0)) };
    let middle = usize::from(name[name.len() / 2]);
    let mixed = name.len() ^ usize::from(*first) << 3 ^ usize::from(*last) << 6 ^ middle << 1;
    mixed ^ mixed >> 7
}
