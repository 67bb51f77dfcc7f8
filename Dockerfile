# Builds with Docker (with and without BuildKit), Podman and Buildah alike, so it uses the features they share.
ARG BUILD_IMAGE=rust:1.95-bookworm
ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian12

FROM ${BUILD_IMAGE} AS build
WORKDIR /src

# Dependencies first, against an empty program: they are compiled again only when Cargo.lock changes.
COPY Cargo.toml Cargo.lock ./
RUN mkdir src benches tests \
 && touch src/lib.rs \
 && echo 'fn main() {}' | tee src/main.rs benches/ingest.rs tests/main.rs \
 && cargo build --locked --release

# The files' times are the checkout's, older than what was just compiled: without `touch` Cargo would see no change.
COPY . .
RUN touch src/lib.rs src/main.rs && cargo build --locked --release

# The runtime image has no shell, so what it needs is laid out here. Any user may write to /data (`--user`); what the
# program makes there is readable by that user only.
RUN mkdir -p -m 1777 /out/data \
 && mkdir -p /out/etc/ssl/certs \
 && cp /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/ \
 && cp target/release/tillhook /out/

FROM ${RUNTIME_IMAGE}
LABEL org.opencontainers.image.title="tillhook" \
      org.opencontainers.image.description="Receives the webhooks of a kash.click till and passes every sale on by e-mail, Slack and HTTP." \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /out/ /
USER 65532:65532
VOLUME /data
EXPOSE 8080
# A start may have to migrate the database first.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["/tillhook", "healthcheck"]
ENTRYPOINT ["/tillhook"]
CMD ["serve"]
