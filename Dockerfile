# syntax=docker/dockerfile:1
FROM python:3.12-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY versus_py ./versus_py
COPY config ./config
RUN python -m venv /opt/versus \
 && /opt/versus/bin/pip install --no-cache-dir -c constraints.txt '.[holidays]'

FROM python:3.12-slim
# OpenShift runs it as any user of group 0, which therefore may write where the user may.
RUN useradd --system --uid 10001 --gid 0 --home-dir /app versus \
 && install -d -o versus -g 0 -m 0775 /app \
 && install -d -o versus -g 0 -m 0770 /data
COPY --from=build /opt/versus /opt/versus
COPY --chown=versus:0 config /app/config
ENV PATH="/opt/versus/bin:$PATH" PYTHONUNBUFFERED=1 VERSUS_DATA_DIR=/data
WORKDIR /app
# By number: Kubernetes' runAsNonRoot cannot look a name up.
USER 10001
VOLUME /data
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
  CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ.get(\"PORT\") or 3000}/healthz', timeout=2)"]
ENTRYPOINT ["versus"]
CMD ["serve", "--config", "/app/config/config.yaml"]
# docs/release.md says with which values a release is built.
ARG VERSION=unreleased
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="versus_py" \
      org.opencontainers.image.description="An alert that nobody acknowledges in Slack becomes a ServiceNow record." \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.created="$CREATED" \
      org.opencontainers.image.source="$SOURCE"
