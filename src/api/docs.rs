//! The API's documentation page, `/docs`.
//!
//! Made on the server from the specification that is served, without a script and without anything from elsewhere, so
//! that it works in a cluster without internet. Its content security policy allows its one style and no more.

use std::fmt::Write as _;
use std::sync::OnceLock;

use axum::extract::State;
use axum::response::IntoResponse;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::ApiState;

const STYLE: &str = include_str!("docs/style.css");

struct DocsPage {
    html: String,
    policy: String,
}

fn page(specification: &str) -> DocsPage {
    let specification = serde_json::from_str(specification).expect("the specification is JSON");
    let digest = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    DocsPage { html: render(&specification), policy }
}

/// Read the documentation
///
/// The specification as a page. Needs no other server and no script.
#[utoipa::path(
    get, path = "/docs", operation_id = "getDocs", tag = "service", security(()),
    responses((
        status = 200, description = "The specification, for a person.",
        content_type = "text/html; charset=utf-8", body = String,
    )),
)]
pub(super) async fn docs(State(state): State<ApiState>) -> impl IntoResponse {
    static PAGE: OnceLock<DocsPage> = OnceLock::new();
    let page = PAGE.get_or_init(|| page(&(state.specification)()));
    let headers =
        [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CONTENT_SECURITY_POLICY, page.policy.as_str())];
    (headers, page.html.as_str())
}

const NO_FAILURE: &str = "writing to a String cannot fail";

fn render(specification: &Value) -> String {
    let info = &specification["info"];
    let (title, version) = (escaped(text(&info["title"])), escaped(text(&info["version"])));
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title} {version}</title>\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<style>{STYLE}</style></head><body>\n\
         <h1>{title} <small>{version}</small></h1>\n<p>{}</p>\n\
         <p>For programs: <a href=\"/openapi.json\">openapi.json</a></p>\n",
        prose(&info["description"])
    );
    for tag in list(&specification["tags"]) {
        writeln!(html, "<h2>{}</h2>\n<p>{}</p>", escaped(text(&tag["name"])), prose(&tag["description"]))
            .expect(NO_FAILURE);
        for (path, item) in members(&specification["paths"]) {
            for (method, operation) in members(item) {
                if operation["tags"][0] == tag["name"] {
                    html += &operation_of(method, path, operation);
                }
            }
        }
    }
    html += "<h2>Schemas</h2>\n";
    for (name, schema) in members(&specification["components"]["schemas"]) {
        writeln!(
            html,
            "<details id=\"schema-{0}\"><summary><code>{0}</code> {1}</summary>\n<pre>{2}</pre></details>",
            escaped(name),
            prose(&schema["description"]),
            json(schema)
        )
        .expect(NO_FAILURE);
    }
    html + "</body></html>\n"
}

fn operation_of(method: &str, path: &str, operation: &Value) -> String {
    let open = if operation["security"][0].get("bearer").is_some() { "" } else { " <em>open to every caller</em>" };
    let mut html = format!(
        "<details id=\"{}\"><summary><b>{}</b> <code>{}</code> {}{open}</summary>\n<p>{}</p>\n",
        escaped(text(&operation["operationId"])),
        method.to_uppercase(),
        escaped(path),
        escaped(text(&operation["summary"])),
        prose(&operation["description"]),
    );
    let parameters = list(&operation["parameters"]);
    if !parameters.is_empty() {
        html += "<h4>Parameters</h4>\n<ul>\n";
        for parameter in parameters {
            let (name, place) = (escaped(text(&parameter["name"])), escaped(text(&parameter["in"])));
            let what = prose(&parameter["description"]);
            writeln!(html, "<li><code>{name}</code> ({place}): {what}</li>").expect(NO_FAILURE);
        }
        html += "</ul>\n";
    }
    if let Some(body) = operation.get("requestBody") {
        write!(html, "<h4>Body</h4>\n<p>{}</p>\n{}", prose(&body["description"]), contents(body)).expect(NO_FAILURE);
    }
    html += "<h4>Answers</h4>\n";
    for (status, answer) in members(&operation["responses"]) {
        writeln!(html, "<details><summary><b>{}</b> {}</summary>", escaped(status), prose(&answer["description"]))
            .expect(NO_FAILURE);
        for (name, header) in members(&answer["headers"]) {
            writeln!(html, "<p><code>{}</code>: {}</p>", escaped(name), prose(&header["description"]))
                .expect(NO_FAILURE);
        }
        html += &contents(answer);
        html += "</details>\n";
    }
    html + "</details>\n"
}

/// What a body or an answer can hold: its schema, and examples.
fn contents(of: &Value) -> String {
    let mut html = String::new();
    for (media_type, content) in members(&of["content"]) {
        let schema = text(&content["schema"]["$ref"]).rsplit('/').next().unwrap_or_default();
        write!(html, "<p><code>{}</code>", escaped(media_type)).expect(NO_FAILURE);
        if !schema.is_empty() {
            write!(html, ": <a href=\"#schema-{0}\">{0}</a>", escaped(schema)).expect(NO_FAILURE);
        }
        html += "</p>\n";
        let all = members(&content["examples"]).map(|(_, example)| &example["value"]);
        for example in all.chain(content.get("example")) {
            writeln!(html, "<pre>{}</pre>", json(example)).expect(NO_FAILURE);
        }
    }
    html
}

fn members(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn json(value: &Value) -> String {
    match value {
        Value::String(text) => escaped(text),
        other => escaped(&serde_json::to_string_pretty(other).expect("a value is JSON")),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A description: what stands between backticks is code.
fn prose(value: &Value) -> String {
    let mut html = String::new();
    for (index, part) in escaped(text(value)).split('`').enumerate() {
        if index % 2 == 1 {
            write!(html, "<code>{part}</code>").expect(NO_FAILURE);
        } else {
            html += part;
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::spec;

    #[test]
    fn the_page_has_every_operation_and_every_schema_and_no_word_of_them_becomes_markup() {
        let specification: Value = serde_json::from_str(&spec::openapi()).unwrap();
        let html = render(&specification);
        for (path, item) in members(&specification["paths"]) {
            assert!(html.contains(&format!("<code>{}</code>", escaped(path))), "{path}");
            for (_, operation) in members(item) {
                assert!(html.contains(&format!("id=\"{}\"", text(&operation["operationId"]))));
            }
        }
        for (name, _) in members(&specification["components"]["schemas"]) {
            assert!(html.contains(&format!("id=\"schema-{name}\"")), "{name}");
        }
        assert_eq!(prose(&"<b> `a<b` & \"c\"".into()), "&lt;b&gt; <code>a&lt;b</code> &amp; &quot;c&quot;");
        let hostile = serde_json::json!({"info": {"title": "<script>alert(1)</script>"}});
        assert!(!render(&hostile).contains("<script"));
    }
}
