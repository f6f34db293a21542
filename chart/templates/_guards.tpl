{{/*
What the schema cannot say, because it takes two values together. Each sentence says what to write instead. Included by
the Deployment, which is always rendered.
*/}}
{{- define "cutover-api.guards" -}}
{{- $values := .Values -}}
{{- if and (eq .Values.auth.mode "none") (not .Values.auth.allowAnonymous) -}}
{{- fail "auth.mode none makes everybody who reaches the Service an operator; set auth.allowAnonymous to true if that is meant" -}}
{{- end -}}
{{- if and .Values.gitea.adminSecretRef.namespace (ne .Values.gitea.adminSecretRef.namespace .Release.Namespace) -}}
{{- fail (printf "gitea.adminSecretRef.namespace is %s, and a pod reads no Secret of another namespace than its own, %s; copy the Secret there and leave the key empty" .Values.gitea.adminSecretRef.namespace .Release.Namespace) -}}
{{- end -}}
{{- if not (or .Values.gitea.tokenSecretRef.name .Values.gitea.adminSecretRef.name) -}}
{{- fail "there is no credential for Gitea; name an existing Secret in gitea.tokenSecretRef.name or gitea.adminSecretRef.name" -}}
{{- end -}}
{{- if and (not .Values.serviceAccount.create) (not .Values.serviceAccount.name) -}}
{{- fail "serviceAccount.create is false; name an existing one in serviceAccount.name" -}}
{{- end -}}
{{- if and .Values.kubernetes.enabled (eq .Values.auth.mode "tokens") (not (include "cutover-api.tokensSecret" .)) (not .Values.kubernetes.operators) (not .Values.cutoverStep.enabled) (not .Values.autoTrigger.enabled) -}}
{{- fail "nobody could start a run; list user names in kubernetes.operators, or name a Secret in auth.tokensSecretRef.name" -}}
{{- end -}}
{{- if and .Values.cutoverStep.enabled (not .Values.kubernetes.enabled) -}}
{{- fail "cutoverStep.enabled needs kubernetes.enabled: the step shows its ServiceAccount's token, and only the API server knows that" -}}
{{- end -}}
{{- if and .Values.kubernetes.enabled .Values.kubernetes.pastPivotGuard (not .Values.status.configMapName) -}}
{{- fail "kubernetes.pastPivotGuard looks at the status ConfigMap; name it in status.configMapName, or set the guard to false where there is none" -}}
{{- end -}}
{{- if and .Values.autoTrigger.enabled (not .Values.kubernetes.enabled) (not .Values.autoTrigger.tokenSecretRef.name) (ne .Values.auth.mode "none") -}}
{{- fail "autoTrigger.enabled needs a way to be recognised: kubernetes.enabled, or an existing Secret with an operator's token in autoTrigger.tokenSecretRef.name" -}}
{{- end -}}
{{- if and .Values.metrics.scrapeAnnotations .Values.serviceMonitor.enabled -}}
{{- fail "metrics.scrapeAnnotations and serviceMonitor.enabled together have the service scraped twice; keep one" -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) -}}
{{- fail "ingress.enabled needs ingress.hosts" -}}
{{- end -}}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) -}}
{{- fail "httpRoute.enabled needs httpRoute.parentRefs: the Gateway that takes it" -}}
{{- end -}}
{{- if and .Values.notifications.secretRef.name (not .Values.notifications.url) -}}
{{- fail "notifications.secretRef signs nothing without notifications.url" -}}
{{- end -}}
{{- if and .Values.caBundle.configMapName .Values.caBundle.secretName -}}
{{- fail "caBundle names a ConfigMap and a Secret; keep one of configMapName and secretName" -}}
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
{{- fail (printf "two mirrors have the target %s; Gitea does not tell upper from lower case" $target) -}}
{{- end -}}
{{- $targets = append $targets $target -}}
{{- end -}}
{{- if and .Values.networkPolicy.enabled (eq .Values.networkPolicy.flavour "cilium") (not (.Capabilities.APIVersions.Has "cilium.io/v2")) -}}
{{- fail "networkPolicy.flavour cilium: this cluster has no cilium.io/v2; use the flavour kubernetes" -}}
{{- end -}}
{{- end -}}
