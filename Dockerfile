# docker build -t sharekit .
# docker run --rm -v "$PWD:/work" -v ~/.config/openstack:/home/sharekit/.config/openstack:ro sharekit check shares.xlsx
FROM python:3.13-slim AS build
COPY . /source
RUN pip wheel --no-cache-dir --wheel-dir /wheels /source

FROM python:3.13-slim
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir --no-index --find-links /wheels sharekit-ims && rm -rf /wheels \
    && useradd --create-home --uid 1000 sharekit
USER sharekit
WORKDIR /work
ENTRYPOINT ["sharekit"]
CMD ["--help"]
