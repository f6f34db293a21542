//! placeholder until merged
use crate::domain::run::End;
use std::time::Duration;
#[derive(Debug)]
pub struct Metrics;
impl Metrics {
    pub fn part_ended(&self, _m: &str, _e: &End, _t: Duration) {}
}
