# The agent: one static binary on an empty base.
#
# Nothing here needs BuildKit. All that the last stage copies stands below /out
# and /etc in the stage before, so an image can also be made without this
# machine's network: lay the same paths into a folder and build the last stage
# alone, without "--from=build".

FROM golang:1.26.8 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY cmd cmd
COPY pipeline pipeline
COPY inputs inputs
COPY parsers parsers
COPY outputs outputs
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /out/longshore ./cmd/longshore
RUN mkdir -p /out/data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build --chown=65532:65532 /out/data /var/lib/longshore
COPY --from=build /out/longshore /longshore
# Nobody in particular. To read the Docker socket, add the socket's group
# (group_add in Compose, --group-add on the command line): docs/docker.md.
USER 65532:65532
VOLUME /var/lib/longshore
HEALTHCHECK --interval=30s --timeout=10s --start-period=40s --retries=3 CMD ["/longshore", "healthcheck"]
# A config is looked for at /etc/longshore/longshore.yml. Without one, the agent reads
# the Docker socket and sends to LONGSHORE_LOKI_URL and LONGSHORE_ELASTICSEARCH_URL.
ENTRYPOINT ["/longshore"]
CMD ["run"]
