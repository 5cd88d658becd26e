//! An account of the system, as a setting names it.

use nix::unistd::Gid;
use nix::unistd::Group;
use nix::unistd::Uid;
use nix::unistd::User;
use serde::Deserialize;
use serde::Deserializer;
use serde::de;

/// A user that the system knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Its number.
    pub id: Uid,
    /// The number of its own group.
    pub group: Gid,
}

/// Reads a setting that names a user; none if empty.
///
/// # Errors
/// When the system knows no such user.
pub fn user<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Account>, D::Error> {
    let name = String::deserialize(from)?;
    if name.is_empty() {
        return Ok(None);
    }
    match User::from_name(&name) {
        Ok(Some(user)) => Ok(Some(Account { name, id: user.uid, group: user.gid })),
        _ => Err(de::Error::custom(format!("expected a user of this machine, found \"{name}\""))),
    }
}

/// Reads a setting that names a group; none if empty.
///
/// # Errors
/// When the system knows no such group.
pub fn group<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Gid>, D::Error> {
    let name = String::deserialize(from)?;
    if name.is_empty() {
        return Ok(None);
    }
    match Group::from_name(&name) {
        Ok(Some(group)) => Ok(Some(group.gid)),
        _ => Err(de::Error::custom(format!("expected a group of this machine, found \"{name}\""))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Settings {
        #[serde(deserialize_with = "user")]
        user: Option<Account>,
        #[serde(deserialize_with = "group")]
        group: Option<Gid>,
    }

    #[test]
    fn accounts_are_those_of_the_system() {
        let read = |text: &str| toml::from_str::<Settings>(text);
        let root = read("user = 'root'\ngroup = 'root'").unwrap();
        assert!(root.user.is_some_and(|user| user.id.is_root() && user.group.as_raw() == 0));
        assert_eq!(root.group, Some(Gid::from_raw(0)));
        let none = read("user = ''\ngroup = ''").unwrap();
        assert!(none.user.is_none() && none.group.is_none());
        let error = read("user = 'no such user'\ngroup = ''").unwrap_err().to_string();
        assert!(
            error.contains("expected a user of this machine, found \"no such user\""),
            "{error}"
        );
    }
}
