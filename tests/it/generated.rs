//! Files that are generated from the code and kept beside it: each is compared, and the failure says how to make it anew.

use std::fs;
use std::path::Path;

fn compare(file: &str, now: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("CUTOVER_BLESS").is_some() {
        fs::write(&path, now).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == now, "{file} is not what the code says; run: CUTOVER_BLESS=1 cargo test --test it generated");
}

#[test]
fn the_openapi_specification_is_what_the_handlers_say() {
    compare("openapi/cutover-api.json", &cutover_api::api::openapi());
}

#[test]
fn the_table_of_metrics_is_what_is_registered() {
    compare("docs/metrics.md", &cutover_api::metrics::table());
}
