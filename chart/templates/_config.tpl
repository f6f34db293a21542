{{/*
The list of mirrors, in the form of `mirrors`. Without `mirrors`, the one mirror of upstream, gitea and mirror.
*/}}
{{- define "cutover-api.mirrors" -}}
{{- $mirrors := .Values.mirrors -}}
{{- if not $mirrors -}}
{{- $name := default (regexReplaceAll "[^a-z0-9]" (lower .Values.gitea.repo) "-" | trunc 63 | trimAll "-") .Values.mirror.name -}}
{{- $upstream := dict "url" .Values.upstream.repoURL "branch" .Values.upstream.branch "credentialsSecretRef" .Values.upstream.credentialsSecretRef -}}
{{- $target := dict "owner" .Values.gitea.org "repo" .Values.gitea.repo -}}
{{- $mirrors = list (mergeOverwrite (dict) .Values.mirror (dict "name" $name "upstream" $upstream "target" $target "interval" .Values.upstream.mirrorInterval)) -}}
{{- end -}}
{{- dict "mirrors" $mirrors | toYaml -}}
{{- end -}}

{{/* The mount path of a mirror's Secrets. */}}
{{- define "cutover-api.upstreamPath" -}}
/run/secrets/upstream/{{ . }}
{{- end -}}

{{/*
cutover-api's configuration file. A newer key with the program's default is omitted, so that an older image can read the
file.
*/}}
{{- define "cutover-api.config" -}}
{{- $root := . -}}
{{- $gitea := dict "url" .Values.sovereign.giteaInternalURL -}}
{{- if .Values.gitea.tokenSecretRef.name -}}
{{- $_ := set $gitea "tokenFile" "/run/secrets/gitea/token" -}}
{{- else -}}
{{- $_ := set $gitea "usernameFile" "/run/secrets/gitea/username" -}}
{{- $_ = set $gitea "passwordFile" "/run/secrets/gitea/password" -}}
{{- end -}}
{{- $bundle := or .Values.caBundle.configMapName .Values.caBundle.secretName -}}
{{- if $bundle -}}
{{- $_ := set $gitea "caFile" "/run/secrets/ca/ca.crt" -}}
{{- end -}}
{{- $mirrors := list -}}
{{- range (include "cutover-api.mirrors" . | fromYaml).mirrors -}}
{{- $upstream := dict "url" .upstream.url "branch" (default $root.Values.upstream.branch .upstream.branch) -}}
{{- $secret := default (dict) .upstream.credentialsSecretRef -}}
{{- if $secret.name -}}
{{- $path := include "cutover-api.upstreamPath" .name -}}
{{- if $secret.tokenKey -}}
{{- $_ := set $upstream "tokenFile" (printf "%s/token" $path) -}}
{{- else -}}
{{- $_ := set $upstream "usernameFile" (printf "%s/username" $path) -}}
{{- $_ = set $upstream "passwordFile" (printf "%s/password" $path) -}}
{{- end -}}
{{- end -}}
{{- if $bundle -}}
{{- $_ := set $upstream "caFile" "/run/secrets/ca/ca.crt" -}}
{{- end -}}
{{- $mirror := dict "name" .name "upstream" $upstream "target" .target "interval" (default $root.Values.upstream.mirrorInterval .interval) -}}
{{- $_ := set $mirror "prune" (default false .prune) -}}
{{- $_ = set $mirror "private" (default false .private) -}}
{{- $_ = set $mirror "onLegacy" (default "refuse" .onLegacy) -}}
{{- if ne (default "follow" .mode) "follow" -}}
{{- $_ = set $mirror "mode" .mode -}}
{{- end -}}
{{- $name := .name -}}
{{- $hooks := list -}}
{{- range $index, $ref := (default (dict) .webhook).secretRefs -}}
{{- $hooks = append $hooks (printf "/run/secrets/webhook/%s/%d/secret" $name $index) -}}
{{- end -}}
{{- with $hooks -}}
{{- $_ = set $mirror "webhook" (dict "secretFiles" .) -}}
{{- end -}}
{{- $mirrors = append $mirrors $mirror -}}
{{- end -}}
{{- $config := dict "gitea" $gitea "mirrors" $mirrors "limits" .Values.limits -}}
{{- $observation := dict -}}
{{- with .Values.observation.ttl -}}{{- $_ := set $observation "ttl" . -}}{{- end -}}
{{- with .Values.observation.healAfter -}}{{- $_ := set $observation "healAfter" . -}}{{- end -}}
{{- with $observation -}}{{- $_ := set $config "observation" . -}}{{- end -}}
{{- $hosts := .Values.server.hosts -}}
{{- if or $hosts (eq .Values.auth.mode "none") -}}
{{- $name := include "cutover-api.fullname" . -}}
{{- $hosts = concat $hosts (list $name (printf "%s.%s" $name .Release.Namespace) (printf "%s.%s.svc" $name .Release.Namespace) (include "cutover-api.serviceHost" .)) | uniq -}}
{{- end -}}
{{- if or $hosts .Values.server.origins -}}
{{- $_ := set $config "server" (dict "hosts" $hosts "origins" .Values.server.origins) -}}
{{- end -}}
{{- if .Values.kubernetes.enabled -}}
{{- $operators := .Values.kubernetes.operators -}}
{{- if .Values.cutoverStep.enabled -}}
{{- $operators = append $operators (printf "system:serviceaccount:%s:%s" .Values.cutoverStep.namespace .Values.cutoverStep.serviceAccountName) -}}
{{- end -}}
{{- if .Values.autoTrigger.enabled -}}
{{- $operators = append $operators (printf "system:serviceaccount:%s:%s" .Release.Namespace (include "cutover-api.triggerName" .)) -}}
{{- end -}}
{{- $status := "" -}}
{{- with .Values.status.configMapName -}}
{{- $status = printf "%s/%s" $root.Values.status.namespace . -}}
{{- end -}}
{{- $kubernetes := dict "enabled" true "audiences" .Values.kubernetes.audiences "operators" (uniq $operators) "viewers" .Values.kubernetes.viewers -}}
{{- $_ := set $kubernetes "statusConfigMap" $status -}}
{{- $_ = set $kubernetes "pastPivotGuard" .Values.kubernetes.pastPivotGuard -}}
{{- if ne .Values.kubernetes.absentStatus "refuse" -}}
{{- $_ = set $kubernetes "absentStatus" .Values.kubernetes.absentStatus -}}
{{- end -}}
{{- if ne .Values.kubernetes.syncPastPivot "allow" -}}
{{- $_ = set $kubernetes "syncPastPivot" .Values.kubernetes.syncPastPivot -}}
{{- end -}}
{{- $_ = set $config "kubernetes" $kubernetes -}}
{{- end -}}
{{- with .Values.notifications.url -}}
{{- $notifications := dict "url" . -}}
{{- if $root.Values.notifications.secretRef.name -}}
{{- $_ := set $notifications "secretFile" "/run/secrets/notifications/secret" -}}
{{- end -}}
{{- $_ := set $config "notifications" $notifications -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}
