use serde_json::Value;

use super::*;

fn specification() -> Value {
    serde_json::from_str(&openapi()).unwrap()
}

/// Every operation, with its method and path.
fn all(specification: &Value) -> Vec<(String, &Value)> {
    let paths = specification["paths"].as_object().unwrap();
    let each = paths.iter().flat_map(|(path, item)| {
        item.as_object().unwrap().iter().map(move |(method, operation)| (format!("{method} {path}"), operation))
    });
    each.collect()
}

#[test]
fn the_specification_has_every_route_and_says_who_may_use_it() {
    let specification = specification();
    assert_eq!(specification["openapi"], "3.1.0");
    assert_eq!(specification["info"]["version"], env!("CARGO_PKG_VERSION"));
    assert!(openapi().ends_with("}\n"));
    let found: Vec<_> = all(&specification)
        .into_iter()
        .map(|(name, operation)| {
            let by = |scheme: &str| operation["security"][0].get(scheme).is_some();
            let guarded = by("bearer") || by("signature");
            assert_eq!(operation["responses"].get("401").is_some(), guarded, "{name}");
            (name, guarded)
        })
        .collect();
    let expected = [
        ("post /cutover/mirror", true),
        ("get /cutover/runs", true),
        ("get /cutover/runs/{id}", true),
        ("delete /cutover/runs/{id}", true),
        ("get /cutover/runs/{id}/events", true),
        ("get /events", true),
        ("put /mirrors/{name}/mode", true),
        ("get /status", true),
        ("get /status/{name}", true),
        ("post /hooks/{mirror}", true),
        ("get /healthz", false),
        ("get /readyz", false),
        ("get /metrics", false),
        ("get /openapi.json", false),
        ("get /docs", false),
        ("get /problems/{code}", false),
    ];
    for (name, guarded) in expected {
        assert!(found.contains(&(name.to_owned(), guarded)), "{name}: {found:?}");
    }
    assert_eq!(found.len(), expected.len());
}

#[test]
fn every_operation_is_described_and_every_failure_is_a_problem_with_an_example() {
    let specification = specification();
    let mut ids = Vec::new();
    for (name, operation) in all(&specification) {
        ids.push(operation["operationId"].as_str().unwrap().to_owned());
        assert!(operation["summary"].is_string() && operation["tags"][0].is_string(), "{name}");
        for (status, response) in operation["responses"].as_object().unwrap() {
            assert!(!response["description"].as_str().unwrap().is_empty(), "{name} {status}");
            assert!(response["headers"]["X-Request-Id"].is_object(), "{name} {status}");
            if status == "304" {
                assert!(response.get("content").is_none() && response["headers"]["ETag"].is_object(), "{name}");
                continue;
            }
            if status == "204" {
                assert!(response.get("content").is_none(), "{name}");
                continue;
            }
            let content = response["content"].as_object().unwrap();
            assert_eq!(content.len(), 1, "{name} {status}");
            if !status.starts_with('2') {
                let problem = &content[MEDIA_TYPE];
                assert_eq!(problem["schema"]["$ref"], "#/components/schemas/Problem", "{name} {status}");
                for (code, example) in problem["examples"].as_object().unwrap() {
                    assert_eq!(example["value"]["error"], **code, "{name} {status}");
                    assert_eq!(example["value"]["status"].to_string(), *status, "{name}");
                }
            }
        }
    }
    ids.sort_unstable();
    let count = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

#[test]
fn every_reference_leads_somewhere_and_no_schema_stands_unused() {
    let specification = specification();
    let text = openapi();
    let mut used = Vec::new();
    for found in text.split("\"#/components/schemas/").skip(1) {
        let name = found.split('"').next().unwrap();
        assert!(specification["components"]["schemas"].get(name).is_some(), "{name}");
        used.push(name);
    }
    for name in specification["components"]["schemas"].as_object().unwrap().keys() {
        assert!(used.contains(&name.as_str()), "{name} is not used");
    }
}

#[test]
fn an_answer_that_has_a_tag_says_so_and_how_to_use_it() {
    let specification = specification();
    for (name, operation) in all(&specification) {
        let path = name.strip_prefix("get ").unwrap_or_default();
        let tagged = TAGGED.contains(&path);
        assert_eq!(operation["responses"].get("304").is_some(), tagged, "{name}");
        assert_eq!(operation["responses"]["200"]["headers"].get("ETag").is_some(), tagged, "{name}");
        let asks = |parameter: &Value| parameter["name"] == "If-None-Match";
        assert_eq!(operation["parameters"].as_array().is_some_and(|all| all.iter().any(asks)), tagged, "{name}");
    }
}

#[test]
fn allow_names_what_the_specification_has() {
    let metrics = Arc::new(Metrics::new("", "", std::time::Duration::ZERO));
    let gate = Arc::new(Gate::new(Access::Anonymous, OriginPolicy::default(), metrics));
    let methods = methods(&routes(&gate).to_openapi());
    assert_eq!(methods["/cutover/mirror"], "POST,OPTIONS");
    assert_eq!(methods["/status/{name}"], "GET,HEAD,OPTIONS");
}
