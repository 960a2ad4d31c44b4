# FlowBench with its weights; in the container it needs no network:
#
#     docker build -t flowbench .
#     docker run --rm --network none --user "$(id -u):$(id -g)" -v "$PWD":/data flowbench predict clip.mp4 -o out
#
# TORCH_INDEX is the index of PyTorch's wheels for a device, such as CPU or one version of CUDA, as PyTorch's start page
# names it. Without it, pip's own index decides: on Linux for x86 that is a PyTorch with CUDA, which also runs on the CPU.
ARG PYTHON=3.11

FROM python:${PYTHON}-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY flowbench flowbench
COPY conf conf
COPY weights weights
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:${PYTHON}-slim
ARG TORCH_INDEX=
COPY constraints.txt /tmp/
RUN pip install --no-cache-dir -c /tmp/constraints.txt ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch
COPY --from=build /wheels /tmp/wheels
RUN pip install --no-cache-dir -c /tmp/constraints.txt /tmp/wheels/*.whl && useradd --uid 1000 --create-home flowbench
# Any user may run it, also one without a home.
ENV HOME=/tmp WANDB_MODE=offline
USER 1000
WORKDIR /data
ENTRYPOINT ["flowbench"]
CMD ["--help"]
