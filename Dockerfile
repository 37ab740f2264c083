# One image for every process. bookworm by name: its compiler still takes meinheld's C as it is.

FROM python:3.12-slim-bookworm AS builder
RUN apt-get update \
 && apt-get install -y --no-install-recommends gcc libc6-dev tini \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /app
# The same installer as `make`: the locks with their hashes, no dependency resolved. Where `make`
# does without meinheld, an image must have it. (requirements-dev.txt is looked at, not installed.)
COPY requirements.txt requirements-dev.txt ./
COPY conf/install.py conf/
RUN python -m venv /opt/venv \
 && /opt/venv/bin/python conf/install.py requirements.txt \
 && /opt/venv/bin/python -c "import meinheld.gmeinheld" \
 && /opt/venv/bin/python -m pip uninstall --quiet --yes setuptools pip
# The source in layers of its own: a change of it installs nothing anew.
RUN rm -r /app/*
COPY supervisord.conf ./
COPY conf conf
COPY conf/supervisor.d/container conf/supervisor.d
COPY gateway gateway
COPY routingsim routingsim
COPY scheduler scheduler
COPY workers workers
# The image is read-only when it runs: compiled here, or a dozen processes compile at each start.
RUN python -m compileall -q --invalidation-mode unchecked-hash .

FROM python:3.12-slim-bookworm
# A fixed number, for volumes and for orchestrators that want to see that it is not root.
RUN groupadd --gid 10001 gateway \
 && useradd --uid 10001 --gid gateway --no-create-home --shell /usr/sbin/nologin gateway
COPY --from=builder /usr/bin/tini /usr/bin/tini
COPY --from=builder /opt/venv /opt/venv
COPY --from=builder /app /app
# All that is ever written: sockets and process name locks. Mount a tmpfs over it.
RUN install -d -o gateway -g gateway -m 700 /app/.run
# PROFILE: the launcher is made for developers and would take "local", with the demo secrets live.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PROFILE=production
WORKDIR /app
USER 10001:10001
EXPOSE 8080 8081
# Whether the process is up. Whether it takes events, /readyz says: to restart it while Redis is
# away would mend nothing.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/healthz', timeout=3)"]
# tini hands SIGTERM on to supervisord, which stops the edge first and lets the workers drain. It
# reaps what is orphaned, and lets a stop end the seconds before supervisord listens to signals.
ENTRYPOINT ["tini", "--"]
CMD ["python", "-m", "gateway.stack", "run"]
