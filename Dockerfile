# An image that serves a library at port 7860, without root. Library and weights lie in the volume /data; with
# --build-arg WEIGHTS=bake the weights are in the image, and nothing is fetched when it starts. Publish the port on
# loopback (as `make docker` says), or have people log in: GLOSSATOR_SERVE="--users /data/users --name HOST".
FROM python:3.11-slim
RUN apt-get update -q && apt-get install -q -y --no-install-recommends libgomp1 ffmpeg && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home glossator && mkdir /app /data && chown glossator /app /data
USER glossator
WORKDIR /app
# what the program needs: a layer that stays while only the program changes
COPY --chown=glossator pyproject.toml constraints.txt README.md LICENSE NOTICE ./
RUN python -m venv .venv && mkdir rag ingest eval ui && .venv/bin/pip install -q --no-cache-dir -c constraints.txt -e '.[audio,milvus,postgres,s3]'
COPY --chown=glossator . .
RUN .venv/bin/pip install -q --no-cache-dir --no-deps -e . && .venv/bin/glossator --help > /dev/null
ARG WEIGHTS=fetch
ENV GLOSSATOR_MODELS=/app/models
RUN if [ "$WEIGHTS" = bake ]; then .venv/bin/glossator models fetch; else rm -rf /app/models && ln -s /data/models /app/models; fi
ENV GLOSSATOR_LIBRARY=/data/library GLOSSATOR_SERVE=--no-login
VOLUME /data
EXPOSE 7860
HEALTHCHECK --start-period=120s CMD ["/app/.venv/bin/python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/ready')"]
STOPSIGNAL SIGINT
CMD ["sh", "-c", "mkdir -p /data/models && .venv/bin/glossator models fetch && exec .venv/bin/glossator ${GLOSSATOR_READER:+--set reader.model=$GLOSSATOR_READER} ${GLOSSATOR_MILVUS:+--set library.engine=milvus --set library.uri=$GLOSSATOR_MILVUS} ${GLOSSATOR_CATALOGUE:+--set library.catalogue=$GLOSSATOR_CATALOGUE} ${GLOSSATOR_FILES:+--set library.files=$GLOSSATOR_FILES} serve --host 0.0.0.0 $GLOSSATOR_SERVE"]
