//! An answer that is made while it is sent.
//!
//! Owns how it is marked and how it is packed: each piece as it comes. Never collects it.

use std::convert::Infallible;
use std::io::Write as _;

use axum::body::{Body, Bytes};
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::{StreamExt as _, stream};
use http::header::{self, HeaderValue};

/// Travels with an answer that may be packed though its length is not known. A stream of events must not carry it: its
/// reader waits for each one, and packing holds some back.
#[derive(Clone, Copy, Debug)]
pub(super) struct InPieces;

/// An answer of so many pieces, each of them made when the one before is on its way.
pub(in crate::api) fn in_pieces(pieces: impl Iterator<Item = Bytes> + Send + 'static) -> Response {
    let mut response = Response::new(Body::from_stream(stream::iter(pieces.map(Ok::<_, Infallible>))));
    response.extensions_mut().insert(InPieces);
    response
}

/// The same answer, packed.
pub(super) fn packed(response: Response) -> Response {
    const MEMORY: &str = "writing to memory cannot fail";
    let (mut head, body) = response.into_parts();
    head.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    let begun = (body.into_data_stream(), Some(GzEncoder::new(Vec::new(), Compression::fast())));
    let pieces = stream::try_unfold(begun, async |(mut plain, mut encoder)| {
        // it is gone when its last bytes are
        while let Some(mut packing) = encoder.take() {
            let ready = match plain.next().await.transpose()? {
                Some(piece) => {
                    packing.write_all(&piece).expect(MEMORY);
                    let ready = std::mem::take(packing.get_mut());
                    encoder = Some(packing);
                    ready
                }
                None => packing.finish().expect(MEMORY),
            };
            if !ready.is_empty() {
                return Ok::<_, axum::Error>(Some((Bytes::from(ready), (plain, encoder))));
            }
        }
        Ok(None)
    });
    Response::from_parts(head, Body::from_stream(pieces))
}
