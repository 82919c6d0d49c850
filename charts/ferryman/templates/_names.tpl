{{/* Names, labels and image references. Every name starts with the release's: the release `ferryman` makes `ferryman-api`. */}}

{{- define "ferryman.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Call with (dict "root" $ "component" "api"): what a Deployment selects by, so it never changes. */}}
{{- define "ferryman.selectorLabels" -}}
app.kubernetes.io/name: ferryman
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Labels of pods. Nothing here changes with the chart's version, so an upgrade restarts only what it changes. */}}
{{- define "ferryman.podLabels" -}}
{{ include "ferryman.selectorLabels" . }}
app.kubernetes.io/part-of: ferryman
{{- end -}}

{{- define "ferryman.labels" -}}
{{ include "ferryman.podLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* Call with (dict "root" $ "name" "operator"). */}}
{{- define "ferryman.image" -}}
{{- printf "%s/ferryman-%s:%s" .root.Values.image.registry .name (.root.Values.image.tag | default .root.Chart.AppVersion) -}}
{{- end -}}

{{- define "ferryman.tokenSecret" -}}
{{- .Values.api.token.existingSecret | default (printf "%s-api-token" (include "ferryman.fullname" .)) -}}
{{- end -}}

{{/* The namespaces to watch, comma-separated; empty means all of them. */}}
{{- define "ferryman.watchNamespaces" -}}
{{- if not .Values.clusterWide -}}
{{- .Values.watchNamespaces | default (list .Release.Namespace) | uniq | join "," -}}
{{- end -}}
{{- end -}}

{{/* The names in imagePullSecrets, comma-separated. */}}
{{- define "ferryman.pullSecretNames" -}}
{{- $names := list -}}
{{- range .Values.imagePullSecrets -}}{{- $names = append $names .name -}}{{- end -}}
{{- $names | join "," -}}
{{- end -}}
