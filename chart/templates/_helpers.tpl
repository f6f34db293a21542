{{/* Names, labels, the image, and other parts that several objects share. */}}

{{- define "cutover-api.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* At most 49 characters, so that the chart's suffixes fit into 63. */}}
{{- define "cutover-api.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 49 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default "cutover-api" .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 49 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 49 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "cutover-api.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "cutover-api.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "cutover-api.triggerName" -}}
{{- printf "%s-auto-trigger" (include "cutover-api.fullname" .) -}}
{{- end -}}

{{/* Selector labels: name and instance only, because a selector is immutable. */}}
{{- define "cutover-api.selectorLabels" -}}
app.kubernetes.io/name: {{ include "cutover-api.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/*
Labels of an object. Takes a dict: root, component; optionally partOf and more (a map). The chart's own win over
commonLabels. The schema refuses them there, too: only the step may have the labels of a step of the cut-over.
*/}}
{{- define "cutover-api.labels" -}}
{{- $root := .root -}}
{{- $own := include "cutover-api.selectorLabels" $root | fromYaml -}}
{{- $_ := set $own "app.kubernetes.io/component" .component -}}
{{- $_ = set $own "app.kubernetes.io/part-of" (default "cutover-api" .partOf) -}}
{{- $_ = set $own "app.kubernetes.io/managed-by" $root.Release.Service -}}
{{- $_ = set $own "app.kubernetes.io/version" $root.Chart.AppVersion -}}
{{- $_ = set $own "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_") -}}
{{- $_ = set $own "catalyst.openova.io/blueprint" $root.Chart.Name -}}
{{- with $root.Values.sovereign.fqdn -}}
{{- $_ = set $own "catalyst.openova.io/sovereign-fqdn" . -}}
{{- end -}}
{{- mergeOverwrite (dict) $root.Values.commonLabels (default (dict) .more) $own | toYaml -}}
{{- end -}}

{{/* Labels of a pod. They omit the chart's version, so that a new chart version alone does not restart the pod. */}}
{{- define "cutover-api.podLabels" -}}
{{- $own := include "cutover-api.labels" . | fromYaml -}}
{{- omit $own "helm.sh/chart" | toYaml -}}
{{- end -}}

{{/* The image: global.imageRegistry replaces image.registry, a digest takes precedence over a tag. */}}
{{- define "cutover-api.image" -}}
{{- $registry := default .Values.image.registry .Values.global.imageRegistry | trimSuffix "/" -}}
{{- $name := .Values.image.repository -}}
{{- if $registry -}}{{- $name = printf "%s/%s" $registry $name -}}{{- end -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $name .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "cutover-api.imagePullSecrets" -}}
{{- $names := list -}}
{{- range concat .Values.global.imagePullSecrets .Values.image.pullSecrets -}}
{{- $names = append $names (ternary (dict "name" .) . (kindIs "string" .)) -}}
{{- end -}}
{{- with $names -}}
imagePullSecrets:
  {{- toYaml (uniq .) | nindent 2 }}
{{- end -}}
{{- end -}}

{{/* The security context of pods that write nothing: without fsGroup. */}}
{{- define "cutover-api.clientPodSecurityContext" -}}
{{- omit .Values.podSecurityContext "fsGroup" "fsGroupChangePolicy" | toYaml -}}
{{- end -}}

{{- define "cutover-api.serviceHost" -}}
{{- printf "%s.%s.svc.%s" (include "cutover-api.fullname" .) .Release.Namespace .Values.clusterDomain -}}
{{- end -}}

{{- define "cutover-api.serviceUrl" -}}
{{- printf "http://%s:%v" (include "cutover-api.serviceHost" .) .Values.service.port -}}
{{- end -}}

{{/* The name of the Secret with the tokens file; empty: none. */}}
{{- define "cutover-api.tokensSecret" -}}
{{- if eq .Values.auth.mode "tokens" -}}
{{- if .Values.auth.tokensSecretRef.name -}}
{{- .Values.auth.tokensSecretRef.name -}}
{{- else if not .Values.kubernetes.enabled -}}
{{- printf "%s-tokens" (include "cutover-api.fullname" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
Whether to render an object of an optional API: "true" or "". Takes a dict: root, mode, api, what.
*/}}
{{- define "cutover-api.rendered" -}}
{{- if or (eq .mode "alwaysRender") (.root.Capabilities.APIVersions.Has .api) -}}
true
{{- else if eq .mode "failIfMissing" -}}
{{- fail (printf "%s: this cluster has no %s; install its CRDs first, or set renderMode to skipIfMissing" .what .api) -}}
{{- end -}}
{{- end -}}

{{/*
Whether the step and the trigger accept an unverified run: as configured, else if a policy blocks upstream.
*/}}
{{- define "cutover-api.acceptUnverified" -}}
{{- $said := .Values.cutoverStep.acceptUnverified -}}
{{- if kindIs "bool" $said -}}
{{- if $said }}true{{ end -}}
{{- else if and .Values.networkPolicy.enabled (not .Values.networkPolicy.upstream.enabled) -}}
true
{{- end -}}
{{- end -}}
