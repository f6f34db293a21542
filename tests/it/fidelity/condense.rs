//! From a recorded answer to what we read of it. The same function is applied to the recording and to the stand-in, so
//! what it leaves out is compared nowhere; whatever the service comes to read of Gitea must be added to [`READ`].
//! Must never look at what the name of a scene or a step says.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};

use super::line::{Line, Request};

/// The members of JSON objects that we read, of a repository, an organisation, a user, a setting and an error alike.
const READ: [&str; 22] = [
    "archived",
    "default_branch",
    "empty",
    "full_name",
    "http_git_disabled",
    "login",
    "max_response_items",
    "message",
    "migrations_disabled",
    "mirror",
    "mirror_interval",
    "mirror_last_sync_at",
    "mirror_updated",
    "mirrors_disabled",
    "name",
    "original_url",
    "permissions",
    "private",
    "status",
    "username",
    "version",
    "visibility",
];

/// What must be remembered from line to line: object ids get the names `o0`, `o1`, … and repositories `r0`, `r1`, … in the
/// order in which they are first seen, and a date of a repository is read against the one before.
#[derive(Default)]
pub(super) struct Condenser {
    ids: HashMap<String, String>,
    rows: HashMap<String, String>,
    dates: HashMap<String, String>,
}

impl Condenser {
    /// Condenses one recorded line. `raw` has the members that the README of the recordings describes.
    pub(super) fn line(&mut self, raw: &Value) -> Line {
        let text = |key: &str| raw[key].as_str().expect("a line has a scene and a step").to_owned();
        let request = raw.get("request").filter(|r| !r.is_null()).map(Request::condense);
        let expected = match &request {
            Some(request) => self.response(request, &raw["response"]),
            None => json!({ "note": raw["note"] }),
        };
        let mut line = Line { scene: text("scene"), step: text("step"), request, expected };
        if let Some(request) = &mut line.request
            && let super::line::Body::Migrate(members) = &mut request.body
            && let Some(Value::String(address)) = members.get_mut("clone_addr")
        {
            *address = without_numbers(address);
        }
        line
    }

    /// Condenses a whole recording; `apart`: each of its scenes is a server of its own.
    pub(super) fn file(text: &str, apart: bool) -> Vec<Line> {
        let mut condenser = Self::default();
        let mut lines: Vec<Line> = Vec::new();
        for raw in text.lines() {
            let raw: Value = serde_json::from_str(raw).expect("a recording is JSON lines");
            if apart && lines.last().is_some_and(|last| raw["scene"] != last.scene.as_str()) {
                condenser = Self::default();
            }
            lines.push(condenser.line(&raw));
        }
        lines
    }

    /// Condenses the response to a request.
    pub(super) fn response(&mut self, request: &Request, response: &Value) -> Value {
        let mut condensed = Map::new();
        condensed.insert("status".to_owned(), response["status"].clone());
        for (name, header) in [("type", "content-type"), ("location", "location"), ("total", "x-total-count")] {
            if let Some(value) = response["headers"].get(header) {
                condensed.insert(name.to_owned(), value.clone());
            }
        }
        let body = &response["body"];
        let body = match (body, request.is_git() && response["status"] == 200) {
            (Value::String(text), true) => self.git(text),
            (Value::String(text), false) if text.trim_end() == "null" => Value::String("null".to_owned()),
            (Value::Object(members), _) => self.object(members),
            (Value::Array(items), _) => items.iter().map(|item| self.item(item)).collect(),
            // The exception's name is the recorder's own, where the connection broke.
            (Value::String(_), _) if response["status"] == "cut" => Value::Null,
            (other, _) => other.clone(),
        };
        if !body.is_null() && body != "" {
            condensed.insert("body".to_owned(), body);
        }
        Value::Object(condensed)
    }

