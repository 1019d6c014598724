# docker build -t actiondet .                       for the CPU: --build-arg TORCH=https://download.pytorch.org/whl/cpu
# docker run --rm -v "$PWD:/work" -v actiondet:/cache actiondet demo street.mp4 --config ava22/slowfast_r50_8x8_k400
FROM python:3.12-slim

# Where pip takes torch from; its default for Linux holds CUDA (docker run --gpus all).
ARG TORCH=https://pypi.org/simple
RUN pip install --no-cache-dir --no-compile --index-url "$TORCH" --extra-index-url https://pypi.org/simple "torch>=2.8" "torchvision>=0.23"

COPY . /source
RUN pip install --no-cache-dir --no-compile "/source[export]" && rm -rf /source

ENV ACTIONDET_CACHE=/cache
WORKDIR /work
ENTRYPOINT ["actiondet"]
CMD ["--help"]
