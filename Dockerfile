# One image for everything of ours: `bulkdel` is the entry point, the command says what to run.
#   docker build -t bulkdel .                      the worker
#   docker build -t bulkdel-flower --target flower .
# Base image and packages are pinned; packages by hash, from the lock files.
ARG PYTHON=python:3.11.13-slim-bookworm

FROM ${PYTHON} AS build
WORKDIR /src
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
RUN python -m venv /opt/bulkdel
COPY requirements.lock ./
RUN /opt/bulkdel/bin/pip install --require-hashes --no-deps -r requirements.lock
COPY pyproject.toml README.md LICENSE celeryconfig.py ./
COPY migrations migrations
COPY worker worker
RUN /opt/bulkdel/bin/pip install --no-index --no-deps --no-build-isolation .

FROM build AS build-flower
COPY requirements-flower.lock ./
RUN /opt/bulkdel/bin/pip install --require-hashes --no-deps -r requirements-flower.lock

FROM ${PYTHON} AS run
RUN useradd --system --uid 10001 --home-dir /var/lib/bulkdel --create-home bulkdel
ENV PATH=/opt/bulkdel/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    BULKDEL_CONFIG=/etc/bulkdel/bulkdel.toml \
    BULKDEL_DATA_DIR=/tmp/bulkdel
WORKDIR /var/lib/bulkdel
USER 10001:10001
ENTRYPOINT ["bulkdel"]
CMD ["worker"]

FROM run AS flower
COPY --from=build-flower /opt/bulkdel /opt/bulkdel
ENTRYPOINT ["celery"]
CMD ["--app", "worker.app", "--quiet", "flower", "--conf=/etc/bulkdel/flowerconfig.py"]

# The last stage is what `docker build .` makes.
FROM run AS bulkdel
COPY --from=build /opt/bulkdel /opt/bulkdel
