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

# build COMPILER: compiles and links everything that is not for one x86 instruction set. Optimised as
# in a release, but less, for the sake of time.
build() {
  "$1" -std=c++17 -O1 -ffp-contract=off -Wall -Wextra -Werror -Icpp -Icpp/include -static \
    tests/cpp/round_trip.cpp cpp/cpu/codec.cpp cpp/cpu/dispatch.cpp cpp/cpu/kernel_scalar.cpp \
    -o "$folder/round_trip.$1"
}

build g++
build $target-g++
timeout 300 "$folder/round_trip.g++" >$folder/here.txt
timeout 300 qemu-aarch64 "$folder/round_trip.$target-g++" >$folder/aarch64.txt
diff $folder/here.txt $folder/aarch64.txt
tail -n 1 $folder/aarch64.txt
echo "$(($(wc -l <$folder/here.txt) - 1)) streams are the same on $target"
