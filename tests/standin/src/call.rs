//! The record of every request a stand-in received, for tests to look at. Records; decides nothing.

use std::time::SystemTime;

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
    /// `User-Agent`: git names itself `git/…`.
    pub user_agent: String,
    /// `user:password` of Basic authentication, or the whole header otherwise.
    pub authorization: Option<String>,
    /// The value of `Git-Protocol`.
    pub git_protocol: Option<String>,
}
