{{/* The environment of every container of versus_py. */}}
{{- define "versus-py.env" -}}
env:
  - {name: VERSUS_CONFIG, value: /etc/versus/config.yaml}
  - {name: HOME, value: /tmp}
  {{- with .Values.publicHost }}
  - name: PUBLIC_HOST
    value: {{ . | quote }}
  {{- end }}
  {{- with .Values.redis }}
  {{- if or .url .existingSecret }}
  - name: REDIS_URL
    valueFrom:
      secretKeyRef:
        name: {{ .existingSecret | default (include "versus-py.fullname" $) }}
        key: {{ ternary .existingSecretKey "REDIS_URL" (ne .existingSecret "") }}
  {{- end }}
  {{- end }}
  {{- with .Values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- if or (include "versus-py.hasSecret" .) .Values.existingSecret .Values.extraEnvFrom }}
envFrom:
  {{- if include "versus-py.hasSecret" . }}
  - secretRef: {name: {{ include "versus-py.fullname" . }}}
  {{- end }}
  {{- with .Values.existingSecret }}
  - secretRef: {name: {{ . }}}
  {{- end }}
  {{- with .Values.extraEnvFrom }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "versus-py.podSecurityContext" -}}
{{- $context := .Values.podSecurityContext }}
{{- if include "versus-py.isOpenShift" . }}
{{- $context = omit $context "runAsUser" "runAsGroup" "fsGroup" }}
{{- end }}
{{- toYaml $context }}
{{- end }}

{{- define "versus-py.volumeMounts" -}}
- {name: config, mountPath: /etc/versus, readOnly: true}
- {name: data, mountPath: /data}
- {name: tmp, mountPath: /tmp}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "versus-py.volumes" -}}
- name: config
  configMap: {name: {{ include "versus-py.configMapName" . }}}
- name: tmp
  emptyDir: {}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* What all pods have in common, of the server and of `helm test`. */}}
{{- define "versus-py.podSpec" -}}
serviceAccountName: {{ include "versus-py.serviceAccountName" . }}
automountServiceAccountToken: false
# Else a Service called redis would set REDIS_PORT to tcp://…
enableServiceLinks: false
securityContext:
  {{- include "versus-py.podSecurityContext" . | nindent 2 }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The template of the Deployment and of the StatefulSet. */}}
{{- define "versus-py.podTemplate" -}}
metadata:
  labels:
    {{- include "versus-py.selectorLabels" . | nindent 4 }}
    {{- with .Values.commonLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    checksum/config: {{ include (print $.Template.BasePath "/configmap.yaml") . | sha256sum }}
    checksum/secret: {{ include (print $.Template.BasePath "/secret.yaml") . | sha256sum }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- include "versus-py.podSpec" . | nindent 2 }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  {{- with .Values.initContainers }}
  initContainers:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: versus
      image: {{ include "versus-py.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args:
        - serve
        {{- with .Values.extraArgs }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- include "versus-py.env" . | nindent 6 }}
      ports:
        - {name: http, containerPort: 3000, protocol: TCP}
      startupProbe:
        {{- toYaml .Values.startupProbe | nindent 8 }}
      livenessProbe:
        {{- toYaml .Values.livenessProbe | nindent 8 }}
      readinessProbe:
        {{- toYaml .Values.readinessProbe | nindent 8 }}
      {{- if .Values.preStopSeconds }}
      lifecycle:
        preStop:
          exec: {command: [sleep, {{ .Values.preStopSeconds | quote }}]}
      {{- end }}
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      securityContext:
        {{- toYaml .Values.securityContext | nindent 8 }}
      volumeMounts:
        {{- include "versus-py.volumeMounts" . | nindent 8 }}
    {{- with .Values.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    {{- include "versus-py.volumes" . | nindent 4 }}
    {{- if include "versus-py.hasRedis" . }}
    - name: data
      emptyDir: {}
    {{- else if .Values.persistence.existingClaim }}
    - name: data
      persistentVolumeClaim: {claimName: {{ .Values.persistence.existingClaim }}}
    {{- end }}
{{- end }}
