#!/usr/bin/env bash
# Runs the GPU tests under compute-sanitizer: memory errors, races in shared memory, reads of memory
# that nothing wrote, and barriers. usage: scripts/sanitize_cuda.sh PYTHON [pytest arguments]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=$1
shift
if ! nvidia-smi >/dev/null 2>&1; then
  echo "sanitize-cuda: no NVIDIA GPU here, nothing was run"
  exit 0
fi
sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2>/dev/null) || {
  echo "sanitize-cuda: compute-sanitizer was not found; it comes with the CUDA toolkit" >&2
  exit 1
}
# torch's allocator hides the ends of tensors: without it each has memory of its own.
export PYTORCH_NO_CUDA_MEMORY_CACHING=1 TORCH_ANS_REQUIRE_CUDA=1
selected=(tests -m cuda -q -k "not captured_graph and not nothing_waits")
for tool in memcheck racecheck initcheck synccheck; do
  echo "sanitize-cuda: $tool"
  "$sanitizer" --tool "$tool" --error-exitcode 1 --target-processes all \
    "$python" -m pytest "${selected[@]}" "$@"
done
