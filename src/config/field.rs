//! Values of the configuration with their locations, for reports.
//!
//! Owns how a value gets its line (from YAML) and its path (from the mappings around it). Judges no value.

use std::ops::Deref;

use serde::{Deserialize, Deserializer};
use serde_saphyr::Spanned;

use super::report::{Location, Report, Reported};

/// A value and where it is written, or would be.
#[derive(Clone, Debug, Default)]
pub(super) struct Located<T> {
    pub(super) location: Location,
    pub(super) value: T,
}

/// A value that may be left out.
pub(super) type Field<T> = Located<Option<T>>;

impl<T> Located<T> {
    pub(super) const fn new(location: Location, value: T) -> Self {
        Self { location, value }
    }
}

impl<T> From<T> for Located<T> {
    fn from(value: T) -> Self {
        Self::new(Location::default(), value)
    }
}

impl<T> Deref for Located<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Located<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::deserialize(deserializer)
            .map(|spanned| Self::new(Location::in_line(spanned.referenced.line()), spanned.value))
    }
}

impl<T> Located<Option<T>> {
    /// The checked value; `None` if it was left out.
    pub(super) fn check<U, E: ToString>(
        &self,
        report: &mut Report,
        check: impl FnOnce(&T) -> Result<U, E>,
    ) -> Result<Option<U>, Reported> {
        let Some(value) = &self.value else { return Ok(None) };
        check(value).map(Some).map_err(|wrong| report.fault(&self.location, wrong.to_string()))
    }

    /// The checked value, or the default if it was left out.
    pub(super) fn or<U, E: ToString>(
        &self,
        report: &mut Report,
        default: U,
        check: impl FnOnce(&T) -> Result<U, E>,
    ) -> Result<U, Reported> {
        Ok(self.check(report, check)?.unwrap_or(default))
    }

    /// The checked value; leaving it out is a fault.
    pub(super) fn required<U, E: ToString>(
        &self,
        report: &mut Report,
        check: impl FnOnce(&T) -> Result<U, E>,
    ) -> Result<U, Reported> {
        self.check(report, check)?.ok_or_else(|| report.fault(&self.location, "this is missing, and has no default"))
    }
}

/// Completes the locations in a value: each gets its path, and one without a line gets that of the mapping around it.
pub(super) trait Locate {
    /// Completes the locations in the value at `path`. A scalar has none inside.
    fn locate(&mut self, _path: &str, _line: Option<u64>) {}
}

impl Locate for String {}

impl<T> Locate for Option<T> {}

impl<T: Locate> Locate for Vec<T> {
    fn locate(&mut self, path: &str, line: Option<u64>) {
        for (index, item) in self.iter_mut().enumerate() {
            item.locate(&format!("{path}[{index}]"), line);
        }
    }
}

impl<T: Locate> Locate for Located<T> {
    fn locate(&mut self, path: &str, line: Option<u64>) {
        self.location.complete(path, line);
        self.value.locate(path, self.location.line());
    }
}
