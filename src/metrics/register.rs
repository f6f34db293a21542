//! Registration of a family in a registry.
//!
//! Owns the way from the table of families to the prometheus crate's types. Holds no value.

use prometheus::core::Collector;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use super::families::{Family, FamilyKind};

pub(super) fn opts(family: &Family) -> Opts {
    Opts::new(family.name, family.help)
}

pub(super) fn counter(registry: &Registry, family: &Family) -> IntCounterVec {
    let new = IntCounterVec::new(opts(family), family.labels).expect("the table's names are valid");
    registered(registry, new)
}

pub(super) fn gauge(registry: &Registry, family: &Family) -> IntGauge {
    registered(registry, IntGauge::with_opts(opts(family)).expect("the table's names are valid"))
}

pub(super) fn gauges(registry: &Registry, family: &Family) -> IntGaugeVec {
    registered(registry, IntGaugeVec::new(opts(family), family.labels).expect("the table's names are valid"))
}

pub(super) fn histogram(registry: &Registry, family: &Family) -> HistogramVec {
    let bounds = match family.kind {
        FamilyKind::Histogram(bounds) => bounds.to_vec(),
        FamilyKind::Gauge | FamilyKind::Counter => unreachable!("only histograms of the table come here"),
    };
    let opts = HistogramOpts::from(opts(family)).buckets(bounds);
    registered(registry, HistogramVec::new(opts, family.labels).expect("the table's names and bounds are valid"))
}

pub(super) fn registered<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> C {
    registry.register(Box::new(collector.clone())).expect("the table names every family once");
    collector
}
