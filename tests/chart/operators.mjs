// Judges objects of operators' APIs by the schemas of their CRDs: a JSON list on stdin, a line for each fault on stdout.
import { pathToFileURL } from "node:url";
import { join } from "node:path";
import { readFileSync } from "node:fs";

const packages = {
  "monitoring.coreos.com/v1": "@kubernetes-models/prometheus-operator",
  "gateway.networking.k8s.io/v1": "@kubernetes-models/gateway-api",
};

for (const object of JSON.parse(readFileSync(0, "utf8"))) {
  const name = `${object.kind}/${object.metadata.name}`;
  try {
    const path = join(process.env.CHART_NODE_MODULES, packages[object.apiVersion], object.apiVersion, `${object.kind}.js`);
    const model = (await import(pathToFileURL(path)))[object.kind];
    new model(object).validate();
  } catch (error) {
    console.log(`${name}: ${error.message}`);
  }
}
