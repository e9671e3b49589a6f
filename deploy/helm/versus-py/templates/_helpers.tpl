{{- define "versus-py.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "versus-py.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 48 | trimSuffix "-" }}
{{- else if or (contains (include "versus-py.name" .) .Release.Name) (hasPrefix (printf "%s-" .Release.Name) (include "versus-py.name" .)) }}
{{- .Release.Name | trunc 48 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "versus-py.name" .) | trunc 48 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "versus-py.instanceLabels" -}}
app.kubernetes.io/name: {{ include "versus-py.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Of the pods that serve. The pod of `helm test` is not one of them. */}}
{{- define "versus-py.selectorLabels" -}}
{{ include "versus-py.instanceLabels" . }}
app.kubernetes.io/component: server
{{- end }}

{{/* Of everything. The component is added by what has one. */}}
{{- define "versus-py.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "versus-py.instanceLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "versus-py.image" -}}
{{- with .Values.image -}}
{{- .repository -}}
{{- if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end -}}
{{- end }}

{{- define "versus-py.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- .Values.serviceAccount.name | default (include "versus-py.fullname" .) }}
{{- else }}
{{- .Values.serviceAccount.name | default "default" }}
{{- end }}
{{- end }}

{{/* "true" where the values of `config` name a Redis. */}}
{{- define "versus-py.hasOwnRedis" -}}
{{- $own := (.Values.config | default dict).redis | default dict -}}
{{- $sentinel := ternary $own.sentinel dict (kindIs "map" $own.sentinel) -}}
{{- $cluster := ternary $own.cluster dict (kindIs "map" $own.cluster) -}}
{{- if or $own.url $own.host $sentinel.hosts $cluster.hosts }}true{{ end -}}
{{- end }}

{{/* "true" where there is a Redis, and "" where Valkey runs in the pod. */}}
{{- define "versus-py.hasRedis" -}}
{{- if or .Values.redis.url .Values.redis.existingSecret (include "versus-py.hasOwnRedis" .) }}true{{ end -}}
{{- end }}

{{- define "versus-py.replicas" -}}
{{- if kindIs "invalid" .Values.replicaCount }}{{ ternary 2 1 (eq (include "versus-py.hasRedis" .) "true") }}{{ else }}{{ int .Values.replicaCount }}{{ end }}
{{- end }}

{{/* "true" on OpenShift. */}}
{{- define "versus-py.isOpenShift" -}}
{{- if kindIs "invalid" .Values.openshift.enabled -}}
{{- if .Capabilities.APIVersions.Has "route.openshift.io/v1" }}true{{ end -}}
{{- else if .Values.openshift.enabled }}true{{ end -}}
{{- end }}

{{- define "versus-py.configMapName" -}}
{{- .Values.existingConfigMap | default (include "versus-py.fullname" .) }}
{{- end }}

{{/* "true" where the chart has a Secret of its own. */}}
{{- define "versus-py.hasSecret" -}}
{{- if or .Values.secrets .Values.redis.url }}true{{ end -}}
{{- end }}

{{- define "versus-py.publicName" -}}
{{- (urlParse .Values.publicHost).hostname -}}
{{- end }}

{{/* The name of an object for one of publicPaths. */}}
{{- define "versus-py.pathName" -}}
{{- $name := .path | trimAll "/" | lower | replace "/" "-" -}}
{{- include "versus-py.fullname" .root }}{{ if $name }}-{{ $name }}{{ end }}
{{- end }}
