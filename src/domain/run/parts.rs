//! The mirrors of a run, found by name however many there are.
//!
//! Owns that each is there once, and how many are still under way. Knows nothing of how they end.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Part;
use crate::domain::names::MirrorName;

/// The parts of a run, in their order. Shared between the states of a run, of which there are as many as ends.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Vec<Arc<Part>>", into = "Vec<Arc<Part>>")]
pub struct Parts {
    all: Vec<Arc<Part>>,
    places: Arc<HashMap<MirrorName, usize>>,
    open: usize,
}

impl Parts {
    /// Where a mirror stands among them.
    #[must_use]
    pub fn place(&self, name: &MirrorName) -> Option<usize> {
        self.places.get(name).copied()
    }

    /// How many have not ended.
    #[must_use]
    pub const fn open(&self) -> usize {
        self.open
    }

    /// Changes one.
    pub(super) fn change(&mut self, name: &MirrorName, change: impl FnOnce(&mut Part)) {
        let Some(place) = self.place(name) else { return };
        let part = Arc::make_mut(&mut self.all[place]);
        let was_open = part.end.is_none();
        change(part);
        self.open = self.open + usize::from(part.end.is_none()) - usize::from(was_open);
    }
}

impl Deref for Parts {
    type Target = [Arc<Part>];

    fn deref(&self) -> &Self::Target {
        &self.all
    }
}

impl From<Vec<Arc<Part>>> for Parts {
    fn from(all: Vec<Arc<Part>>) -> Self {
        let places = all.iter().zip(0..).map(|(part, place)| (part.name.clone(), place)).collect();
        let open = all.iter().filter(|part| part.end.is_none()).count();
        Self { all, places: Arc::new(places), open }
    }
}

impl From<Parts> for Vec<Arc<Part>> {
    fn from(parts: Parts) -> Self {
        parts.all
    }
}

impl FromIterator<Arc<Part>> for Parts {
    fn from_iter<I: IntoIterator<Item = Arc<Part>>>(parts: I) -> Self {
        parts.into_iter().collect::<Vec<_>>().into()
    }
}

impl PartialEq for Parts {
    fn eq(&self, other: &Self) -> bool {
        self.all == other.all
    }
}

impl Eq for Parts {}
