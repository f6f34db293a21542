//! Refs through Gitea's API, where it serves no git over HTTP.
//!
//! Owns the reading of that answer. It goes into the list as it arrives and is never held whole, so that it is bounded
//! by the memory that was reserved for the list. An array that does not end is no shorter list but an error.

use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::StreamExt as _;
use http::{Method, Response};

use super::{Answered, Client, LARGEST, classify, wire};
use crate::domain::answer::{LocalRefsAnswer, Oversize, Trouble, TroubleKind};
use crate::domain::credential::Credential;
use crate::domain::refs::{ListLimits, NotAdded, RefList, RefListBuilder, is_head_or_tag};
use crate::domain::spec::MirrorSpec;
use crate::transport::{Call, Exchange, Pieces, Route, has_media_type};

/// The longest description of one ref. Git's longest name has 4,096 bytes, and Gitea puts it into a URL as well.
const LONGEST_OBJECT: usize = 64 * 1024;

/// Why no list came of an answer.
enum Unread {
    /// JSON that describes no refs, or not to its end.
    NoRefs,
    Oversize(Oversize),
    Trouble(Trouble),
}

impl From<NotAdded> for Unread {
    fn from(why: NotAdded) -> Self {
        match why {
            NotAdded::BadName | NotAdded::BadId | NotAdded::Twice => Self::NoRefs,
            NotAdded::LongName(name) => Self::Oversize(Oversize::Name(name)),
            NotAdded::TooLarge(fitted) => Self::Oversize(Oversize::List(fitted)),
        }
    }
}

impl Client {
    /// `GET /repos/{owner}/{repo}/git/refs`: all heads and tags, where git over HTTP is switched off.
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
                Err(Unread::Oversize(oversize)) => Ok(LocalRefsAnswer::Oversize(oversize)),
                Err(Unread::NoRefs) => Err(classify::describes_no(200, "refs")),
                Err(Unread::Trouble(trouble)) => Err(trouble),
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
            // the body is held to the limits of the reading, as it is read
            largest: usize::MAX,
        };
        exchange.send(&*self.transport, call).await
    }
}

/// An answer that is no list, which is short.
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

/// The heads and tags of a body, within so many bytes of memory.
async fn list(mut pieces: Pieces, room: usize) -> Result<RefList, Unread> {
    let mut array = Array { list: RefListBuilder::new(room), rest: BytesMut::new(), place: Place::Start };
    while let Some(piece) = pieces.next().await {
        array.rest.extend_from_slice(&piece.map_err(Unread::Trouble)?);
        while array.step()? {}
    }
    if array.place != Place::End {
        return Err(Unread::NoRefs);
    }
    Ok(array.list.finish(None)?)
}

/// What of the JSON has been read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    /// The bracket that opens the array.
    Opened,
    /// A ref of it.
    Object,
    /// The comma after one.
    Comma,
    /// The whole: the closing bracket, or the one object that Gitea sends in place of an array of one.
    End,
}

/// An array of refs that is read as it arrives.
struct Array {
    list: RefListBuilder,
    /// What has arrived and is not read yet: the beginning of one object at most.
    rest: BytesMut,
    place: Place,
}

impl Array {
    /// Reads one more part; `false`: it has not arrived whole.
    fn step(&mut self) -> Result<bool, Unread> {
        let blank = self.rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        self.rest.advance(blank);
        let Some(first) = self.rest.first() else { return Ok(false) };
        self.place = match (self.place, first) {
            (Place::Start | Place::Opened | Place::Comma, b'{') => {
                if !self.object()? {
                    return Ok(false);
                }
                if self.place == Place::Start { Place::End } else { Place::Object }
            }
            (Place::Start, b'[') => self.past(Place::Opened),
            (Place::Object, b',') => self.past(Place::Comma),
            (Place::Opened | Place::Object, b']') => self.past(Place::End),
            _ => return Err(Unread::NoRefs),
        };
        Ok(true)
    }

    /// One byte further.
    fn past(&mut self, place: Place) -> Place {
        self.rest.advance(1);
        place
    }

    /// Adds the object that comes next; `false`: it has not arrived whole.
    fn object(&mut self) -> Result<bool, Unread> {
        let mut objects = serde_json::Deserializer::from_slice(&self.rest).into_iter::<wire::WireRef>();
        let wire::WireRef { name, object } = match objects.next() {
            Some(Ok(one)) => one,
            Some(Err(error)) if error.is_eof() && self.rest.len() <= LONGEST_OBJECT => return Ok(false),
            Some(Err(_)) | None => return Err(Unread::NoRefs),
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
