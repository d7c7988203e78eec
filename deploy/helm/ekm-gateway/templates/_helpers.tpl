{{- define "ekm-gateway.labels" -}}
app.kubernetes.io/name: ekm-gateway
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "ekm-gateway.selector" -}}
app.kubernetes.io/name: ekm-gateway
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "ekm-gateway.config" -}}
{{- $own := dict
  "listen" (dict "host" .Values.address "port" 8443)
  "admin" (dict "host" .Values.address "port" 9464)
  "log" (dict "destination" "stdout")
  "limits" (dict "drainDelayMs" (mul .Values.drainSeconds 1000)) -}}
{{- if .Values.ticketKeys }}{{- $_ := set $own.listen "ticketKeys" (dict "file" "/etc/ekm-gateway/tickets/ticketKeys") }}{{- end -}}
{{- if .Values.adminToken }}{{- $_ := set $own.admin "token" (dict "file" "/etc/ekm-gateway/admin/token") }}{{- end -}}
{{- mergeOverwrite (deepCopy .Values.config) $own | toYaml -}}
{{- end }}

{{- /* A running gateway refuses a change of these settings, so that pods are replaced when one of them changes. */ -}}
{{- define "ekm-gateway.fixed" -}}
{{- $config := include "ekm-gateway.config" . | fromYaml -}}
{{- list (pick $config.listen "host" "port" "clientAuth") (omit $config.admin "token") $config.log $config.workers | toJson | sha256sum -}}
{{- end }}

{{- /* Seconds from SIGTERM to the end: the two parts of a drain, and some to spare. */ -}}
{{- define "ekm-gateway.grace" -}}
{{- $drainMs := include "ekm-gateway.config" . | fromYaml | dig "limits" "drainMs" 5000 | int -}}
{{- add .Values.drainSeconds (div $drainMs 1000) 6 -}}
{{- end }}
