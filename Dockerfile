# Tidemark and its generator, as two small images:
#
#   docker build -t tidemark .                    both programs, on Alpine (the default)
#   docker build -t tidemark-airflow --target airflow .   the same, in Airflow's image
#
# The programs are linked statically, so that one build fits both, whatever C library is
# there. Nothing is run as root, and nothing is written outside of /var/lib/tidemark.

FROM rust:1.95.0-slim-bookworm AS build
# For librdkafka and SQLite, which are built from source.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends gcc g++ libc6-dev make perl \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY Cargo.toml Cargo.lock ./
COPY model model
COPY checkpoint checkpoint
COPY client client
COPY cluster cluster
COPY events events
COPY generator generator
COPY sinks sinks
COPY telemetry telemetry
COPY dataflow dataflow
COPY shop shop
COPY serve serve
COPY tidemark tidemark
COPY tests tests
COPY examples examples
COPY bench bench
# What `tidemark --version` says: docker build --build-arg SOURCE_COMMIT="$(git rev-parse --short HEAD)"
ARG SOURCE_COMMIT=
ENV SOURCE_COMMIT="${SOURCE_COMMIT}"
# The target has to be named: otherwise the flag would hold for procedural macros too,
# which are shared libraries.
ENV RUSTFLAGS="-C target-feature=+crt-static"
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    target="$(rustc -vV | sed -n 's/^host: //p')" \
 && cargo build --release --locked --target "$target" --package tidemark --bin tidemark \
 && cargo build --release --locked --target "$target" --package generator --bin generator \
 && mkdir -p /programs \
 && cp "target/$target/release/tidemark" "target/$target/release/generator" /programs/ \
 && strip --strip-debug /programs/*

FROM apache/airflow:3.3.2-python3.11 AS airflow
USER root
# A new volume takes its owner from what the image has in its place.
RUN install --directory --owner=airflow --group=root /opt/airflow/state
COPY --from=build /programs/ /usr/local/bin/
USER airflow
# What the DAGs import; at the versions that their test has run with.
COPY scripts/airflow/requirements.txt scripts/airflow/constraints.txt /opt/airflow/
RUN pip install --no-cache-dir --requirement /opt/airflow/requirements.txt

# Alpine brings the certificates of the usual authorities, and wget for health checks.
FROM alpine:3.23.4 AS tidemark
COPY --from=build /programs/ /usr/local/bin/
RUN install -d -o 65532 -g 65532 /var/lib/tidemark
USER 65532:65532
WORKDIR /var/lib/tidemark
# At it, a process writes what it has read, takes a checkpoint and ends.
STOPSIGNAL SIGTERM
ENTRYPOINT ["tidemark"]
