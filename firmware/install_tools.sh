#!/bin/sh
# Installs the Debian packages that building and emulating firmware needs.
#
#   install_tools.sh            install what is missing; exit 1 (after naming it) if that is not allowed
#   install_tools.sh --check    install nothing; exit 1 and name what is missing
#   install_tools.sh --tests    install what tests need besides: a debugger, a second compiler, a compiler cache
#   install_tools.sh --fuzz     install what fuzzing the C needs: clang and its libFuzzer
#   install_tools.sh --trainer  install the compiler of the native training step, which searches are cheaper with
#   install_tools.sh --tflm     install the C++ library that projects on TensorFlow Lite Micro link (1.5 GB)
#   install_tools.sh --browser  install Chromium, which a test opens reports with
#   install_tools.sh --python P install what `P -m venv` needs, if it is missing
#
# Works as root or with sudo that asks no password. Otherwise it prints the command to run.
set -u

missing=""
need() { missing="$missing $1"; }
have() { command -v "$1" >/dev/null 2>&1; }

mode=${1:-install}
if [ "$mode" = --python ]; then
    "$2" -c 'import ensurepip, venv' 2>/dev/null ||
        need "python$("$2" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
    purpose="the virtual environment"
elif [ "$mode" = --tests ]; then
    have gdb-multiarch || need gdb-multiarch
    have clang || need clang
    have ccache || need ccache
    purpose="all tests"
elif [ "$mode" = --fuzz ]; then
    have clang || need clang
    echo 'int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { return n > 9 && *d; }' |
        clang -fsanitize=fuzzer -x c - -o /dev/null 2>/dev/null || need libclang-rt-dev
    purpose="fuzzing the C"
elif [ "$mode" = --trainer ]; then
    have g++ || need g++
    purpose="training in compiled code"
elif [ "$mode" = --tflm ]; then
    # Found by full path only when the package is there.
    case $(arm-none-eabi-gcc -print-file-name=libstdc++.a 2>/dev/null) in
        */*) ;;
        *) need libstdc++-arm-none-eabi-newlib ;;
    esac
    purpose="projects on TensorFlow Lite Micro"
elif [ "$mode" = --browser ]; then
    have chromium || have chromium-browser || have google-chrome || need chromium
    purpose="the test of reports in a browser"
else
    # What they are is firmware.toolchain's to say, which needs Python 3.11 and no package.
    missing=$(cd "$(dirname "$0")/.." && "${PYTHON:-python3}" -m firmware.toolchain) || exit 1
    missing=${missing:+ $missing}
    purpose="building and emulating firmware"
fi
[ -n "$missing" ] || exit 0

command="apt-get install --yes --no-install-recommends$missing"
if [ "$mode" != --check ] && have apt-get; then
    if [ "$(id -u)" = 0 ]; then as=""; allowed=yes
    elif have sudo && sudo -n true 2>/dev/null; then as="sudo"; allowed=yes
    else allowed=no
    fi
    if [ "$allowed" = yes ]; then
        echo "installing$missing" >&2
        export DEBIAN_FRONTEND=noninteractive
        # shellcheck disable=SC2086
        if $as apt-get update -qq >/dev/null && $as $command -qq >/dev/null; then
            exit 0
        fi
    fi
fi
echo "missing for $purpose:$missing" >&2
echo "install with: sudo $command" >&2
exit 1
