//! The steps of a plan.

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Pushes a part of the subject.
    Text {
        /// Where it begins.
        at: u32,
        /// How long it is.
        length: u32,
    },
    /// Pushes a whole number.
    Number(u32),
    /// Pushes a constant.
    Constant(u32),
    /// Pushes the extra argument of this number; it is an error if there is none.
    Argument(u32),
    /// Pushes a value that the host holds.
    Held(u32),
    /// Marks the height of the stack.
    Mark,
    /// Forgets the last mark.
    Unmark,
    /// Pushes a part of the subject if nothing stands above the last mark.
    Whole {
        /// Where it begins.
        at: u32,
        /// How long it is.
        length: u32,
    },
    /// Pushes a table with room for so many items and fields, and marks the height.
    Table {
        /// Items.
        items: u32,
        /// Fields.
        fields: u32,
    },
    /// Appends a part of the subject to the table at the last mark.
    ItemText {
        /// Where it begins.
        at: u32,
        /// How long it is.
        length: u32,
    },
    /// Appends what stands above the table at the last mark to it.
    Items,
    /// Puts a part of the subject into the table at the last mark, under the constant.
    FieldText {
        /// The constant.
        key: u32,
        /// Where it begins.
        at: u32,
        /// How long it is.
        length: u32,
    },
    /// Forgets the last mark and puts the first value above it into the table at the mark below, under
    /// the constant.
    Field(u32),
    /// Forgets the last mark and keeps the value of this number above it; it is an error if there is
    /// none.
    Select(u32),
    /// Forgets the last mark; what the constant, a table, has under the first value above it takes
    /// the place of all of them, unless that is nil.
    Query(u32),
    /// Forgets the last mark; what the constant, a function, makes of the values above it takes their
    /// place.
    Call(u32),
    /// Forgets the last mark and keeps the first value above it; it is an error if there is none.
    FoldFirst,
    /// Puts the constant, a function, below the value on top and marks the height below both.
    FoldArm(u32),
    /// Forgets the last mark; the first value there, a function, is given those above it and its
    /// first result takes the place of all of them.
    FoldCall,
    /// Begins a text.
    Begin,
    /// Adds a part of the subject to the text.
    Add {
        /// Where it begins.
        at: u32,
        /// How long it is.
        length: u32,
    },
    /// Adds a part of the texts of the program to the text.
    AddConstant {
        /// Where it begins.
        at: u32,
        /// How long it is.
        length: u32,
    },
    /// Forgets the last mark and adds the first value above it to the text, or the part of the
    /// subject where there is none.
    AddValue {
        /// Where it begins.
        at: u32,
        /// How long it is.
        length: u32,
    },
    /// The same, but it is an error if there is no value; the number is that of the capture.
    AddCapture(u32),
    /// Pushes the text.
    End,
}
