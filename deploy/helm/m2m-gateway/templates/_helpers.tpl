{{- define "m2m-gateway.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "m2m-gateway.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains (include "m2m-gateway.name" .) .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "m2m-gateway.name" .) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "m2m-gateway.selectorLabels" -}}
app.kubernetes.io/name: {{ include "m2m-gateway.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "m2m-gateway.labels" -}}
{{ include "m2m-gateway.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end -}}

{{- define "m2m-gateway.serviceAccountName" -}}
{{- default (include "m2m-gateway.fullname" .) .Values.serviceAccount.name -}}
{{- end -}}

{{/* Refuses values that would do something else than who wrote them believes. */}}
{{- define "m2m-gateway.check" -}}
{{- $redis := or .Values.gateway.redis.url .Values.gateway.redis.urlSecret.name -}}
{{- $several := or .Values.autoscaling.enabled (gt (int .Values.standalone.replicas) 1) -}}
{{- if and $several (not $redis) (not .Values.standalone.acceptIndependentReplicas) -}}
{{- fail "several replicas need gateway.redis.url or gateway.redis.urlSecret: without a common Redis a revocation through one reaches the others only when their cached verdicts end. Set standalone.acceptIndependentReplicas=true to accept that" -}}
{{- end -}}
{{- if and (not .Values.networkPolicy.enabled) (not .Values.standalone.acceptUnrestrictedCallers) -}}
{{- fail "the gateway does not authenticate callers: without the NetworkPolicy every Pod can mint and revoke. Set networkPolicy.enabled=true, or standalone.acceptUnrestrictedCallers=true where something else keeps strangers out" -}}
{{- end -}}
{{- end -}}
