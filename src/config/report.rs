//! The report about a configuration: its faults and its warnings.
//!
//! Owns the form of a fault: its location, and what would be right. Never repeats a value, since it may be a secret in the
//! wrong place.

use std::fmt;

/// The location of a setting: its path and line in the file, a flag or a variable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Location {
    path: String,
    line: Option<u64>,
}

impl Location {
    /// A flag or an environment variable.
    pub(super) fn named(name: impl Into<String>) -> Self {
        Self { path: name.into(), line: None }
    }

    /// A line of the file, counted from 1 (0: not known), whose path is not known yet.
    pub(super) fn in_line(line: u64) -> Self {
        Self { path: String::new(), line: (line > 0).then_some(line) }
    }

    /// Adds the path and the line, where they are not known yet.
    pub(super) fn complete(&mut self, path: &str, line: Option<u64>) {
        if self.path.is_empty() {
            path.clone_into(&mut self.path);
            self.line = self.line.or(line);
        }
    }

    /// The line in the file.
    pub(super) const fn line(&self) -> Option<u64> {
        self.line
    }

    /// Its path without the line.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{} (line {line})", self.path),
            None => f.write_str(&self.path),
        }
    }
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Its location.
    pub location: Location,
    /// What is wrong, or what would be right.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.location, self.what)
    }
}

/// The faults of a configuration, at least one, and its warnings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    /// The faults, in the order of the configuration.
    pub faults: Vec<Fault>,
    /// What works, and could be better.
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

/// A fault that is in the report: what was judged cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reported;

/// Collects faults and warnings.
#[derive(Debug, Default)]
pub(super) struct Report {
    faults: Vec<Fault>,
    warnings: Vec<String>,
}

impl Report {
    pub(super) fn fault(&mut self, location: &Location, what: impl Into<String>) -> Reported {
        self.faults.push(Fault { location: location.clone(), what: what.into() });
        Reported
    }

    pub(super) fn warn(&mut self, location: &Location, what: impl fmt::Display) {
        self.warnings.push(format!("{location}: {what}"));
    }

    /// What was read and the warnings about it, or every fault.
    pub(super) fn finish<T>(mut self, read: Result<T, Reported>) -> Result<(T, Vec<String>), Faults> {
        // flags and variables first, then the file from its top; within a line as it was found
        self.faults.sort_by_key(|fault| fault.location.line);
        match read {
            Ok(value) if self.faults.is_empty() => Ok((value, self.warnings)),
            _ => Err(Faults { faults: self.faults, warnings: self.warnings }),
        }
    }
}
