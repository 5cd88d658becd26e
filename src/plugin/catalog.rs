//! The catalog: one row for every kind of plugin.

use serde::de::DeserializeOwned;

use super::decoder::Decoder;
use super::encoder::Encoder;
use super::filter::Filter;
use super::input::Input;
use super::output::Output;
use super::splitter::Splitter;

/// What help, `check` and the tests say of a kind.
pub trait Described: DeserializeOwned + schemars::JsonSchema {
    /// The name of the kind: `TcpInput`.
    const NAME: &'static str;
    /// One sentence on what it does.
    const ABOUT: &'static str;
    /// A section that loads, in TOML.
    const EXAMPLE: &'static str;
    /// What the common options are where the section says nothing.
    const DEFAULTS: Defaults = Defaults::NONE;

    /// Finds what contradicts itself in the settings, or names what is not there.
    ///
    /// # Errors
    /// What is wrong, for the person who wrote the section.
    fn check(&self) -> anyhow::Result<()> {
        Ok(())
    }
}

/// Reads the settings of a section and checks that they go together.
fn read<P: Described>(settings: toml::Deserializer<'_>) -> Result<Box<P>, toml::de::Error> {
    let plugin = P::deserialize(settings)?;
    let mistake = |error| serde::de::Error::custom(format!("{error:#}"));
    plugin.check().map_err(mistake)?;
    Ok(Box::new(plugin))
}

/// Common options that a kind has a default of its own for.
#[derive(Clone, Copy, Debug)]
pub struct Defaults {
    /// The decoder of an input.
    pub decoder: Option<&'static str>,
    /// The splitter of an input; `NullSplitter` otherwise.
    pub splitter: Option<&'static str>,
    /// The encoder of an output.
    pub encoder: Option<&'static str>,
    /// The matcher of a filter or an output, which is required otherwise.
    pub message_matcher: Option<&'static str>,
    /// Seconds between two ticks; 0 is never.
    pub ticker_interval: u64,
    /// Whether an input that ticks may be told never to.
    pub may_not_tick: bool,
}

impl Defaults {
    /// No default of its own.
    pub const NONE: Defaults = Defaults {
        decoder: None,
        splitter: None,
        encoder: None,
        message_matcher: None,
        ticker_interval: 0,
        may_not_tick: false,
    };
}

/// A sort of plugin: a row of the catalog.
pub struct Kind<T: ?Sized> {
    /// The name of the kind.
    pub name: &'static str,
    /// One sentence on what it does.
    pub about: &'static str,
    /// A section that loads, in TOML.
    pub example: &'static str,
    /// Defaults of the common options.
    pub defaults: Defaults,
    /// The JSON Schema of the settings, descriptions and defaults included.
    pub schema: fn() -> schemars::Schema,
    /// Reads the settings of a section.
    pub read: fn(toml::Deserializer<'_>) -> Result<Box<T>, toml::de::Error>,
}

impl<T: ?Sized> std::fmt::Debug for Kind<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kind").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<T: ?Sized> Kind<T> {
    const fn of<P: Described>(
        read: fn(toml::Deserializer<'_>) -> Result<Box<T>, toml::de::Error>,
    ) -> Kind<T> {
        Kind {
            name: P::NAME,
            about: P::ABOUT,
            example: P::EXAMPLE,
            defaults: P::DEFAULTS,
            schema: || schemars::SchemaGenerator::default().into_root_schema_for::<P>(),
            read,
        }
    }
}

impl Kind<dyn Input> {
    /// The row of an input.
    pub const fn input<P: Described + Input + 'static>() -> Kind<dyn Input> {
        Kind::of::<P>(|settings| Ok(read::<P>(settings)?))
    }
}

impl Kind<dyn Splitter> {
    /// The row of a splitter.
    pub const fn splitter<P: Described + Splitter + 'static>() -> Kind<dyn Splitter> {
        Kind::of::<P>(|settings| Ok(read::<P>(settings)?))
    }
}

impl Kind<dyn Decoder> {
    /// The row of a decoder.
    pub const fn decoder<P: Described + Decoder + 'static>() -> Kind<dyn Decoder> {
        Kind::of::<P>(|settings| Ok(read::<P>(settings)?))
    }
}

impl Kind<dyn Filter> {
    /// The row of a filter.
    pub const fn filter<P: Described + Filter + 'static>() -> Kind<dyn Filter> {
        Kind::of::<P>(|settings| Ok(read::<P>(settings)?))
    }
}

impl Kind<dyn Encoder> {
    /// The row of an encoder.
    pub const fn encoder<P: Described + Encoder + 'static>() -> Kind<dyn Encoder> {
        Kind::of::<P>(|settings| Ok(read::<P>(settings)?))
    }
}

impl Kind<dyn Output> {
    /// The row of an output.
    pub const fn output<P: Described + Output + 'static>() -> Kind<dyn Output> {
        Kind::of::<P>(|settings| Ok(read::<P>(settings)?))
    }
}

/// All kinds there are, by family.
#[derive(Clone, Copy, Debug)]
pub struct Catalog {
    /// Where messages come from.
    pub inputs: &'static [Kind<dyn Input>],
    /// How records are cut.
    pub splitters: &'static [Kind<dyn Splitter>],
    /// How a record becomes messages.
    pub decoders: &'static [Kind<dyn Decoder>],
    /// What analyses messages.
    pub filters: &'static [Kind<dyn Filter>],
    /// How a message becomes bytes.
    pub encoders: &'static [Kind<dyn Encoder>],
    /// Where messages go.
    pub outputs: &'static [Kind<dyn Output>],
}

impl Catalog {
    /// The names of the kinds that end in `suffix`, as `Input`: a family.
    #[must_use]
    pub fn names(&self, suffix: &str) -> Vec<&'static str> {
        let inputs = self.inputs.iter().map(|kind| kind.name);
        let all = inputs
            .chain(self.splitters.iter().map(|kind| kind.name))
            .chain(self.decoders.iter().map(|kind| kind.name))
            .chain(self.filters.iter().map(|kind| kind.name))
            .chain(self.encoders.iter().map(|kind| kind.name))
            .chain(self.outputs.iter().map(|kind| kind.name));
        all.filter(|name| name.ends_with(suffix)).collect()
    }
}
