#!/usr/bin/env bash
# Builds the portable coder for aarch64, runs it under emulation and compares its streams with
# those of this machine. Needs g++, and Debian's g++-aarch64-linux-gnu and qemu-user.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
folder=build/aarch64
target=aarch64-linux-gnu
for tool in g++ $target-g++ qemu-aarch64; do
  command -v $tool >/dev/null || {
    echo "$0: $tool is missing: apt-get install g++ g++-aarch64-linux-gnu qemu-user" >&2
    exit 1
  }
done
mkdir -p $folder

# The engine without the kernels of x86 instruction sets.
sources=$(find cpp/cpu -name '*.cpp' ! -path '*/avx*')

# build COMPILER: compiles each source and links them. Optimised as in a release, but less, for the
# sake of time.
build() {
  mkdir -p "$folder/$1"
  # shellcheck disable=SC2086 # names without spaces
  printf '%s\n' tests/cpp/round_trip.cpp $sources | xargs -P "$(nproc)" -I{} sh -c \
    "$1 -std=c++17 -O1 -ffp-contract=off -Wall -Wextra -Werror -Icpp -Icpp/include -c {} \
      -o $folder/$1/\$(echo {} | tr / .).o"
  "$1" -static "$folder/$1"/*.o -o "$folder/round_trip.$1"
}

build g++
build $target-g++
timeout 300 "$folder/round_trip.g++" >$folder/here.txt
timeout 300 qemu-aarch64 "$folder/round_trip.$target-g++" >$folder/aarch64.txt
diff $folder/here.txt $folder/aarch64.txt
tail -n 1 $folder/aarch64.txt
echo "$(($(wc -l <$folder/here.txt) - 1)) streams are the same on $target"
