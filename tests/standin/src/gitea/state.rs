//! What the stand-in's database would hold: accounts, tokens, rows of repositories and mirrors, redirects,
//! and the mirror queue. Plain data and look-ups; starts no git and answers no request.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{Gitea, Settings};
use crate::call::{Call, Done, Effect};
use crate::fault::{CallKind, Fault};

/// A fault that is to come.
pub(super) struct Script {
    pub(super) kind: CallKind,
    /// `None`: whichever the call is for.
    pub(super) repository: Option<String>,
    pub(super) fault: Fault,
    pub(super) once: bool,
}

impl Script {
    /// Whether it is for a call of this kind to this path.
    pub(super) fn covers(&self, kind: CallKind, path: &str) -> bool {
        let names = |name: &String| path.split('/').any(|segment| segment.trim_end_matches(".git") == name);
        self.kind.covers(kind) && self.repository.as_ref().is_none_or(names)
    }
}

/// A user or an organisation: Gitea keeps both in one table.
#[derive(Clone, Debug)]
pub(super) struct Account {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) created: Timestamp,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    User { password: String, admin: bool },
    Org { owners: Vec<u64>, private: bool },
}

impl Account {
    pub(super) fn is_org(&self) -> bool {
        matches!(self.kind, Kind::Org { .. })
    }
}

/// A row of the repository table.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a column of its own")]
pub(super) struct Repository {
    pub(super) id: u64,
    pub(super) owner: u64,
    pub(super) name: String,
    pub(super) description: String,
    /// The column `is_mirror`, set before the clone; says nothing about there being a mirror row.
    pub(super) is_mirror: bool,
    pub(super) mirror: Option<Mirror>,
    pub(super) private: bool,
    pub(super) archived: Option<Timestamp>,
    pub(super) empty: bool,
    pub(super) default_branch: String,
    pub(super) size: u64,
    pub(super) original_url: String,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    /// The branch table: a failed sync leaves it behind what git holds.
    pub(super) branches: Vec<(String, String)>,
    /// Until when a change of this repository waits in a queue that takes it once only.
    pub(super) queued_until: Option<Instant>,
    pub(super) units_of_mirror: bool,
}

/// An access token.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) user: u64,
    pub(super) scopes: Vec<String>,
    /// The repositories that it is limited to, as `owner/name`; `None`: no limit.
    pub(super) repositories: Option<Vec<String>>,
}

impl Token {
    pub(super) fn of(user: u64, scopes: &[&str]) -> Self {
        Self { user, scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(), repositories: None }
    }
}

/// A row of the mirror table.
#[derive(Clone, Debug)]
pub(super) struct Mirror {
    /// Nanoseconds, as in Go.
    pub(super) interval: i64,
    pub(super) prune: bool,
    pub(super) updated: Timestamp,
    pub(super) last_sync: Option<Timestamp>,
    /// When cron may sync it; `None`: never.
    pub(super) next: Option<Instant>,
}

pub(super) type Hook = Box<dyn FnOnce(&Gitea) + Send>;

#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct State {
    pub(super) accounts: Vec<Account>,
    pub(super) tokens: HashMap<String, Token>,
    pub(super) repositories: Vec<Repository>,
    pub(super) redirects: HashMap<(u64, String), u64>,
    pub(super) last_account: u64,
    pub(super) last_repository: u64,
    pub(super) last_token: u64,
    pub(super) settings: Settings,
    pub(super) migrate_delay: Duration,
    pub(super) sync_delay: Duration,
    pub(super) queue: VecDeque<u64>,
    /// Repositories that a migrate is filling.
    pub(super) cloning: BTreeSet<u64>,
    pub(super) working: bool,
    pub(super) stuck: bool,
    pub(super) down: bool,
    /// Killed once the next rename has moved its folder.
    pub(super) dies_in_rename: bool,
    pub(super) scripts: Vec<Script>,
    pub(super) hooks: Vec<(CallKind, Hook)>,
    pub(super) calls: Vec<Call>,
    /// Calls that were carried out, in order.
    pub(super) done: Vec<Done>,
    /// What calls have changed, in order.
    pub(super) effects: Vec<Effect>,
    /// Repositories that nobody is shown, though their names are taken.
    pub(super) hidden: BTreeSet<u64>,
}

