# syntax=docker/dockerfile:1
# `docker build .` makes the image of the API and of CPU workers, `docker build --target cuda .` that of GPU workers.
# Both install what the lock names, by hash. PyPI's PyTorch for Linux brings its own CUDA: no CUDA base image is needed,
# only the host's driver; without a GPU its CUDA files are left out (deploy/gpu_files.py says which).
ARG PYTHON=3.11-slim-bookworm

# What the application depends on, with CUDA.
FROM python:${PYTHON} AS dependencies
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/sightline
ENV PATH=/opt/sightline/bin:$PATH
COPY deploy/requirements.lock /src/deploy/
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --require-hashes --no-deps -r /src/deploy/requirements.lock

# The same for machines without a GPU. CPU-only wheels of torch and torchvision, as addresses or files in the build
# context, make it smaller yet: --build-arg TORCH_WHEELS="torch-....whl torchvision-....whl"
FROM dependencies AS dependencies-cpu
ARG TORCH_WHEELS=""
COPY deploy/gpu_files.py /src/deploy/
RUN if [ -n "$TORCH_WHEELS" ]; then \
        pip uninstall --yes $(pip freeze | sed -nE 's/^((nvidia-|cuda-|triton)[^=]*)==.*/\1/p') torch torchvision \
        && pip install --no-deps $TORCH_WHEELS; \
    else \
        python /src/deploy/gpu_files.py --remove /opt/sightline; \
    fi

# The application as a wheel.
FROM python:${PYTHON} AS application
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY deploy/build.lock deploy/
RUN pip install --require-hashes --no-deps --no-cache-dir -r deploy/build.lock
COPY pyproject.toml README.md ./
COPY indexer indexer
COPY workers workers
COPY search_api search_api
COPY sightline sightline
COPY migrations migrations
RUN pip wheel --no-deps --no-build-isolation --no-cache-dir --wheel-dir /wheels .

# What both images share: an ordinary user, a place for the library, settings of a container.
FROM python:${PYTHON} AS base
RUN groupadd --gid 10001 sightline \
    && useradd --uid 10001 --gid sightline --home-dir /var/lib/sightline --create-home --shell /usr/sbin/nologin sightline \
    && install -d -o sightline -g sightline /var/lib/sightline/store /var/lib/sightline/models
ENV PATH=/opt/sightline/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    OMP_WAIT_POLICY=PASSIVE \
    SIGHTLINE_HOME=/var/lib/sightline \
    SIGHTLINE_STORAGE_URL=/var/lib/sightline/store \
    SIGHTLINE_MODELS=/var/lib/sightline/models \
    SIGHTLINE_LOGS__FORMAT=json
VOLUME /var/lib/sightline
EXPOSE 8420 9420
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=6s --start-period=120s --retries=3 \
    CMD ["python", "-m", "indexer.probe", "http://127.0.0.1:8420/healthz"]
ENTRYPOINT ["sightline"]
CMD ["serve", "--host", "0.0.0.0"]

FROM base AS cuda
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY --from=dependencies /opt/sightline /opt/sightline
RUN --mount=type=bind,from=application,source=/wheels,target=/wheels pip install --no-deps --no-index --no-cache-dir /wheels/*.whl
USER 10001:10001

FROM base AS cpu
COPY --from=dependencies-cpu /opt/sightline /opt/sightline
RUN --mount=type=bind,from=application,source=/wheels,target=/wheels pip install --no-deps --no-index --no-cache-dir /wheels/*.whl
USER 10001:10001
