// A use of the client that is generated from the specification: it type-checks, or the specification is not one.
import type { components, paths } from "./generated";

type Run = components["schemas"]["Run"];
type Problem = components["schemas"]["Problem"];
type Status = paths["/status"]["get"]["responses"]["200"]["content"]["application/json"];
type Ask = NonNullable<paths["/cutover/mirror"]["post"]["requestBody"]>["content"]["application/json"];
type Accepted = paths["/cutover/mirror"]["post"]["responses"]["202"]["content"]["application/json"];
type NotFound = paths["/cutover/runs/{id}"]["get"]["responses"]["404"]["content"]["application/problem+json"];

export async function cutOver(url: string, token: string, ask: Ask): Promise<Run | Problem> {
  const answer = await fetch(`${url}/cutover/mirror`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify(ask),
  });
  if (answer.status !== 202) return (await answer.json()) as NotFound;
  const run: Accepted = await answer.json();
  return run;
}

export function inWords(status: Status): string[] {
  return status.mirrors.map((mirror) => {
    const since = mirror.freshness.state === "behind" ? ` since ${mirror.freshness.behindSince}` : "";
    return `${mirror.name}: ${mirror.freshness.state}${since}${mirror.problem ? `, ${mirror.problem.remedy}` : ""}`;
  });
}

export function isWorthAnotherTry(problem: Problem): boolean {
  return problem.retryable && problem.error !== "state-unavailable";
}
