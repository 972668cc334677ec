{{/*
A native sidecar: an init container that goes on running, starts before the containers of the Pod and ends after them.
It serves RPCs on a Unix socket that only the containers with the volume `m2m-gateway-socket` can open, and of those only
processes of the user `gateway.runAsUser`.

  initContainers:                          include "m2m-gateway.sidecar.container" (dict "gateway" $gateway)
  volumes:                                 include "m2m-gateway.sidecar.volumes" (dict "gateway" $gateway "Release" .Release)
  volumeMounts of the container that calls: include "m2m-gateway.sidecar.clientVolumeMount" .
  the address that it calls:               include "m2m-gateway.sidecar.address" .

where $gateway is `gateway` of this chart's values; in a chart that depends on it, (index .Values "m2m-gateway").gateway.
The Pod needs securityContext.fsGroup, the group that may write the socket's folder and read the secrets.
*/}}

{{- define "m2m-gateway.sidecar.address" -}}
unix:/run/m2m-gateway/gateway.sock
{{- end -}}

{{- define "m2m-gateway.sidecar.container" -}}
{{- $args := dict "gateway" .gateway "socket" true "listen" (include "m2m-gateway.sidecar.address" .) -}}
- name: m2m-gateway
  image: {{ include "m2m-gateway.image" $args }}
  imagePullPolicy: {{ .gateway.image.pullPolicy }}
  restartPolicy: Always
  securityContext:
    {{- include "m2m-gateway.securityContext" $args | nindent 4 }}
  env:
    {{- include "m2m-gateway.env" $args | nindent 4 }}
  ports:
    - { name: admin, containerPort: 50052 }
  {{- include "m2m-gateway.probes" $args | nindent 2 }}
  resources:
    {{- toYaml .gateway.resources | nindent 4 }}
  volumeMounts:
    - name: m2m-gateway-socket
      mountPath: /run/m2m-gateway
    {{- include "m2m-gateway.volumeMounts" $args | nindent 4 }}
{{- end -}}

{{- define "m2m-gateway.sidecar.volumes" -}}
- name: m2m-gateway-socket
  emptyDir: { medium: Memory, sizeLimit: 1Mi }
{{ include "m2m-gateway.volumes" (dict "gateway" .gateway "socket" true "configMap" (include "m2m-gateway.configMapName" .)) }}
{{- end -}}

{{- define "m2m-gateway.sidecar.clientVolumeMount" -}}
- name: m2m-gateway-socket
  mountPath: /run/m2m-gateway
  readOnly: true
{{- end -}}
