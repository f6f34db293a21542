//! The record of every request a stand-in received, of those that it carried out, and of what they have changed, for tests
//! to look at. Records; decides nothing.

use std::time::SystemTime;

use crate::fault::CallKind;

/// A call that changes something and that the stand-in Gitea has carried out, whatever became of the answer and whether or
/// not anything is otherwise than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// Which. A migrate's is the row that it makes, whether or not the clone comes to a good end; a sync's is
    /// its place in the queue.
    pub kind: CallKind,
    /// The path that was asked for.
    pub path: String,
    /// The request's body, as text; of a migrate, which may hold a credential, the address alone.
    pub body: String,
}

/// One request, and what became of it.
#[derive(Clone, Debug)]
pub struct Call {
    /// Such as `POST`.
    pub method: String,
    /// The path with its query, as asked.
    pub path: String,
    /// The status answered; 0 while there is none, and for good when the connection was cut or the
    /// client left.
    pub status: u16,
    /// When it came in, by the stand-in's own clock.
    pub at: SystemTime,
    /// The request's body, as text.
    pub body: String,
    /// `User-Agent`: `git/…` of the `git` program, and of the service with `cutover-api` after it.
    pub user_agent: String,
    /// `user:password` of Basic authentication, or the whole header otherwise.
    pub authorization: Option<String>,
    /// The value of `Git-Protocol`.
    pub git_protocol: Option<String>,
}

impl Call {
    /// Whether the service sent it, and not the `git` program.
    #[must_use]
    pub fn is_of_the_service(&self) -> bool {
        !is_of_git(&self.user_agent)
    }
}

/// Whether a `User-Agent` is the `git` program's own.
pub(crate) fn is_of_git(agent: &str) -> bool {
    agent.starts_with("git/") && !agent.contains("cutover-api")
}

/// What a call of the API has changed, whatever its caller was told of it. A call that changes nothing, such as
/// a setting sent again, has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// An organisation was made.
    Organisation(String),
    /// A migrate has made the row of this repository.
    Row(String),
    /// A repository has another name.
    Renamed {
        /// Its old one.
        from: String,
        /// Its new one.
        to: String,
    },
    /// A repository has this default branch now.
    DefaultBranch(String),
    /// A mirror has another interval, or prunes otherwise.
    Settings,
    /// A sync was put into the queue, where none of its repository waited.
    Queued,
    /// A repository is gone.
    Deleted(u64),
    /// A mirror is a regular repository.
    Converted,
}
