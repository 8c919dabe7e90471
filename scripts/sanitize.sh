#!/usr/bin/env bash
# Builds the extension with AddressSanitizer and UndefinedBehaviorSanitizer (gcc) and runs the tests
# with it: scripts/sanitize.sh PYTHON [arguments of pytest]. PYTHON has torch, pytest, hypothesis,
# pybind11, cmake and ninja. Leaks are not looked for: Python itself keeps memory to the end.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bin=$(cd "$(dirname "$1")" && pwd)
python=$bin/$(basename "$1")
shift
folder=build/sanitize
cmake=$bin/cmake
test -x "$cmake" || cmake=cmake
ninja=$bin/ninja
test -x "$ninja" || ninja=ninja

"$cmake" -S . -B $folder -G Ninja -DCMAKE_MAKE_PROGRAM="$(command -v "$ninja")" \
  -DCMAKE_CXX_COMPILER=g++ -DTORCH_ANS_SANITIZE=address,undefined -DTORCH_ANS_CUDA=OFF \
  -DTORCH_ANS_NATIVE=ON \
  -DPython_EXECUTABLE="$python" -Dpybind11_DIR="$("$python" -m pybind11 --cmakedir)" >/dev/null
"$cmake" --build $folder -j "${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}"

# A package of its own beside PYTHON's other packages: a .pth file that stands in a folder which
# another .pth names is not read, so an editable installation there does not come first.
rm -rf $folder/package $folder/venv
mkdir -p $folder/package
cp -r src/torch_ans $folder/package/
rm -f $folder/package/torch_ans/*.so
cp $folder/_core*.so $folder/package/torch_ans/
"$python" -m venv --without-pip $folder/venv
site=$($folder/venv/bin/python -c 'import site; print(site.getsitepackages()[0])')
{
  realpath $folder/package
  "$python" -c 'import site; print(site.getsitepackages()[0])'
} >"$site/sanitize.pth"

libraries="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libstdc++.so)"
export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:handle_segv=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export LD_PRELOAD="$libraries"
exec $folder/venv/bin/python -m pytest -p no:cacheprovider "$@"
