{{- define "irkit.labels" -}}
app.kubernetes.io/name: irkit
{{- end }}

{{- define "irkit.image" -}}
{{- if not (regexMatch "^sha256:[0-9a-f]{64}$" .Values.image.digest) }}{{ fail "image.digest must be sha256: and 64 hexadecimal digits" }}{{ end -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- end }}

{{- define "irkit.rights" -}}
{{- $known := .Files.Get "files/rights.json" | fromJson -}}
{{- range .Values.playbooks }}{{ if not (hasKey $known .) }}{{ fail (printf "playbooks: no playbook %q; known are %s" . (keys $known | sortAlpha | join ", ")) }}{{ end }}{{ end -}}
{{- $chosen := dict }}{{ range .Values.playbooks }}{{ $_ := set $chosen . (get $known .) }}{{ end -}}
{{- toJson $chosen -}}
{{- end }}

{{- define "irkit.restricted" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "irkit.confined" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "irkit.environment" -}}
- {name: IRKIT_CONFIG, value: /etc/irkit/config.yaml}
- {name: IRKIT_HOME, value: /tmp/irkit}
- {name: HOME, value: /tmp}
{{- end }}

{{/* What every Job is made from: irkit's own settings (orders.jobs), and what admission compares with. */}}
{{- define "irkit.jobs" -}}
image: {{ include "irkit.image" . }}
pull-policy: {{ .Values.image.pullPolicy }}
{{- with .Values.image.pullSecrets }}
pull-secrets: {{ toJson . }}
{{- end }}
config: irkit-settings
{{- with .Values.jobs.claim }}
claim: {{ . }}
{{- end }}
{{- with .Values.jobs.playbooks }}
playbooks: {{ . }}
{{- end }}
{{- with .Values.jobs.secret }}
secret: {{ . }}
{{- end }}
requests: {{ toJson .Values.jobs.resources.requests }}
limits: {{ toJson .Values.jobs.resources.limits }}
deadline: {{ int .Values.jobs.deadline }}
ttl: {{ int .Values.jobs.ttl }}
{{- end }}

{{- define "irkit.subjects" -}}
{{- range .groups }}
- {kind: Group, apiGroup: rbac.authorization.k8s.io, name: {{ . | quote }}}
{{- end }}
{{- range .users }}
- {kind: User, apiGroup: rbac.authorization.k8s.io, name: {{ . | quote }}}
{{- end }}
{{- end }}

{{/* NetworkPolicy peers; "any address" is none that gives out the node's credentials. */}}
{{- define "irkit.blocks" -}}
{{- range . }}
- ipBlock: {cidr: {{ . }}{{ if eq . "0.0.0.0/0" }}, except: [169.254.0.0/16]{{ end }}}
{{- end }}
{{- end }}

{{/* The doors of the listener; empty: none. */}}
{{- define "irkit.doors" -}}
{{- if dig "serve" "sources" dict .Values.settings }}serve{{ end }}
{{- if .Values.listener.slackSecret }} slack{{ end }}
{{- end }}
