//! What is wrong with a configuration, all of it at once, and what is merely worth knowing.
//!
//! Owns the form of a fault: where, and what would be right. Never repeats a value: it may be a secret in the wrong
//! place. Filled by every other file of `config`.

use std::fmt;

/// Where something was written: a field's path in the file, an option or a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    path: String,
    line: Option<u64>,
}

impl Place {
    /// A flag or an environment variable.
    pub(super) fn named(name: impl Into<String>) -> Self {
        Self { path: name.into(), line: None }
    }

    /// A field of the file.
    pub(super) fn in_file(path: impl Into<String>, line: u64) -> Self {
        Self { path: path.into(), line: Some(line) }
    }

    /// Its path without the line.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{} (line {line})", self.path),
            None => f.write_str(&self.path),
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub place: Place,
    /// What, and what would be right.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// Everything that is wrong, at least one thing; and the warnings that were found beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    /// What is wrong, in the order of the configuration.
    pub faults: Vec<Fault>,
    /// What is worth knowing besides.
    pub warnings: Vec<String>,
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.faults.len() {
            1 => f.write_str("the configuration has a fault:")?,
            count => write!(f, "the configuration has {count} faults:")?,
        }
        self.faults.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl std::error::Error for Faults {}

/// Where faults and warnings are collected.
#[derive(Debug, Default)]
pub(super) struct Report {
    faults: Vec<Fault>,
    warnings: Vec<String>,
}

impl Report {
    pub(super) fn fault(&mut self, place: Place, what: impl Into<String>) {
        self.faults.push(Fault { place, what: what.into() });
    }

    pub(super) fn warn(&mut self, place: &Place, what: impl fmt::Display) {
        self.warnings.push(format!("{place}: {what}"));
    }

    /// What was read, if it is whole and nothing is wrong; otherwise everything that is.
    pub(super) fn finish<T>(self, whole: Option<T>) -> Result<(T, Vec<String>), Faults> {
        match whole {
            Some(value) if self.faults.is_empty() => Ok((value, self.warnings)),
            _ => Err(Faults { faults: self.faults, warnings: self.warnings }),
        }
    }
}

/// A field as it was found.
#[derive(Clone, Debug)]
pub(super) enum Field<T> {
    /// It is there, and of the right type.
    Given(Place, T),
    /// It is not there, or is null; the place is where it would be.
    Absent(Place),
    /// It is there and was reported as wrong already.
    Bad,
}

impl<T> Field<T> {
    /// Whether anything was written there.
    pub(super) fn is_given(&self) -> bool {
        matches!(self, Self::Given(..))
    }

    /// The value, checked; `default` where nothing was given. `None`: wrong, and reported.
    pub(super) fn or<U, E: fmt::Display>(
        &self,
        report: &mut Report,
        default: impl FnOnce() -> Option<U>,
        check: impl FnOnce(&T) -> Result<U, E>,
    ) -> Option<(Place, U)> {
        match self {
            Self::Given(place, value) => match check(value) {
                Ok(value) => Some((place.clone(), value)),
                Err(wrong) => {
                    report.fault(place.clone(), wrong.to_string());
                    None
                }
            },
            Self::Absent(place) => default().map(|value| (place.clone(), value)),
            Self::Bad => None,
        }
    }
}
