{{/* Lays the second mapping over the first, which changes: mappings are merged, null removes a key. */}}
{{- define "versus-py.overlay" -}}
{{- $base := index . 0 }}
{{- range $key, $value := index . 1 }}
{{- if kindIs "invalid" $value }}
{{- $_ := unset $base $key }}
{{- else if and (kindIs "map" $value) (kindIs "map" (get $base $key)) }}
{{- include "versus-py.overlay" (list (get $base $key) $value) }}
{{- else }}
{{- $_ := set $base $key $value }}
{{- end }}
{{- end }}
{{- end }}

{{/* The configuration: the shipped one with what the values change, and what a pod prescribes. */}}
{{- define "versus-py.config" -}}
{{- $config := .Files.Get "files/config.yaml" | fromYaml }}
{{- $_ := unset $config "redis" }}
{{- if or .Values.redis.url .Values.redis.existingSecret }}
{{- $_ := set $config "redis" (dict "url" "${REDIS_URL}") }}
{{- end }}
{{- include "versus-py.overlay" (list $config (deepCopy (.Values.config | default dict))) }}
{{- $_ := set $config "port" 3000 }}
{{- $_ := set $config "data_dir" "/data" }}
{{- toYaml $config }}
{{- end }}

{{/*
Adds a problem to the list `problems` for each secret in a part of the configuration: a text below a key that is secret, or a
URL with a password. What refers to a variable or a file is none, but the default of a reference is one.
*/}}
{{- define "versus-py.secretsIn" -}}
{{- $root := . }}
{{- if kindIs "map" .value }}
{{- range $key, $value := .value }}
{{- $path := ternary $key (printf "%s.%s" $root.path $key) (eq $root.path "") }}
{{- $isSecret := regexMatch "(^|_)(tokens?|passwords?|secrets?|signing_keys?|api_key)$" $key }}
{{- include "versus-py.secretsIn" (dict "value" $value "path" $path "isSecret" $isSecret "problems" $root.problems) }}
{{- end }}
{{- else if kindIs "slice" .value }}
{{- range $index, $value := .value }}
{{- include "versus-py.secretsIn" (dict "value" $value "path" (printf "%s.%d" $root.path $index) "isSecret" $root.isSecret "problems" $root.problems) }}
{{- end }}
{{- else if kindIs "invalid" .value }}
{{- else }}
{{- $text := toString .value }}
{{- $isSecret := or .isSecret (eq .path "heartbeat.url") }}
{{- $refers := regexMatch "(^|[^$])[$][{]([A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?|file:[^}]+)[}]" $text }}
{{- $hasDefault := regexMatch "[$][{][A-Za-z_][A-Za-z0-9_]*:-[^}]+[}]" $text }}
{{- if or (and $isSecret $hasDefault) (and (or $isSecret (regexMatch "://[^/]*@" $text)) (not $refers)) }}
{{- $_ := set .problems "list" (append .problems.list (printf "config.%s: is a secret, and config is kept in a ConfigMap; write ${NAME} there, and NAME to secrets or to the Secret of existingSecret" .path)) }}
{{- end }}
{{- end }}
{{- end }}
