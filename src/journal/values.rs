//! Small values with names, durable as soon as they are put.
//!
//! A value is a file of its own in the folder `values`, `<number>.value`: CRC32 of the rest (4
//! bytes), name with its length as a varint, value. Its bounds are those of [`Values`].

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use super::Error;
use super::encoding::Cut;
use super::encoding::put_prefixed;
use super::files;
use super::survey;
use super::survey::Finding;
use super::walk;

/// The values of a journal.
#[derive(Debug, Default)]
pub(super) struct Values {
    folder: PathBuf,
    known: HashMap<String, (u64, Vec<u8>)>,
    next: u64,
}

impl Values {
    /// The largest value, in bytes.
    pub(super) const MAX_BYTES: usize = 64 << 10;
    /// The longest name, in bytes.
    const MAX_NAME: usize = 1024;
    /// How many there can be.
    const MAX_COUNT: usize = 4096;

    /// Reads what is in `folder`; what is damaged is left out and named.
    pub(super) fn open(folder: PathBuf, remarks: &mut Vec<String>) -> Result<Values, Error> {
        let failed = |error| Error::io("read the journal's values", error);
        files::make_folder(&folder).map_err(failed)?;
        let mut values = Values { folder, known: HashMap::new(), next: 1 };
        for file in fs::read_dir(&values.folder).map_err(failed)? {
            let path = file.map_err(failed)?.path();
            let number = path.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok());
            let is_value = path.extension().is_some_and(|extension| extension == "value");
            let (Some(number), true) = (number, is_value) else { continue };
            values.next = values.next.max(number + 1);
            match fs::read(&path) {
                Ok(bytes) => match decode(&bytes) {
                    Some((name, value)) => {
                        values.known.insert(name, (number, value));
                    }
                    None => remarks.push(format!("value {number} is damaged and left out")),
                },
                Err(error) if walk::is_of_the_medium(&error) => {
                    remarks.push(format!("value {number} cannot be read and is left out: {error}"));
                }
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(values)
    }

    pub(super) fn get(&self, name: &str) -> Option<Vec<u8>> {
        self.known.get(name).map(|(_, value)| value.clone())
    }

    /// Keeps `value` under `name`; an empty one is removed.
    pub(super) fn put(&mut self, name: &str, value: &[u8]) -> Result<(), Error> {
        if value.len() > Values::MAX_BYTES || name.len() > Values::MAX_NAME {
            return Err(Error::TooLarge { bytes: value.len(), largest: Values::MAX_BYTES });
        }
        let known = self.known.get(name).map(|(number, _)| *number);
        let failed = |error| Error::io("keep a value of the journal", error);
        if value.is_empty() {
            if let Some(number) = known {
                files::remove(&self.path(number)).map_err(failed)?;
                self.known.remove(name);
            }
            return Ok(());
        }
        if known.is_none() && self.known.len() >= Values::MAX_COUNT {
            return Err(Error::TooMany { what: "values", most: Values::MAX_COUNT });
        }
        let number = known.unwrap_or(self.next);
        files::replace(&self.path(number), &[&encode(name, value)]).map_err(failed)?;
        self.next = self.next.max(number + 1);
        self.known.insert(name.to_owned(), (number, value.to_vec()));
        Ok(())
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number}.value"))
    }
}

/// The damaged values in `folder`, looked at without changing it.
pub(super) fn look(folder: &Path) -> Result<Vec<Finding>, Error> {
    let failed = |error| Error::io("read the journal's values", error);
    let mut findings = Vec::new();
    for path in files::list(folder, "value").map_err(failed)? {
        match fs::read(&path) {
            Ok(bytes) if decode(&bytes).is_none() => {
                findings.push(survey::whole_file(&path, "a value"));
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(findings)
}

fn encode(name: &str, value: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 4];
    put_prefixed(&mut out, name.as_bytes());
    out.extend_from_slice(value);
    let crc = crc32fast::hash(&out[4..]);
    out[..4].copy_from_slice(&crc.to_le_bytes());
    out
}

fn decode(bytes: &[u8]) -> Option<(String, Vec<u8>)> {
    let mut from = Cut::new(bytes);
    let crc = from.u32()?;
    if crc != crc32fast::hash(&bytes[4..]) {
        return None;
    }
    let name = from.text()?.to_owned();
    Some((name, from.rest().to_vec()))
}
