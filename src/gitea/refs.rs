//! Refs through Gitea's API, for a Gitea that does not serve git over HTTP.
//!
//! Owns the reading of that answer. Each ref is added to the list as it arrives, so memory stays within the list's
//! limit. An array without its end is an error, never a shorter list.

use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::StreamExt as _;
use http::{Method, Response};

use super::{Answered, Client, LARGEST, classify, wire};
use crate::domain::answer::{LocalRefsAnswer, Oversize, Trouble, TroubleKind};
use crate::domain::credential::Credential;
use crate::domain::refs::{ListLimits, NotAdded, RefList, RefListBuilder, is_head_or_tag};
use crate::domain::spec::MirrorSpec;
use crate::transport::{Call, Exchange, Pieces, Route, has_media_type};

/// The longest description of one ref, in bytes. git's longest name has 4,096 bytes, and Gitea repeats it in a URL.
const LONGEST_OBJECT: usize = 64 * 1024;

/// Reason why an answer gave no list.
enum ReadError {
    /// JSON that does not describe refs, or not to its end.
    NoRefs,
    Oversize(Oversize),
    Trouble(Trouble),
}

impl From<NotAdded> for ReadError {
    fn from(why: NotAdded) -> Self {
        match why {
            NotAdded::BadName | NotAdded::BadId | NotAdded::Twice => Self::NoRefs,
            NotAdded::LongName(name) => Self::Oversize(Oversize::Name(name)),
            NotAdded::TooLarge(fitted) => Self::Oversize(Oversize::List(fitted)),
        }
    }
}

impl Client {
    /// `GET /repos/{owner}/{repo}/git/refs`: all heads and tags, where git over HTTP is disabled.
    pub async fn refs(&self, spec: &MirrorSpec, limits: ListLimits) -> LocalRefsAnswer {
        self.read_refs(spec, Exchange::begin(limits)).await.unwrap_or_else(LocalRefsAnswer::Trouble)
    }

    async fn read_refs(&self, spec: &MirrorSpec, exchange: Exchange) -> Result<LocalRefsAnswer, Trouble> {
        let mut used = self.read_credential()?;
        let mut known = Vec::new();
        loop {
            known.extend(used.clone());
            let response = self.send_for_refs(spec, used.as_ref(), exchange).await?;
            if response.status() == 401
                && let Some(replaced) = self.replacement_of(used.as_ref())?
            {
                used = Some(replaced);
                continue;
            }
            if response.status() != 200 || !has_media_type(&response, "application/json") {
                let Answered { response, redactor } = self.answered(whole(response).await?, known);
                return Ok(classify::no_refs(&response, &redactor));
            }
            return match list(response.into_body(), exchange.room()).await {
                Ok(list) => Ok(LocalRefsAnswer::List(list)),
                Err(ReadError::Oversize(oversize)) => Ok(LocalRefsAnswer::Oversize(oversize)),
                Err(ReadError::NoRefs) => Err(classify::describes_no(200, "refs")),
                Err(ReadError::Trouble(trouble)) => Err(trouble),
            };
        }
    }

    async fn send_for_refs(
        &self,
        spec: &MirrorSpec,
        credential: Option<&Credential>,
        exchange: Exchange,
    ) -> Result<Response<Pieces>, Trouble> {
        let path = format!("/repos/{}/git/refs", spec.full_name());
        let call = Call {
            operation: "get_refs",
            route: Route::Direct,
            request: self.request(&Method::GET, &path, None, credential)?,
            bundle: self.bundle.clone(),
            timeout: exchange.time(),
            // The reading limits the body while it arrives.
            largest: usize::MAX,
        };
        exchange.send(&*self.transport, call).await
    }
}

/// Reads an answer that is not a list, and therefore short.
async fn whole(response: Response<Pieces>) -> Result<Response<Bytes>, Trouble> {
    let (head, mut pieces) = response.into_parts();
    let mut body = BytesMut::new();
    while let Some(piece) = pieces.next().await {
        body.extend_from_slice(&piece?);
        if body.len() > LARGEST {
            let detail = format!("the answer is larger than {LARGEST} bytes");
            return Err(Trouble::maybe_sent(TroubleKind::TooLarge, detail));
        }
    }
    Ok(Response::from_parts(head, body.freeze()))
}

/// Reads the heads and tags of a body. `room`: the bytes of memory that the list may use.
async fn list(mut pieces: Pieces, room: usize) -> Result<RefList, ReadError> {
    let mut array = Array { list: RefListBuilder::new(room), rest: BytesMut::new(), position: Position::Start };
    while let Some(piece) = pieces.next().await {
        array.rest.extend_from_slice(&piece.map_err(ReadError::Trouble)?);
        while array.step()? {}
    }
    if array.position != Position::End {
        return Err(ReadError::NoRefs);
    }
    Ok(array.list.finish(None)?)
}

/// Position in the JSON, named by what was read last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Position {
    Start,
    /// The bracket that opens the array.
    Opened,
    /// A ref.
    Object,
    /// The comma after a ref.
    Comma,
    /// The end: the closing bracket, or the single object that Gitea sends in place of an array of one.
    End,
}

/// Parser of an array of refs that reads it as it arrives.
struct Array {
    list: RefListBuilder,
    /// Bytes that have arrived and are not parsed yet: at most the beginning of one object.
    rest: BytesMut,
    position: Position,
}

impl Array {
    /// Reads the next token; `false` if it has not arrived completely.
    fn step(&mut self) -> Result<bool, ReadError> {
        let blank = self.rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        self.rest.advance(blank);
        let Some(first) = self.rest.first() else { return Ok(false) };
        self.position = match (self.position, first) {
            (Position::Start | Position::Opened | Position::Comma, b'{') => {
                if !self.object()? {
                    return Ok(false);
                }
                if self.position == Position::Start { Position::End } else { Position::Object }
            }
            (Position::Start, b'[') => self.skip(Position::Opened),
            (Position::Object, b',') => self.skip(Position::Comma),
            (Position::Opened | Position::Object, b']') => self.skip(Position::End),
            _ => return Err(ReadError::NoRefs),
        };
        Ok(true)
    }

    /// Skips one byte.
    fn skip(&mut self, to: Position) -> Position {
        self.rest.advance(1);
        to
    }

    /// Adds the next object to the list; `false` if it has not arrived completely.
    fn object(&mut self) -> Result<bool, ReadError> {
        let mut objects = serde_json::Deserializer::from_slice(&self.rest).into_iter::<wire::WireRef>();
        let wire::WireRef { name, object } = match objects.next() {
            Some(Ok(one)) => one,
            Some(Err(error)) if error.is_eof() && self.rest.len() <= LONGEST_OBJECT => return Ok(false),
            Some(Err(_)) | None => return Err(ReadError::NoRefs),
        };
        let length = objects.byte_offset();
        self.rest.advance(length);
        if is_head_or_tag(name.as_bytes()) {
            self.list.push(name.as_bytes(), object.sha.as_bytes())?;
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
