{{/*
Checks that need more than one value, which the schema cannot express. Each message says what to set instead. Included by
the Deployment, which is always rendered.
*/}}
{{- define "cutover-api.guards" -}}
{{- $values := .Values -}}
{{- if and (eq .Values.auth.mode "none") (not .Values.auth.allowAnonymous) -}}
{{- fail "auth.mode none makes every caller that reaches the Service an operator; set auth.allowAnonymous to true if you want that" -}}
{{- end -}}
{{- if and .Values.gitea.adminSecretRef.namespace (ne .Values.gitea.adminSecretRef.namespace .Release.Namespace) -}}
{{- fail (printf "gitea.adminSecretRef.namespace is %s, but the pod can only read Secrets of its own namespace, %s; copy the Secret there and leave the value empty" .Values.gitea.adminSecretRef.namespace .Release.Namespace) -}}
{{- end -}}
{{- if not (or .Values.gitea.tokenSecretRef.name .Values.gitea.adminSecretRef.name) -}}
{{- fail "there is no credential for Gitea; name an existing Secret in gitea.tokenSecretRef.name or gitea.adminSecretRef.name" -}}
{{- end -}}
{{- if and (not .Values.serviceAccount.create) (not .Values.serviceAccount.name) -}}
{{- fail "serviceAccount.create is false; name an existing ServiceAccount in serviceAccount.name" -}}
{{- end -}}
{{- if and .Values.kubernetes.enabled (eq .Values.auth.mode "tokens") (not (include "cutover-api.tokensSecret" .)) (not .Values.kubernetes.operators) (not .Values.cutoverStep.enabled) (not .Values.autoTrigger.enabled) -}}
{{- fail "no caller could start a run; list user names in kubernetes.operators, or name a Secret in auth.tokensSecretRef.name" -}}
{{- end -}}
{{- if and .Values.cutoverStep.enabled (not .Values.kubernetes.enabled) -}}
{{- fail "cutoverStep.enabled needs kubernetes.enabled: the step sends its ServiceAccount's token, and only the API server can review it" -}}
{{- end -}}
{{- if and .Values.kubernetes.enabled .Values.kubernetes.pastPivotGuard (not .Values.status.configMapName) -}}
{{- fail "kubernetes.pastPivotGuard reads the status ConfigMap; name it in status.configMapName, or set the guard to false if there is none" -}}
{{- end -}}
{{- if and .Values.autoTrigger.enabled (not .Values.kubernetes.enabled) (not .Values.autoTrigger.tokenSecretRef.name) (ne .Values.auth.mode "none") -}}
{{- fail "autoTrigger.enabled needs a credential: set kubernetes.enabled, or name an existing Secret with an operator's token in autoTrigger.tokenSecretRef.name" -}}
{{- end -}}
{{- if and .Values.metrics.scrapeAnnotations .Values.serviceMonitor.enabled -}}
{{- fail "with metrics.scrapeAnnotations and serviceMonitor.enabled, Prometheus scrapes cutover-api twice; keep one" -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) -}}
{{- fail "ingress.enabled needs ingress.hosts" -}}
{{- end -}}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) -}}
{{- fail "httpRoute.enabled needs httpRoute.parentRefs: its Gateways" -}}
{{- end -}}
{{- if and .Values.notifications.secretRef.name (not .Values.notifications.url) -}}
{{- fail "notifications.secretRef signs nothing without notifications.url" -}}
{{- end -}}
{{- if and .Values.caBundle.configMapName .Values.caBundle.secretName -}}
{{- fail "caBundle has both configMapName and secretName; keep one" -}}
{{- end -}}
{{- $names := list -}}
{{- $targets := list -}}
{{- range (include "cutover-api.mirrors" . | fromYaml).mirrors -}}
{{- if has .name $names -}}
{{- fail (printf "two mirrors are named %s" .name) -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- $target := printf "%s/%s" .target.owner .target.repo | lower -}}
{{- if has $target $targets -}}
{{- fail (printf "two mirrors have the target %s; names in Gitea are case-insensitive" $target) -}}
{{- end -}}
{{- $targets = append $targets $target -}}
{{- end -}}
{{- if and .Values.networkPolicy.enabled (eq .Values.networkPolicy.flavour "cilium") (not (.Capabilities.APIVersions.Has "cilium.io/v2")) -}}
{{- fail "networkPolicy.flavour cilium: this cluster has no cilium.io/v2; use the flavour kubernetes" -}}
{{- end -}}
{{- end -}}
