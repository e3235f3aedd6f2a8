# The steps of `make run`, without root. The library and the weights live in the volume /data. Publish the port on
# loopback (as `make docker` says), or have people log in: make run ... SERVE="--users /data/users --name HOST".
FROM python:3.11-slim
RUN apt-get update -q && apt-get install -q -y --no-install-recommends make libgomp1 && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home glossator && mkdir /app /data && chown glossator /app /data
USER glossator
WORKDIR /app
COPY --chown=glossator . .
RUN make install
ENV GLOSSATOR_MODELS=/data/models
VOLUME /data
EXPOSE 7860
CMD ["make", "run", "LIBRARY=/data/library", "HOST=0.0.0.0", "SERVE=--no-login"]
