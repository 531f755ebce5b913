# The agent: one static binary on an empty base. Nothing here needs BuildKit.

FROM golang:1.26.8 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
# What stays out is listed in .dockerignore.
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /out/longshore ./cmd/longshore
RUN mkdir -p /out/data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build --chown=65532:65532 /out/data /var/lib/longshore
COPY --from=build /out/longshore /longshore
# An unprivileged user. To read the Docker socket, add the socket's group
# (group_add in Compose, --group-add on the command line): docs/docker.md.
USER 65532:65532
VOLUME /var/lib/longshore
HEALTHCHECK --interval=30s --timeout=10s --start-period=40s --retries=3 CMD ["/longshore", "healthcheck"]
# The config is read from /etc/longshore/longshore.yml. Without one, the agent reads
# the Docker socket and sends to LONGSHORE_LOKI_URL and LONGSHORE_ELASTICSEARCH_URL.
ENTRYPOINT ["/longshore"]
CMD ["run"]
