{{/*
What the Deployment and the sidecar have in common. Every template here takes the values of `gateway`, so that another
chart can call it with its own: (dict "gateway" .Values.m2mGateway …).
*/}}

{{/* That of this chart, also where another one calls. */}}
{{- define "m2m-gateway.appVersion" -}}
0.1.0
{{- end -}}

{{- define "m2m-gateway.image" -}}
{{- $image := .gateway.image -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ default (include "m2m-gateway.appVersion" .) $image.tag }}
{{- end -}}
{{- end -}}

{{- define "m2m-gateway.securityContext" -}}
runAsNonRoot: true
runAsUser: {{ .gateway.runAsUser }}
runAsGroup: {{ .gateway.runAsUser }}
readOnlyRootFilesystem: true
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* Keys and passwords are files: the environment of a process is easier to come by. */}}
{{- define "m2m-gateway.env" -}}
{{- $g := .gateway -}}
{{- $secrets := "/run/secrets/m2m-gateway" -}}
# The admin port listens where the kubelet and Prometheus reach it, and authenticates nobody{{ if not .socket }}; nor does the RPC port{{ end }}.
- name: GATEWAY_INSECURE
  value: "true"
- name: GATEWAY_LISTEN
  value: {{ .listen | quote }}
- name: GATEWAY_ADMIN_LISTEN
  value: {{ printf "%s:50052" $g.listenHost | quote }}
{{- if .socket }}
# For `health` and the other commands of the gateway's own command line.
- name: GATEWAY_URL
  value: {{ .listen | quote }}
{{- end }}
{{- if $g.config }}
- name: GATEWAY_CONFIG
  value: /etc/m2m-gateway/config.yaml
{{- end }}
{{- if $g.clerk.machineSecretKey }}
- name: CLERK_MACHINE_SECRET_KEY_FILE
  value: {{ $secrets }}/clerk-machine-secret-key
{{- end }}
{{- if $g.clerk.instanceSecretKey }}
- name: CLERK_SECRET_KEY_FILE
  value: {{ $secrets }}/clerk-secret-key
{{- end }}
{{- if $g.redis.urlSecret.name }}
- name: GATEWAY_REDIS_URL_FILE
  value: {{ $secrets }}/redis-url
{{- else if $g.redis.url }}
- name: GATEWAY_REDIS_URL
  value: {{ $g.redis.url | quote }}
{{- end }}
{{- if $g.redis.passwordSecret.name }}
- name: GATEWAY_REDIS_PASSWORD_FILE
  value: {{ $secrets }}/redis-password
{{- end }}
{{- if $g.redis.verdictKeySecret.name }}
- name: GATEWAY_VERDICT_KEY_FILE
  value: {{ $secrets }}/verdict-key
{{- end }}
{{- if $g.redis.caSecret.name }}
- name: GATEWAY_REDIS_CA_FILE
  value: {{ $secrets }}/redis-ca.crt
{{- end }}
{{- if and $g.tls.secretName (not .socket) }}
- name: GATEWAY_TLS_CERT_FILE
  value: /run/secrets/m2m-gateway-tls/tls.crt
- name: GATEWAY_TLS_KEY_FILE
  value: /run/secrets/m2m-gateway-tls/tls.key
{{- if $g.tls.clientCaKey }}
- name: GATEWAY_TLS_CLIENT_CA_FILE
  value: /run/secrets/m2m-gateway-tls/{{ $g.tls.clientCaKey }}
{{- end }}
{{- end }}
{{- with $g.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "m2m-gateway.volumeMounts" -}}
{{- $g := .gateway -}}
- name: m2m-gateway-secrets
  mountPath: /run/secrets/m2m-gateway
  readOnly: true
{{- if $g.config }}
- name: m2m-gateway-config
  mountPath: /etc/m2m-gateway
  readOnly: true
{{- end }}
{{- if and $g.tls.secretName (not .socket) }}
- name: m2m-gateway-tls
  mountPath: /run/secrets/m2m-gateway-tls
  readOnly: true
{{- end }}
{{- with $g.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Of the release alone, so that a chart that depends on this one comes to the same. */}}
{{- define "m2m-gateway.configMapName" -}}
{{ printf "%s-m2m-gateway-config" .Release.Name | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{/* `configMap` is the name of the one that holds the configuration file. */}}
{{- define "m2m-gateway.volumes" -}}
{{- $g := .gateway -}}
- name: m2m-gateway-secrets
  projected:
    # Readable by the group that securityContext.fsGroup of the Pod names.
    defaultMode: 0440
    sources:
      - secret:
          name: {{ $g.clerk.secretName }}
          items:
            {{- if $g.clerk.machineSecretKey }}
            - key: {{ $g.clerk.machineSecretKey }}
              path: clerk-machine-secret-key
            {{- end }}
            {{- if $g.clerk.instanceSecretKey }}
            - key: {{ $g.clerk.instanceSecretKey }}
              path: clerk-secret-key
            {{- end }}
      {{- with include "m2m-gateway.secretSource" (dict "secret" $g.redis.urlSecret "path" "redis-url") }}
      {{- . | nindent 6 }}
      {{- end }}
      {{- with include "m2m-gateway.secretSource" (dict "secret" $g.redis.passwordSecret "path" "redis-password") }}
      {{- . | nindent 6 }}
      {{- end }}
      {{- with include "m2m-gateway.secretSource" (dict "secret" $g.redis.verdictKeySecret "path" "verdict-key") }}
      {{- . | nindent 6 }}
      {{- end }}
      {{- with include "m2m-gateway.secretSource" (dict "secret" $g.redis.caSecret "path" "redis-ca.crt") }}
      {{- . | nindent 6 }}
      {{- end }}
{{- if $g.config }}
- name: m2m-gateway-config
  configMap:
    name: {{ .configMap }}
{{- end }}
{{- if and $g.tls.secretName (not .socket) }}
- name: m2m-gateway-tls
  secret:
    secretName: {{ $g.tls.secretName }}
    defaultMode: 0440
{{- end }}
{{- end -}}

{{- define "m2m-gateway.secretSource" -}}
{{- if .secret.name -}}
- secret:
    name: {{ .secret.name }}
    items:
      - key: {{ .secret.key }}
        path: {{ .path }}
{{- end }}
{{- end -}}

{{/* Kubelets ask over cleartext HTTP/2 and know no TLS, so with TLS the admin port answers in place of the RPC port. */}}
{{- define "m2m-gateway.probes" -}}
{{- $http := or .socket .gateway.tls.secretName -}}
startupProbe:
  {{- if $http }}
  httpGet: { path: /readyz, port: admin }
  {{- else }}
  grpc: { port: 50051 }
  {{- end }}
  periodSeconds: 1
  timeoutSeconds: 2
  failureThreshold: 60
readinessProbe:
  {{- if $http }}
  httpGet: { path: /readyz, port: admin }
  {{- else }}
  grpc: { port: 50051 }
  {{- end }}
  periodSeconds: 5
  timeoutSeconds: 2
  failureThreshold: 2
# An outage of Clerk or Redis is not mended by a restart: only a process that no longer answers is.
livenessProbe:
  httpGet: { path: /livez, port: admin }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- end -}}