    fn object(&mut self, members: &Map<String, Value>) -> Value {
        let mut read: Map<String, Value> = members
            .iter()
            .filter(|(key, _)| READ.contains(&key.as_str()))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        if let Some(Value::String(message)) = read.get_mut("message") {
            *message = without_numbers(message);
        }
        if let Some(Value::String(url)) = read.get_mut("original_url") {
            *url = without_numbers(url);
        }
        if let Some(updated) = text(members, "mirror_updated") {
            // Rows are numbered, too; a repository that was made anew under a name is another.
            let row = members["id"].to_string();
            let next = format!("r{}", self.rows.len());
            let row = self.rows.entry(row).or_insert(next).clone();
            if let Some(created) = text(members, "created_at") {
                let since = self.date(format!("{row} created"), created);
                read.insert("created_at".to_owned(), since.into());
            }
            read.insert("id".to_owned(), row.clone().into());
            let since = self.date(row, updated);
            read.insert("mirror_updated".to_owned(), since.into());
            if let Some(synced) = text(members, "mirror_last_sync_at") {
                let against = match year(synced) {
                    Year::Zero => "zero",
                    Year::Epoch => "epoch",
                    Year::Real if synced == updated => "mirror_updated",
                    Year::Real => "before mirror_updated",
                };
                read.insert("mirror_last_sync_at".to_owned(), against.into());
            }
        }
        if let Some(Value::Object(may)) = read.get("permissions") {
            let granted: Vec<&str> = may.iter().filter(|(_, v)| **v == true).map(|(k, _)| k.as_str()).collect();
            read.insert("permissions".to_owned(), granted.join(" ").into());
        }
        Value::Object(read)
    }

    /// A member of a list of branches, tags or references.
    fn item(&mut self, item: &Value) -> Value {
        let name = item["name"].as_str().or(item["ref"].as_str());
        let id =
            [&item["commit"]["id"], &item["commit"]["sha"], &item["object"]["sha"]].into_iter().find_map(Value::as_str);
        match (name, id) {
            (Some(name), Some(id)) => format!("{} {name}", self.id(id)).into(),
            _ => item.clone(),
        }
    }

    fn date(&mut self, row: String, date: &str) -> &'static str {
        let before = self.dates.insert(row, date.to_owned());
        match (year(date), before) {
            (Year::Zero | Year::Epoch, _) => "zero",
            (Year::Real, Some(before)) if before == date => "as before",
            (Year::Real, Some(before)) if matches!(year(&before), Year::Real) => "moved",
            (Year::Real, _) => "set",
        }
    }

    fn id(&mut self, id: &str) -> String {
        let next = format!("o{}", self.ids.len());
        self.ids.entry(id.to_owned()).or_insert(next).clone()
    }

    /// The names of the object ids of a list of references.
    pub(super) fn names(&mut self, references: BTreeMap<String, String>) -> Value {
        let named = references.into_iter().map(|(name, id)| (name, self.id(&id).into()));
        Value::Object(named.collect())
    }

    /// The kind of a git answer, and the references where it has some.
    fn git(&mut self, body: &str) -> Value {
        let listed = body.strip_prefix("001e# service=git-upload-pack\n0000");
        let advertisement = listed.is_some();
        let Some(packets) = packets(listed.unwrap_or(body)) else {
            return json!({ "text": body });
        };
        match packets.as_slice() {
            [] if advertisement => "the folder is gone: nothing after the service".into(),
            [] => "the folder is gone: not even a flush".into(),
            [Packet::Flush] => "no references".into(),
            [Packet::Text(first), ..] if *first == "version 2" => "capabilities of version 2".into(),
            [Packet::Text(first), Packet::Flush] if first.starts_with("unborn HEAD") => {
                json!({ "unborn": first.trim_start_matches("unborn HEAD symref-target:") })
            }
            [.., Packet::Flush] => self.references(&packets),
            _ => json!({ "text": body }),
        }
    }

    fn references(&mut self, packets: &[Packet<'_>]) -> Value {
        let mut references: Vec<(String, String)> = Vec::new();
        for packet in packets {
            let Packet::Text(text) = packet else { continue };
            let (line, capabilities) = text.split_once('\0').unwrap_or((text, ""));
            let mut words = line.split(' ');
            let (Some(id), Some(name)) = (words.next(), words.next()) else {
                continue;
            };
            let id = self.id(id);
            if let Some(tag) = name.strip_suffix("^{}") {
                // Version 0 gives the commit of an annotated tag a line of its own, right after the tag's.
                let (_, tagged) = references.iter_mut().find(|(n, _)| n == tag).expect("a peeled line follows its tag");
                tagged.push_str(" -> ");
                tagged.push_str(&id);
                continue;
            }
            let mut shown = id;
            let target = capabilities.split(' ').find_map(|word| word.strip_prefix("symref=HEAD:"));
            for word in target.into_iter().filter(|_| name == "HEAD") {
                shown = format!("{shown} {word}");
            }
            for word in words {
                if let Some(target) = word.strip_prefix("symref-target:") {
                    shown = format!("{shown} {target}");
                } else if let Some(peeled) = word.strip_prefix("peeled:") {
                    shown = format!("{shown} -> {}", self.id(peeled));
                }
            }
            references.push((name.to_owned(), shown));
        }
        Value::Object(references.into_iter().map(|(name, shown)| (name, shown.into())).collect())
    }
}

