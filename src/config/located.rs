//! A value of the configuration together with its place, for reports.
//!
//! Owns how a value learns its line (from YAML) and its path (from the mappings around it). Judges no value.

use std::ops::Deref;

use serde::{Deserialize, Deserializer};
use serde_saphyr::Spanned;

use super::report::{Place, Report, Reported};

/// A value and where it was written, or would be.
#[derive(Clone, Debug, Default)]
pub(super) struct Located<T> {
    pub(super) place: Place,
    pub(super) value: T,
}

/// A value that may be left out.
pub(super) type Field<T> = Located<Option<T>>;

impl<T> Located<T> {
    pub(super) const fn new(place: Place, value: T) -> Self {
        Self { place, value }
    }
}

impl<T> From<T> for Located<T> {
    fn from(value: T) -> Self {
        Self::new(Place::default(), value)
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
            .map(|spanned| Self::new(Place::in_line(spanned.referenced.line()), spanned.value))
    }
}

impl<T> Field<T> {
    /// The checked value; `None` if it was left out.
    pub(super) fn check<U, E: ToString>(
        &self,
        report: &mut Report,
        check: impl FnOnce(&T) -> Result<U, E>,
    ) -> Result<Option<U>, Reported> {
        let Some(value) = &self.value else { return Ok(None) };
        check(value).map(Some).map_err(|wrong| report.fault(&self.place, wrong.to_string()))
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
        self.check(report, check)?.ok_or_else(|| report.fault(&self.place, "this is missing, and has no default"))
    }
}

/// Gives every place in a value its path. A place without a line takes that of the mapping around it.
pub(super) trait Locate {
    /// Locates a value that was found at `path`. Scalars have no places inside.
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
        self.place.complete(path, line);
        self.value.locate(path, self.place.line());
    }
}
