//! The line before a document: what is done with it, and where it goes.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::formats::json_text;
use crate::message::Message;
use crate::message::Places;
use crate::message::places::verbatim;
use crate::stdx::clock::Clock;
use crate::stdx::clock::System;

/// What is done with a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Action {
    /// One of the same id is replaced.
    #[default]
    Index,
    /// One of the same id is left as it is; a data stream takes nothing else.
    Create,
}

/// Writes the lines.
pub(super) struct Place {
    pub(super) action: Action,
    pub(super) index: Places,
    pub(super) type_name: Option<Places>,
    pub(super) id: Option<Places>,
    /// Tells the time in the names, where it is not the message's.
    pub(super) clock: Option<Box<dyn Clock>>,
    pub(super) text: Vec<u8>,
}

impl Place {
    /// A place as the settings of an encoder give it; an empty text is none.
    pub(super) fn new(
        action: Action,
        index: &Places,
        type_name: &Places,
        id: &Places,
        is_by_message: bool,
    ) -> Place {
        let wanted = |text: &Places| (!text.written().is_empty()).then(|| text.clone());
        let clock = || Box::new(System::new()) as Box<dyn Clock>;
        Place {
            action,
            index: index.clone(),
            type_name: wanted(type_name),
            id: wanted(id),
            clock: (!is_by_message).then(clock),
            text: Vec::new(),
        }
    }

    /// Appends the line for `message`. An id that it cannot have is left out: the server makes one.
    ///
    /// # Errors
    /// When the message lacks what the name of the index asks for.
    pub(super) fn put(&mut self, message: &Message<'_>, out: &mut Vec<u8>) -> anyhow::Result<()> {
        let time = self.clock.as_ref().map_or_else(|| message.timestamp(), |clock| clock.wall());
        let text = &mut self.text;
        text.clear();
        self.index.put(message, time, verbatim, text)?;
        // Names of indices have no capitals.
        let lower = if text.is_ascii() {
            text.make_ascii_lowercase();
            text.as_slice()
        } else {
            *text = String::from_utf8_lossy(text).to_lowercase().into_bytes();
            text.as_slice()
        };
        out.extend_from_slice(match self.action {
            Action::Index => b"{\"index\":{\"_index\":",
            Action::Create => b"{\"create\":{\"_index\":",
        });
        json_text::put_string(out, lower);
        for (key, places) in
            [(&b",\"_type\":"[..], &mut self.type_name), (&b",\"_id\":"[..], &mut self.id)]
        {
            self.text.clear();
            if let Some(places) = places
                && places.put(message, time, verbatim, &mut self.text).is_ok()
                && !self.text.is_empty()
            {
                out.extend_from_slice(key);
                json_text::put_string(out, &self.text);
            }
        }
        out.extend_from_slice(b"}}\n");
        Ok(())
    }
}
