#!/usr/bin/env bash
# Brings what the project needs on Debian 12 or Ubuntu 24.04: apt packages, then the locked Python
# environment in .venv. Does nothing, quickly, where everything is there already.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-/usr/bin/python3}
packages=(
    ca-certificates
    python3 python3-venv python3-dev
    # what PyGObject is built with
    gcc pkg-config libcairo2-dev libgirepository1.0-dev
    gir1.2-gstreamer-1.0 gir1.2-gst-plugins-base-1.0 gir1.2-gst-rtsp-server-1.0
    gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good
    gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-libav gstreamer1.0-rtsp
    # checks recordings, and is a peer in the benchmarks
    ffmpeg
)

say() { printf 'setup: %s\n' "$*" >&2; }

# Shows a long installation as one line that changes, or, away from a terminal, as a short log.
progress() {
    local width=0 line
    [ -t 2 ] && width=$(($(tput cols 2>/dev/null || echo 80) - 8))
    while IFS= read -r line; do
        case $line in
        Get:* | Unpacking* | "Setting up"*)
            if [ "$width" -gt 0 ]; then
                printf '\rsetup: %s\033[K' "${line:0:width}" >&2
            elif [[ $line == "Setting up"* ]]; then
                say "$line"
            fi
            ;;
        esac
    done
    [ "$width" -eq 0 ] || printf '\r\033[K' >&2
}

missing=()
for package in "${packages[@]}"; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
    as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || {
            say "missing packages: ${missing[*]}"
            say "run this as root, or install sudo, or: apt-get install ${missing[*]}"
            exit 1
        }
        as_root=(sudo)
    fi
    say "installing ${#missing[@]} packages with apt: ${missing[*]}"
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends -o Dpkg::Use-Pty=0 "${missing[@]}" | progress
fi

stamp=.venv/setup-stamp
now=$({ "$python" --version; cat pyproject.toml uv.lock scripts/setup.sh; } | sha256sum)
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$now" ]; then
    exit 0
fi
say "building the Python environment in .venv from uv.lock"
if command -v uv >/dev/null; then
    uv=uv
else
    # The environment brings its own uv, in the version that the lock names.
    version=$(awk '/^name = "uv"$/ { getline; gsub(/[^0-9.]/, ""); print; exit }' uv.lock)
    if [ ! -x .venv/bin/uv ]; then
        "$python" -m venv --clear .venv
        .venv/bin/python -m pip install --quiet --disable-pip-version-check "uv==$version"
    fi
    uv=.venv/bin/uv
fi
UV_PYTHON_DOWNLOADS=never "$uv" sync --locked --all-extras --python "$python"
printf '%s\n' "$now" >"$stamp"
say "done"
