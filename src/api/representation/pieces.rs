//! An answer that is made while it is sent.
//!
//! Owns how it is marked and how it is packed: each piece as it comes. Never collects it.

use std::convert::Infallible;
use std::io::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream;
use http::header::{self, HeaderValue};
use hyper::body::Frame;

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
    let (mut head, body) = response.into_parts();
    head.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    let encoder = GzEncoder::new(Vec::new(), Compression::fast());
    Response::from_parts(head, Body::new(Packed { body, encoder: Some(encoder) }))
}

struct Packed {
    body: Body,
    /// Gone when its last bytes are.
    encoder: Option<GzEncoder<Vec<u8>>>,
}

impl HttpBody for Packed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        const MEMORY: &str = "writing to memory cannot fail";
        loop {
            let piece = ready!(Pin::new(&mut self.body).poll_frame(context)).transpose()?;
            let Some(encoder) = &mut self.encoder else { return Poll::Ready(None) };
            let Some(piece) = piece else {
                let end = self.encoder.take().map(|encoder| encoder.finish().expect(MEMORY));
                return Poll::Ready(end.map(|end| Ok(Frame::data(end.into()))));
            };
            // none of ours has trailers
            let Ok(piece) = piece.into_data() else { continue };
            encoder.write_all(&piece).expect(MEMORY);
            let ready = std::mem::take(encoder.get_mut());
            if !ready.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(ready.into()))));
            }
        }
    }
}
