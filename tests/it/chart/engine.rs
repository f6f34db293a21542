//! The platform's cut-over engine, as far as its documentation says how it finds its steps and stamps Jobs.

use serde_json::{Value, json};

use super::kubelet::yaml_documents;

const PART_OF: &str = "app.kubernetes.io/part-of";
const COMPONENT: &str = "app.kubernetes.io/component";

/// The engine's own limit of a step, in seconds.
const STEP_TIMEOUT: u64 = 900;

/// The two lines of the engine, which stamp a Job differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// One pod, and the engine's own limit whatever the pod says.
    Early,
    /// Up to four pods, and the longer of the two limits.
    Late,
}

/// A step, as it was found.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) order: u64,
    pub(super) name: String,
    pub(super) pod_spec: Value,
}

/// The steps of a namespace in their order, or what is wrong: one malformed step fails them all.
pub(super) fn discover(objects: &[Value], namespace: &str) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    for it in objects {
        let labels = &it["metadata"]["labels"];
        let is_step = it["kind"] == "ConfigMap"
            && it["metadata"]["namespace"] == namespace
            && labels[PART_OF] == "self-sovereign-cutover"
            && labels[COMPONENT] == "cutover-step";
        if is_step {
            steps.push(step(it)?);
        }
    }
    steps.sort_by_key(|step| step.order);
    Ok(steps)
}

fn step(it: &Value) -> Result<Step, String> {
    let labels = &it["metadata"]["labels"];
    let order = labels["bp.openova.io/cutover-order"].as_str().and_then(|order| order.parse().ok());
    let mode = labels["bp.openova.io/cutover-mode"].as_str().unwrap_or("job");
    if mode != "job" {
        return Err(format!("mode {mode}"));
    }
    let name = it["data"]["stepName"].as_str().unwrap_or_default();
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') {
        return Err(format!("stepName {name:?}"));
    }
    let text = it["data"]["podSpec"].as_str().ok_or("no podSpec")?;
    let pod_spec = yaml_documents(text).pop().ok_or("an empty podSpec")?;
    if pod_spec["containers"].as_array().is_none_or(Vec::is_empty) {
        return Err("no container".to_owned());
    }
    Ok(Step { order: order.ok_or("no order")?, name: name.to_owned(), pod_spec })
}

/// The Job of a step, for a run of the engine that began at `epoch`.
pub(super) fn stamp(step: &Step, epoch: u64, line: Line) -> Value {
    let labels = json!({
        PART_OF: "self-sovereign-cutover", COMPONENT: "cutover-job", "cutover.openova.io/step": step.name,
    });
    let mut pod_spec = step.pod_spec.clone();
    if pod_spec["restartPolicy"].as_str().unwrap_or_default().is_empty() {
        pod_spec["restartPolicy"] = json!("Never");
    }
    let asked = pod_spec["activeDeadlineSeconds"].as_u64().unwrap_or_default();
    let (again, deadline) = match line {
        Line::Early => (0, STEP_TIMEOUT),
        Line::Late => (3, asked.max(STEP_TIMEOUT)),
    };
    json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": { "name": format!("cutover-{}-{epoch}", step.name), "labels": labels },
        "spec": {
            "backoffLimit": again, "ttlSecondsAfterFinished": 86_400, "activeDeadlineSeconds": deadline,
            "template": { "metadata": { "labels": labels }, "spec": pod_spec },
        },
    })
}
