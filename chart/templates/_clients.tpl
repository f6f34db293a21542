{{/* The client pods: the platform's step and the auto-trigger. Neither has a credential of Gitea or upstream. */}}

{{/*
A projected token for the configured audience. Without audiences, the pod uses its default token.
*/}}
{{- define "cutover-api.audienceVolume" -}}
- name: token
  projected:
    defaultMode: 0440
    sources:
      - serviceAccountToken:
          audience: {{ first .Values.kubernetes.audiences | quote }}
          expirationSeconds: 3600
          path: token
{{- end -}}

{{- define "cutover-api.serviceAccountTokenFile" -}}
{{- if .Values.kubernetes.audiences -}}
/run/secrets/cutover-api/token
{{- else -}}
/var/run/secrets/kubernetes.io/serviceaccount/token
{{- end -}}
{{- end -}}

{{- define "cutover-api.stepPodSpec" -}}
serviceAccountName: {{ .Values.cutoverStep.serviceAccountName }}
automountServiceAccountToken: {{ not .Values.kubernetes.audiences }}
enableServiceLinks: false
restartPolicy: Never
activeDeadlineSeconds: {{ .Values.stepTimeouts.giteaMirrorSeconds }}
{{- with include "cutover-api.imagePullSecrets" . }}
{{ . }}
{{- end }}
securityContext:
  {{- include "cutover-api.clientPodSecurityContext" . | nindent 2 }}
  {{- if .Values.kubernetes.audiences }}
  fsGroup: {{ .Values.podSecurityContext.fsGroup }}
  {{- end }}
containers:
  - name: gitea-mirror
    image: {{ include "cutover-api.image" . | quote }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    args:
      - mirror
      - --wait
      - --keep-trying
      - --label=gitea-mirror
      {{- if include "cutover-api.acceptUnverified" . }}
      - --accept-unverified
      {{- end }}
    env:
      - name: CUTOVER_URL
        value: {{ include "cutover-api.serviceUrl" . }}
      - name: CUTOVER_TOKEN_FILE
        value: {{ include "cutover-api.serviceAccountTokenFile" . }}
    resources:
      {{- toYaml .Values.clientResources | nindent 6 }}
    securityContext:
      {{- toYaml .Values.securityContext | nindent 6 }}
    {{- if .Values.kubernetes.audiences }}
    volumeMounts:
      - name: token
        mountPath: /run/secrets/cutover-api
        readOnly: true
    {{- end }}
{{- if .Values.kubernetes.audiences }}
volumes:
  {{- include "cutover-api.audienceVolume" . | nindent 2 }}
{{- end }}
{{- end -}}
