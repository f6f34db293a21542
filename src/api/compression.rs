//! Compression of answers, by tower-http.
//!
//! Owns which answers are compressed and how `Accept-Encoding` is read. Never compresses a stream of events: its reader
//! waits for each one.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::header::{self, HeaderMap, HeaderValue};
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use tower_http::compression::{CompressionLayer, CompressionLevel};

/// A smaller answer is one packet either way.
const SMALLEST: u64 = 1_024;

/// The layer; [`normalise`] goes around it.
pub(super) fn layer() -> CompressionLayer<impl Predicate + Send + Sync> {
    CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(SizeAbove::new(SMALLEST).and(NotForContentType::SSE).and(NotForContentType::IMAGES))
}

/// The middleware that leaves `gzip` or nothing in `Accept-Encoding`. Otherwise tower-http would answer 406 to a caller
/// that accepts neither gzip nor a plain answer, *after* the request was carried out.
pub(super) async fn normalise(mut request: Request, next: Next) -> Response {
    let gzip = accepts_gzip(request.headers());
    request.headers_mut().remove(header::ACCEPT_ENCODING);
    if gzip {
        request.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    }
    next.run(request).await
}

/// Whether the caller accepts gzip.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let all = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut any = false;
    for one in all.flat_map(|list| list.split(',')) {
        let (coding, weight) = one.split_once(';').unwrap_or((one, ""));
        let weight = weight.trim().strip_prefix("q=").unwrap_or("1").trim();
        let wanted = weight.parse::<f32>().is_ok_and(|weight| weight > 0.0);
        match coding.trim() {
            coding if coding.eq_ignore_ascii_case("gzip") => return wanted,
            "*" => any = wanted,
            _ => {}
        }
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_accepted_by_name_or_wildcard_unless_its_weight_is_zero() {
        let takes = |values: &[&str]| {
            let headers = values.iter().map(|value| (header::ACCEPT_ENCODING, value.parse().unwrap())).collect();
            accepts_gzip(&headers)
        };
        for yes in [
            &["gzip"][..],
            &["GZIP"],
            &["gzip;q=0.1"],
            &["*"],
            &["br", "gzip"],
            &["deflate, gzip ; q=1"],
            &["identity;q=0, *"],
        ] {
            assert!(takes(yes), "{yes:?}");
        }
        for no in
            [&[][..], &[""], &["br"], &["gzip;q=0"], &["gzip;q=0, *"], &["*;q=0"], &["identity;q=0"], &["gzip;q=x"]]
        {
            assert!(!takes(no), "{no:?}");
        }
    }
}
