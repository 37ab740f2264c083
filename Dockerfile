# One image for all processes. bookworm is named because its compiler (GCC 12) accepts meinheld's C.

FROM python:3.12-slim-bookworm AS builder
RUN apt-get update \
 && apt-get install -y --no-install-recommends gcc libc6-dev tini \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /app
# The installer of `make venv`. There meinheld is optional; an image without it must not be built.
COPY requirements.txt ./
COPY conf/install.py conf/
RUN python -m venv /opt/venv \
 && /opt/venv/bin/python conf/install.py requirements.txt \
 && /opt/venv/bin/python -c "import meinheld.gmeinheld" \
 && /opt/venv/bin/python -m pip uninstall --quiet --yes setuptools pip
# The source has its own layers, so that a change of it does not install the packages again.
RUN rm -r /app/*
COPY supervisord.conf ./
COPY conf conf
COPY conf/supervisor.d/container conf/supervisor.d
COPY gateway gateway
COPY routingsim routingsim
COPY scheduler scheduler
COPY workers workers
# At run time the image is read-only: without bytecode a dozen processes compile at each start.
RUN python -m compileall -q --invalidation-mode unchecked-hash .

FROM python:3.12-slim-bookworm
# A fixed numeric user: volumes need it, and orchestrators can verify that it is not root.
RUN groupadd --gid 10001 gateway \
 && useradd --uid 10001 --gid gateway --no-create-home --shell /usr/sbin/nologin gateway
COPY --from=builder /usr/bin/tini /usr/bin/tini
COPY --from=builder /opt/venv /opt/venv
COPY --from=builder /app /app
# The only directory written to (sockets, locks of process names): mount a tmpfs there.
RUN install -d -o gateway -g gateway -m 700 /app/.run
# PROFILE: gateway.stack defaults to "local", in which the published demo secrets are accepted.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PROFILE=production
WORKDIR /app
USER 10001:10001
EXPOSE 8080 8081
# /healthz, not /readyz: restarting the container does not help while Redis is unavailable.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/healthz', timeout=3)"]
# tini forwards SIGTERM to supervisord, which stops the edge first and lets the workers drain. It
# also reaps orphans, and makes SIGTERM work before supervisord has installed its handlers.
ENTRYPOINT ["tini", "--"]
CMD ["python", "-m", "gateway.stack", "run"]
