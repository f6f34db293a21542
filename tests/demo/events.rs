//! The service's event stream, printed as it arrives.

use std::time::Duration;

use cutover_api::transport::Pieces;
use futures_util::StreamExt as _;
use serde_json::Value;
use tokio::time::Instant;

use crate::Failure;
use crate::output::moved;

/// How long the service may be silent: a sign of life comes every ten seconds.
const SILENCE: Duration = Duration::from_secs(20);

/// How long what follows from a run's end may take to come.
const AFTERWARDS: Duration = Duration::from_millis(200);

/// The open stream.
pub(crate) struct Events {
    pieces: Pieces,
    buffer: Vec<u8>,
}

impl Events {
    pub(crate) fn of(pieces: Pieces) -> Self {
        Self { pieces, buffer: Vec::new() }
    }

    /// The next event: its kind and what it says.
    pub(crate) async fn next(&mut self) -> Result<(String, Value), Failure> {
        loop {
            while let Some(end) = self.buffer.windows(2).position(|two| two == b"\n\n") {
                let event: Vec<u8> = self.buffer.drain(..end + 2).collect();
                let event = String::from_utf8(event)?;
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
                if let (Some(kind), Some(data)) = (field("event: "), field("data: ")) {
                    return Ok((kind.to_owned(), serde_json::from_str(data)?));
                }
            }
            let piece = tokio::time::timeout(SILENCE, self.pieces.next()).await?;
            self.buffer
                .extend_from_slice(&piece.ok_or("the stream of events has ended")?.map_err(|trouble| trouble.detail)?);
        }
    }
}

/// A run that is under way, followed by its events.
pub(crate) struct Following<'a> {
    pub(crate) events: &'a mut Events,
    pub(crate) run: String,
    pub(crate) began: Instant,
}

impl Following<'_> {
    /// Follows it to its end, and demands this outcome.
    pub(crate) async fn ends_as(self, outcome: &str) -> Result<Value, Failure> {
        let run = self.end().await?;
        if run["status"] == "succeeded" && run["mirrors"][0]["outcome"] == outcome {
            return Ok(run);
        }
        Err(format!("this should have ended as {outcome}: {run:#}").into())
    }

    /// Follows it to its end, and demands this problem.
    pub(crate) async fn fails_with(self, code: &str) -> Result<Value, Failure> {
        let run = self.end().await?;
        if run["mirrors"][0]["problem"]["error"] == code {
            return Ok(run);
        }
        Err(format!("this should have failed with {code}: {run:#}").into())
    }

    async fn end(self) -> Result<Value, Failure> {
        let mut ended = None;
        while ended.is_none() {
            let (kind, mut data) = self.events.next().await?;
            if kind == "run-ended" && data["run"]["id"] == self.run.as_str() {
                ended = Some(data["run"].take());
            }
            self.show(&kind, &data);
        }
        while let Ok(event) = tokio::time::timeout(AFTERWARDS, self.events.next()).await {
            let (kind, data) = event?;
            self.show(&kind, &data);
        }
        ended.ok_or_else(|| "a run without an end".into())
    }

    fn show(&self, kind: &str, data: &Value) {
        let mirror = &data["mirror"];
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let words = match kind {
            "phase" | "mirror-ended" => word(&mirror["phase"]),
            "freshness" => format!("freshness: {}", word(&mirror["freshness"]["state"])),
            _ => return,
        };
        moved(self.began.elapsed(), &words);
    }
}
