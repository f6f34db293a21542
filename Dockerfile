# cutover-api as an image: one static binary on a runtime without a shell, as uid 65532. docs/install.md has the
# commands of a release, tests/ci/image builds from this file and tries what comes out.
#
# RUNTIME_DIGEST has no default, on purpose: whoever releases says on which bytes the program runs, or there is no image.
# The C code of two crates is compiled for the machine that builds: another architecture is built on its own machine.

ARG RUST_IMAGE=docker.io/library/rust:1.95.0-bookworm
ARG RUNTIME_IMAGE=gcr.io/distroless/static-debian12
ARG RUNTIME_DIGEST

FROM ${RUST_IMAGE} AS tools

# the list of all crates, put into the binary itself: what scanners for vulnerabilities read
RUN --mount=type=cache,id=cutover-api-tools,sharing=locked,target=/tmp/tools \
    CARGO_TARGET_DIR=/tmp/tools cargo install --locked --root /opt/tools cargo-auditable@0.7.7

FROM tools AS build
ENV CARGO_HOME=/var/cache/cargo
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY tests/standin tests/standin
COPY tests/xtask tests/xtask

ARG VERSION
ARG REVISION
ARG SOURCE_DATE_EPOCH
# Neither the folder of the sources, nor that of the crates, nor the time of day is in the binary. A static program finds
# the kernel's random numbers by a system call, not through a library that is not there. --target keeps the flags from
# build scripts and macros, which cannot be static.
RUN --mount=type=cache,id=cutover-api-crates,sharing=locked,target=/var/cache/cargo \
    --mount=type=cache,id=cutover-api-target,sharing=locked,target=/src/target \
    set -eu; \
    : "${REVISION:?the commit that is built}" "${SOURCE_DATE_EPOCH:?the time of that commit, in seconds}"; \
    case "$(cargo pkgid --locked)" in *"#cutover-api@${VERSION:?as in Cargo.toml}") ;; *) echo "not $VERSION" >&2; exit 1 ;; esac; \
    triple=$(rustc --print host-tuple); \
    export SOURCE_DATE_EPOCH CUTOVER_REVISION="$REVISION" CARGO_INCREMENTAL=0; \
    export CFLAGS="-ffile-prefix-map=$CARGO_HOME=crates -ffile-prefix-map=$PWD=."; \
    export RUSTFLAGS="-C target-feature=+crt-static --remap-path-prefix=$CARGO_HOME=crates --remap-path-prefix=$PWD=."; \
    RUSTFLAGS="$RUSTFLAGS --cfg getrandom_backend=\"linux_getrandom\""; \
    /opt/tools/bin/cargo-auditable auditable build --release --locked --bin cutover-api --target "$triple"; \
    install -D -m 0555 "target/$triple/release/cutover-api" /out/cutover-api; \
    install -d /out/state

FROM ${RUNTIME_IMAGE}@${RUNTIME_DIGEST}
ARG RUNTIME_IMAGE
ARG RUNTIME_DIGEST
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="cutover-api" \
      org.opencontainers.image.description="Keeps a proven copy of an upstream git repository in a cluster's own Gitea, and says so over HTTP" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${RUNTIME_IMAGE}" \
      org.opencontainers.image.base.digest="${RUNTIME_DIGEST}"
COPY --from=build /out/cutover-api /usr/local/bin/cutover-api
COPY --from=build --chown=65532:65532 /out/state /var/lib/cutover-api
ENV PATH=/usr/local/bin \
    CUTOVER_STATE_DIR=/var/lib/cutover-api \
    CUTOVER_LOG_FORMAT=json
# in numbers: the kubelet cannot see from a name that it is not root
USER 65532:65532
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["/usr/local/bin/cutover-api", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/cutover-api"]
CMD ["serve"]
