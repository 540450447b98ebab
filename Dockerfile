# chaos-runner as a container: one process, no root, no secrets. deploy/kubernetes/ runs it; nothing has to be written
# but the volume for --state and --reports.
#   docker build -t chaos-runner:0.1.0 .
FROM python:3.13-slim AS build
WORKDIR /src
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.13-slim
COPY --from=build /wheels /wheels
COPY constraints.txt /wheels/
RUN pip install --no-cache-dir --no-compile --constraint /wheels/constraints.txt /wheels/*.whl \
    && rm -r /wheels \
    && python -m compileall -q /usr/local/lib/python3.13/site-packages \
    && useradd --uid 65532 --user-group --no-create-home --shell /usr/sbin/nologin chaos-runner \
    && install -d -o 65532 -g 65532 -m 700 /var/lib/chaos-runner
USER 65532:65532
ENV PYTHONDONTWRITEBYTECODE=1
WORKDIR /var/lib/chaos-runner
ENTRYPOINT ["chaos-runner"]
CMD ["--help"]
