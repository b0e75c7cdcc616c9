{{- define "unready.fullname" -}}
{{- if contains "unready" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-unready" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "unready.agent" -}}{{ include "unready.fullname" . }}-agent{{- end }}
{{- define "unready.collector" -}}{{ include "unready.fullname" . }}-collector{{- end }}
{{- define "unready.ca" -}}{{ include "unready.collector" . }}-ca{{- end }}

{{- /* Labels that never change: selectors. Takes (list . "component"). */ -}}
{{- define "unready.selector" -}}
app.kubernetes.io/name: unready
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "unready.labels" -}}
{{ include "unready.selector" . }}
app.kubernetes.io/part-of: unready
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ (index . 0).Chart.Name }}-{{ (index . 0).Chart.Version | replace "+" "_" }}
{{- end }}

{{- /* Takes (list . name). */ -}}
{{- define "unready.image" -}}
{{- $image := (index . 0).Values.image -}}
{{- with $image.registry }}{{ . | trimSuffix "/" }}/{{ end }}{{ index . 1 }}:{{ $image.tag | default (index . 0).Chart.AppVersion }}
{{- end }}

{{- /* The name that the collector's certificate carries and agents connect to. */ -}}
{{- define "unready.host" -}}{{ include "unready.collector" . }}.{{ .Release.Namespace }}.svc{{- end }}

{{- /* The name that agents' certificates must carry; empty: any. */ -}}
{{- define "unready.agentName" -}}
{{- if eq .Values.tls.mode "certManager" }}{{ include "unready.agent" . }}.{{ .Release.Namespace }}.svc
{{- else if eq .Values.tls.mode "secret" }}{{ .Values.tls.secret.agentName }}
{{- end -}}
{{- end }}

{{- define "unready.scheme" -}}{{ if eq .Values.tls.mode "plaintext" }}http{{ else }}https{{ end }}{{- end }}

{{- /* Are there certificates in Secrets? */ -}}
{{- define "unready.mutual" -}}{{ if has .Values.tls.mode (list "secret" "certManager") }}true{{ end }}{{- end }}

{{- /* The Secret of a side: takes (list . "agent"). */ -}}
{{- define "unready.tlsSecret" -}}
{{- $root := index . 0 -}}
{{- $side := index . 1 -}}
{{- if eq $root.Values.tls.mode "secret" -}}
{{- required (printf "tls.mode is secret: set tls.secret.%s to the name of a Secret with tls.crt, tls.key and ca.crt" $side) (index $root.Values.tls.secret $side) -}}
{{- else -}}
{{- include "unready.fullname" $root }}-{{ $side }}-tls
{{- end -}}
{{- end }}

{{- define "unready.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end }}
