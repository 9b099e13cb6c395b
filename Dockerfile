# syntax=docker/dockerfile:1

FROM python:3.13-slim AS build
COPY pyproject.toml README.md LICENSE /src/
COPY docs/man /src/docs/man
COPY runjobs /src/runjobs
RUN python -m venv /opt/runjobs && /opt/runjobs/bin/pip install --no-cache-dir /src

FROM python:3.13-slim
COPY --from=build /opt/runjobs /opt/runjobs
# any uid may run this image: the state folder is the only one that has to be writable
RUN ln -s /opt/runjobs/bin/runjobs /usr/local/bin/runjobs \
 && useradd --system --uid 10001 --home-dir / --shell /usr/sbin/nologin runjobs \
 && install -d /etc/runjobs/jobs.d \
 && install -d -o runjobs -g runjobs -m 0700 /var/lib/runjobs
ENV RUNJOBS_JOBS=/etc/runjobs/jobs.d \
    RUNJOBS_STATE=/var/lib/runjobs \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
VOLUME /var/lib/runjobs
USER 10001
ENTRYPOINT ["runjobs", "run", "--foreground"]
