# The service and the command line; weights and data live in volumes.
FROM python:3.12-slim

# A compiler for the few packages that have no wheel; any version does.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends build-essential \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 emotion \
    && install -d -o emotion -m 700 /data /models

WORKDIR /app
COPY constraints.txt ./
# torch first, from its CPU-only index: the default one carries CUDA.
RUN pip install --no-cache-dir -c constraints.txt torch --index-url https://download.pytorch.org/whl/cpu
COPY pyproject.toml README.md LICENSE cli.py ./
COPY engine engine
COPY index index
COPY migrations migrations
COPY emotion_search emotion_search
ARG EXTRAS=postgres
RUN pip install --no-cache-dir -c constraints.txt ".[${EXTRAS}]"

USER 1000
ENV EMOTION_SEARCH_HOME=/data MODELSCOPE_CACHE=/models/modelscope HF_HOME=/models/huggingface
VOLUME ["/data", "/models"]
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as u; u.build_opener(u.ProxyHandler({})).open('http://127.0.0.1:8000/readyz', timeout=4)"]
ENTRYPOINT ["emotion-search"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