enum Year {
    Zero,
    Epoch,
    Real,
}

fn year(date: &str) -> Year {
    match date.get(..4) {
        Some("0001") => Year::Zero,
        // Unix time 0 is printed in the zone of the server, west of Greenwich it is still 1969.
        Some("1970" | "1969") => Year::Epoch,
        _ => Year::Real,
    }
}

fn text<'a>(members: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    members.get(key).and_then(Value::as_str)
}

enum Packet<'a> {
    Flush,
    Text(&'a str),
}

/// Splits git's packets; `None` where the text is none.
fn packets(mut text: &str) -> Option<Vec<Packet<'_>>> {
    let mut packets = Vec::new();
    while !text.is_empty() {
        let length = usize::from_str_radix(text.get(..4)?, 16).ok()?;
        if length < 4 {
            packets.push(Packet::Flush);
            text = &text[4..];
        } else {
            packets.push(Packet::Text(text.get(4..length)?.trim_end_matches('\n')));
            text = &text[length..];
        }
    }
    Some(packets)
}

/// Takes out what no two runs share, on whichever machine: the port of an address nobody listens at, the time a connection took, a row's id.
fn without_numbers(text: &str) -> String {
    // Newer releases of curl put it so, and git passes their words on.
    let mut text = text.replace("Could not connect to server", "Couldn't connect to server");
    for (before, name) in [("127.0.0.1:", "PORT"), (" port ", "PORT"), (" after ", "N"), ("<Repository ", "N")] {
        let mut from = 0;
        while let Some(at) = text[from..].find(before) {
            let start = from + at + before.len();
            let digits = text[start..].bytes().take_while(u8::is_ascii_digit).count();
            if digits > 0 {
                text.replace_range(start..start + digits, name);
            }
            from = start;
        }
    }
    text
}

#[test]
fn ports_durations_and_row_ids_are_taken_out_of_a_message() {
    let message =
        "unable to access 'http://127.0.0.1:52599/x.git/': Failed to connect to 127.0.0.1 port 52599 after 0 ms";
    let expected =
        "unable to access 'http://127.0.0.1:PORT/x.git/': Failed to connect to 127.0.0.1 port PORT after N ms";
    assert_eq!(without_numbers(message), expected);
    assert_eq!(without_numbers("<Repository 40:acme/legacy> is archived"), "<Repository N:acme/legacy> is archived");
    assert_eq!(without_numbers("ssh://git@127.0.0.1/x.git"), "ssh://git@127.0.0.1/x.git");
}

#[test]
fn a_folder_that_is_gone_is_not_an_empty_list() {
    let mut condenser = Condenser::default();
    let service = "001e# service=git-upload-pack\n0000";
    assert_eq!(condenser.git(service), "the folder is gone: nothing after the service");
    assert_eq!(condenser.git(""), "the folder is gone: not even a flush");
    assert_eq!(condenser.git(&format!("{service}0000")), "no references");
    assert_eq!(
        condenser.git("0030unborn HEAD symref-target:refs/heads/master\n0000"),
        json!({ "unborn": "refs/heads/master" })
    );
}