impl State {
    pub(super) fn account(&self, name: &str) -> Option<&Account> {
        self.accounts.iter().find(|account| account.name.eq_ignore_ascii_case(name))
    }

    pub(super) fn account_of(&self, id: u64) -> Option<&Account> {
        self.accounts.iter().find(|account| account.id == id)
    }

    pub(super) fn repository(&self, owner: &str, name: &str) -> Option<&Repository> {
        let owner = self.account(owner)?.id;
        self.repositories.iter().find(|r| r.owner == owner && r.name.eq_ignore_ascii_case(name))
    }

    pub(super) fn by_id(&self, id: u64) -> Option<&Repository> {
        self.repositories.iter().find(|r| r.id == id)
    }

    pub(super) fn by_id_mut(&mut self, id: u64) -> Option<&mut Repository> {
        self.repositories.iter_mut().find(|r| r.id == id)
    }

    /// The repository that an old name leads to.
    pub(super) fn renamed(&self, owner: &str, name: &str) -> Option<&Repository> {
        let owner = self.account(owner)?.id;
        self.redirects.get(&(owner, name.to_lowercase())).and_then(|id| self.by_id(*id))
    }

    pub(super) fn full_name(&self, repository: &Repository) -> String {
        let owner = self.account_of(repository.owner).map_or("", |account| account.name.as_str());
        format!("{owner}/{}", repository.name)
    }

    /// Whether an account owns what belongs to `owner`: itself, an owner of the organisation, or an
    /// administrator of the site.
    pub(super) fn owns(&self, doer: u64, owner: u64) -> bool {
        let is_admin = matches!(self.account_of(doer).map(|a| &a.kind), Some(Kind::User { admin: true, .. }));
        let is_owner = match self.account_of(owner).map(|a| &a.kind) {
            Some(Kind::Org { owners, .. }) => owners.contains(&doer),
            Some(Kind::User { .. }) => doer == owner,
            None => false,
        };
        is_admin || is_owner
    }

    pub(super) fn add_account(&mut self, name: &str, kind: Kind, created: Timestamp) -> u64 {
        self.last_account += 1;
        let id = self.last_account;
        self.accounts.push(Account { id, name: name.to_owned(), created, kind });
        id
    }

    /// Adds a row, and takes the name back from a redirect as Gitea does.
    pub(super) fn add_repository(&mut self, new: &NewRepository<'_>, now: Timestamp) -> u64 {
        self.last_repository += 1;
        let id = self.last_repository;
        self.redirects.remove(&(new.owner, new.name.to_lowercase()));
        let units_of_mirror = new.is_mirror;
        self.repositories.push(Repository {
            id,
            owner: new.owner,
            name: new.name.to_owned(),
            description: new.description.to_owned(),
            is_mirror: new.is_mirror,
            mirror: None,
            private: new.private,
            archived: None,
            empty: true,
            default_branch: "main".to_owned(),
            size: 0,
            original_url: new.original_url.to_owned(),
            created: now,
            updated: now,
            branches: Vec::new(),
            queued_until: None,
            units_of_mirror,
        });
        id
    }

    pub(super) fn remove_repository(&mut self, id: u64) {
        self.repositories.retain(|r| r.id != id);
        self.redirects.retain(|_, target| *target != id);
        self.queue.retain(|queued| *queued != id);
    }
}

/// What the caller decides about a new repository.
pub(super) struct NewRepository<'a> {
    pub(super) owner: u64,
    pub(super) name: &'a str,
    pub(super) description: &'a str,
    pub(super) is_mirror: bool,
    pub(super) private: bool,
    pub(super) original_url: &'a str,
}
