//! What of root's powers is kept by who is root no more, as a setting names it.

use rustix::thread::CapabilitySet;
use serde::Deserialize;
use serde::Deserializer;
use serde::de;

/// Reads a list of names of capabilities, such as `net_bind_service` or `CAP_NET_BIND_SERVICE`.
///
/// # Errors
/// When Linux has no such capability.
pub fn set<'de, D: Deserializer<'de>>(from: D) -> Result<CapabilitySet, D::Error> {
    let mut all = CapabilitySet::empty();
    for name in Vec::<String>::deserialize(from)? {
        let upper = name.to_ascii_uppercase();
        let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
        all |= CapabilitySet::from_name(bare).ok_or_else(|| {
            de::Error::custom(format!(
                "expected capabilities such as \"net_bind_service\" or \"dac_read_search\", found \
                 \"{name}\""
            ))
        })?;
    }
    Ok(all)
}

/// The names of a set, as a setting has them.
pub fn names(set: CapabilitySet) -> Vec<String> {
    set.iter_names().map(|(name, _)| name.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Settings {
        #[serde(deserialize_with = "set")]
        keep: CapabilitySet,
    }

    #[test]
    fn capabilities_have_the_names_that_linux_gives_them() {
        let read = |text: &str| toml::from_str::<Settings>(text);
        let two = read("keep = ['net_bind_service', 'CAP_DAC_READ_SEARCH']").unwrap().keep;
        assert_eq!(two, CapabilitySet::NET_BIND_SERVICE | CapabilitySet::DAC_READ_SEARCH);
        assert_eq!(names(two), ["dac_read_search", "net_bind_service"]);
        assert!(read("keep = []").unwrap().keep.is_empty());
        let error = read("keep = ['everything']").unwrap_err().to_string();
        assert!(error.contains("found \"everything\""), "{error}");
    }
}
