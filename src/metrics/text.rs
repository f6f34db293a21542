//! The text that Prometheus scrapes, in pieces.
//!
//! Owns the order of the families and where a piece ends. A piece is made when the one before is on its way, so that ten
//! thousand mirrors neither take ten megabytes at once nor hold up whoever else waits for the same thread. All pieces tell
//! of one status and one moment; what is counted is read before the first.

use std::iter::Peekable;
use std::vec;

use bytes::Bytes;
use jiff::Timestamp;
use prometheus::TextEncoder;
use prometheus::proto::MetricFamily;

use super::scrape::{self, Computed, Lines, OfMirror, Row, Series};
use super::{Family, Metrics};
use crate::domain::status::Status;

/// A piece ends with the mirror whose lines reach this: about what a socket takes at once.
pub(super) const PIECE: usize = 64 * 1024;
/// What the lines of the mirror that ends it may take beyond that.
pub(super) const LAST_LINE: usize = 1024;

/// A scrape's text; iterates over its pieces.
pub struct Text {
    first: Option<Bytes>,
    rest: Option<Rest>,
}

/// What has not been written yet.
struct Rest {
    mirrors: Vec<Row>,
    counted: Peekable<vec::IntoIter<MetricFamily>>,
    computed: Peekable<vec::IntoIter<Series>>,
    /// The family that the latest piece ended within.
    within: Option<Place>,
}

/// A place within a family of the mirrors'.
struct Place {
    family: &'static Family,
    one: OfMirror,
    /// The mirror whose turn it is.
    next: usize,
    /// Whether the family has a line yet, and so its heading.
    begun: bool,
}

impl Text {
    /// A text that was made before.
    pub(super) const fn whole(text: Bytes) -> Self {
        Self { first: Some(text), rest: None }
    }

    /// Counts are as of now; the first piece is made at once.
    pub(super) fn new(metrics: &Metrics, status: &Status, at: Timestamp) -> Self {
        let mut counted = metrics.registry.gather();
        counted.retain(|family| !family.get_metric().is_empty());
        counted.sort_by(|a, b| a.name().cmp(b.name()));
        let mut computed = scrape::families(metrics, status);
        computed.sort_by_key(|series| series.family.name);
        let mut rest = Rest {
            mirrors: status.mirrors.iter().map(|mirror| Row::new(mirror, at)).collect(),
            counted: counted.into_iter().peekable(),
            computed: computed.into_iter().peekable(),
            within: None,
        };
        Self { first: rest.piece(), rest: (!rest.is_over()).then_some(rest) }
    }

    /// The text, if it is of one piece.
    #[must_use]
    pub const fn as_whole(&self) -> Option<&Bytes> {
        if self.rest.is_none() { self.first.as_ref() } else { None }
    }
}

impl Iterator for Text {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        self.first.take().or_else(|| self.rest.as_mut()?.piece())
    }
}

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Text").field("whole", &self.as_whole().is_some()).finish_non_exhaustive()
    }
}

impl Rest {
    fn is_over(&mut self) -> bool {
        self.within.is_none() && self.counted.peek().is_none() && self.computed.peek().is_none()
    }

    /// The next piece, if there is one.
    fn piece(&mut self) -> Option<Bytes> {
        let mut text = String::with_capacity(PIECE + LAST_LINE);
        while text.len() < PIECE && !self.is_over() {
            self.go_on(&mut text);
        }
        (!text.is_empty()).then(|| text.into())
    }

    /// Appends the next family, or as much of it as the piece takes.
    fn go_on(&mut self, text: &mut String) {
        if let Some(place) = self.within.take() {
            self.within = place.written(&self.mirrors, text);
            return;
        }
        let next = self.computed.peek().map(|series| series.family.name);
        if let Some(family) = self.counted.next_if(|family| next.is_none_or(|next| family.name() < next)) {
            TextEncoder::new().encode_utf8(&[family], text).expect("every family has a name, a type and a metric");
        } else if let Some(Series { family, lines }) = self.computed.next() {
            match lines {
                Computed::Few(lines) => text.push_str(&lines),
                Computed::OfMirrors(one) => self.within = Some(Place { family, one, next: 0, begun: false }),
            }
        }
    }
}

impl Place {
    /// Appends the lines of one mirror after the other, until the piece is full; where to go on, if there are more.
    fn written(mut self, mirrors: &[Row], text: &mut String) -> Option<Self> {
        let mut lines = Lines::new(self.family, text, self.begun);
        for mirror in &mirrors[self.next..] {
            if lines.len() >= PIECE {
                self.begun = lines.begun();
                return Some(self);
            }
            (self.one)(&mut lines, mirror);
            self.next += 1;
        }
        None
    }
}
