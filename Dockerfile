# The binary alone, as an unprivileged user. It needs database.url: this image has no Postgres.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /keyrounds ./cmd/keyrounds \
	&& mkdir /data && chown 65532:65532 /data

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /keyrounds /usr/local/bin/keyrounds
COPY --from=build --chown=65532:65532 /data /var/lib/keyrounds
VOLUME /var/lib/keyrounds
EXPOSE 8181
ENTRYPOINT ["/usr/local/bin/keyrounds"]
CMD ["run", "--config", "/etc/keyrounds/config.yaml"]
